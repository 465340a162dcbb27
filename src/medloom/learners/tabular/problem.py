"""What one estimator is to learn: inputs and labels as arrays, and on which samples settings are judged."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.learners.tabular.answers import Floats
from medloom.tasks.kinds import Kind

# Fewer than this and a tuning split orders settings by chance; then folds of all samples are asked, which takes longer.
# On ICU stays (PhysioNet 2012, set a) 50 deaths to judge by chose clearly worse penalties than folds did.
_LEAST_SAMPLES: Final = 1000
_LEAST_OF_A_CLASS: Final = 200

Inputs: TypeAlias = Any  # (n, c): an array, or CSR where the learner takes it


@dataclass(frozen=True)
class Trial:
    """Samples to learn from, and others to judge by; inputs (n, c), labels (n, k)."""

    x: Inputs
    y: Floats
    x_judge: Inputs
    y_judge: Floats


@dataclass(frozen=True)
class Problem:
    """Training and tuning samples of a question with one answer: binary, multiclass or a value.

    Attributes:
        kind: `binary`, `multiclass` or `regression`.
        x: (n, c) inputs of the training samples.
        y: (n, k) labels: 0 or 1, one column a class, or values.
        groups: (n,) what must not be split.
        x_tuning: (m, c).
        y_tuning: (m, k).
        groups_tuning: (m,).
        seed: of whatever is random.
        folds_if_few: whether, where the tuning samples are few, folds of all are asked instead; a search that has
            folds of its own does without.
    """

    kind: Kind
    x: Inputs
    y: Floats
    groups: NDArray[np.int64]
    x_tuning: Inputs
    y_tuning: Floats
    groups_tuning: NDArray[np.int64]
    seed: int
    folds_if_few: bool = True

    @property
    def can_judge(self) -> bool:
        """Tell whether the tuning samples are enough to choose by."""
        if not self.folds_if_few:
            return True
        if len(self.y_tuning) < _LEAST_SAMPLES:
            return False
        return self.kind == "regression" or bool(_rarest(self.y_tuning) >= _LEAST_OF_A_CLASS)

    def trials(self, folds: int = 5) -> Iterator[Trial]:
        """Give what settings are judged on: the tuning samples, or folds by group of all where these are too few.

        Raises:
            InputError: neither is enough.
        """
        if self.can_judge:
            yield Trial(self.x, self.y, self.x_tuning, self.y_tuning)
            return
        x, y = self.together()
        for inside, outside in self._folds(y, folds):
            yield Trial(x[inside], y[inside], x[outside], y[outside])

    def trial(self, number: int, folds: int = 5) -> Trial:
        """Give one trial: the only one, or that of the fold whose turn it is."""
        if self.can_judge:
            return Trial(self.x, self.y, self.x_tuning, self.y_tuning)
        x, y = self.together()
        divided = self._folds(y, folds)
        inside, outside = divided[number % len(divided)]
        return Trial(x[inside], y[inside], x[outside], y[outside])

    def together(self) -> tuple[Inputs, Floats]:
        """Give training and tuning samples as one: inputs and labels to learn from once settings are chosen."""
        if not len(self.y_tuning):
            return self.x, self.y
        y = np.concatenate([self.y, self.y_tuning])
        if isinstance(self.x, np.ndarray) and isinstance(self.x_tuning, np.ndarray):
            return np.concatenate([self.x, self.x_tuning]), y
        from scipy.sparse import vstack

        return vstack([self.x, self.x_tuning], format="csr"), y

    def of_label(self, label: int) -> "Problem":
        """Narrow a multilabel problem to one label: binary."""
        column = slice(label, label + 1)
        seed = derive(self.seed, "label", str(label))
        return replace(self, kind="binary", y=self.y[:, column], y_tuning=self.y_tuning[:, column], seed=seed)

    def folds(self, folds: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Divide train and tuning `together` by group: rows inside and outside of each fold.

        Raises:
            InputError: some class has samples of one group only.
        """
        return self._folds(self.together()[1], folds)

    def _folds(self, y: Floats, folds: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

        rows = np.arange(len(y))
        groups = np.concatenate([self.groups, self.groups_tuning])
        state = derive(self.seed, "folds")
        if self.kind == "regression":
            possible = min(folds, len(np.unique(groups)))
            _check_folds(possible)
            return list(GroupKFold(possible, shuffle=True, random_state=state).split(rows, groups=groups))
        classes = y.argmax(axis=1) if self.kind == "multiclass" else y[:, 0].astype(np.int64)
        possible = min(folds, *(len(np.unique(groups[classes == one])) for one in np.unique(classes)))
        _check_folds(possible)
        splitter = StratifiedGroupKFold(possible, shuffle=True, random_state=state)
        return [
            (inside, outside)
            for inside, outside in splitter.split(rows, classes, groups)
            if len(np.unique(classes[inside])) == len(np.unique(classes))
        ]


def _rarest(y: Floats) -> float:
    counts = y.sum(axis=0)
    return float(min(counts.min(), (len(y) - counts).min()))


def _check_folds(possible: int) -> None:
    if possible < 2:
        raise InputError(
            "too few samples to choose settings by: each answer needs at least two patients in train; "
            "widen the task's population, or merge rare classes"
        )
