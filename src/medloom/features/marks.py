"""Which places or boxes that were marked in images are those that experts marked.

A mark hits a truth where it lies near enough, or covers it enough; the surest marks choose first, and each truth is hit
once (Everingham et al., Int J Comput Vis 2010;88:303-338, section 4.2). What marks a truth that was hit already, or
none, is a false positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Fit = Callable[[Floats, Floats], Floats]
"""Of marks (n, k) and truths (m, k): how well each fits each, (n, m); above 0: a hit."""


@dataclass(frozen=True)
class Marks:
    """What was marked in one image, and what is there.

    Attributes:
        truth: (m, k) points in mm, or boxes: the least and the largest place on each axis.
        said: (n, k) likewise.
        score: (n,) how sure each is.
    """

    truth: Floats = field(repr=False)
    said: Floats = field(repr=False)
    score: Floats = field(repr=False)


@dataclass(frozen=True)
class Hits:
    """All marks of some images, the surest first.

    Attributes:
        score: (n,).
        image: (n,) which image each is of.
        hit: (n,) whether it is the first to mark a truth.
        truths: (images,) how many there are.
    """

    score: Floats
    image: NDArray[np.intp]
    hit: NDArray[np.bool_]
    truths: NDArray[np.int64]


def within(radius: float) -> Fit:
    """Let a point hit a truth that is no further away, in its unit."""

    def fits(said: Floats, truth: Floats) -> Floats:
        apart = np.sqrt(((said[:, None] - truth[None]) ** 2).sum(axis=2))
        return np.where(apart <= radius, 1 + radius - apart, 0.0)

    return fits


def overlapping(least: float = 0.5) -> Fit:
    """Let a box hit a truth where their intersection is at least such a share of their union.

    >>> one, other = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 1]])
    >>> overlapping(0.5)(one, other).tolist(), overlapping(0.6)(one, other).tolist()
    ([[0.5]], [[0.0]])
    """

    def fits(said: Floats, truth: Floats) -> Floats:
        axes = truth.shape[1] // 2
        low = np.maximum(said[:, None, :axes], truth[None, :, :axes])
        high = np.minimum(said[:, None, axes:], truth[None, :, axes:])
        both = (high - low).clip(0).prod(axis=2)
        sizes = [(one[:, axes:] - one[:, :axes]).clip(0).prod(axis=1) for one in (said, truth)]
        union = sizes[0][:, None] + sizes[1][None] - both
        iou: Floats = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
        return np.where(iou >= least, iou, 0.0)

    return fits


def inside() -> Fit:
    """Let a box hit a truth where its middle lies within the truth's box; the nearer to its middle, the better.

    >>> one, other = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 4, 2], [2, 2, 4, 4]])
    >>> inside()(one, other).tolist()
    [[0.5, 0.0]]
    """

    def fits(said: Floats, truth: Floats) -> Floats:
        axes = truth.shape[1] // 2
        middle = (said[:, :axes] + said[:, axes:]) / 2
        half = np.maximum(truth[:, axes:] - truth[:, :axes], 1e-9) / 2
        away = np.abs(middle[:, None] - (truth[:, :axes] + half)[None]) / half[None]
        found: Floats = np.where(away.max(axis=2) < 1, 1 - away.max(axis=2), 0.0)
        return found

    return fits


def hits(images: Sequence[Marks], fits: Fit) -> Hits:
    """Match marks with truths in each image.

    >>> marks = Marks(np.array([[0.0, 0]]), np.array([[0.0, 1], [0, 0], [9, 9]]), np.array([0.9, 0.8, 0.7]))
    >>> hits([marks], within(2)).hit.tolist()
    [True, False, False]
    """
    score, image, hit = [], [], []
    for number, marks in enumerate(images):
        order = np.argsort(-marks.score, kind="stable")
        fit = (
            fits(marks.said[order], marks.truth)
            if len(order) and len(marks.truth)
            else np.zeros((len(order), 0))
        )
        free = np.ones(fit.shape[1], bool)
        found = np.zeros(len(order), bool)
        for place in range(len(order)):
            left = np.where(free, fit[place], 0.0)
            if left.size and left.max() > 0:
                free[left.argmax()] = False
                found[place] = True
        score.append(marks.score[order].astype(np.float64))
        image.append(np.full(len(order), number, np.intp))
        hit.append(found)
    scores = np.concatenate([np.empty(0), *score])
    order = np.argsort(-scores, kind="stable")
    return Hits(
        scores[order],
        np.concatenate([np.empty(0, np.intp), *image])[order],
        np.concatenate([np.empty(0, bool), *hit])[order],
        np.array([len(marks.truth) for marks in images], np.int64),
    )
