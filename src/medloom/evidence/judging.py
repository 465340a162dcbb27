"""How answers are judged, whatever the kind of question: their metrics, whom they decide otherwise, what harms them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.answers import Answers, read_answers
from medloom.evidence.attack import Aim
from medloom.evidence.calibration import brier
from medloom.evidence.concordance import Concordance
from medloom.evidence.discrimination import auroc
from medloom.evidence.metrics import FEWEST_EACH, FEWEST_SUBJECTS, PRIMARY, not_estimable
from medloom.evidence.multiclass import Multiclass, Multilabel
from medloom.evidence.regression import regression_metrics
from medloom.evidence.tally import Floats, rank, ratio
from medloom.foundation.messages import Text2, text2
from medloom.tasks.kinds import Kind
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Outcomes, outcomes_of, read_curves

Who = NDArray[np.bool_]
"""Which of n samples: (n,)."""

METRICS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "binary": ("auroc", "brier", "observed_to_expected"),
    "multiclass": ("auroc_macro", "log_loss"),
    "multilabel": ("auroc_macro", "brier"),
    "regression": ("mae", "r2"),
    "survival": ("c_index",),
}
"""What is measured of every trial; the first stands for all."""

LESS_IS_BETTER: Final = frozenset({"mae", "brier", "log_loss", "false_positives"})


class Judge(Protocol):
    """Outcomes, beside which answers (n, k) are put."""

    @property
    def threshold(self) -> float | None:
        """Give the risk from which on somebody is flagged; None: none is."""

    @property
    def group(self) -> NDArray[np.intp]:
        """Give what is resampled together: (n,)."""

    def why_not(self, said: Floats) -> Text2 | None:
        """Say why answers cannot be judged; None: they can."""

    def measure(self, said: Floats) -> Callable[[Floats], dict[str, Floats]]:
        """Prepare the metrics of answers: weights (b, n) → (b,) each."""

    def crossed(self, before: Floats, after: Floats) -> Floats | None:
        """Tell whose answer led to another decision: (n,) of 0 and 1; None: none is taken."""

    def aims(self, before: Floats) -> tuple[Aim, ...]:
        """Tell what an attack makes large: what harms who has the outcome, and who has not."""

    def harmed(self, answers: Sequence[Floats]) -> Floats:
        """Put together, from the answers each aim led to, the one that harms each sample most."""

    def turned(self, before: Floats, answers: Sequence[Floats]) -> Floats | None:
        """Tell of whom an attack could turn the decision: (n,) of 0 and 1."""

    def where(self, who: Who) -> Judge:
        """Keep some samples."""


@dataclass(frozen=True)
class FlatJudge:
    """One answer, or one a class."""

    answers: Answers
    threshold: float | None

    @property
    def group(self) -> NDArray[np.intp]:
        return self.answers.group

    def where(self, who: Who) -> FlatJudge:
        return FlatJudge(self.answers.where(who), self.threshold)

    def saying(self, said: Floats) -> Answers:
        """Put answers (n, k) beside the outcomes."""
        return self.answers.saying(said[:, 0] if self.answers.predicted.ndim == 1 else said)

    def why_not(self, said: Floats) -> Text2 | None:
        return not_estimable(self.saying(said)).get(PRIMARY[self.answers.kind])

    def measure(self, said: Floats) -> Callable[[Floats], dict[str, Floats]]:
        answers = self.saying(said)
        names = METRICS[answers.kind]
        if answers.kind == "binary":
            ranking = rank(answers.truth, answers.predicted).coarse()

            def risks(weight: Floats) -> dict[str, Floats]:
                counted = ranking.tally(weight)
                expected = counted.total @ counted.score
                return {
                    "auroc": auroc(counted),
                    "brier": brier(counted),
                    "observed_to_expected": ratio(counted.positive_up_to[..., -1], expected),
                }

            return risks
        if answers.kind == "regression":
            whole: Callable[[Floats], dict[str, Floats]] = lambda weight: regression_metrics(  # noqa: E731
                answers.truth, answers.predicted, weight
            )
        elif answers.kind == "multiclass":
            whole = Multiclass(answers.truth, answers.predicted)
        else:
            whole = Multilabel(answers.truth, answers.predicted)
        return lambda weight: {name: value for name, value in whole(weight).items() if name in names}

    def crossed(self, before: Floats, after: Floats) -> Floats | None:
        if self.answers.kind == "binary" and self.threshold is not None:
            return np.asarray((before >= self.threshold) != (after >= self.threshold), np.float64)[:, 0]
        if self.answers.kind == "multiclass":
            return np.asarray(before.argmax(axis=1) != after.argmax(axis=1), np.float64)
        return None

    def aims(self, before: Floats) -> tuple[Aim, ...]:
        if before.shape[1] == 1:
            return (lambda said: said[:, 0], lambda said: -said[:, 0])
        truth = self.answers.truth
        shares = truth if truth.ndim == 2 else truth[:, None] == np.arange(before.shape[1])
        return (lambda said: np.abs(shares - said).sum(axis=1),)

    def harmed(self, answers: Sequence[Floats]) -> Floats:
        if len(answers) == 1:
            return answers[0]
        higher, lower = answers
        truth = self.answers.truth[:, None]
        if self.answers.kind == "binary":
            return np.where(truth, lower, higher)
        return np.where(np.abs(truth - lower) > np.abs(truth - higher), lower, higher)

    def turned(self, before: Floats, answers: Sequence[Floats]) -> Floats | None:
        each = [found for one in answers if (found := self.crossed(before, one)) is not None]
        return np.max(each, axis=0) if each else None


@dataclass(frozen=True)
class FollowedJudge:
    """Prognosis: the time the first of the question's events takes away."""

    outcomes: Outcomes
    group: NDArray[np.intp]
    threshold: float | None = None

    def where(self, who: Who) -> FollowedJudge:
        return FollowedJudge(self.outcomes[who], np.unique(self.group[who], return_inverse=True)[1])

    def why_not(self, said: Floats) -> Text2 | None:
        bad = int((~np.isfinite(said)).any(axis=1).sum())
        if bad:
            return text2(
                "{bad} of {total} predictions are missing or not finite numbers", bad=bad, total=len(said)
            )
        subjects = len(np.unique(self.group))
        if subjects < FEWEST_SUBJECTS:
            return text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
        events = len(np.unique(self.group[self.outcomes.cause == 1]))
        if events < FEWEST_EACH:
            return text2(
                "too few subjects with the outcome; at least {least} are needed",
                least=FEWEST_EACH,
            )
        return None

    def measure(self, said: Floats) -> Callable[[Floats], dict[str, Floats]]:
        concordance = Concordance(self.outcomes, 1, said[:, 0])
        return lambda weight: {"c_index": concordance(weight)}

    def crossed(self, before: Floats, after: Floats) -> Floats | None:
        return None

    def aims(self, before: Floats) -> tuple[Aim, ...]:
        return (lambda said: said[:, 0], lambda said: -said[:, 0])

    def harmed(self, answers: Sequence[Floats]) -> Floats:
        higher, lower = answers
        # who had the event is said to be safe, who was followed without is said to be at risk
        return np.where((self.outcomes.cause == 1)[:, None], lower, higher)

    def turned(self, before: Floats, answers: Sequence[Floats]) -> Floats | None:
        return None


def judge_of(samples: Samples, predictions: Predictions, threshold: float | None) -> tuple[Judge, Floats]:
    question = samples.question
    if question.kind == "survival":
        outcomes = outcomes_of(samples.frame["label"], question.outputs)
        curves = read_curves(predictions.frame, question.outputs, samples.frame["sample_id"])
        group = np.unique(samples.groups, return_inverse=True)[1]
        return FollowedJudge(outcomes, group), curves.time_lost()
    answers = read_answers(question, samples.frame, predictions.frame)
    said = answers.predicted if answers.predicted.ndim == 2 else answers.predicted[:, None]
    if answers.kind == "binary" and threshold is None and len(answers):
        threshold = float(answers.truth.mean())
    return FlatJudge(answers, threshold if answers.kind == "binary" else None), said
