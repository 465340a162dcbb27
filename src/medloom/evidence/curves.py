"""The curves of a report: ROC, precision-recall, calibration, and where the predictions lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.calibration import hosmer_lemeshow
from medloom.evidence.discrimination import precision_at, sensitivity_at
from medloom.evidence.flexible import FlexibleCurve
from medloom.evidence.intervals import bounds
from medloom.evidence.tally import Floats, Ranking, Tally, ratio
from medloom.evidence.utility import THRESHOLDS, net_benefit, net_benefit_of_all, useful_range

_GRID = np.linspace(0, 1, 101)
_BINS = 10
_BARS = 20
_POINTS = 60


class BinaryCurves:
    """Reads the curves of one ranking, for all samples and for each resample.

    The calibration bins are those of all samples, so that an interval belongs to a point.
    `ranking`: as resamples are counted; `risk`: (n,); `flexible`: fits the smooth calibration curve.
    """

    def __init__(self, ranking: Ranking, risk: Floats, flexible: FlexibleCurve) -> None:
        self._ranking, self._risk, self._flexible = ranking, risk, flexible
        self._shown = np.unique(np.linspace(0, ranking.score.size - 1, _POINTS).astype(np.intp))
        whole = ranking.tally()
        middle = np.cumsum(whole.total) - whole.total / 2
        bins = np.minimum((middle / max(ranking.order.size, 1) * _BINS).astype(int), _BINS - 1)
        self._starts = np.flatnonzero(np.diff(bins, prepend=-1))

    def measure(self, counted: Tally) -> dict[str, Floats]:
        """Read sensitivities, precisions and observed shares: (..., points) each."""
        weight = np.add.reduceat(counted.total, self._starts, axis=-1)
        benefit = net_benefit(counted)
        return {
            "roc": sensitivity_at(counted, _GRID),
            "pr": precision_at(counted, _GRID[1:]),
            "calibration": ratio(np.add.reduceat(counted.positive, self._starts, axis=-1), weight),
            "flexible": self._flexible.curve(counted)[..., self._shown],
            "decision": benefit,
            "gain": benefit - np.maximum(net_benefit_of_all(counted), 0.0),
        }

    def to_json(self, drawn: dict[str, Floats]) -> dict[str, Any]:
        """Write the curves with the bands of the resamples `drawn`: (replicates, points) each."""
        whole = self._ranking.tally()
        curves = self.measure(whole)
        weight = np.add.reduceat(whole.total, self._starts)
        predicted = np.add.reduceat(whole.total * whole.score, self._starts) / weight
        return {
            "roc": {"fpr": _list(_GRID), "tpr": _list(curves["roc"]), **_band(drawn.get("roc"))},
            "pr": {
                "recall": _list(_GRID[1:]),
                "precision": _list(curves["pr"]),
                **_band(drawn.get("pr")),
            },
            "calibration": {
                "predicted": _list(predicted),
                "observed": _list(curves["calibration"]),
                **_band(drawn.get("calibration")),
                "n": weight.astype(int).tolist(),
                "mean_predicted": float(whole.total @ whole.score / whole.total.sum()),
                "hosmer_lemeshow": _hosmer_lemeshow(whole),
            },
            "flexible": {
                "predicted": _list(whole.score[self._shown]),
                "observed": _list(curves["flexible"]),
                **_band(drawn.get("flexible")),
            },
            "decision": _decision(whole, curves, drawn),
            "histogram": _histogram(self._risk, 0.0, None),
        }


class RegressionCurves:
    """Mean observed value in tenths of the predicted one."""

    def __init__(self, observed: Floats, predicted: Floats) -> None:
        order = np.argsort(predicted, kind="stable")
        self._order, self._observed, self._predicted = order, observed[order], predicted[order]
        self._starts = np.unique(np.linspace(0, order.size, _BINS + 1).astype(np.intp)[:-1])

    def measure(self, weight: Floats) -> dict[str, Floats]:
        """Read the mean observed value of each bin: (..., bins)."""
        ordered = weight[..., self._order]
        mass = np.add.reduceat(ordered, self._starts, axis=-1)
        total = np.add.reduceat(ordered * self._observed, self._starts, axis=-1)
        return {"calibration": ratio(total, mass)}

    def to_json(self, drawn: dict[str, Floats]) -> dict[str, Any]:
        """Write the curve with the band of the resamples."""
        ones = np.ones(self._order.size)
        size = np.add.reduceat(ones, self._starts)
        return {
            "calibration": {
                "predicted": _list(np.add.reduceat(self._predicted, self._starts) / size),
                "observed": _list(self.measure(ones)["calibration"]),
                **_band(drawn.get("calibration")),
                "n": size.astype(int).tolist(),
                "mean_predicted": float(self._predicted.mean()),
            },
            "histogram": _histogram(self._predicted, None, None),
        }


def _hosmer_lemeshow(whole: Tally) -> dict[str, float] | None:
    """Test calibration in the bins of the curve; None where too few of them have a variance."""
    statistic, p = hosmer_lemeshow(whole, _BINS)
    if not np.isfinite(statistic):
        return None
    return {"bins": _BINS, "statistic": float(statistic), "p_value": float(p)}


def _decision(whole: Tally, curves: dict[str, Floats], drawn: dict[str, Floats]) -> dict[str, Any]:
    """Net benefits; `useful` where the model is better than either default, by the lower end of the interval."""
    surely = bounds(drawn["gain"])[0] if "gain" in drawn else curves["gain"]
    useful = useful_range(surely)
    return {
        "threshold": _list(THRESHOLDS),
        "model": _list(curves["decision"]),
        **_band(drawn.get("decision")),
        "all": _list(net_benefit_of_all(whole)),
        "useful": None if useful is None else list(useful),
    }


def confusion(answers: Answers) -> dict[str, Any]:
    """Count true against chosen classes: rows are what came true.

    >>> truth, risk = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> confusion(Answers("multiclass", truth, risk, np.arange(3), ("a", "b")))["counts"]
    [[1, 0], [1, 1]]
    """
    classes = len(answers.classes)
    cell = answers.truth * classes + answers.predicted.argmax(axis=1)
    counts = np.bincount(cell, minlength=classes * classes).reshape(classes, classes)
    return {"classes": list(answers.classes), "counts": counts.tolist()}


def _band(drawn: Floats | None) -> dict[str, list[float | None]]:
    if drawn is None:
        return {}
    low, high = bounds(drawn)
    return {"low": _list(low), "high": _list(high)}


def _histogram(values: Floats, low: float | None, high: float | None) -> dict[str, list[float] | list[int]]:
    least = float(values.min()) if low is None else low
    most = float(values.max()) if high is None else high
    counts, edges = np.histogram(values, bins=_BARS, range=(least, most if most > least else least + 1))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _list(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
