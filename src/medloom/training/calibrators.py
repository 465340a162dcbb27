"""Recalibration: answers of a finished model made to fit the outcomes of other samples, by very few parameters.

- `intercept`: how high answers are on the whole (Steyerberg et al., Stat Med 2004;23:2567-2586).
- `slope`: intercept and slope, logistic recalibration (Cox, Biometrika 1958;45:562-565; Platt 1999); for classes
  one slope and an intercept a class; for values a straight line.
- `temperature`: the slope alone (Guo et al., ICML 2017).
- `beta`: three parameters, which can bend either end (Kull, Silva Filho and Flach, AISTATS 2017).
- `isotonic`: any rising steps (Zadrozny and Elkan, KDD 2002); needs about a thousand samples.

Shapes: answers and labels (n, k), a column an output; probabilities, or values in the question's unit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from medloom.foundation.errors import InputError
from medloom.tasks.kinds import Kind
from medloom.training.answers import Floats, answers_of, scores_of
from medloom.training.hazard_line import fit_line

Method = Literal["intercept", "slope", "temperature", "beta", "isotonic"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Used = Literal["none", "intercept", "slope", "temperature", "beta", "isotonic"]
KINDS: Final[Mapping[Method, frozenset[Kind]]] = {
    "intercept": frozenset({"binary", "multilabel", "multiclass", "regression", "survival"}),
    "slope": frozenset({"binary", "multilabel", "multiclass", "regression", "survival"}),
    "temperature": frozenset({"binary", "multilabel", "multiclass"}),
    "beta": frozenset({"binary", "multilabel"}),
    "isotonic": frozenset({"binary", "multilabel", "multiclass", "regression"}),
}
"""Which kinds of question each method can recalibrate."""

_SURE: Final = 1e-12  # a probability of exactly 0 or 1 has no log-odds
_STEPS: Final = 100
_SETTLED: Final = 1e-10
_STEEPEST: Final = 1e3
_FLAT: Final = 1e-9  # of the curvature at the start


class Calibrator(ABC):
    """Turns answers into answers; made by `fit`."""

    method: Used
    kind: Kind

    @abstractmethod
    def apply(self, answers: Floats) -> Floats:
        """Give recalibrated answers: (n, k) → (n, k)."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Give all there is to know, for `read`."""


@dataclass(frozen=True)
class LinearCalibrator(Calibrator):
    """score → intercept + slope x score: log-odds, centred log-probabilities of classes, values, log hazards.

    Attributes:
        method: which of the two were learned: `none`, `intercept`, `slope` (both) or `temperature`.
        kind: of the question.
        intercept: (k,); of classes it sums to 0.
        slope: (k,); of classes all are equal.
    """

    method: Used
    kind: Kind
    intercept: Floats
    slope: Floats

    def apply(self, answers: Floats) -> Floats:
        return answers_of(self.kind, self.intercept + self.slope * scores_of(self.kind, answers))

    def to_json(self) -> dict[str, Any]:
        values = {"intercept": self.intercept.tolist(), "slope": self.slope.tolist()}
        return {"method": self.method, "kind": self.kind, **values}


@dataclass(frozen=True)
class BetaCalibrator(Calibrator):
    """log-odds = a ln p - b ln(1 - p) + c, with a and b not below 0 so that the order stays: (k,) each."""

    kind: Kind
    a: Floats
    b: Floats
    c: Floats
    method: Used = "beta"

    def apply(self, answers: Floats) -> Floats:
        sure = np.clip(answers, _SURE, 1 - _SURE)
        return answers_of("binary", self.a * np.log(sure) - self.b * np.log1p(-sure) + self.c)

    def to_json(self) -> dict[str, Any]:
        values = {"a": self.a.tolist(), "b": self.b.tolist(), "c": self.c.tolist()}
        return {"method": self.method, "kind": self.kind, **values}


@dataclass(frozen=True)
class IsotonicCalibrator(Calibrator):
    """Rising lines between knots, an output each; classes are scaled to sum to 1.

    Attributes:
        kind: of the question.
        knots: (m,) answers and (m,) what they become, an output each; beyond the outer knots nothing changes more.
    """

    kind: Kind
    knots: tuple[tuple[Floats, Floats], ...]
    method: Used = "isotonic"

    def apply(self, answers: Floats) -> Floats:
        columns = [np.interp(answers[:, k], x, y) for k, (x, y) in enumerate(self.knots)]
        found = np.column_stack(columns).astype(np.float64)
        return found / found.sum(axis=1, keepdims=True) if self.kind == "multiclass" else found

    def to_json(self) -> dict[str, Any]:
        knots = [[x.tolist(), y.tolist()] for x, y in self.knots]
        return {"method": self.method, "kind": self.kind, "knots": knots}


def fit(
    method: Method, kind: Kind, answers: Floats, labels: Floats, weight: Floats | None = None
) -> Calibrator:
    """Learn a recalibration from samples the model has not learned from.

    Args:
        method: one of `METHODS`.
        kind: of the question.
        answers: (n, k) the model's; of survival the cumulative hazard reached (`hazard_line.reached`).
        labels: (n, k) of 0 and 1, or values; of survival whether the event was seen.
        weight: (n,) of the samples; None: 1 each.

    Raises:
        InputError: the method does not fit the kind, there is one outcome only, or the answers separate the
            outcomes or run against them, so that no recalibration can be told.

    >>> risk = np.repeat([[0.5]], 10, axis=0)
    >>> ill = np.array([[1.0]] * 2 + [[0.0]] * 8)
    >>> fit("intercept", "binary", risk, ill).apply(risk)[0].round(6).tolist()
    [0.2]
    """
    _check(method, kind, answers, labels)
    w = np.ones(len(labels)) if weight is None else weight
    if method == "isotonic":
        return IsotonicCalibrator(kind, tuple(_steps(kind, a, y, w) for a, y in _columns(answers, labels)))
    if method == "beta":
        found = np.array([_bent(a, y, w) for a, y in _columns(answers, labels)])
        return BetaCalibrator(kind, found[:, 0], found[:, 1], found[:, 2])
    if kind == "survival":
        line = fit_line("intercept" if method == "intercept" else "slope", answers[:, 0], labels[:, 0], w)
        return LinearCalibrator(method, kind, np.array(line[:1]), np.array(line[1:]))
    scores = scores_of(kind, answers)
    if kind in ("binary", "multilabel"):
        lines = np.array([_logistic_line(method, z, y, w) for z, y in _columns(scores, labels)])
    elif kind == "multiclass":
        lines = _class_lines(method, scores, labels, w)
    else:
        lines = np.array([_straight_line(method, scores[:, 0], labels[:, 0], w)])
    return LinearCalibrator(method, kind, lines[:, 0], lines[:, 1])


def unchanged(kind: Kind, k: int) -> Calibrator:
    """Make a calibrator that leaves answers (n, k) as they are, where nothing else is warranted."""
    return LinearCalibrator("none", kind, np.zeros(k), np.ones(k))


def read(content: Mapping[str, Any]) -> Calibrator:
    """Read back what `to_json` gave.

    >>> same = LinearCalibrator("slope", "binary", np.array([0.1]), np.array([0.9]))
    >>> read(same.to_json()).apply(np.array([[0.5]])).round(3).tolist()
    [[0.525]]
    """
    kind, method = content["kind"], content["method"]

    def array(name: str) -> Floats:
        return np.array(content[name], dtype=np.float64)

    if method == "isotonic":
        return IsotonicCalibrator(kind, tuple((np.array(x), np.array(y)) for x, y in content["knots"]))
    if method == "beta":
        return BetaCalibrator(kind, array("a"), array("b"), array("c"))
    return LinearCalibrator(method, kind, array("intercept"), array("slope"))


def log_likelihood(kind: Kind, answers: Floats, labels: Floats, weight: Floats) -> float:
    """Tell how likely the labels (n, k) are under answers (n, k): weighted sum; of values with their best variance.

    >>> float(np.exp(log_likelihood("binary", np.array([[0.25]]), np.ones((1, 1)), np.ones(1))).round(3))
    0.25
    """
    if kind == "regression":
        n = float(weight.sum())
        squares = float(weight @ ((labels - answers)[:, 0] ** 2)) / n
        return -n / 2 * float(np.log(max(squares, np.finfo(np.float64).tiny)))
    sure = np.clip(answers, _SURE, 1 - _SURE)
    if kind == "multiclass":
        return float(weight @ (labels * np.log(sure)).sum(axis=1))
    return float(weight @ (labels * np.log(sure) + (1 - labels) * np.log1p(-sure)).sum(axis=1))


def _check(method: Method, kind: Kind, answers: Floats, labels: Floats) -> None:
    if method not in METHODS:
        raise InputError(
            "there is no recalibration {method!r}; there are: {methods}",
            method=method,
            methods=METHODS,
        )
    if kind not in KINDS[method]:
        raise InputError(
            "recalibration {method!r} does not fit {kind} questions; these do: {methods}",
            method=method,
            kind=kind,
            methods=[one for one in METHODS if kind in KINDS[one]],
        )
    if not len(labels):
        raise InputError("there are no samples to recalibrate on")
    if not np.isfinite(answers).all():
        raise InputError("some answers of the model are missing or not finite; it cannot be recalibrated")
    if kind != "regression" and (labels.min(axis=0) == labels.max(axis=0)).any():
        raise InputError(
            "all or none of the {n} samples to recalibrate on had an outcome; take more samples, or wait for outcomes",
            n=len(labels),
        )


def _columns(answers: Floats, labels: Floats) -> list[tuple[Floats, Floats]]:
    return [(answers[:, k], labels[:, k]) for k in range(labels.shape[1])]


def _logistic_line(method: Method, z: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """Learn intercept and slope of log-odds z (n,)."""
    if method == "intercept":
        return float(_logistic(np.ones((len(z), 1)), z, y, w)[0]), 1.0
    if np.ptp(z) == 0:
        raise _constant()
    if method == "temperature":
        return 0.0, _rising(float(_logistic(z[:, None], np.zeros_like(z), y, w)[0]))
    intercept, slope = _logistic(np.column_stack([np.ones_like(z), z]), np.zeros_like(z), y, w)
    return float(intercept), _rising(float(slope))


def _bent(p: Floats, y: Floats, w: Floats) -> tuple[float, float, float]:
    """Learn a, b, c; a coefficient below 0 is left out and the others learned again (Kull 2017, section 4)."""
    sure = np.clip(p, _SURE, 1 - _SURE)
    if np.ptp(sure) == 0:
        raise _constant()
    ends = np.column_stack([np.log(sure), -np.log1p(-sure), np.ones_like(sure)])
    kept = [0, 1, 2]
    while True:
        found = np.zeros(3)
        found[kept] = _logistic(ends[:, kept], np.zeros_like(p), y, w)
        below = [end for end in (0, 1) if found[end] < 0]
        if not below:
            return float(found[0]), float(found[1]), float(found[2])
        if len(kept) == 2:
            raise _against()
        kept.remove(min(below, key=lambda end: found[end]))


def _class_lines(method: Method, z: Floats, y: Floats, w: Floats) -> Floats:
    """Learn an intercept a class and one slope of centred log-probabilities (n, k): (k, 2)."""
    n, k = z.shape
    levels = np.broadcast_to(np.eye(k)[:, 1:], (n, k, k - 1))  # the first class is the one to compare with
    slopes = z[:, :, None]
    if method != "intercept" and np.ptp(z) == 0:
        raise _constant()
    if method == "intercept":
        found = _newton(levels, z, y, w)
        level, slope = found, 1.0
    elif method == "temperature":
        level, slope = np.zeros(k - 1), _rising(float(_newton(slopes, np.zeros_like(z), y, w)[0]))
    else:
        found = _newton(np.concatenate([levels, slopes], axis=2), np.zeros_like(z), y, w)
        level, slope = found[:-1], _rising(float(found[-1]))
    intercept = np.concatenate([[0.0], level])
    return np.column_stack([intercept - intercept.mean(), np.full(k, slope)])


def _straight_line(method: Method, z: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    mean, target = np.average(z, weights=w), np.average(y, weights=w)
    if method == "intercept":
        return float(target - mean), 1.0
    if np.ptp(z) == 0:
        raise _constant()
    slope = _rising(float((w * (z - mean)) @ (y - target) / (w @ (z - mean) ** 2)))
    return float(target - slope * mean), slope


def _steps(kind: Kind, a: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(out_of_bounds="clip").fit(a, y, sample_weight=w)
    x, up = np.asarray(found.X_thresholds_, np.float64), np.asarray(found.y_thresholds_, np.float64)
    if kind != "regression":
        # a step on which nobody had the outcome does not show that nobody ever will (Laplace's rule of succession)
        least = 1 / (w.sum() + 2)
        up = np.clip(up, least, 1 - least)
    return x, up


def _logistic(columns: Floats, offset: Floats, y: Floats, w: Floats) -> Floats:
    """Learn coefficients (d,) of columns (n, d) for 0 or 1 (n,): two classes, the first one's score being 0."""
    nothing = np.zeros_like(columns)
    design = np.stack([nothing, columns], axis=1)
    offsets = np.column_stack([np.zeros_like(offset), offset])
    return _newton(design, offsets, np.column_stack([1 - y, y]), w)


def _newton(design: Floats, offset: Floats, y: Floats, w: Floats) -> Floats:
    """Learn a multinomial logistic regression by Newton's method with halved steps: (d,).

    `design` (n, k, d), `offset` and `y` (n, k), `w` (n,). Concave, so that it has one solution or none.
    """
    found = np.zeros(design.shape[2])

    def likelihood(at: Floats) -> float:
        shares = _shares(offset + design @ at)
        return float(w @ (y * np.log(np.maximum(shares, 1e-300))).sum(axis=1))

    best, first = likelihood(found), None
    for _ in range(_STEPS):
        shares = _shares(offset + design @ found)
        gradient = np.einsum("n,nk,nkd->d", w, y - shares, design)
        mean = np.einsum("nk,nkd->nd", shares, design)
        spread = np.einsum("nk,nkd,nke->de", w[:, None] * shares, design, design, optimize=True)
        bend = spread - np.einsum("n,nd,ne->de", w, mean, mean, optimize=True)
        first = np.sqrt(np.maximum(np.diag(bend), 1e-300)) if first is None else first
        if np.linalg.eigvalsh(bend / np.outer(first, first))[0] < _FLAT:
            break  # further and further away, and ever less to be gained
        step = np.linalg.solve(bend, gradient)
        for _ in range(40):
            now = likelihood(found + step)
            if now >= best - 1e-12 * abs(best):
                break
            step = step / 2
        found, best = found + step, now
        if np.abs(found).max() > _STEEPEST:
            break
        if np.abs(step).max() < _SETTLED * max(1.0, float(np.abs(found).max())):
            return np.asarray(found, dtype=np.float64)
    raise InputError(
        "the model's answers separate the outcomes of these samples completely, so that no slope fits best; "
        "recalibrate the intercept alone, or on more samples"
    )


def _rising(slope: float) -> float:
    if slope <= 0:
        raise _against()
    return slope


def _against() -> InputError:
    return InputError(
        "the model's answers run against the outcomes of these samples: who was given more had less; check the "
        "labels and units, or train a model anew"
    )


def _constant() -> InputError:
    return InputError("the model answers the same for all samples; only its intercept can be recalibrated")


def _shares(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    # summed one after the other, so that a row's sum does not depend on the number of rows
    shares: Floats = powers / np.cumsum(powers, axis=1)[:, -1:]
    return shares
