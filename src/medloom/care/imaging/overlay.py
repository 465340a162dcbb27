"""Slices as people look at them: windowed, with contours of what was outlined or a map of where a model looked."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medloom.care.imaging.objects import CAUTION
from medloom.care.imaging.reading import Reading
from medloom.explanation.heat_maps import overlaid
from medloom.record.imaging.image import Image

Picture = NDArray[np.uint8]

# Okabe and Ito's palette, without black: told apart by all eyes
COLOURS: Final = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0))
_SIDE: Final = 512  # px that the longer side of a small picture is enlarged to
_DARKEST, _BRIGHTEST = 0.5, 99.5  # percentiles, where nobody says how to show it
_LINE: Final = 2  # px
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
    size = _size(image)
    grey = _resized(drawn, size)
    if reading.heat is not None:
        heat = _slice(reading.heat, number)
        highest = float(np.clip(reading.heat, 0, None).max()) or 1.0
        here = float(np.clip(heat, 0, None).max()) / highest
        wide = np.asarray(_resized(heat.astype(np.float32), size))
        drawn8 = overlaid(grey.mean(-1) if grey.ndim == 3 else grey, wide, _HEAT * here**0.5)
    else:
        coloured = grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, -1)
        drawn8 = np.round(np.clip(coloured, 0, 1) * 255).astype(np.uint8)
    if reading.labels is not None:
        _contours(drawn8, _slice(reading.labels, number), size)
    return _with_words(drawn8, reading, number) if words else drawn8


def shown(image: Image, number: int) -> NDArray[np.float32]:
    """Give a slice as it is looked at, 0 black and 1 white: (height, width), of colours (height, width, 3).

    Its maker's window counts (PS3.3 section C.11.2.1.2); where there is none, 8 bits are shown as they are, and other
    images between the 0.5th and the 99.5th percentile of all pixels.
    """
    pixels = image.pixels if image.dimensions == 2 else image.pixels[:, number]
    low, high = _ends(image)
    values = np.clip((pixels.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    grey: NDArray[np.float32] = np.moveaxis(values, 0, -1) if len(pixels) == 3 else values[0]
    return grey


def _ends(image: Image) -> tuple[float, float]:
    if image.window is not None and image.channels == 1:
        centre, width = image.window
        return centre - width / 2, centre + width / 2
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    finite = image.pixels[np.isfinite(image.pixels)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(finite, (_DARKEST, _BRIGHTEST)))
    return (low, high) if high > low else (float(finite.min()), float(finite.max()))


def _size(image: Image) -> tuple[int, int]:
    """Give the size a slice is drawn in: not smaller than it is, and of square pixels."""
    height, width = image.shape[-2:]
    down, across = image.spacing[-2:] if image.spacing is not None else (1.0, 1.0)
    unit = min(down, across)
    tall, wide = height * down / unit, width * across / unit
    larger = max(1.0, _SIDE / max(tall, wide))
    return max(1, round(tall * larger)), max(1, round(wide * larger))


def _slice(values: NDArray[Any], number: int) -> NDArray[Any]:
    return values if values.ndim == 2 else values[number]


def _resized(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate (height, width) or (height, width, 3) linearly."""
    from PIL import Image as Pillow

    planes = values[..., None] if values.ndim == 2 else values
    made = [
        np.asarray(Pillow.fromarray(np.ascontiguousarray(planes[..., at])).resize(size[::-1], 2))
        for at in range(planes.shape[-1])
    ]
    return made[0] if values.ndim == 2 else np.stack(made, -1)


def _contours(drawn: Picture, labels: NDArray[np.uint8], size: tuple[int, int]) -> None:
    """Draw where each structure ends, inside of it."""
    rows = np.minimum((np.arange(size[0]) + 0.5) * labels.shape[0] / size[0], labels.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(size[1]) + 0.5) * labels.shape[1] / size[1], labels.shape[1] - 1).astype(
        int
    )
    wide = labels[rows][:, columns]
    for number in np.unique(wide[wide > 0]).tolist():
        mask = wide == number
        edge = mask & ~ndimage.binary_erosion(mask, iterations=_LINE)
        drawn[edge] = COLOURS[(number - 1) % len(COLOURS)]


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
