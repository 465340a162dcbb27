"""What is measured within each group when groups are compared: all groups on the same resamples.

A sample is in one group of a dimension at most. Chosen means: a risk at or above the threshold, the likeliest class,
or a label's risk of one half or more; each class is then taken against all others.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.calibration import CalibrationLine, calibration_intercept, calibration_line, ece
from medloom.evidence.discrimination import auroc
from medloom.evidence.metrics import FEWEST_EACH, not_estimable, why_nothing
from medloom.evidence.regression import regression_metrics
from medloom.evidence.tally import Floats, Tally, rank, ratio
from medloom.evidence.threshold import at_threshold
from medloom.foundation.messages import Text2, text2

Groups = Mapping[str, NDArray[np.bool_]]

RATES: Final = (
    "selection_rate",
    "sensitivity",
    "false_positive_rate",
    "ppv",
    "observed_to_expected",
    "auroc",
)
"""What is measured in every group of a binary question, when predictions ≥ a threshold are flagged."""

CALIBRATION: Final = ("calibration_intercept", "calibration_slope", "ece")
"""Calibration within groups, for binary questions."""

CLASS_RATES: Final = ("selection_rate", "sensitivity", "false_positive_rate", "auroc")
"""What is measured of each class against all others; named `CLASS: sensitivity`."""

OF_CLASSES: Final = ("accuracy", "auroc_macro")
VALUES: Final = ("mae", "rmse", "mean_error", "calibration_slope")
"""What is measured of predicted values; the mean error is predicted less observed."""


class GroupRates(Protocol):
    """Measures all groups of a dimension at once.

    Attributes:
        rates: what is measured.
        odds: sensitivity and false positive rate, of each class; none where there is nothing to choose.
    """

    rates: tuple[str, ...]
    odds: tuple[tuple[str, str], ...]

    @property
    def reasons(self) -> Mapping[str, Mapping[str, Text2]]:
        """Tell group → rate → why it cannot be estimated there."""

    def __call__(self, weight: Floats) -> dict[tuple[str, str], Floats]:
        """Measure with weights (b, n): (rate, group) → (b,), where it can be estimated."""


class RiskRates:
    """Rates of a binary question within groups; `calibrated`: calibration within groups too, which takes longer.

    Every sample has one cell: its group, step of risk, and outcome. A resample is counted once for all groups.

    >>> from medloom.evidence.answers import binary_answers
    >>> answers = binary_answers([0, 1] * 20, np.tile([0.2, 0.7], 20))
    >>> measure = RiskRates(answers, {"all": np.ones(40, dtype=bool)}, 0.5)
    >>> float(measure(np.ones((1, 40)))["sensitivity", "all"][0])
    1.0
    """

    odds: tuple[tuple[str, str], ...] = (("sensitivity", "false_positive_rate"),)

    def __init__(self, answers: Answers, groups: Groups, threshold: float, calibrated: bool = True) -> None:
        self.rates = RATES + (CALIBRATION if calibrated else ())
        self.reasons: Mapping[str, Mapping[str, Text2]] = {
            name: _of_risks(answers.where(chosen), self.rates, threshold) for name, chosen in groups.items()
        }
        self._threshold = threshold
        self._steps: dict[str, tuple[int, Floats]] = {}
        self._start: dict[str, tuple[CalibrationLine, float]] = {}
        self._cell = np.zeros(len(answers), dtype=np.intp)  # the first cell holds who is in no group
        self._cells = 1
        for name, chosen in groups.items():
            if len(self.reasons[name]) == len(self.rates):
                continue
            ranking = rank(answers.truth[chosen], answers.predicted[chosen]).coarse([threshold])
            self._steps[name] = self._cells, ranking.score
            self._cell[chosen] = self._cells + ranking.cell
            self._cells += 2 * ranking.score.size
            if calibrated:
                # Replicates start Newton's method at the solution for all samples of the group.
                counted = ranking.tally()
                self._start[name] = calibration_line(counted), float(calibration_intercept(counted))

    def __call__(self, weight: Floats) -> dict[tuple[str, str], Floats]:
        """Measure; see `GroupRates`."""
        counted = np.asarray([np.bincount(self._cell, row, self._cells) for row in weight], np.float64)
        out: dict[tuple[str, str], Floats] = {}
        for name, (first, score) in self._steps.items():
            own = counted[:, first : first + 2 * score.size].reshape(len(weight), -1, 2)
            found = self._rates(
                Tally(score, own[..., 1], own[..., 0]), self.reasons[name], self._start.get(name)
            )
            out |= {(rate, name): value for rate, value in found.items()}
        return out

    def _rates(
        self, counted: Tally, reasons: Mapping[str, Text2], start: tuple[CalibrationLine, float] | None
    ) -> dict[str, Floats]:
        at = at_threshold(counted, self._threshold)
        expected = counted.total @ counted.score
        measures: dict[str, Callable[[], Floats]] = {
            "selection_rate": lambda: at["flagged_per_100"] / 100,
            "sensitivity": lambda: at["sensitivity"],
            "false_positive_rate": lambda: 1 - at["specificity"],
            "ppv": lambda: at["ppv"],
            "observed_to_expected": lambda: ratio(counted.positive.sum(axis=-1), expected),
            "auroc": lambda: auroc(counted),
        }
        if start is not None:
            line, intercept = start
            measures |= {
                "calibration_intercept": lambda: calibration_intercept(counted, intercept),
                "calibration_slope": lambda: calibration_line(counted, line).slope,
                "ece": lambda: ece(counted),
            }
        return {name: measure() for name, measure in measures.items() if name not in reasons}


class ClassRates:
    """Rates of each class against all others within groups, accuracy and macro AUROC: multiclass and multilabel.

    Accuracy of labels is the share of all pairs of a sample and a label that are right.
    """

    def __init__(self, answers: Answers, groups: Groups) -> None:
        k = answers.predicted.shape[1]
        truth, chosen = _as_indicators(answers, k)
        self.rates = OF_CLASSES + tuple(
            _of_class(name, rate) for name in answers.classes for rate in CLASS_RATES
        )
        self.odds = tuple(
            (_of_class(name, "sensitivity"), _of_class(name, "false_positive_rate"))
            for name in answers.classes
        )
        self._classes, self._exclusive = answers.classes, answers.kind == "multiclass"
        self.reasons: Mapping[str, Mapping[str, Text2]] = {
            name: _of_classes(answers.where(own), truth[own], self.rates) for name, own in groups.items()
        }
        self._groups = {
            name: own for name, own in groups.items() if len(self.reasons[name]) < len(self.rates)
        }
        self._counts = {
            name: np.concatenate([(truth & chosen)[own], truth[own], chosen[own]], axis=1).astype(np.float64)
            for name, own in self._groups.items()
        }
        self._rankings = {
            name: [rank(truth[own, at], answers.predicted[own, at]).coarse() for at in range(k)]
            for name, own in self._groups.items()
        }

    def __call__(self, weight: Floats) -> dict[tuple[str, str], Floats]:
        """Measure; see `GroupRates`."""
        out: dict[tuple[str, str], Floats] = {}
        for name, own in self._groups.items():
            reasons = self.reasons[name]
            out |= {
                (rate, name): each
                for rate, each in self._of(name, weight[:, own]).items()
                if rate not in reasons
            }
        return out

    def _of(self, group: str, weight: Floats) -> dict[str, Floats]:
        mass = weight.sum(axis=-1)[:, None]
        hits, true, chosen = np.split(weight @ self._counts[group], 3, axis=-1)
        found = {
            "selection_rate": ratio(chosen, np.broadcast_to(mass, chosen.shape)),
            "sensitivity": ratio(hits, true),
            "false_positive_rate": ratio(chosen - hits, mass - true),
            "auroc": np.stack([auroc(one.tally(weight)) for one in self._rankings[group]], axis=-1),
        }
        right = hits if self._exclusive else mass - true - chosen + 2 * hits
        share = 1 if self._exclusive else len(self._classes)
        return {
            "accuracy": ratio(right.sum(axis=-1), share * mass[:, 0]),
            "auroc_macro": found["auroc"].mean(axis=-1),
            **{
                _of_class(name, rate): found[rate][:, at]
                for at, name in enumerate(self._classes)
                for rate in CLASS_RATES
            },
        }


class ValueRates:
    """Errors of predicted values within groups, in the unit of the value."""

    odds: tuple[tuple[str, str], ...] = ()

    def __init__(self, answers: Answers, groups: Groups) -> None:
        self.rates: tuple[str, ...] = VALUES
        self._answers = answers
        self.reasons: dict[str, dict[str, Text2]] = {}
        for name, own in groups.items():
            known = not_estimable(answers.where(own))
            every = known.get("mae")
            self.reasons[name] = (
                {rate: known[rate] for rate in self.rates if rate in known}
                if every is None
                else dict.fromkeys(self.rates, every)
            )
        self._groups = {name: own for name, own in groups.items() if "mae" not in self.reasons[name]}

    def __call__(self, weight: Floats) -> dict[tuple[str, str], Floats]:
        """Measure; see `GroupRates`."""
        out: dict[tuple[str, str], Floats] = {}
        for name, own in self._groups.items():
            found = regression_metrics(self._answers.truth[own], self._answers.predicted[own], weight[:, own])
            found["mean_error"] = -found["calibration_intercept"]
            out |= {(rate, name): found[rate] for rate in VALUES if rate not in self.reasons[name]}
        return out


def rates_of(answers: Answers, groups: Groups, threshold: float, calibrated: bool = True) -> GroupRates:
    """Prepare what is measured within `groups` for the kind of question; `threshold`, `calibrated`: of risks."""
    match answers.kind:
        case "binary":
            return RiskRates(answers, groups, threshold, calibrated)
        case "regression":
            return ValueRates(answers, groups)
        case _:
            return ClassRates(answers, groups)


def _of_class(name: str, rate: str) -> str:
    return f"{name}: {rate}"


def _as_indicators(answers: Answers, k: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, k) bool each: what came true, what was chosen."""
    if answers.kind == "multilabel":
        return answers.truth, answers.predicted >= 0.5
    likeliest = answers.predicted.argmax(axis=1)[:, None]
    return answers.truth[:, None] == np.arange(k), likeliest == np.arange(k)


def _of_risks(part: Answers, rates: tuple[str, ...], threshold: float) -> dict[str, Text2]:
    nothing = why_nothing(part)
    if nothing is not None:
        return dict.fromkeys(rates, nothing)
    reasons = {name: why for name, why in not_estimable(part).items() if name in ("auroc", *CALIBRATION)}
    reasons |= _too_few(part, part.truth, "sensitivity", "false_positive_rate")
    if not (part.predicted >= threshold).any():
        reasons["ppv"] = text2("there is nobody to take this share of")
    return {name: why for name, why in reasons.items() if name in rates}


def _of_classes(part: Answers, truth: NDArray[np.bool_], rates: tuple[str, ...]) -> dict[str, Text2]:
    nothing = why_nothing(part)
    if nothing is not None:
        return dict.fromkeys(rates, nothing)
    reasons: dict[str, Text2] = {}
    for at, name in enumerate(part.classes):
        few = _too_few(
            part, truth[:, at], _of_class(name, "sensitivity"), _of_class(name, "false_positive_rate")
        )
        if few:
            why = next(iter(few.values()))
            reasons |= {**few, _of_class(name, "auroc"): why}
            reasons.setdefault("auroc_macro", text2("these classes occur too seldom or too often: {classes}",
                                                    classes=name))  # fmt: skip
    return reasons


def _too_few(part: Answers, truth: NDArray[np.bool_], of_events: str, of_others: str) -> dict[str, Text2]:
    """Say which of two rates, among those with and those without the outcome, rests on too few people."""
    reasons: dict[str, Text2] = {}
    events, others = (int(np.unique(part.group[which]).size) for which in (truth, ~truth))
    if others < FEWEST_EACH:
        reasons[of_others] = text2("too few subjects without the outcome; at least {least} are needed",
                                   least=FEWEST_EACH)  # fmt: skip
    if events < FEWEST_EACH:
        reasons[of_events] = text2("too few subjects with the outcome; at least {least} are needed",
                                   least=FEWEST_EACH)  # fmt: skip
    return reasons
