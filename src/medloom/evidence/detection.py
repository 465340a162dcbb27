"""How well places or boxes that a model marks are those that experts marked: average precision and FROC.

A mark hits a truth where it lies near enough, or covers it enough; the surest marks choose first, and each truth is hit
once (Everingham et al., Int J Comput Vis 2010;88:303-338, section 4.2). What marks a truth that was hit already, or
none, is a false positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.tally import Floats

FALSE_POSITIVES: Final = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""An image, at which sensitivities are read off and averaged (Setio et al., Med Image Anal 2017;42:1-13)."""

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


def average_precision(found: Hits, weight: Floats | None = None) -> Floats:
    """Give the area below precision over sensitivity, precision made to fall: (...), NaN where there is no truth.

    >>> four = Hits(np.array([0.9, 0.8, 0.7]), np.zeros(3, np.intp), np.array([True, False, True]), np.array([4]))
    >>> round(float(average_precision(four)), 4)
    0.4167
    """
    right, wrong, truths, ends = _summed(found, weight)
    precision = np.divide(right, right + wrong, out=np.zeros_like(right), where=right + wrong > 0)
    precision = np.where(ends, precision, 0.0)  # marks that are as sure as each other count together
    best = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    step = np.diff(right, axis=-1, prepend=0.0)
    area = (best * step).sum(axis=-1)
    share: Floats = np.divide(area, truths, out=np.full_like(area, np.nan), where=truths > 0)
    return share


def sensitivity_at(
    found: Hits, rates: Sequence[float] = FALSE_POSITIVES, weight: Floats | None = None
) -> Floats:
    """Give the share of truths that is hit at no more than so many false positives an image: (..., rates).

    >>> two = Hits(np.array([0.9, 0.8, 0.7]), np.zeros(3, np.intp), np.array([True, False, True]), np.array([2]))
    >>> sensitivity_at(two, (0.5, 1)).tolist()
    [0.5, 1.0]
    """
    right, wrong, truths, ends = _summed(found, weight)
    images = np.ones(len(found.truths)) if weight is None else weight
    rate = wrong / images.sum(axis=-1)[..., None]
    reached = [np.where((rate <= most) & ends, right, 0.0).max(axis=-1, initial=0.0) for most in rates]
    together = np.stack(reached, axis=-1)
    below = np.broadcast_to(truths[..., None], together.shape)
    share: Floats = np.divide(together, below, out=np.full_like(together, np.nan), where=below > 0)
    return share


def estimates(
    images: Sequence[Marks], fits: Fit, group: NDArray[np.intp], replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Estimate]:
    """Estimate `average_precision`, `froc` (mean sensitivity at `FALSE_POSITIVES`) and `sensitivity_at_…`.

    Args:
        images: what was marked in each, and what is there.
        fits: when a mark is a hit.
        group: (images,) what must not be resampled apart.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    found = hits(images, fits)
    groups = np.unique(group, return_inverse=True)[1].astype(np.intp)

    def measure(weight: Floats) -> dict[str, Floats]:
        reached = sensitivity_at(found, weight=weight)
        named = {f"sensitivity_at_{one:g}": reached[..., place] for place, one in enumerate(FALSE_POSITIVES)}
        return {"average_precision": average_precision(found, weight), "froc": reached.mean(axis=-1), **named}

    whole, drawn = measure(np.ones(len(images))), bootstrap(measure, groups, replicates, seed, "detection")
    return {name: estimate(value, drawn.get(name)) for name, value in whole.items()}


def _summed(found: Hits, weight: Floats | None) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Sum hits and false positives from the surest mark on, and all truths; tell where a score ends."""
    images = np.ones(len(found.truths)) if weight is None else weight
    each = images[..., found.image]
    ends = np.append(found.score[1:] != found.score[:-1], True)[: len(found.score)]
    right, wrong = (each * found.hit).cumsum(axis=-1), (each * ~found.hit).cumsum(axis=-1)
    return right, wrong, np.asarray(images @ found.truths, np.float64), ends
