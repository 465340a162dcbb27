"""How lesions changed between two studies of a patient: which is which, what is new, and the response by RECIST 1.1.

RECIST 1.1: Eisenhauer et al., Eur J Cancer 2009;45:228-247, sections 4.2 and 4.3. What is said here is arithmetic on
outlines; which lesions are targets, and what the response is, a reader decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from medloom.features.lesions import Lesion, Outlined, in_patient
from medloom.foundation.errors import InputError

Response = Literal["complete", "partial", "stable", "progressive"]

PROGRESSION: Final = 0.2  # of the least sum so far, and
PROGRESSION_MM: Final = 5.0
PARTIAL: Final = 0.3  # of the first sum
MEASURABLE_MM: Final = 10.0  # long axis
NODE_MM: Final = 15.0  # short axis of a lymph node that is a target
NORMAL_NODE_MM: Final = 10.0  # short axis below which a node is no finding
MOST_TARGETS: Final = 5
MOST_A_STRUCTURE: Final = 2

_NEAR_MM: Final = 10.0  # a lesion may lie so far off between two studies that were not registered


@dataclass(frozen=True)
class Pair:
    """A lesion in both studies.

    Attributes:
        before: in the earlier study.
        now: in the later study.
        overlap: Dice of both in the patient's coordinates; 0: matched as the nearest.
    """

    before: Lesion
    now: Lesion
    overlap: float


@dataclass(frozen=True)
class Change:
    """What became of lesions.

    Attributes:
        pairs: those in both studies.
        new: in the later one only.
        gone: in the earlier one only.
        sum_before: mm, of the targets' diameters in the earlier study.
        sum_now: mm, of the same lesions in the later one; those that are gone count 0.
        response: None: there is no target, or a size is not known.
    """

    pairs: tuple[Pair, ...]
    new: tuple[Lesion, ...]
    gone: tuple[Lesion, ...]
    sum_before: float | None
    sum_now: float | None
    response: Response | None


def change(
    before: Outlined,
    now: Outlined,
    *,
    nodes: Collection[int] = (),
    baseline: float | None = None,
    nadir: float | None = None,
    near: float = _NEAR_MM,
) -> Change:
    """Match the lesions of two studies of a patient and tell the response.

    A lesion is matched with the one it overlaps most, of the same structure; what overlaps nothing, with the nearest
    one whose middle is no further away than `near` and half of its long axis. Targets are the largest measurable
    lesions of the earlier study, two a structure and five in all.

    Args:
        before: of the earlier study.
        now: of the later study.
        nodes: structures that are lymph nodes, of which the short axis counts.
        baseline: mm, the first sum of diameters; None: that of the earlier study.
        nadir: mm, the least sum so far; None: the lesser of the first and that of the earlier study.
        near: mm.

    Raises:
        InputError: the place in the patient is known of one study only, or of none and their sizes differ.

    >>> from medloom.features.lesions import lesions
    >>> from medloom.record.imaging.image import Image
    >>> image = Image(np.zeros((1, 1, 40, 40)), spacing=(1.0, 1.0, 1.0), affine=np.eye(4)[[2, 1, 0, 3]])
    >>> one, other = np.zeros((2, 1, 40, 40), np.uint8)
    >>> one[0, 5, 5:25], other[0, 5, 5:18] = 1, 1
    >>> found = change(lesions(one, image), lesions(other, image))
    >>> found.sum_before, found.sum_now, found.response
    (20.0, 13.0, 'partial')
    """
    pairs = _matched(before, now, near)
    matched_before = {pair.before.component: pair.now for pair in pairs}
    matched_now = {pair.now.component for pair in pairs}
    new = tuple(one for one in now.lesions if one.component not in matched_now)
    gone = tuple(one for one in before.lesions if one.component not in matched_before)
    chosen = targets(before.lesions, nodes)
    sizes_before = [_counted(one, nodes) for one in chosen]
    later = [matched_before.get(one.component) for one in chosen]
    sizes_now = [0.0 if one is None else _counted(one, nodes) for one in later]
    if not chosen or None in sizes_before or None in sizes_now:
        return Change(pairs, new, gone, None, None, None)
    sum_before, sum_now = float(sum(filter(None, sizes_before))), float(sum(filter(None, sizes_now)))
    first = sum_before if baseline is None else baseline
    least = min(first, sum_before) if nadir is None else nadir
    cleared = all(
        one is None or (one.structure in nodes and (size or 0.0) < NORMAL_NODE_MM)
        for one, size in zip(later, sizes_now, strict=True)
    )
    said = response(sum_now, first, least, new=len(new), cleared=cleared)
    return Change(pairs, new, gone, sum_before, sum_now, said)


def response(
    total: float, baseline: float, nadir: float, *, new: int = 0, cleared: bool | None = None
) -> Response:
    """Tell the response of target lesions from sums of diameters in mm (RECIST 1.1, section 4.3.1).

    Args:
        total: now.
        baseline: before treatment.
        nadir: the least sum so far, the first one included.
        new: how many lesions are new.
        cleared: whether all targets are gone, and nodes are below 10 mm; None: where `total` is 0.

    >>> response(69, 100, 100), response(71, 100, 60), response(74, 100, 60), response(13, 20, 10)
    ('partial', 'stable', 'progressive', 'partial')
    >>> response(0, 100, 100), response(0, 100, 100, new=1)
    ('complete', 'progressive')
    """
    grown = total - nadir
    if new or (grown >= PROGRESSION_MM and grown >= PROGRESSION * nadir):
        return "progressive"
    if total == 0 if cleared is None else cleared:
        return "complete"
    return "partial" if baseline - total >= PARTIAL * baseline else "stable"


def targets(lesions: Sequence[Lesion], nodes: Collection[int] = ()) -> tuple[Lesion, ...]:
    """Choose target lesions: the largest measurable ones, two a structure, five in all (RECIST 1.1, section 4.2.3).

    Args:
        lesions: of a study.
        nodes: structures that are lymph nodes, of which the short axis counts, from 15 mm on.
    """
    sizes = {one.component: _counted(one, nodes) or 0.0 for one in lesions}
    chosen: list[Lesion] = []
    for one in sorted(lesions, key=lambda one: (-sizes[one.component], one.component)):
        least = NODE_MM if one.structure in nodes else MEASURABLE_MM
        alike = sum(other.structure == one.structure for other in chosen)
        if sizes[one.component] >= least and alike < MOST_A_STRUCTURE and len(chosen) < MOST_TARGETS:
            chosen.append(one)
    return tuple(chosen)


def _counted(lesion: Lesion, nodes: Collection[int]) -> float | None:
    """Give the diameter that counts, in mm."""
    axis = lesion.short_axis if lesion.structure in nodes else lesion.long_axis
    return None if axis is None else axis.length


def _matched(before: Outlined, now: Outlined, near: float) -> tuple[Pair, ...]:
    overlap = _overlap(before, now)
    pairs = []
    if overlap.size:
        for one, other in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[one, other] > 0:
                pairs.append((int(one), int(other), float(overlap[one, other])))
    left = sorted(set(range(len(before.lesions))) - {pair[0] for pair in pairs})
    free = sorted(set(range(len(now.lesions))) - {pair[1] for pair in pairs})
    if left and free:
        distance = _distances([before.lesions[one] for one in left], [now.lesions[one] for one in free], now)
        reach = np.array([near + _half_length(before.lesions[one]) for one in left])
        allowed = distance <= reach[:, None]
        for one, other in zip(*linear_sum_assignment(np.where(allowed, distance, 1e9)), strict=True):
            if allowed[one, other]:
                pairs.append((left[one], free[other], 0.0))
    return tuple(Pair(before.lesions[a], now.lesions[b], dice) for a, b, dice in sorted(pairs))


def _overlap(before: Outlined, now: Outlined) -> NDArray[np.float64]:
    """Give the Dice of each lesion of one study with each of the other, of the same structure: (n, m)."""
    found = np.zeros((len(before.lesions) + 1, len(now.lesions) + 1))
    places = np.argwhere(before.components)
    here = before.components[tuple(places.T)]
    there = np.rint(_carried(places.astype(np.float64), before, now)).astype(np.int64)
    inside = ((there >= 0) & (there < now.components.shape)).all(axis=1)
    met = np.zeros(len(places), np.int64)
    met[inside] = now.components[tuple(there[inside].T)]
    np.add.at(found, (here, met), 1.0)
    found = found[1:, 1:]
    if not found.size:
        return found
    # counted in the earlier study's voxels; those of the later one may be of another size
    share = _voxel(now) / _voxel(before)
    sizes = np.add.outer([one.voxels for one in before.lesions], [one.voxels * share for one in now.lesions])
    alike = np.equal.outer([one.structure for one in before.lesions], [one.structure for one in now.lesions])
    dice: NDArray[np.float64] = np.where(alike, 2 * found / sizes, 0.0)
    return dice


def _carried(places: NDArray[np.float64], before: Outlined, now: Outlined) -> NDArray[np.float64]:
    """Turn places of the earlier study into places of the later one: (n, axes)."""
    if before.affine is not None and now.affine is not None:
        mm = in_patient(places, before.affine)
        found: NDArray[np.float64] = (mm - now.affine[:3, 3]) @ np.linalg.inv(now.affine[:3, :3]).T
        return found if now.components.ndim == 3 else found[:, 1:]
    if before.affine is None and now.affine is None and before.components.shape == now.components.shape:
        return places
    raise InputError(
        "two studies can be compared where their place in the patient is known of both, or they are of the same size"
    )


def _voxel(outlined: Outlined) -> float:
    if outlined.affine is not None:
        return float(abs(np.linalg.det(outlined.affine[:3, :3])))
    return float(np.prod(outlined.spacing)) if outlined.spacing is not None else 1.0


def _distances(before: Sequence[Lesion], now: Sequence[Lesion], outlined: Outlined) -> NDArray[np.float64]:
    """Give how far the middles of lesions lie apart, in mm; those of unlike structures infinitely: (n, m)."""
    spacing = np.asarray(outlined.spacing or (1.0,) * outlined.components.ndim)

    def middles(lesions: Sequence[Lesion]) -> NDArray[np.float64]:
        known = all(one.position is not None for one in lesions)
        return np.array([one.position if known else np.asarray(one.place) * spacing for one in lesions])

    apart = np.linalg.norm(middles(before)[:, None] - middles(now)[None], axis=2)
    alike = np.equal.outer([one.structure for one in before], [one.structure for one in now])
    found: NDArray[np.float64] = np.where(alike, apart, np.inf)
    return found


def _half_length(lesion: Lesion) -> float:
    return 0.0 if lesion.long_axis is None else lesion.long_axis.length / 2
