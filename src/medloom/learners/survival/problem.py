"""What one estimator is to learn: inputs and outcomes as arrays, and on which samples settings are judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.tasks.survival import Outcomes

Floats = NDArray[np.float64]
Inputs: TypeAlias = Any  # (n, c) array

# Fewer events than this and a tuning split orders settings by chance; then folds are asked.
_LEAST_EVENTS: Final = 100


@dataclass(frozen=True)
class Trial:
    """Rows to learn from, and others to judge by."""

    x: Inputs
    outcomes: Outcomes
    x_judge: Inputs
    judge: Outcomes


@dataclass(frozen=True)
class Problem:
    """Training and tuning samples of a survival question.

    Attributes:
        x: (n, c) inputs of the training samples.
        outcomes: of the n.
        groups: (n,) what must not be split.
        x_tuning: (m, c).
        tuning: outcomes of the m.
        groups_tuning: (m,).
        times: (t,) of the curves.
        seed: of whatever is random.
    """

    x: Inputs
    outcomes: Outcomes
    groups: NDArray[np.int64]
    x_tuning: Inputs
    tuning: Outcomes
    groups_tuning: NDArray[np.int64]
    times: Floats
    seed: int

    @property
    def can_judge(self) -> bool:
        """Tell whether the tuning samples are enough to choose by: a hundred of each event."""
        seen = np.bincount(self.tuning.cause, minlength=self.tuning.causes + 1)[1:]
        return bool(seen.min() >= _LEAST_EVENTS)

    def trials(self, folds: int = 5) -> Iterator[Trial]:
        """Give what settings are judged on: the tuning samples, or folds by group of all where these are too few.

        Raises:
            InputError: neither is enough.
        """
        if self.can_judge:
            yield Trial(self.x, self.outcomes, self.x_tuning, self.tuning)
            return
        x, outcomes = self.together()
        for inside, outside in self.folds(folds):
            yield Trial(x[inside], outcomes[inside], x[outside], outcomes[outside])

    def together(self) -> tuple[Inputs, Outcomes]:
        """Give training and tuning samples as one."""
        if not len(self.tuning):
            return self.x, self.outcomes
        return np.concatenate([self.x, self.x_tuning]), self.outcomes.with_more(self.tuning)

    def folds(self, folds: int = 5) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Divide all samples by group: rows inside and outside of each fold.

        A fold that would leave no patient with some event inside is left out, so that not all samples need be outside
        of one.

        Raises:
            InputError: too few patients have an event.
        """
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        _, outcomes = self.together()
        groups = np.concatenate([self.groups, self.groups_tuning])
        causes = [len(np.unique(groups[outcomes.cause == one])) for one in range(1, outcomes.causes + 1)]
        possible = min(folds, *causes, len(np.unique(groups)))
        if possible < 2:
            raise _too_few()
        # where each group is one sample the second does the same, in no time
        alone = len(np.unique(groups)) == len(groups)
        made = StratifiedKFold if alone else StratifiedGroupKFold
        splitter = made(possible, shuffle=True, random_state=derive(self.seed, "folds"))
        divided = splitter.split(np.arange(len(outcomes)), outcomes.cause, None if alone else groups)
        found = [
            (inside, outside)
            for inside, outside in divided
            if np.isin(range(1, outcomes.causes + 1), outcomes.cause[inside]).all()
        ]
        if not found:
            raise _too_few()
        return found


def _too_few() -> InputError:
    return InputError(
        "too few samples to choose settings by: each event needs at least two patients in train; "
        "widen the task's population, or leave rare events out"
    )
