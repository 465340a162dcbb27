"""Sizes of what is outlined: diameters, surface, main axes.

Masks are boolean arrays of 2 or 3 axes, cut to what they hold or larger; `spacing` is mm along each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError, SphericalVoronoi

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_PERPENDICULAR_TIE: Final = 1e-9


@dataclass(frozen=True)
class Diameter:
    """A straight line through a lesion.

    Attributes:
        length: mm.
        ends: two places in the array, counted from 0; half numbers are faces between pixels.
    """

    length: float
    ends: tuple[tuple[float, ...], tuple[float, ...]]


def diameters(
    mask: Mask, spacing: Sequence[float], axis: int | None, corner: Floats | None = None
) -> tuple[Diameter, Diameter, float]:
    """Find the longest diameter in a slice, the longest perpendicular to it there, and the area of the slice in mm².

    Args:
        mask: with at least one voxel.
        spacing: mm.
        axis: that slices follow; None: of a picture.
        corner: place of the mask in the whole array.

    >>> disc = np.add.outer((np.arange(21) - 10.0) ** 2, (np.arange(21) - 10.0) ** 2) <= 81
    >>> long, short, area = diameters(disc, (0.5, 0.5), None)
    >>> round(long.length, 2), round(short.length, 2), area
    (9.5, 9.5, 63.25)
    """
    start = np.zeros(mask.ndim) if corner is None else corner
    if axis is None:
        long, short = _in_slice(mask, np.asarray(spacing, np.float64))
        return (
            _placed(long, spacing, start, None, 0),
            _placed(short, spacing, start, None, 0),
            float(mask.sum() * np.prod(spacing)),
        )
    slices = np.moveaxis(mask, axis, 0)
    within = np.array([one for place, one in enumerate(spacing) if place != axis], np.float64)
    best, length = 0, -1.0
    hulls: dict[int, Floats] = {}
    for number in np.flatnonzero(slices.any(axis=(1, 2))).tolist():
        hulls[number] = _hull(faces(slices[number]) * within)
        if (found := largest_distance(hulls[number])) > length + _PERPENDICULAR_TIE:
            best, length = number, found
    long, short = _axes_of(hulls[best])
    return (
        _placed(long, within, start, axis, best),
        _placed(short, within, start, axis, best),
        float(slices[best].sum() * within.prod()),
    )


def faces(mask: Mask) -> Floats:
    """Give the middles of the faces at which a mask ends: (n, axes) places, counted from 0.

    >>> faces(np.array([[True]])).tolist()
    [[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]]
    """
    wide = np.pad(mask, 1)
    found = []
    for axis in range(mask.ndim):
        before = np.take(wide, range(wide.shape[axis] - 1), axis)
        after = np.take(wide, range(1, wide.shape[axis]), axis)
        places = np.argwhere(before != after).astype(np.float64) - 1
        places[:, axis] += 0.5
        found.append(places)
    return np.concatenate(found)


def largest_distance(points: Floats) -> float:
    """Give the largest distance between two points (n, axes), in their unit.

    >>> largest_distance(np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]]))
    5.0
    """
    hull = _hull(points)
    return max(float(np.sqrt(((hull - one) ** 2).sum(axis=1)).max()) for one in hull)


def surface_area(mask: Mask, spacing: Sequence[float]) -> float:
    """Estimate the surface of a volume in mm² from how often lines in 13 directions enter it (Crofton's formula).

    Of a ball, and of what is smoothly round, about right at any spacing (Legland et al., Image Anal Stereol
    2007;26:83); counting the faces of voxels gives half as much again. Sharp edges are rounded: of a cube a tenth is
    missing.

    >>> r = np.arange(-12.0, 13.0) ** 2
    >>> ball = np.add.outer(np.add.outer(r, r), r) <= 100
    >>> round(surface_area(ball, (1, 1, 1)) / (4 * np.pi * 10**2), 2)
    1.0
    """
    wide = np.pad(mask, 1)
    shares = _direction_shares(tuple(float(one) for one in spacing))
    cell = float(np.prod(spacing))
    total = 0.0
    for direction, share in shares.items():
        step = float(np.linalg.norm(np.asarray(direction) * np.asarray(spacing)))
        here, there = _neighbours(wide, direction)
        total += share * float((here != there).sum()) / 2 * cell / step
    return 4 * total


def principal_axes(mask: Mask, spacing: Sequence[float]) -> Floats:
    """Give the standard deviations of a body's substance along its main axes, in mm, the longest first: (axes,).

    Voxels are boxes with an extent, not points, so that one row of them is not infinitely thin.

    >>> bar = principal_axes(np.ones((12, 6, 3), bool), (1, 1, 1))
    >>> (bar / bar[0]).round(6).tolist()
    [1.0, 0.5, 0.25]
    """
    mm = np.asarray(spacing, np.float64)
    places = np.argwhere(mask) * mm
    centred = places - places.mean(axis=0)
    moments = centred.T @ centred / len(places) + np.diag(mm**2) / 12
    spread: Floats = np.sqrt(np.linalg.eigvalsh(moments)[::-1].clip(0))
    return spread


def _in_slice(mask: Mask, spacing: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    return _axes_of(_hull(faces(mask) * spacing))


def _hull(points: Floats) -> Floats:
    """Give the corners of the convex hull, in the plane in their order: (n, axes)."""
    try:
        corners: Floats = points[ConvexHull(points).vertices]
    except QhullError:
        return points  # too thin for its unit: few points, all of them corners
    return corners


def _axes_of(hull: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Find the longest line between corners (n, 2) in mm, and the longest across the hull perpendicular to it."""
    distance = ((hull[:, None] - hull[None]) ** 2).sum(axis=2)
    first, second = np.unravel_index(int(distance.argmax()), distance.shape)
    start, end = hull[first], hull[second]
    along = (end - start) / np.sqrt(distance.max())
    across = np.array([-along[1], along[0]])
    t, s = hull @ along, hull @ across
    # how wide a convex body is, is concave along its length: widest at a corner
    widest = (start, start)
    width = -1.0
    for place in t:
        low, high = _between(t, s, float(place))
        if high - low > width + _PERPENDICULAR_TIE:
            width = high - low
            widest = (place * along + low * across, place * along + high * across)
    return (start, end), widest


def _between(t: Floats, s: Floats, at: float) -> tuple[float, float]:
    """Tell from where to where a polygon with corners (t, s), in their order, reaches at one t."""
    reached = s[np.isclose(t, at, rtol=0, atol=_PERPENDICULAR_TIE)].tolist()
    following_t, following_s = np.roll(t, -1), np.roll(s, -1)
    crossed = (t - at) * (following_t - at) < 0
    share = (at - t[crossed]) / (following_t[crossed] - t[crossed])
    reached += (s[crossed] + share * (following_s[crossed] - s[crossed])).tolist()
    return min(reached), max(reached)


def _placed(
    ends: tuple[Floats, Floats],
    spacing: Sequence[float] | Floats,
    corner: Floats,
    axis: int | None,
    number: int,
) -> Diameter:
    """Turn two points in mm within a slice into places of the whole array."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    places = []
    for end in ends:
        place = (end / np.asarray(spacing)).tolist()
        if axis is not None:
            place.insert(axis, float(number))
        places.append(tuple(float(one) for one in np.asarray(place) + corner))
    return Diameter(length, (places[0], places[1]))


@lru_cache(maxsize=64)
def _direction_shares(spacing: tuple[float, ...]) -> dict[tuple[int, int, int], float]:
    """Tell which share of all directions is nearest to each line between neighbouring voxels."""
    steps = [one for one in product((-1, 0, 1), repeat=3) if any(one)]
    directions = np.array(steps) * np.asarray(spacing)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    areas = SphericalVoronoi(directions).calculate_areas() / (4 * np.pi)
    shares: dict[tuple[int, int, int], float] = {}
    for (a, b, c), area in zip(steps, areas.tolist(), strict=True):
        line = max((a, b, c), (-a, -b, -c))  # a line has two ends
        shares[line] = shares.get(line, 0.0) + area
    return shares


def _neighbours(wide: Mask, direction: tuple[int, int, int]) -> tuple[Mask, Mask]:
    """Lay an array beside itself, one step further."""
    ahead = {
        0: (slice(None), slice(None)),
        1: (slice(None, -1), slice(1, None)),
        -1: (slice(1, None), slice(None, -1)),
    }
    here = tuple(ahead[one][0] for one in direction)
    there = tuple(ahead[one][1] for one in direction)
    return wide[here], wide[there]
