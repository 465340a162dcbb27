"""Places of an image in words, and the picture that shows where a model looked."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.heat_maps import overlaid
from medloom.foundation.messages import Text2, text2
from medloom.record.imaging.image import Image

Number = TypeVar("Number", float, NDArray[np.float64])

_PLACE: Final = re.compile(r"(?:slice (\d+) of (\d+), )?row (\d+) of (\d+), column (\d+) of (\d+)")
_LARGEST: Final = 640  # pixels a side, of what is drawn
_WINDOW: Final = (1.0, 99.0)  # percentiles, where the image's maker names no window


@dataclass(frozen=True)
class Spacing:
    """Where the middles of a map's places lie on what a model is shown, the same along each axis.

    Attributes:
        first: pixel of the first one's middle; the first pixel's own middle is 0.
        step: pixels from one to the next.

    >>> Spacing(0.0, 8.0).place(20.0)
    2.5
    """

    first: float
    step: float

    def place(self, pixel: Number) -> Number:
        """Tell which place lies at a pixel, or at each of several, from 0; between places too."""
        return (pixel - self.first) / self.step

    def pixel(self, place: float) -> float:
        """Tell at which pixel the middle of a place lies."""
        return self.first + self.step * place


@dataclass(frozen=True)
class Place:
    """A place of an image, among those that a model tells apart; all counted from 1.

    Attributes:
        slice, row, column: each with how many there are; no slice of a picture.
    """

    slice: tuple[int, int] | None
    row: tuple[int, int]
    column: tuple[int, int]

    @property
    def ninth(self) -> tuple[int, int]:
        """Tell in which of three rows and three columns of the picture it lies, from 0."""
        down, across = (
            min(2, (3 * (at - 1)) // n) if n > 2 else 2 * (at - 1) for at, n in (self.row, self.column)
        )
        return down, across

    @property
    def region(self) -> Text2:
        """Say in which ninth of the picture it lies."""
        down, across = self.ninth
        return _REGIONS[down][across]()

    @property
    def detail(self) -> Text2:
        """Say which place it is."""
        if self.slice is None:
            return text2(
                "row {row} of {rows}, column {column} of {columns}",
                row=self.row[0], rows=self.row[1], column=self.column[0], columns=self.column[1],
            )  # fmt: skip
        return text2(
            "slice {slice} of {slices}, row {row}, column {column}",
            slice=self.slice[0], slices=self.slice[1], row=self.row[0], column=self.column[0],
        )  # fmt: skip


def place_of(input: str) -> Place | None:
    """Read the name of an input as a place of an image; None: it is something else.

    >>> place_of("row 1 of 7, column 7 of 7").region.en
    'upper right of the picture'
    >>> place_of("age") is None
    True
    """
    found = _PLACE.fullmatch(input)
    if found is None:
        return None
    numbers = [None if one is None else int(one) for one in found.groups()]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    through, row, column = ((a, b) if a is not None and b is not None else None for a, b in pairs)
    assert row is not None and column is not None
    return Place(through, row, column)


def in_ninths(rows: pl.DataFrame) -> pl.DataFrame:
    """Sum an explanation's rows about places of an image by ninths of the picture, each told as a place of three by
    three; other rows stay as they are."""
    named = {name: place.ninth for name in rows["input"].unique() if (place := place_of(name)) is not None}
    if not named:
        return rows
    coarse = {
        name: f"row {down + 1} of 3, column {across + 1} of 3" for name, (down, across) in named.items()
    }
    placed = rows.with_columns(
        pl.col("input").replace(coarse),
        pl.lit(None, pl.Float64).alias("start"),
        pl.lit(None, pl.Float64).alias("end"),
    )
    same = [name for name in rows.columns if name != "contribution"]
    summed = placed.group_by(same, maintain_order=True).agg(pl.col("contribution").sum())
    return summed.select(rows.columns)


def heat_of(rows: pl.DataFrame) -> NDArray[np.float64]:
    """Put the shares of an explanation's rows, of one sample and output, into their places: (rows, columns) or with
    slices before."""
    places = [place_of(name) for name in rows["input"]]
    shapes = [
        (*((one.slice[1],) if one.slice else ()), one.row[1], one.column[1])
        for one in places
        if one is not None
    ]
    heat = np.zeros(shapes[0])
    for one, share in zip(places, rows["contribution"], strict=True):
        if one is not None:
            at = (*((one.slice[0] - 1,) if one.slice else ()), one.row[0] - 1, one.column[0] - 1)
            heat[at] = share
    return heat


def picture_with_heat(
    image: Image,
    heat: NDArray[np.float64],
    size: Sequence[int],
    spacing: Spacing | None = None,
    square: bool = True,
) -> str:
    """Draw an image with what speaks for an answer laid over it; of a volume the slice where most does: a data URI.

    Args:
        image: as it was read.
        heat: of places, as `heat_of` gives them.
        size: of what the model was shown.
        spacing: of the places on that; None: they divide it into equal blocks.
        square: whether the model saw the image filled up with black to a square, so that places lie on that.
    """
    from medloom.record.imaging.pictures import as_png

    grey = _grey(image)
    if grey.ndim == 3:
        sums = np.clip(heat, 0, None).reshape(len(heat), -1).sum(1) if heat.ndim == 3 else np.ones(1)
        there = _spacing(spacing, size[0], len(sums)).pixel(int(sums.argmax()))
        slice_ = int(np.clip((there + 0.5) / size[0] * len(grey), 0, len(grey) - 1))
        grey, heat = grey[slice_], heat[int(sums.argmax())] if heat.ndim == 3 else heat
    spread = _spread(heat, _small(grey).shape, size[-2:], spacing, square)
    return "data:image/png;base64," + base64.b64encode(
        as_png(overlaid(_small(grey), spread).transpose(2, 0, 1))
    ).decode("ascii")


def _grey(image: Image) -> NDArray[np.float64]:
    pixels = image.pixels.astype(np.float64).mean(0)
    if image.window is not None:
        centre, width = image.window
        low, high = centre - width / 2, centre + width / 2
    elif image.pixels.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = np.nanpercentile(pixels, _WINDOW)
    unit: NDArray[np.float64] = np.clip((np.nan_to_num(pixels) - low) / max(high - low, 1e-9), 0, 1)
    return unit


def _small(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    step = -(-max(grey.shape) // _LARGEST)
    return grey[::step, ::step]


def _spread(
    heat: NDArray[np.float64],
    shape: tuple[int, ...],
    size: Sequence[int],
    spacing: Spacing | None,
    square: bool,
) -> NDArray[np.float64]:
    """Spread a grid over a picture of some shape, smoothly."""
    from scipy.ndimage import map_coordinates

    side = max(shape) if square else 0
    axes = []
    for n, places, pixels in zip(shape, heat.shape, size, strict=True):
        whole = side or n
        shown = (np.arange(n) + (whole - n) / 2 + 0.5) / whole * pixels - 0.5
        axes.append(_spacing(spacing, pixels, places).place(shown))
    spread: NDArray[np.float64] = map_coordinates(
        heat, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest"
    )
    return spread


def _spacing(spacing: Spacing | None, pixels: int, places: int) -> Spacing:
    """Give the spacing, or that of equal blocks."""
    block = pixels / places
    return spacing or Spacing(block / 2 - 0.5, block)


_REGIONS: Final = (
    (
        lambda: text2("upper left of the picture"),
        lambda: text2("upper middle of the picture"),
        lambda: text2("upper right of the picture"),
    ),
    (
        lambda: text2("middle left of the picture"),
        lambda: text2("middle of the picture"),
        lambda: text2("middle right of the picture"),
    ),
    (
        lambda: text2("lower left of the picture"),
        lambda: text2("lower middle of the picture"),
        lambda: text2("lower right of the picture"),
    ),
)
