"""Venn-Abers predictors: two risks of which one is calibrated, whatever the model and however few the samples.

The patient is put among the calibration samples once as one without the outcome and once as one with it; isotonic
regression gives a risk each time, p0 and p1. The wider the gap, the fewer calibration samples are like this patient.
It is no 95 % interval of the risk, and shrinks to a point with many samples. Vovk and Petej, UAI 2014; Vovk, Petej
and Fedorova, NeurIPS 2015.

The risk that those authors join from p0 and p1 is not taken as the answer: its steps are ties, which cost AUROC, and it
was no better calibrated than models that learn risks (`benchmarks/uncertainty.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VennAbers:
    """Both risks for every answer a model may give, worked out beforehand.

    Attributes:
        scores: (m,) distinct answers to the calibration samples, ascending.
        at: (m, 2) p0 and p1 of a patient with such an answer.
        between: (m + 1, 2) p0 and p1 of one before, between and after them.
    """

    scores: Floats
    at: Floats
    between: Floats

    @classmethod
    def fit(cls, scores: Floats, labels: Floats, weight: Floats | None = None) -> VennAbers:
        """Learn from calibration samples.

        Args:
            scores: (n,) what the model said; any rising function of it gives the same.
            labels: (n,) 0 or 1.
            weight: (n,); None: 1 each, as the patient who is asked about has.

        >>> VennAbers.fit(np.array([0.2, 0.8]), np.array([0.0, 1.0])).bounds(np.array([0.9])).tolist()
        [[0.5, 1.0]]
        """
        w = np.ones(len(scores)) if weight is None else weight
        distinct, place = np.unique(scores, return_inverse=True)
        weights = np.concatenate([[0.0], np.bincount(place, w).cumsum()])
        positives = np.concatenate([[0.0], np.bincount(place, w * labels).cumsum()])
        at, between = _slopes(weights.tolist(), positives.tolist())
        return cls(distinct.astype(np.float64), np.array(at).reshape(-1, 2), np.array(between))

    def bounds(self, scores: Floats) -> Floats:
        """Give p0 and p1 of answers (n,): (n, 2), p0 not above p1."""
        place = np.searchsorted(self.scores, scores, side="left")
        met = place < len(self.scores)
        met[met] = self.scores[place[met]] == scores[met]
        found = self.between[place]
        found[met] = self.at[place[met]]
        return found

    def to_json(self) -> dict[str, Any]:
        """Give all there is to know, for `read`."""
        return {"scores": self.scores.tolist(), "at": self.at.tolist(), "between": self.between.tolist()}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> VennAbers:
        """Read back what `to_json` gave."""
        scores, at, between = (np.array(content[name], np.float64) for name in ("scores", "at", "between"))
        return cls(scores, at.reshape(-1, 2), between.reshape(-1, 2))


def _slopes(weights: list[float], positives: list[float]) -> tuple[list[list[float]], list[list[float]]]:
    """Give p0 and p1 at each of m scores and in the m + 1 gaps.

    Isotonic regression is the slope of the greatest convex minorant of the points (weight, positives) up to each
    score. A patient put in shifts the points to the right of him by (1, label); his risk is the slope of the
    bridge between the hulls of both sides. Hulls grow and shrink by one point from score to score.
    """
    last = len(weights) - 1
    right = _Hull(weights, positives, -1)
    for point in range(last, -1, -1):
        right.push(point)
    left = _Hull(weights, positives, 1)
    at, between = [], []
    for point in range(last + 1):
        left.push(point)
        between.append([_bridge(left, right, label) for label in (0.0, 1.0)])
        right.pop()
        if point < last:
            at.append([_bridge(left, right, label) for label in (0.0, 1.0)])
    return at, between


class _Hull:
    """The lower hull of points added from one side (1: to the right, -1: to the left), which forgets them in turn."""

    def __init__(self, weights: list[float], positives: list[float], side: int) -> None:
        self._x, self._y, self._side = weights, positives, side
        self.points: list[int] = []
        self.edges: list[float] = []  # side x slope, ascending
        self._covered: list[tuple[list[int], list[float]]] = []

    def push(self, point: int) -> None:
        points, edges = self.points, self.edges
        hidden: list[int] = []
        bent: list[float] = []
        while points:
            other = points[-1]
            edge = self._side * (self._y[point] - self._y[other]) / (self._x[point] - self._x[other])
            if not edges or edges[-1] < edge:
                break
            hidden.append(points.pop())
            bent.append(edges.pop())
        if points:
            edges.append(edge)
        points.append(point)
        self._covered.append((hidden, bent))

    def pop(self) -> None:
        self.points.pop()
        if self.points:
            self.edges.pop()
        hidden, bent = self._covered.pop()
        self.points.extend(reversed(hidden))
        self.edges.extend(reversed(bent))

    def lowest(self, slope: float) -> tuple[float, float]:
        """Give the point where a line of some slope touches."""
        point = self.points[bisect_left(self.edges, self._side * slope)]
        return self._x[point], self._y[point]


def _bridge(left: _Hull, right: _Hull, label: float) -> float:
    """Find the slope of the line that touches both hulls, the right one shifted by (1, label)."""
    low, high, slope = 0.0, 1.0, 0.5
    while True:
        (x0, y0), (x1, y1) = left.lowest(slope), right.lowest(slope)
        found = (y1 + label - y0) / (x1 + 1 - x0)
        if abs(found - slope) < 1e-15 or high - low < 1e-15:
            return min(max(found, 0.0), 1.0)
        if found > slope:
            low = slope
        else:
            high = slope
        slope = found if low <= found <= high else (low + high) / 2
