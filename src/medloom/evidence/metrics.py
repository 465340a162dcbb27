"""Which metrics a kind of question has, and when one of them cannot be estimated."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.answers import Answers, Kind
from medloom.evidence.calibration import (
    CalibrationLine,
    brier,
    calibration_intercept,
    calibration_line,
    ece,
    log_loss,
    scaled_brier,
)
from medloom.evidence.discrimination import auprc, auroc
from medloom.evidence.flexible import FlexibleCurve
from medloom.evidence.multiclass import MULTICLASS, MULTILABEL, Multiclass, Multilabel
from medloom.evidence.regression import REGRESSION, regression_metrics
from medloom.evidence.tally import Floats, Ranking, Tally, rank
from medloom.foundation.messages import Text2, text2

BINARY = (
    "auroc",
    "auprc",
    "brier",
    "scaled_brier",
    "log_loss",
    "calibration_slope",
    "calibration_intercept",
    "ece",
    "e_avg",
    "e90",
    "e_max",
)
"""Names of what `Binary` answers."""

METRICS: dict[Kind, tuple[str, ...]] = {
    "binary": BINARY,
    "multiclass": MULTICLASS,
    "multilabel": MULTILABEL,
    "regression": REGRESSION,
}
PRIMARY: dict[Kind, str] = {
    "binary": "auroc",
    "multiclass": "auroc_macro",
    "multilabel": "auroc_macro",
    "regression": "mae",
}
"""The metric that stands for a kind where only one has room."""

FEWEST_SUBJECTS = 10
"""With fewer subjects a bootstrap interval means nothing; so nothing is reported."""

FEWEST_EACH = 5
"""Subjects with, and without, the outcome that ranking and recalibration need."""

_NEED_BOTH_OFTEN = {"auroc", "auprc", "calibration_slope", "calibration_intercept", "e_avg", "e90", "e_max"}
_NEED_ONLY_RANKS = {"auroc", "auprc", "auroc_macro", "auroc_micro", "auprc_macro", "auprc_micro"}


class Measure(Protocol):
    """Computes metrics by name; weights (..., n) → each metric (...)."""

    def __call__(self, weight: Floats | None = None) -> dict[str, Floats]:
        """Compute every metric."""


class Binary:
    """The metrics of a binary question. `outcome`: (n,) bool; `risk`: (n,); resamples keep `thresholds` exact.

    >>> round(float(Binary([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])()["auroc"]), 2)
    0.75
    """

    def __init__(self, outcome: object, risk: object, thresholds: Sequence[float] = ()) -> None:
        self.ranking: Ranking = rank(np.asarray(outcome), np.asarray(risk))
        self.steps = self.ranking.coarse(thresholds)
        counted = self.ranking.tally()
        # Replicates start Newton's method at the solution for all samples, a step or two away.
        self._line = _finite(calibration_line(counted))
        self._intercept = float(np.nan_to_num(calibration_intercept(counted)))
        self.flexible = FlexibleCurve(self.steps)

    def __call__(self, weight: Floats | None = None) -> dict[str, Floats]:
        """Compute every metric with sample weights (..., n)."""
        return self.measure(self.tally(weight))

    def tally(self, weight: Floats | None = None) -> Tally:
        """Count all samples as they are, or a resample in coarse steps."""
        return self.ranking.tally() if weight is None else self.steps.tally(weight)

    def measure(self, counted: Tally) -> dict[str, Floats]:
        """Compute every metric from what was counted."""
        # the smooth curve has its own knots: a finer count is joined to the steps it knows
        smooth = self.flexible.indices(
            self.steps.tally() if counted.score.size != self.steps.score.size else counted
        )
        return {
            "auroc": auroc(counted),
            "auprc": auprc(counted),
            "brier": brier(counted),
            "scaled_brier": scaled_brier(counted),
            "log_loss": log_loss(counted),
            "calibration_slope": calibration_line(counted, self._line).slope,
            "calibration_intercept": calibration_intercept(counted, self._intercept),
            "ece": ece(counted),
            **{name: smooth[name] for name in ("e_avg", "e90", "e_max")},
        }


class Regression:
    """The metrics of a regression question. `observed`, `predicted`: (n,)."""

    def __init__(self, observed: Floats, predicted: Floats) -> None:
        self._observed, self._predicted = observed, predicted

    def __call__(self, weight: Floats | None = None) -> dict[str, Floats]:
        """Compute every metric with sample weights (..., n)."""
        return regression_metrics(self._observed, self._predicted, weight)


def measure_of(answers: Answers, thresholds: Sequence[float] = ()) -> Measure:
    """Prepare the metrics for `answers`; predictions must be finite (see `not_estimable`)."""
    match answers.kind:
        case "binary":
            return Binary(answers.truth, answers.predicted, thresholds)
        case "multiclass":
            return Multiclass(answers.truth, answers.predicted)
        case "multilabel":
            return Multilabel(answers.truth, answers.predicted)
        case "regression":
            return Regression(answers.truth, answers.predicted)


def not_estimable(answers: Answers) -> dict[str, Text2]:
    """Say which metrics cannot be estimated from `answers`, and why.

    >>> from medloom.evidence.answers import binary_answers
    >>> not_estimable(binary_answers([0, 1, 1], [0.1, 0.2, 0.3]))["auroc"].en
    'too few subjects; at least 10 are needed'
    """
    names = METRICS[answers.kind]
    everything = why_nothing(answers)
    if everything is not None:
        return dict.fromkeys(names, everything)
    reasons: dict[str, Text2] = {}
    if answers.kind != "regression" and not ((answers.predicted >= 0) & (answers.predicted <= 1)).all():
        outside = text2("predictions are not probabilities between 0 and 1")
        reasons |= {name: outside for name in names if name not in _NEED_ONLY_RANKS}
    match answers.kind:
        case "binary":
            reasons |= _why_not_binary(answers)
        case "multiclass":
            reasons |= _why_not_multiclass(answers)
        case "multilabel":
            reasons |= _why_not_multilabel(answers)
        case "regression":
            if np.ptp(answers.truth) == 0:
                reasons["r2"] = text2("all observed values are the same")
            if np.ptp(answers.predicted) == 0:
                reasons["calibration_slope"] = text2("all predictions are the same")
    return reasons


def why_nothing(answers: Answers) -> Text2 | None:
    """Say why nothing at all can be estimated from `answers`; None: something can."""
    if len(answers) == 0:
        return text2("there are no samples")
    bad = int(np.count_nonzero(~np.isfinite(answers.predicted).reshape(len(answers), -1).all(axis=1)))
    if bad:
        return text2(
            "{bad} of {total} predictions are missing or not finite numbers", bad=bad, total=len(answers)
        )
    if answers.kind == "regression" and not np.isfinite(answers.truth).all():
        return text2("some observed values are not finite numbers")
    if answers.groups < FEWEST_SUBJECTS:
        return text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
    return None


def no_solution() -> Text2:
    """The reason for a metric that was tried and has no finite value."""
    return text2("it has no finite value for these data")


def _why_not_binary(answers: Answers) -> dict[str, Text2]:
    truth = answers.truth
    if not truth.any():
        return dict.fromkeys(BINARY, text2("nobody had the outcome"))
    if truth.all():
        return dict.fromkeys(BINARY, text2("everybody had the outcome"))
    reasons: dict[str, Text2] = {}
    counts = {kept: np.count_nonzero(np.bincount(answers.group[truth == kept])) for kept in (True, False)}
    if counts[True] < FEWEST_EACH:
        few = text2("too few subjects with the outcome; at least {least} are needed",
                    least=FEWEST_EACH)  # fmt: skip
        reasons |= dict.fromkeys(_NEED_BOTH_OFTEN, few)
    elif counts[False] < FEWEST_EACH:
        few = text2("too few subjects without the outcome; at least {least} are needed",
                    least=FEWEST_EACH)  # fmt: skip
        reasons |= dict.fromkeys(_NEED_BOTH_OFTEN, few)
    elif np.ptp(answers.predicted) == 0:
        reasons["calibration_slope"] = text2("all predictions are the same")
    elif answers.predicted[truth].min() > answers.predicted[~truth].max():
        reasons["calibration_slope"] = text2("predictions separate the outcomes completely")
    return reasons


def _why_not_multiclass(answers: Answers) -> dict[str, Text2]:
    seen = np.bincount(answers.truth, minlength=len(answers.classes)) > 0
    if seen.sum() == 1:
        return dict.fromkeys(MULTICLASS, text2("only one class occurs"))
    return {} if seen.all() else _absent(answers, seen, ("auroc_macro", "f1_macro"))


def _why_not_multilabel(answers: Answers) -> dict[str, Text2]:
    positives = answers.truth.sum(axis=0)
    if positives.sum() in (0, answers.truth.size):
        return dict.fromkeys(MULTILABEL, text2("only one outcome occurs"))
    usable = (positives > 0) & (positives < len(answers))
    return {} if usable.all() else _absent(answers, usable, ("auroc_macro", "auprc_macro", "f1_macro"))


def _absent(answers: Answers, seen: NDArray[np.bool_], names: tuple[str, ...]) -> dict[str, Text2]:
    absent = [name for name, there in zip(answers.classes, seen, strict=True) if not there]
    return dict.fromkeys(names, text2("these classes occur never or always: {classes}", classes=absent))


def _finite(line: CalibrationLine) -> CalibrationLine | None:
    return line if np.isfinite(line.slope).all() else None
