"""From a representation to answers of any kind of question: what a network's last layer learns, and what it says.

One form of answer serves every neural learner: scores (n, k) of which `AnswerForm` makes predictions, and losses of
them by `Targets`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.kinds import Kind
from medloom.tasks.predictions import Predictions
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Outcomes, outcomes_of
from medloom.training.answers import answers_of, labels_as_numbers, score_scale
from medloom.training.discrete_hazards import Lived, curves_of_odds, interval_ends
from medloom.training.learnable import check_answers_vary, check_events_happen
from medloom.training.nonparametric import grid_of

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

ANSWERED: Final[frozenset[Kind]] = frozenset({"binary", "multiclass", "multilabel", "regression", "survival"})
_INTERVALS: Final = 10


@dataclass(frozen=True)
class Emphasis:
    """What a loss makes more, or less, of.

    Attributes:
        smoothing: share by which labels are drawn towards all answers alike (Szegedy et al., CVPR 2016).
        focal: power by which samples that are answered well already count less (Lin et al., ICCV 2017); 0: not.
        balanced: whether rare classes count as much as common ones.
    """

    smoothing: float = 0.0
    focal: float = 0.0
    balanced: bool = False


class Targets(ABC):
    """Labels of samples, to learn from or to be judged by."""

    def __init__(self, size: int, level: Floats) -> None:
        self.size = size
        self.level = level  # (k,) scores that answer what is usual

    def __len__(self) -> int:
        return self.size

    @abstractmethod
    def losses(self, scores: Tensor, rows: Rows, emphasis: Emphasis = Emphasis()) -> Tensor:
        """Give the loss of each of some rows: scores (b, k) → (b,)."""


@dataclass(frozen=True)
class AnswerForm:
    """What scores mean; plain values, so that it travels in a package.

    Attributes:
        kind: of the question.
        k: how many scores there are.
        centre, unit: of a regression: scores are distances from the centre in this unit.
        times: of prognosis: of the curves.
        cuts: of prognosis: ends of the intervals of hazards.
    """

    kind: Kind
    k: int
    centre: float = 0.0
    unit: float = 1.0
    times: tuple[float, ...] = ()
    cuts: tuple[float, ...] = ()

    @classmethod
    def of(cls, question: Question, train: Samples) -> AnswerForm:
        """Choose the form that suits a question's training labels.

        Raises:
            InputError: nothing can be learned from the labels.
        """
        if question.kind not in ANSWERED:
            raise InputError(
                "questions of kind {kind} have no form of answer here; there are: {kinds}",
                kind=question.kind,
                kinds=sorted(ANSWERED),
            )
        if question.kind == "survival":
            outcomes = outcomes_of(train.frame["label"], question.outputs)
            check_events_happen(question, outcomes)
            times = grid_of(outcomes, question.horizons)
            cuts = interval_ends(outcomes, float(times[-1]), _INTERVALS)
            return cls(question.kind, outcomes.causes * len(cuts), times=tuple(times), cuts=tuple(cuts))
        y = labels_as_numbers(train)
        check_answers_vary(question, y)
        if question.kind == "regression":
            return cls(question.kind, 1, float(y.mean()), float(y.std()) or 1.0)
        return cls(question.kind, y.shape[1])

    def targets(self, samples: Samples) -> Targets:
        """Read labels."""
        question = samples.question
        if self.kind == "survival":
            outcomes = outcomes_of(samples.frame["label"], question.outputs)
            return _Survived(outcomes, np.array(self.cuts))
        return self.targets_of(labels_as_numbers(samples))

    def targets_of(self, y: Floats) -> Targets:
        """Take classes or values (n, k) that are numbers already."""
        return _Answered(self, y)

    def predictions(
        self, question: Question, sample_ids: Sequence[int] | pl.Series | Rows, scores: Floats
    ) -> Predictions:
        """Turn scores (n, k) into predictions."""
        if self.kind == "survival":
            odds = scores.reshape(len(scores), -1, len(self.cuts))
            curves = curves_of_odds(odds, np.array(self.cuts), np.array(self.times))
            return curves.predictions(sample_ids, question.outputs)
        answers = answers_of(self.kind, scores * self.unit + self.centre)
        return Predictions.of_matrix(sample_ids, question.outputs, answers)

    def told(self, question: Question, scores: Tensor) -> Tensor:
        """Give what explanations divide, for PyTorch: scores (n, k) → (n, outputs), on `scale`."""
        if self.kind == "survival":
            n, j = len(scores), len(self.cuts)
            left = scores.new_tensor(self._left())
            summed: Tensor = (scores.view(n, -1, j) * left).sum(-1) / left.sum()
            return summed
        if self.kind == "multiclass":
            return scores - scores.mean(1, keepdim=True)
        return scores * self.unit + self.centre

    def divided(self, scores: Floats) -> Floats:
        """Give the same as `told`, for NumPy."""
        if self.kind == "survival":
            left = np.array(self._left())
            summed: Floats = (scores.reshape(len(scores), -1, len(left)) * left).sum(-1) / left.sum()
            return summed
        if self.kind == "multiclass":
            centred: Floats = scores - scores.mean(1, keepdims=True)
            return centred
        return scores * self.unit + self.centre

    def _left(self) -> list[float]:
        """Weigh what raises hazards, early ones more, as they last longer: (j,)."""
        return [(self.cuts[-1] - start) / self.cuts[-1] for start in (0.0, *self.cuts[:-1])]

    def scale(self, question: Question) -> str:
        """Name what `told` gives."""
        return "log-odds of hazards" if self.kind == "survival" else score_scale(question)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AnswerForm:
        """Read back what `dataclasses.asdict` gave."""
        lists = {name: tuple(content[name]) for name in ("times", "cuts")}
        return cls(**{**content, **lists})


class _Answered(Targets):
    """Classes, or a value."""

    def __init__(self, form: AnswerForm, y: Floats) -> None:
        self._kind = form.kind
        self._y = ((y - form.centre) / form.unit).astype(np.float32)
        share = np.clip(y.mean(axis=0), 1e-3, 1 - 1e-3) if len(y) else np.full(form.k, 0.5)
        level = {
            "regression": np.zeros(form.k),
            "multiclass": np.log(share),
        }.get(form.kind, np.log(share / (1 - share)))
        super().__init__(len(y), level)
        self._weight = (
            (0.5 / (1 - share), 0.5 / share) if form.kind != "multiclass" else (1 / (form.k * share),) * 2
        )

    def losses(self, scores: Tensor, rows: Rows, emphasis: Emphasis = Emphasis()) -> Tensor:
        import torch
        from torch.nn import functional as F

        y = torch.from_numpy(self._y[rows]).to(scores)
        if self._kind == "regression":
            return F.mse_loss(scores, y, reduction="none").mean(1)
        aim = y * (1 - emphasis.smoothing) + emphasis.smoothing / (
            2 if self._kind != "multiclass" else y.shape[1]
        )
        if self._kind == "multiclass":
            logs = torch.log_softmax(scores, 1)
            each = -(aim * logs)
            right = logs.exp()
        else:
            each = F.binary_cross_entropy_with_logits(scores, aim, reduction="none")
            right = torch.sigmoid(scores) * y + torch.sigmoid(-scores) * (1 - y)
        if emphasis.focal:
            each = each * (1 - right) ** emphasis.focal
        if emphasis.balanced:
            absent, present = (torch.from_numpy(one).to(scores) for one in self._weight)
            each = each * (present * y + absent * (1 - y))
        return each.sum(1) if self._kind == "multiclass" else each.mean(1)


class _Survived(Targets):
    """Times until events."""

    def __init__(self, outcomes: Outcomes, cuts: Floats) -> None:
        self._lived = Lived.of(outcomes, cuts)
        super().__init__(len(outcomes), self._lived.average())

    def losses(self, scores: Tensor, rows: Rows, emphasis: Emphasis = Emphasis()) -> Tensor:
        del emphasis  # of classes
        return self._lived.losses(scores, rows)
