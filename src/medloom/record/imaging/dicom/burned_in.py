"""Text burned into pictures, found by its shape and blanked (Clean Pixel Data Option, PS3.15 section E.3.1).

There is no reading of letters: small shapes of one brightness, much brighter or darker than what is around them, that
stand side by side in a row are taken for text. Ultrasound that says where its image lies is blanked everywhere else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.elements import encoded, inside, items
from medloom.record.imaging.dicom.layout import EXPLICIT_LITTLE, Layout, check_pixels
from medloom.record.imaging.dicom.unpacking import unpacked, with_pixels

Box: TypeAlias = tuple[int, int, int, int]
"""Top, left, bottom, right, of which the last two lie outside."""

_THICKEST: Final = 9  # px: wider strokes are no text
_CONTRAST: Final = 0.16  # of the picture's range, between text and what is around it
_UNEVEN: Final = 0.12  # of the range: how far the brightness of letters in a row is apart at most
_SMALLEST, _LARGEST = 5, 72  # px: height of letters
_TALL: Final = 24  # px that letters may be tall in the smallest picture; else a tenth of its height
_SOFT: Final = 0.35  # of a letter's contrast, by which its core may be uneven where pictures are compressed
_CORE: Final = 0.75  # of a letter's pixels, from the darkest on, may be its soft edge
_FEWEST: Final = 3  # letters in a row
_MARGIN: Final = 3  # px around a row
_MOST_FRAMES: Final = 64  # of a film that are searched
_PIXELS: Final = 0x7FE00010
_REGIONS: Final = 0x00186011


@dataclass(frozen=True)
class Blanked:
    """A file whose pixels were changed: its parts, and the elements that take the place of its own."""

    layout: Layout
    elements: dict[int, bytes] = field(repr=False)


def without_text(layout: Layout) -> Blanked | None:
    """Blank the text in a file's pictures; None: there is none, or there are no pictures.

    Raises:
        InputError: its pixels cannot be read.
    """
    if layout.pixels is None or layout.pixels.tag != _PIXELS:
        return None
    check_pixels(layout)
    frames = _native(layout) if layout.native else _unpacked(layout)  # (frames, height, width, channels)
    boxes = _outside(layout, frames.shape[1], frames.shape[2])
    for number in np.unique(np.linspace(0, len(frames) - 1, _MOST_FRAMES).astype(int)):
        boxes += text_boxes(_brightness(layout, frames[number]))
    if not boxes:
        return None
    darkest = _darkest(layout, frames)
    for top, left, bottom, right in boxes:
        frames[:, top:bottom, left:right] = darkest
    encoding = layout.encoding
    order: Literal["<", ">"] = ">" if encoding.big else "<"
    content = frames.astype(frames.dtype.newbyteorder(order), copy=False).tobytes()
    vr = "OB" if frames.dtype.itemsize == 1 and not encoding.implicit else "OW"
    # whether burned-in text is left, (0028,0301), a person says who has looked
    new = {_PIXELS: encoded(_PIXELS, vr, content, encoding)}
    if frames.shape[-1] == 3:
        new[0x00280006] = encoded(0x00280006, "US", struct.pack(f"{order}H", 0), encoding)
        if not layout.native:
            new[0x00280004] = encoded(0x00280004, "CS", b"RGB", encoding)
    syntax = layout.transfer_syntax if layout.native else EXPLICIT_LITTLE
    return Blanked(replace(layout, transfer_syntax=syntax), new)


def text_boxes(picture: NDArray[Any]) -> list[Box]:
    """Find rows of letters in a grey picture (height, width).

    >>> text_boxes(np.zeros((40, 40)))
    []
    """
    low, high = float(picture.min()), float(picture.max())
    if high <= low or min(picture.shape) < _THICKEST:
        return []
    grey = (picture.astype(np.float32) - low) / (high - low)
    return [
        box for shown in (grey, 1 - grey) for box in _rows(_shapes(shown), picture.shape[0], picture.shape[1])
    ]


@dataclass(frozen=True)
class _Shape:
    """Something much brighter than what is around it."""

    top: int
    left: int
    bottom: int
    right: int
    brightness: float
    letter: bool  # it looks like one

    @property
    def height(self) -> int:
        return self.bottom - self.top


def _shapes(grey: NDArray[np.float32]) -> list[_Shape]:
    """Find thin, bright strokes, and which of them look like letters: of one brightness, and neither long nor a bar."""
    from scipy import ndimage

    around = ndimage.grey_opening(grey, size=(_THICKEST, _THICKEST))
    above = grey - around
    labels, _ = ndimage.label(above > _CONTRAST, structure=np.ones((3, 3)))
    tallest = min(_LARGEST, max(_TALL, grey.shape[0] // 10))
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        height, width = (part.stop - part.start for part in place)
        if height > tallest or width > 12 * tallest:
            continue
        inside_it = labels[place] == number
        values = grey[place][inside_it]
        core = values[values >= np.quantile(values, _CORE)]  # without the soft edge
        letter = (
            height >= _SMALLEST
            and width <= 3 * height
            and len(values) >= height // 2
            and float(np.ptp(core)) <= max(_UNEVEN, _SOFT * float(above[place][inside_it].max()))
            and not (inside_it.mean() > 0.95 and width > 2 and height > 2 * width)
        )
        top, left = place[0].start, place[1].start
        found.append(_Shape(top, left, top + height, left + width, float(core.max()), letter))
    return sorted(found, key=lambda shape: shape.left)


def _rows(shapes: list[_Shape], height: int, width: int) -> list[Box]:
    """Join letters that stand side by side; gives the rows of enough of them, with all that stands in them."""
    rows: list[list[_Shape]] = []
    for shape in shapes:
        if not shape.letter:
            continue
        fitting = (row for row in rows if any(_beside(one, shape) for one in row[-3:]))
        if row := next(fitting, None):
            row.append(shape)
        else:
            rows.append([shape])
    found = []
    for row in rows:
        if len(row) < _FEWEST:
            continue
        tall = max(one.height for one in row)
        top, bottom = min(one.top for one in row) - tall // 4, max(one.bottom for one in row) + tall // 4
        left, right = _extent(row, [one for one in shapes if one.top < bottom and one.bottom > top], tall)
        box = (top - _MARGIN, left - _MARGIN - tall // 2, bottom + _MARGIN, right + _MARGIN + tall // 2)
        found.append((max(box[0], 0), max(box[1], 0), min(box[2], height), min(box[3], width)))
    return found


def _extent(row: list[_Shape], level: list[_Shape], tall: int) -> tuple[int, int]:
    """Tell how far a row reaches: on to whatever stands beside it, up to a wide space between two words away."""
    left, right = min(one.left for one in row), max(one.right for one in row)
    while True:
        reached = [
            one
            for one in level
            if one.height <= 2 * tall and one.right > left - 1.5 * tall and one.left < right + 1.5 * tall
        ]
        further = min(one.left for one in reached), max(one.right for one in reached)
        if further[0] >= left and further[1] <= right:
            return left, right
        left, right = min(left, further[0]), max(right, further[1])


def _beside(left: _Shape, right: _Shape) -> bool:
    low, high = sorted((left.height, right.height))
    shared = min(left.bottom, right.bottom) - max(left.top, right.top)
    return (
        high <= 1.8 * low
        and shared >= 0.6 * low
        and right.left - left.right <= 1.6 * high
        and abs(left.brightness - right.brightness) <= _UNEVEN
    )


def _outside(layout: Layout, height: int, width: int) -> list[Box]:
    """Give what lies outside the regions of an ultrasound picture (PS3.3 section C.8.5.5), as boxes."""
    element = layout.by_tag.get(_REGIONS)
    if element is None:
        return []
    order = ">" if layout.encoding.big else "<"
    inner = inside(element, layout.encoding)
    edges = []
    for item in items(layout.body, element, inner, 0):
        told = {one.tag: bytes(layout.body[one.value : one.end]) for one in item}
        raw = [told.get(tag, b"") for tag in (0x0018601A, 0x00186018, 0x0018601E, 0x0018601C)]
        if all(len(one) == 4 for one in raw):
            edges.append([struct.unpack(f"{order}I", one)[0] for one in raw])
    if not edges:
        return []
    top, left = (min(edge[place] for edge in edges) for place in (0, 1))
    bottom, right = (max(edge[place] for edge in edges) + 1 for place in (2, 3))
    if not (top < bottom <= height and left < right <= width):
        return []
    boxes = [
        (0, 0, top, width),
        (bottom, 0, height, width),
        (top, 0, bottom, left),
        (top, right, bottom, width),
    ]
    return [box for box in boxes if box[0] < box[2] and box[1] < box[3]]


def _native(layout: Layout) -> NDArray[Any]:
    """Read uncompressed pixels, to be changed: (frames, height, width, channels)."""
    pixels = layout.pixels
    assert pixels is not None
    bits, samples = layout.integer(0x00280100, 0), layout.integer(0x00280002, 1)
    if bits not in (8, 16, 32) or (samples == 3 and layout.text(0x00280004) == "YBR_FULL_422"):
        raise InputError("text cannot be looked for in pixels of this kind; import without clean_pixels")
    signed = "i" if layout.integer(0x00280103, 0) else "u"
    kind = np.dtype(f"{'>' if layout.encoding.big else '<'}{signed}{bits // 8}")
    frames = int((layout.numbers(0x00280008) or [1.0])[0])
    rows, columns = layout.integer(0x00280010, 0), layout.integer(0x00280011, 0)
    count = frames * rows * columns * samples
    values = np.frombuffer(layout.body, kind, count, pixels.value)
    if samples > 1 and layout.integer(0x00280006, 0):
        return np.moveaxis(values.reshape(frames, samples, rows, columns), 1, -1).copy()
    return values.reshape(frames, rows, columns, samples).copy()


def _unpacked(layout: Layout) -> NDArray[Any]:
    """Read compressed pixels: (frames, height, width, channels); colours become red, green and blue."""
    frames = np.stack(list(unpacked(with_pixels(layout))))
    if frames.dtype.itemsize * 8 != layout.integer(0x00280100, 0):
        raise InputError("text cannot be looked for in pixels of this kind; import without clean_pixels")
    return np.ascontiguousarray(frames if frames.ndim == 4 else frames[..., None])


def _ybr(layout: Layout) -> bool:
    return layout.text(0x00280004).startswith("YBR")


def _brightness(layout: Layout, frame: NDArray[Any]) -> NDArray[Any]:
    """Give how bright each place of a frame (height, width, channels) is shown: (height, width)."""
    shades = _shades(layout)
    if shades is not None:
        first = int((layout.numbers(0x00281101) or [0.0, 0.0])[1])
        return shades[np.clip(frame[..., 0].astype(np.int64) - first, 0, len(shades) - 1)]
    brightness: NDArray[Any] = frame[..., 0] if layout.native and _ybr(layout) else frame.max(-1)
    return brightness


def _shades(layout: Layout) -> NDArray[np.int64] | None:
    """Give how bright the colours of a palette are; None: there is none, or it is cut into segments."""
    if not layout.text(0x00280004).startswith("PALETTE"):
        return None
    kind = ">u2" if layout.encoding.big else "<u2"
    tables = [
        np.frombuffer(layout.raw(tag), kind).astype(np.int64) for tag in (0x00281201, 0x00281202, 0x00281203)
    ]
    if not all(len(one) and len(one) == len(tables[0]) for one in tables):
        return None
    shades: NDArray[np.int64] = np.max(tables, axis=0)
    return shades


def _darkest(layout: Layout, frames: NDArray[Any]) -> Any:
    shades = _shades(layout)
    if shades is not None:
        first = int((layout.numbers(0x00281101) or [0.0, 0.0])[1])
        return first + int(shades.argmin())
    if layout.native and _ybr(layout) and frames.shape[-1] == 3:
        return np.array([0, 128, 128], frames.dtype)
    if layout.text(0x00280004) == "MONOCHROME1":
        return frames.max()
    return frames.min() if frames.shape[-1] == 1 else 0
