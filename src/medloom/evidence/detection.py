"""How well places or boxes that a model marks are those that experts marked: average precision and FROC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.tally import Floats, ratio
from medloom.features.marks import Fit, Hits, Marks, hits

FALSE_POSITIVES: Final = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""An image, at which sensitivities are read off and averaged (Setio et al., Med Image Anal 2017;42:1-13)."""


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
    return ratio((best * step).sum(axis=-1), truths)


def sensitivity_at(
    found: Hits, rates: Sequence[float] = FALSE_POSITIVES, weight: Floats | None = None
) -> Floats:
    """Give the share of truths that is hit at no more than so many false positives an image: (..., rates).

    >>> two = Hits(np.array([0.9, 0.8, 0.7]), np.zeros(3, np.intp), np.array([True, False, True]), np.array([2]))
    >>> sensitivity_at(two, (0.5, 1)).tolist()
    [0.5, 1.0]
    """
    right, wrong, truths, ends = _summed(found, weight)
    rate = wrong / _images(found, weight)[..., None]
    reached = [np.where((rate <= most) & ends, right, 0.0).max(axis=-1, initial=0.0) for most in rates]
    return ratio(np.stack(reached, axis=-1), truths[..., None])


def at_threshold(found: Hits, threshold: float, weight: Floats | None = None) -> dict[str, Floats]:
    """Count what is marked at least so surely: `sensitivity`, `precision` and `false_positives` an image, (...) each.

    >>> two = Hits(np.array([0.9, 0.8, 0.7]), np.zeros(3, np.intp), np.array([True, False, True]), np.array([2]))
    >>> {name: float(one) for name, one in at_threshold(two, 0.8).items()}
    {'sensitivity': 0.5, 'precision': 0.5, 'false_positives': 1.0}
    """
    each = _weights(found, weight)[..., found.image] * (found.score >= threshold)
    right, wrong = (each * found.hit).sum(axis=-1), (each * ~found.hit).sum(axis=-1)
    return {
        "sensitivity": ratio(right, _truths(found, weight)),
        "precision": ratio(right, right + wrong),
        "false_positives": ratio(wrong, _images(found, weight)),
    }


def froc(found: Hits, most: int = 200) -> list[tuple[float, float]]:
    """Give false positives an image and sensitivity, from the surest mark on, thinned to so many places.

    >>> froc(Hits(np.array([0.9, 0.8]), np.zeros(2, np.intp), np.array([True, False]), np.array([2])))
    [(0.0, 0.0), (0.0, 0.5), (1.0, 0.5)]
    """
    right, wrong, truths, ends = _summed(found, None)
    if not truths or not len(found.truths):
        return []
    chosen = np.flatnonzero(ends)
    if len(chosen) > most:
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, most).round().astype(int))]
    rates, shares = wrong[chosen] / len(found.truths), right[chosen] / truths
    return [(0.0, 0.0), *zip(rates.round(4).tolist(), shares.round(4).tolist(), strict=True)]


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
    each = _weights(found, weight)[..., found.image]
    ends = np.append(found.score[1:] != found.score[:-1], True)[: len(found.score)]
    right, wrong = (each * found.hit).cumsum(axis=-1), (each * ~found.hit).cumsum(axis=-1)
    return right, wrong, _truths(found, weight), ends


def _weights(found: Hits, weight: Floats | None) -> Floats:
    return np.ones(len(found.truths)) if weight is None else weight


def _truths(found: Hits, weight: Floats | None) -> Floats:
    return np.asarray(_weights(found, weight) @ found.truths, np.float64)


def _images(found: Hits, weight: Floats | None) -> Floats:
    return np.asarray(_weights(found, weight).sum(axis=-1), np.float64)
