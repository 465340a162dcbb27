"""What hangs together in an outline, measured, as the viewer's script reads it; and sizes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.boxes import Boxes
from medloom.features.lesions import lesions
from medloom.foundation.messages import tr
from medloom.record.imaging.image import Image

_FEWEST: Final = 3  # voxels; what is smaller is a slip of the pen
_MOST: Final = 200


def sizes_of(labels: NDArray[Any], image: Image) -> list[dict[str, Any]]:
    """Measure an outline: by structure, the largest first; places are (slice, row, column).

    Args:
        labels: (*space) of the image's size, 0: background.
        image: that was outlined.
    """
    return [
        {
            "structure": one.structure,
            "number": one.number,
            "place": _in_volume(one.place),
            "volume": one.volume,
            "area": one.area,
            "pixels": one.voxels,
            "long": None if one.long_axis is None else one.long_axis.length,
            "short": None if one.short_axis is None else one.short_axis.length,
            "side": one.side,
            "lines": [
                [_in_volume(end) for end in line.ends]
                for line in (one.long_axis, one.short_axis)
                if line is not None
            ],
        }
        for one in lesions(_whole(labels), image, fewest=_FEWEST).lesions[:_MOST]
    ]


def marks_of(boxes: Boxes, image: Image) -> list[dict[str, Any]]:
    """List what was found in an image as `sizes_of` does, but the surest first, each with its `score`.

    Diameters are those of the box in its middle slice, about what was found.

    >>> found = Boxes(np.array([[0.0, 2, 4, 4]]), np.array([1]), np.array([0.9]))
    >>> (one,) = marks_of(found, Image(np.zeros((1, 8, 8)), (1.0, 2.0)))
    >>> one["place"], one["score"], one["long"], one["short"]
    ([0.0, 1.5, 2.5], 0.9, 4.0, 4.0)
    """
    order = np.argsort(-boxes.score, kind="stable")[:_MOST]
    axes = image.dimensions
    made: list[dict[str, Any]] = []
    for box, structure, score in zip(
        boxes.box[order], boxes.structure[order], boxes.score[order], strict=True
    ):
        low, high = np.clip(box[:axes], 0, image.shape), np.clip(box[axes:], 0, image.shape)
        place = (low + high - 1) / 2  # of pixels' middles, where a box is of their faces
        if axes == 3:
            place[0] = np.clip(np.rint(place[0]), 0, image.shape[0] - 1)
        sizes = None if image.spacing is None else ((high - low) * image.spacing)[-2:].tolist()
        lines = []
        for axis in (axes - 2, axes - 1):
            ends = np.stack([place, place])
            ends[:, axis] = low[axis] - 0.5, high[axis] - 0.5
            lines.append([_in_volume(end) for end in ends.tolist()])
        made.append(
            {
                "structure": int(structure),
                "number": 1 + sum(one["structure"] == structure for one in made),
                "score": round(float(score), 3),
                "place": _in_volume(place.tolist()),
                "volume": None,
                "area": None,
                "pixels": None,
                "long": None if sizes is None else max(sizes),
                "short": None if sizes is None else min(sizes),
                "side": None,
                "lines": lines,
            }
        )
    return made


def size_in_words(size: float, dimensions: int, measured: bool) -> str:
    """Say how large an outlined structure is.

    Args:
        size: in mm³ of a volume, in mm² of a picture; in pixels where their size is not known.
        dimensions: of the image.
        measured: whether the size of its pixels is known.

    >>> size_in_words(7170.0, 3, True), size_in_words(81.3, 2, True), size_in_words(1200.0, 2, False)
    ('7.17 ml', '81 mm²', '1,200 pixels')
    """
    if not measured:
        return tr("{n} pixels", n=f"{size:,.0f}")
    if dimensions == 2:
        return tr("{n} mm²", n=f"{size:,.0f}")
    millilitres = size / 1000
    return tr("{n} ml", n=f"{millilitres:,.0f}" if millilitres >= 100 else f"{millilitres:.3g}")


def _whole(labels: NDArray[Any]) -> NDArray[Any]:
    """Give labels as whole numbers; those of a file may be written otherwise. None is copied without need."""
    return labels if labels.dtype.kind in "iu" else labels.astype(np.int32)


def _in_volume(place: Sequence[float]) -> list[float]:
    """Give a picture's place as one of a volume of one slice."""
    return [0.0] * (3 - len(place)) + list(place)
