"""Slices as people look at them: windowed, with contours of what was outlined or a map of where a model looked."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.care.imaging.objects import CAUTION
from medloom.care.imaging.reading import Reading
from medloom.explanation.heat_maps import overlaid
from medloom.explanation.slices import edges, resized, shown, size_of

Picture = NDArray[np.uint8]

# Okabe and Ito's palette, without black: told apart by all eyes
COLOURS: Final = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0))
_SIDE: Final = 512  # px that the longer side of a small picture is enlarged to
_HEAT: Final = 0.5  # opacity at most
_LETTERS: Final = 13  # px


def telling(reading: Reading, most: int = 8) -> list[int]:
    """Choose the slices that show most: those of the largest lesions, or where the map is highest, or the middle one.

    Args:
        reading: of an image.
        most: slices.

    Returns:
        their numbers, from 0, ascending; of a picture 0.
    """
    shape = reading.source.image.shape
    if len(shape) == 2:
        return [0]
    chosen: list[int] = []
    if reading.outlined is not None:
        ordered = sorted(reading.outlined.lesions, key=lambda one: -one.voxels)
        chosen = [round(one.place[0]) for one in ordered]
    if not chosen and reading.heat is not None:
        chosen = [int(reading.heat.max((1, 2)).argmax())]
    return sorted(list(dict.fromkeys(chosen or [shape[0] // 2]))[:most])


def picture(reading: Reading, number: int, *, words: bool = True) -> Picture:
    """Draw a slice: (height, width, 3), red, green and blue, its pixels as long as they are wide.

    Args:
        reading: of an image.
        number: of the slice, from 0.
        words: write beneath it what the colours are, by whom, and what the picture is not for.
    """
    image = reading.source.image
    drawn = shown(image, number)
    size = size_of(image, _SIDE)
    grey = resized(drawn, size)
    if reading.heat is not None:
        heat = _slice(reading.heat, number)
        highest = float(np.clip(reading.heat, 0, None).max()) or 1.0
        here = float(np.clip(heat, 0, None).max()) / highest
        wide = resized(heat.astype(np.float32), size)
        drawn8 = overlaid(grey.mean(-1) if grey.ndim == 3 else grey, wide, _HEAT * here**0.5)
    else:
        coloured = grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, -1)
        drawn8 = np.round(np.clip(coloured, 0, 1) * 255).astype(np.uint8)
    if reading.labels is not None:
        for structure, edge in edges(_slice(reading.labels, number), size).items():
            drawn8[edge] = COLOURS[(structure - 1) % len(COLOURS)]
    return _with_words(drawn8, reading, number) if words else drawn8


def _slice(values: NDArray[Any], number: int) -> NDArray[Any]:
    return values if values.ndim == 2 else values[number]


def _with_words(drawn: Picture, reading: Reading, number: int) -> Picture:
    """Write beneath a picture; its own pixels stay free of letters."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    there = set(np.unique(_slice(reading.labels, number)).tolist()) if reading.labels is not None else set()
    lines: list[tuple[str, tuple[int, int, int]]] = [
        (_plain(name), COLOURS[at % len(COLOURS)])
        for at, name in enumerate(reading.structures)
        if at + 1 in there
    ]
    white = (255, 255, 255)
    lines += [
        (_plain(f"{reading.question.task}: {one.output} {one.value:.3g}"), white)
        for one in reading.answers[:4]
    ]
    lines += [(_plain(reading.reader.model), white), (CAUTION, white)]
    font = ImageFont.load_default(_LETTERS)
    step = _LETTERS + 5
    wide = max(drawn.shape[1], *(int(font.getlength(text)) + 12 for text, _ in lines))
    canvas = np.zeros((drawn.shape[0] + step * len(lines) + 6, wide, 3), np.uint8)
    canvas[: drawn.shape[0], : drawn.shape[1]] = drawn
    sheet = Pillow.fromarray(canvas)
    pen = ImageDraw.Draw(sheet)
    for at, (text, colour) in enumerate(lines):
        pen.text((6, drawn.shape[0] + 3 + step * at), text, fill=colour, font=font)
    return np.asarray(sheet).copy()


def _plain(text: str) -> str:
    """Leave what the built-in letters have."""
    return text.encode("latin-1", "replace").decode("latin-1")
