"""Answers by the nearest class: prototypical networks (Snell et al., NeurIPS 2017) over representations as they are.

The squared distance to a class's mean is linear in what distinguishes classes (their section 2.4), so that this is a
layer like any other. How much a distance says, the temperature, is learned from labelled samples whose own class mean
is taken without them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from medloom.foundation.errors import InputError
from medloom.tasks.kinds import Kind
from medloom.training.linear_heads import LinearHead, Standard

Floats = NDArray[np.float64]

KINDS: Final[frozenset[Kind]] = frozenset({"binary", "multiclass", "multilabel"})
_WARMEST: Final = 1e4  # times the number of dimensions


def prototypes(kind: Kind, x: Floats, y: Floats) -> LinearHead:
    """Find the layer that answers by distances to the means of classes.

    Args:
        kind: of the question.
        x: (n, d) representations.
        y: (n, k) labels, of 0 and 1.

    Raises:
        InputError: the question has no classes.
    """
    if kind not in KINDS:
        raise InputError(
            "a question of kind {kind} has no classes whose means could answer it; adapt the model by a probe",
            kind=kind,
        )
    standard = Standard.of(x)
    z = standard.applied(x)
    if kind == "multiclass":
        head = _nearest(z, y)
    else:
        pairs = [_nearest(z, np.column_stack([1 - one, one])) for one in y.T]
        head = LinearHead(
            np.stack([pair.weight[1] - pair.weight[0] for pair in pairs]),
            np.array([pair.bias[1] - pair.bias[0] for pair in pairs]),
        )
    return standard.undone(head)


def _nearest(z: Floats, y: Floats) -> LinearHead:
    """Give the layer for classes that exclude each other: y (n, classes)."""
    counts = y.sum(axis=0)
    means = (y.T @ z) / np.maximum(counts, 1)[:, None]
    usual = np.log(np.maximum(counts, 0.5) / counts.sum())
    own = y.argmax(axis=1)
    judged = np.flatnonzero(counts[own] > 1)
    warmth = float(z.shape[1])
    if len(judged):
        apart = ((z[:, None] - means) ** 2).sum(axis=2)
        rows, of = judged, own[judged]
        # the mean without a sample lies n / (n - 1) times as far from it
        apart[rows, of] *= (counts[of] / (counts[of] - 1)) ** 2

        def loss(log_warmth: float) -> float:
            logs = log_softmax(usual - apart[rows] / np.exp(log_warmth), axis=1)
            return -float(logs[np.arange(len(rows)), of].mean())

        bounds = (np.log(0.1), np.log(_WARMEST * z.shape[1]))
        warmth = float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
    return LinearHead(2 * means / warmth, usual - (means**2).sum(axis=1) / warmth)
