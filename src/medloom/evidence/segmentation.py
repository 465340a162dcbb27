"""How well outlines agree with those of experts: overlap, distance of borders, volume, and lesion by lesion.

Measures as Metrics Reloaded defines and recommends them (Maier-Hein, Reinke et al., Nature Methods 2024;21:195-212).
Where a structure is in neither outline there is nothing to measure: the case counts as right in `absent`, and is left
out of every mean. Where it is in one of them only, overlap is 0 and distances are the image's diagonal, the worst that
could be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import ndimage

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.tally import Floats, ratio
from medloom.features.images import image_of
from medloom.features.outlines import outline_of
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.tasks.samples import Samples

METRICS: Final = ("dice", "iou", "hd95", "asd", "nsd", "volume_error")
"""Names of what is averaged over cases; `hd95` and `asd` in mm, `volume_error` in mm³, said minus true."""

LESIONWISE: Final = ("lesion_sensitivity", "false_positives")

TOLERANCE_MM: Final = 1.0

CASE_SCHEMA: Final = pl.Schema(
    {
        "case": pl.Int64(),
        "structure": pl.String(),
        **dict.fromkeys(METRICS, pl.Float64()),
        "volume": pl.Float64(),
        "found": pl.Int64(),
        "lesions": pl.Int64(),
        "false_positives": pl.Int64(),
        "empty": pl.String(),
    }
)
"""A row a case and structure; `volume`: true, mm³; `empty`: `both`, `truth` or `said`, or null."""


@dataclass(frozen=True)
class Agreement:
    """How two outlines of one structure agree; NaN where it is in neither.

    Attributes:
        dice: 2 |A ∩ B| / (|A| + |B|).
        iou: |A ∩ B| / |A ∪ B|.
        hd95: mm: of the 95th percentiles of distances from one border to the other, and back, the larger.
        asd: mm: the mean of distances from each place of either border to the other.
        nsd: share of both borders that lies within the tolerance of the other (Nikolov et al. 2021).
        volume_error: mm³, said minus true.
        volume: mm³, true.
        empty: which outline lacks the structure; None: neither.
    """

    dice: float
    iou: float
    hd95: float
    asd: float
    nsd: float
    volume_error: float
    volume: float
    empty: str | None = None


def agreement(
    truth: NDArray[np.bool_],
    said: NDArray[np.bool_],
    spacing: Sequence[float],
    tolerance: float = TOLERANCE_MM,
) -> Agreement:
    """Compare two outlines of one structure.

    Args:
        truth: (*space), of 2 or 3 axes.
        said: of the same size.
        spacing: mm between voxels, an axis each.
        tolerance: mm, of `nsd`.

    Raises:
        InputError: they are of unlike size.

    >>> truth, said = np.array([[1, 1], [0, 0]], bool), np.array([[1, 0], [1, 0]], bool)
    >>> found = agreement(truth, said, (1.0, 2.0))
    >>> found.dice, round(found.iou, 3), found.volume_error, found.asd, found.nsd
    (0.5, 0.333, 0.0, 0.75, 0.75)
    >>> round(found.hd95, 2)
    1.9
    """
    if truth.shape != said.shape or truth.ndim != len(spacing):
        raise InputError(
            "the outline is of size {outline}, the image of {image}; outline this image, not another one",
            outline=said.shape,
            image=truth.shape,
        )
    cell = float(np.prod(spacing))
    true, told = int(truth.sum()), int(said.sum())
    volume, difference = true * cell, (told - true) * cell
    if not true and not told:
        return Agreement(*(math.nan,) * 6, 0.0, "both")
    if not true or not told:
        worst = float(np.linalg.norm(np.asarray(truth.shape) * np.asarray(spacing)))
        return Agreement(0, 0, worst, worst, 0, difference, volume, "said" if true else "truth")
    box = _box(truth | said)
    truth, said = truth[box], said[box]
    both = int((truth & said).sum())
    there, back = surface_distances(truth, said, spacing)
    together = np.concatenate([there, back])
    return Agreement(
        dice=2 * both / (true + told),
        iou=both / (true + told - both),
        hd95=max(float(np.percentile(there, 95)), float(np.percentile(back, 95))),
        asd=float(together.mean()),
        nsd=float((together <= tolerance).mean()),
        volume_error=difference,
        volume=volume,
    )


def surface_distances(
    one: NDArray[np.bool_], other: NDArray[np.bool_], spacing: Sequence[float]
) -> tuple[Floats, Floats]:
    """Give how far each border voxel of one outline lies from the other's border, and back: (n,), (m,) mm.

    A border voxel has a neighbour outside over a face, or lies at the edge of the array.

    >>> row = np.zeros((1, 6), bool)
    >>> one, other = row.copy(), row.copy()
    >>> one[0, 1], other[0, 4] = True, True
    >>> [distance.tolist() for distance in surface_distances(one, other, (1.0, 0.5))]
    [[1.5], [1.5]]
    """
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    mine, theirs = (ndimage.distance_transform_edt(~border, sampling=spacing) for border in borders)
    return theirs[borders[0]], mine[borders[1]]


def lesionwise(
    truth: NDArray[np.bool_], said: NDArray[np.bool_], overlap: float = 0.1
) -> tuple[int, int, int]:
    """Count the lesions that were found, all lesions, and what was said where there is none.

    What hangs together, over edges and corners too, is a lesion. It is found where a lesion that is said covers it, and
    nothing else, so that their IoU is at least `overlap`; each is matched once, the best pair first.

    >>> truth, said = np.zeros((2, 1, 12), bool)
    >>> truth[0, [1, 2, 6, 7]] = True
    >>> said[0, [2, 3, 10]] = True
    >>> lesionwise(truth, said)
    (1, 2, 1)
    """
    around = np.ones((3,) * truth.ndim, bool)
    mine, n = ndimage.label(truth, around)
    theirs, m = ndimage.label(said, around)
    if not n or not m:
        return 0, int(n), int(m)
    both = np.bincount((mine * (m + 1) + theirs).ravel(), minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    sizes, told = both.sum(axis=1)[1:], both.sum(axis=0)[1:]
    met = both[1:, 1:]
    iou = met / (sizes[:, None] + told[None] - met)
    found = 0
    while iou.size and iou.max() >= overlap:
        first, second = np.unravel_index(int(iou.argmax()), iou.shape)
        iou[first], iou[:, second] = -1, -1
        found += 1
    return found, int(n), int(m) - found


def compare(
    truth: NDArray[np.integer],
    said: NDArray[np.integer],
    spacing: Sequence[float],
    structures: Mapping[int, str],
    tolerance: float = TOLERANCE_MM,
    case: int = 0,
) -> pl.DataFrame:
    """Compare two label arrays structure by structure: rows of `CASE_SCHEMA`.

    Args:
        truth: (*space) whole numbers, 0: background.
        said: of the same size.
        spacing: mm.
        structures: number → name.
        tolerance: mm.
        case: which it is.
    """
    rows: list[dict[str, Any]] = []
    for number, name in structures.items():
        true, told = truth == number, said == number
        measured = asdict(agreement(true, told, spacing, tolerance))
        found, lesions, false = lesionwise(true, told)
        counts = {"found": found, "lesions": lesions, "false_positives": false}
        rows.append({"case": case, "structure": name, **measured, **counts})
    return pl.DataFrame(rows, schema=CASE_SCHEMA)


def compare_each(
    samples: Samples, outline: Callable[[Image], NDArray[np.integer]], tolerance: float = TOLERANCE_MM
) -> pl.DataFrame:
    """Compare what a model outlines with what experts drew, image by image: rows of `CASE_SCHEMA`.

    Where the spacing of an image is not known, a voxel counts as 1 mm.

    Args:
        samples: of a segmentation question; cases are numbered by their places.
        outline: of an image, the numbers of structures (*space).
        tolerance: mm.

    Raises:
        InputError: a file is damaged, or an outline does not fit its image.
    """
    structures = dict(enumerate(samples.question.classes, 1))
    frames = [CASE_SCHEMA.to_frame()]
    for case in range(len(samples)):
        image = image_of(samples, case)
        truth = outline_of(samples, case, image)
        spacing = image.spacing or (1.0,) * image.dimensions
        frames.append(compare(truth, outline(image), spacing, structures, tolerance, case))
    return pl.concat(frames)


def estimates(
    cases: pl.DataFrame, group: NDArray[Any], replicates: int = REPLICATES, seed: int = 0
) -> dict[str, dict[str, Estimate]]:
    """Average over cases, with 95 % intervals resampled by group: structure → metric → estimate.

    Beside `METRICS`: `lesion_sensitivity`, lesions that were found among all; `false_positives`, an image; `absent`,
    the share of images without the structure in which none was said. All structures together stand under an empty
    name: the mean of each case's own mean.

    Args:
        cases: rows of `CASE_SCHEMA`, cases numbered from 0.
        group: (cases,) what must not be resampled apart.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    groups = np.unique(group, return_inverse=True)[1].astype(np.intp)
    n = len(groups)
    each = {str(name): part for (name,), part in cases.group_by("structure", maintain_order=True)}
    together = cases.group_by("case").agg(pl.col(METRICS).fill_nan(None).mean())
    found: dict[str, dict[str, Estimate]] = {}
    for name, part in {"": together, **each}.items():
        pairs = _averaged(part, n) | (_counted(part, n) if name else {})
        measure = _shares(pairs)
        whole, drawn = measure(np.ones(n)), bootstrap(measure, groups, replicates, seed, "segmentation")
        found[name] = {metric: estimate(whole[metric], drawn.get(metric)) for metric in pairs}
    return found


def _averaged(part: pl.DataFrame, n: int) -> dict[str, tuple[Floats, Floats]]:
    """Give of each metric what is summed, and what the sum is divided by: (n,) each."""
    found = {}
    for metric in METRICS:
        values = _by_case(part, part[metric], n)
        known = ~np.isnan(values)
        found[metric] = np.where(known, values, 0.0), known.astype(np.float64)
    return found


def _counted(part: pl.DataFrame, n: int) -> dict[str, tuple[Floats, Floats]]:
    """Give the same of what is counted."""
    there = np.nan_to_num(_by_case(part, pl.Series(np.ones(part.height)), n))
    hits, lesions, false = (
        np.nan_to_num(_by_case(part, part[name], n)) for name in ("found", "lesions", "false_positives")
    )
    nothing, right = (
        np.nan_to_num(_by_case(part, part["empty"].is_in(which).fill_null(False), n))
        for which in (["truth", "both"], ["both"])
    )
    return {
        "lesion_sensitivity": (hits, lesions),
        "false_positives": (false, there),
        "absent": (right, nothing),
    }


def _shares(pairs: Mapping[str, tuple[Floats, Floats]]) -> Callable[[Floats], dict[str, Floats]]:
    def measure(weight: Floats) -> dict[str, Floats]:
        return {name: ratio(weight @ above, weight @ below) for name, (above, below) in pairs.items()}

    return measure


def _by_case(part: pl.DataFrame, values: pl.Series, n: int) -> Floats:
    """Lay values out by case: (n,), NaN where a case has none."""
    found = np.full(n, np.nan)
    found[part["case"].to_numpy()] = values.cast(pl.Float64).fill_null(math.nan).to_numpy()
    return found


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Cut to what a mask holds, and a voxel more on each side, so that its border stays a border."""
    found = []
    for axis in range(mask.ndim):
        others = tuple(one for one in range(mask.ndim) if one != axis)
        there = np.flatnonzero(mask.any(axis=others))
        found.append(slice(max(0, int(there[0]) - 1), int(there[-1]) + 2))
    return tuple(found)
