"""Lesions of an outlined image: where each is, how large, of what shape and brightness.

A lesion is what hangs together, over edges and corners too, in one structure of a label array. Lengths are measured
between the middles of the faces at which a lesion ends, so that a row of ten pixels of 1 mm is 10 mm long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medloom.features.lesion_shape import (
    Diameter,
    diameters,
    faces,
    largest_distance,
    principal_axes,
    surface_area,
)
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image

Side = Literal["left", "right"]
Plane = Literal["axial", "coronal", "sagittal"]

_PLANES: Final[tuple[Plane, ...]] = ("sagittal", "coronal", "axial")  # whose slices follow x, y, z


@dataclass(frozen=True)
class Intensity:
    """How bright a lesion is in the image's first channel, in the image's unit."""

    mean: float
    sd: float
    least: float
    most: float
    median: float


@dataclass(frozen=True)
class Lesion:
    """What hangs together in one structure; what cannot be known is None.

    Attributes:
        structure: its number in the label array.
        number: from 1, the largest of its structure first; its number in `Outlined.components` is `component`.
        component: its number in `Outlined.components`.
        voxels: how many; pixels of a picture.
        volume: mm³; None: of a picture, or the spacing is not known.
        place: of its middle in the array, counted from 0.
        position: of its middle, mm in the patient: left, posterior, superior.
        side: of the midline, of the patient.
        plane: that diameters lie in; None: where the image lies in the patient is not known.
        area: mm², in the slice of the long axis.
        long_axis: the longest diameter in a slice (RECIST 1.1, Eisenhauer et al., Eur J Cancer 2009, section 3).
        short_axis: the longest one perpendicular to it in the same slice.
        diameter: mm, the longest in any direction.
        surface: mm², of a volume; see `lesion_shape.surface_area`.
        sphericity: 1: a ball (Wadell 1935); very small lesions are balls.
        elongation: the second main axis as a share of the first; 1: as long.
        flatness: the third as a share of the first, of a volume.
        intensity: of its pixels; None: there is no image.
    """

    structure: int
    number: int
    component: int
    voxels: int
    volume: float | None
    place: tuple[float, ...]
    position: tuple[float, float, float] | None
    side: Side | None
    plane: Plane | None
    area: float | None
    long_axis: Diameter | None
    short_axis: Diameter | None
    diameter: float | None
    surface: float | None
    sphericity: float | None
    elongation: float | None
    flatness: float | None
    intensity: Intensity | None

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Outlined:
    """The lesions of a label array.

    Attributes:
        lesions: by structure, the largest first.
        components: (*space) number of the lesion that each voxel belongs to; 0: of none.
        spacing: mm, an axis each; None: not known.
        affine: as `Image.affine`.
    """

    lesions: tuple[Lesion, ...]
    components: NDArray[np.int32] = field(repr=False)
    spacing: tuple[float, ...] | None
    affine: NDArray[np.float64] | None = field(default=None, repr=False)


def lesions(labels: NDArray[Any], image: Image, *, fewest: int = 1, midline: float | None = None) -> Outlined:
    """Find the lesions of a label array and measure each.

    Args:
        labels: whole numbers of the image's size in space; 0: background.
        image: that was outlined.
        fewest: voxels; what is smaller is left out.
        midline: of the patient, mm towards the left; None: the middle of the image, which is right only where the
            image shows both sides.

    Raises:
        InputError: labels are of another size than the image, or no whole numbers.

    >>> cube = np.zeros((6, 6, 6), np.uint8)
    >>> cube[1:5, 1:5, 1:5] = 1
    >>> found = lesions(cube, Image(np.ones((1, 6, 6, 6)), spacing=(2.0, 1.0, 1.0))).lesions[0]
    >>> found.voxels, found.volume, found.place, found.area
    (64, 128.0, (2.5, 2.5, 2.5), 16.0)
    >>> rod = np.zeros((1, 3, 12), np.uint8)
    >>> rod[0, 1, 1:11] = 1
    >>> found = lesions(rod, Image(np.ones((1, 1, 3, 12)), spacing=(1.0, 1.0, 0.5))).lesions[0]
    >>> found.long_axis.length, found.short_axis.length, round(found.elongation, 3)
    (5.0, 1.0, 0.2)
    """
    _check(labels, image)
    components = np.zeros(labels.shape, np.int32)
    found: list[Lesion] = []
    around = np.ones((3,) * labels.ndim, bool)  # over edges and corners too
    numbers = labels.view(np.uint8) if labels.dtype == np.bool_ else labels
    for structure, where in enumerate(ndimage.find_objects(numbers), 1):
        if where is None:
            continue
        marked, n = ndimage.label(labels[where] == structure, around)
        sizes = np.bincount(marked.ravel(), minlength=n + 1)[1:]
        inside = ndimage.find_objects(marked)
        boxes = [_placed(box, where) for box in inside]
        order = [one for one in np.argsort(-sizes, kind="stable").tolist() if sizes[one] >= fewest]
        for number, one in enumerate(order, 1):
            mask = marked[inside[one]] == one + 1
            components[boxes[one]][mask] = len(found) + 1
            found.append(_measured(mask, boxes[one], image, structure, number, len(found) + 1, midline))
    return Outlined(tuple(found), components, image.spacing, image.affine)


def _placed(box: tuple[slice, ...], where: tuple[slice, ...]) -> tuple[slice, ...]:
    """Give where a box lies, that was found in a part of an array."""
    return tuple(
        slice(one.start + part.start, one.stop + part.start) for one, part in zip(box, where, strict=True)
    )


def in_patient(places: NDArray[np.floating], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn places (n, 3): slice, row, column, or (n, 2): row, column, into mm in the patient: (n, 3).

    >>> in_patient(np.array([[1.0, 2.0, 3.0]]), np.diag([5.0, 1.0, 1.0, 1.0])).tolist()
    [[5.0, 2.0, 3.0]]
    """
    whole = places if places.shape[1] == 3 else np.column_stack([np.zeros(len(places)), places])
    mm: NDArray[np.float64] = whole @ affine[:3, :3].T + affine[:3, 3]
    return mm


def plane_of(affine: NDArray[np.float64] | None, spacing: Sequence[float]) -> tuple[int, Plane | None]:
    """Name the axis that axial slices follow, and the plane they lie in.

    It is the axis that runs along the body most; where the image's place is not known, the first. A volume whose slices
    are much further apart than its pixels is measured in the plane it was taken in, as RECIST 1.1 has it: its other
    planes are too coarse.

    >>> plane_of(np.diag([5.0, 1.0, 1.0, 1.0])[[1, 2, 0, 3]], (5.0, 1.0, 1.0))
    (0, 'axial')
    """
    if affine is None:
        return 0, None
    directions = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    axis = int(directions[2].argmax())
    if len(spacing) == 2 or (axis != 0 and spacing[0] > 2 * max(spacing[1:])):
        axis = 0
    return axis, _PLANES[int(directions[:, axis].argmax())]


def _check(labels: NDArray[Any], image: Image) -> None:
    if labels.shape != image.shape:
        raise InputError(
            "the outline is of size {outline}, the image of {image}; outline this image, not another one",
            outline=labels.shape,
            image=image.shape,
        )
    if labels.dtype.kind not in "iub":
        raise InputError(
            "an outline holds whole numbers, 0 is background; not {kind}", kind=str(labels.dtype)
        )


def _measured(
    mask: NDArray[np.bool_],
    box: tuple[slice, ...],
    image: Image,
    structure: int,
    number: int,
    component: int,
    midline: float | None,
) -> Lesion:
    corner = np.array([one.start for one in box], np.float64)
    places = np.argwhere(mask) + corner
    middle = places.mean(axis=0)
    position = None if image.affine is None else in_patient(middle[None], image.affine)[0]
    return Lesion(
        structure=int(structure),
        number=number,
        component=component,
        voxels=len(places),
        place=tuple(middle.tolist()),
        position=None if position is None else (float(position[0]), float(position[1]), float(position[2])),
        side=None if position is None else _side(float(position[0]), image, midline),
        intensity=_intensity(image.pixels[0][box][mask]),
        **_sizes(mask, corner, image),
    )


def _sizes(mask: NDArray[np.bool_], corner: NDArray[np.float64], image: Image) -> Mapping[str, Any]:
    """Measure all that needs the spacing."""
    spacing = image.spacing
    axis, plane = plane_of(image.affine, spacing or (1.0,) * mask.ndim)
    if spacing is None:
        names = "volume area long_axis short_axis diameter surface sphericity elongation flatness"
        return {"plane": plane, **dict.fromkeys(names.split())}
    flat = mask.ndim == 2
    long_axis, short_axis, area = diameters(mask, spacing, None if flat else axis, corner)
    volume = None if flat else float(mask.sum() * np.prod(spacing))
    surface = None if flat else surface_area(mask, spacing)
    sphericity = None
    if volume is not None and surface is not None:
        sphericity = min(1.0, float(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / surface))
    axes = principal_axes(mask, spacing)
    return {
        "volume": volume,
        "plane": plane,
        "area": area,
        "long_axis": long_axis,
        "short_axis": short_axis,
        "diameter": largest_distance(faces(mask) * np.asarray(spacing)),
        "surface": surface,
        "sphericity": sphericity,
        "elongation": float(axes[1] / axes[0]),
        "flatness": None if flat else float(axes[2] / axes[0]),
    }


def _side(x: float, image: Image, midline: float | None) -> Side | None:
    """Tell the side of a place, mm towards the patient's left."""
    assert image.affine is not None
    if midline is None:
        middle = (np.asarray(image.shape, np.float64) - 1) / 2
        midline = float(in_patient(middle[None], image.affine)[0, 0])
    if x == midline:
        return None
    return "left" if x > midline else "right"


def _intensity(pixels: NDArray[Any]) -> Intensity:
    values = pixels.astype(np.float64)
    return Intensity(
        float(values.mean()),
        float(values.std()),
        float(values.min()),
        float(values.max()),
        float(np.median(values)),
    )
