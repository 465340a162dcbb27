"""Pictures of the worst, the median and the best case: what the expert and the model drew, on one slice each."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.detection_evaluation import DetectionEvaluation
from medloom.evidence.pictures import picture_svg
from medloom.evidence.section import Figure, Section
from medloom.evidence.segmentation_evaluation import Outline, SegmentationEvaluation
from medloom.explanation.slices import edges, resized, shown, size_of
from medloom.features.images import image_of
from medloom.features.outlines import outline_of
from medloom.foundation.messages import Text2, text2
from medloom.record.imaging.image import Image
from medloom.tasks.samples import Samples

_SIDE: Final = 320  # px
_EXPERT: Final = (86, 180, 233)  # Okabe and Ito's blue and orange, told apart by all eyes
_MODEL: Final = (230, 159, 0)


def pictures_section(
    evaluation: SegmentationEvaluation | DetectionEvaluation, samples: Samples, outline: Outline
) -> Section | None:
    """Draw three cases, each on the middle one of the slices that either outlined; None: there is no case to draw.

    Args:
        evaluation: of the same samples.
        samples: those that cases are numbered by, as `segmentation_evaluation.known_outlines` gives them.
        outline: of an image, as it was evaluated; of objects an ellipse each.

    Raises:
        InputError: a file is damaged.
    """
    ranked = evaluation.ranked()
    if not ranked:
        return None
    chosen: dict[int, Text2] = {}
    for place, name in (
        (0, text2("Worst")),
        (len(ranked) // 2, text2("Median")),
        (len(ranked) - 1, text2("Best")),
    ):
        chosen.setdefault(ranked[place], name)
    figures = [
        _figure(samples, outline, case, name, evaluation.told_of(case)) for case, name in chosen.items()
    ]
    return Section(
        "pictures",
        text2("The worst, the median and the best case"),
        figures=tuple(figures),
        note=text2(
            "Blue: drawn by an expert; orange: by the model; white: both. These are images of patients, without their"
            " names: hand the report only to whom you would show them."
        ),
    )


def drawn(image: Image, truth: NDArray[np.integer], said: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Draw both outlines on the middle slice of those that hold any: (height, width, 3), red, green and blue."""
    number = _middle(truth, said)
    size = size_of(image, _SIDE)
    grey = resized(shown(image, number), size)
    coloured = grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, -1)
    picture: NDArray[np.uint8] = np.round(np.clip(coloured, 0, 1) * 255).astype(np.uint8)
    lines = []
    for labels in (truth, said):
        flat = labels if labels.ndim == 2 else labels[number]
        whole = np.zeros(size, bool)
        for edge in edges(flat, size).values():
            whole |= edge
        lines.append(whole)
    for where, colour in ((lines[0], _EXPERT), (lines[1], _MODEL), (lines[0] & lines[1], (255, 255, 255))):
        picture[where] = colour
    return picture


def _figure(samples: Samples, outline: Outline, case: int, name: Text2, told: Text2) -> Figure:
    image = image_of(samples, case)
    picture = drawn(image, outline_of(samples, case, image), outline(image))
    return Figure(name, picture_svg(picture, name), told)


def _middle(truth: NDArray[np.integer], said: NDArray[np.integer]) -> int:
    if truth.ndim == 2:
        return 0
    there = np.flatnonzero(((truth > 0) | (said > 0)).any((1, 2)))
    return int(there[len(there) // 2]) if len(there) else len(truth) // 2
