"""Where slices lie in the patient (PS3.3 C.7.6.2): their order, their distance, and what is odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

MISSING: Final = "slices are missing"
UNEVEN: Final = "slices are not evenly apart"
TWICE: Final = "several pictures at one place; the first of each is kept"
OTHERS: Final = "pictures of another orientation or size are left out"
NOWHERE: Final = "where the pictures lie in the patient is not told; their order is that of the scanner"

_PARALLEL: Final = 1e-2  # how far the directions of parallel slices differ: half a degree
_SAME: Final = 1e-2  # mm
_EVEN: Final = 0.02  # of the distance between slices
_MULTIPLE: Final = 0.1

Vector: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """Where a slice lies.

    Attributes:
        position: of the centre of its first pixel: mm to the left, back, and head.
        across: direction along a row.
        down: direction along a column.
    """

    position: Vector
    across: Vector
    down: Vector


@dataclass(frozen=True)
class Stack:
    """Slices in order.

    Attributes:
        order: which slices make the volume, the first one first.
        step: from one slice to the next, mm; None: not told.
        notes: what is odd.
    """

    order: list[int]
    step: NDArray[np.float64] | None
    notes: tuple[str, ...] = ()


def plane(position: Sequence[float], orientation: Sequence[float]) -> Plane | None:
    """Make a plane of what a header says; None: it says nothing usable.

    >>> plane([0, 0, 5], [1, 0, 0, 0, 1, 0]).down
    (0.0, 1.0, 0.0)
    """
    values = np.array([*position, *orientation], dtype=np.float64)
    if len(position) != 3 or len(orientation) != 6 or not np.isfinite(values).all():
        return None
    x, y = values[3:6], values[6:9]
    if not (np.linalg.norm(x) > 0.5 and np.linalg.norm(y) > 0.5 and abs(x @ y) < 0.1):
        return None
    return Plane(_vector(values[:3]), _vector(x / np.linalg.norm(x)), _vector(y / np.linalg.norm(y)))


def normal(one: Plane) -> NDArray[np.float64]:
    """Give the direction in which slices follow each other: (3,)."""
    return np.cross(one.across, one.down)


def stacked(planes: Sequence[Plane | None]) -> Stack:
    """Put slices in order along their normal.

    Slices that are not parallel to most are left out, as are further ones at a place that is taken.

    Args:
        planes: in the order of the scanner.

    >>> at = [plane([0, 0, z], [1, 0, 0, 0, 1, 0]) for z in (4, 0, 2)]
    >>> stack = stacked(at)
    >>> stack.order, stack.step.tolist(), stack.notes
    ([1, 2, 0], [0.0, 0.0, 2.0], ())
    """
    told = {number: one for number, one in enumerate(planes) if one is not None}
    if len(told) < max(len(planes), 2):
        return Stack(list(range(len(planes))), None, (NOWHERE,) if len(planes) > 1 else ())
    notes = []
    chosen = _most_parallel(told)
    if len(chosen) < len(told):
        notes.append(OTHERS)
    direction = normal(told[chosen[0]])
    places = {number: float(np.dot(told[number].position, direction)) for number in chosen}
    order = sorted(chosen, key=lambda number: round(places[number] / _SAME))  # stable: the first one first
    kept = [
        number
        for at, number in enumerate(order)
        if not at or places[number] - places[order[at - 1]] > 1.5 * _SAME
    ]
    if len(kept) < len(order):
        notes.append(TWICE)
    if len(kept) < 2:
        return Stack(kept, None, tuple(notes))
    steps = np.diff([places[number] for number in kept])
    usual = float(np.median(steps))
    first, last = (np.array(told[number].position) for number in (kept[0], kept[-1]))
    step = (last - first) / (len(kept) - 1)
    if np.abs(steps - usual).max() > max(_SAME, _EVEN * usual):
        times = steps / usual
        notes.append(MISSING if np.abs(times - times.round()).max() < _MULTIPLE else UNEVEN)
        step = (last - first) / np.linalg.norm(last - first) * usual
    return Stack(kept, step, tuple(notes))


def _most_parallel(planes: dict[int, Plane]) -> list[int]:
    """Find the largest group of slices that are parallel, in their order."""
    groups: list[list[int]] = []
    for number, one in planes.items():
        fitting = (group for group in groups if _parallel(planes[group[0]], one))
        if group := next(fitting, None):
            group.append(number)
        else:
            groups.append([number])
    return max(groups, key=len)


def _parallel(one: Plane, other: Plane) -> bool:
    apart = np.subtract((*one.across, *one.down), (*other.across, *other.down))
    return bool(np.abs(apart).max() <= _PARALLEL)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = values.tolist()
    return x, y, z
