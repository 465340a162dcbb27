"""Images as a browser reads them: a header in JSON and plain numbers behind it, and small pictures of them."""

from __future__ import annotations

import gzip
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.record.assets import Assets
from medloom.record.imaging.image import Image
from medloom.record.imaging.reading import read_image

MAGIC: Final = b"MLIM"
WHOLE: Final = 64 << 20
"""Bytes; a larger volume is sent in pieces of some slices."""
PIECE: Final = 8 << 20
"""Bytes of a piece, unless one slice is larger."""

_KEPT: Final = 768 << 20  # bytes of images in memory: two CT of 512 x 512 x 300 with outlines, and some
_AT_ONCE: Final = 2  # files being read: memory of these is beside what is kept
_THUMB: Final = 176  # pixels of the longer side
_SOFT_TISSUE: Final = (40.0, 400.0)  # HU
_LOOKED_AT: Final = 400_000  # pixels that tell the usual brightness
_LETTERS: Final = (("R", "L"), ("A", "P"), ("I", "S"))  # DICOM PS3.3 C.7.6.2.1.1: x to the left, y back, z up
_PLANES: Final = ("sagittal", "coronal", "axial")
_OBLIQUE: Final = 0.35  # of a direction: from there a second letter is told


@dataclass(frozen=True)
class Plane:
    """How one plane of an image is shown.

    Attributes:
        name: `axial`, `coronal`, `sagittal`; empty: where the image lies in the patient is not known.
        across, down: axes of the image that run to the right and down.
        turned: whether each runs against its axis.
    """

    name: str
    across: int
    down: int
    turned: tuple[bool, bool]


@dataclass(frozen=True)
class Wire:
    """An image, ready to be sent.

    Attributes:
        header: plain JSON values.
        pixels: (depth, height, width), or with 3 colours behind; 8 or 16 bits, little-endian.
    """

    header: dict[str, Any]
    pixels: NDArray[Any] = field(repr=False)

    @property
    def is_whole(self) -> bool:
        """Tell whether it is sent at once."""
        return self.pixels.nbytes <= WHOLE

    def content(self) -> bytes:
        """Give the header and, of an image that is sent at once, its pixels."""
        return self._head(self.is_whole) + (self.pixels.tobytes() if self.is_whole else b"")

    def packed(self) -> bytes:
        """Give header and pixels at once, packed by gzip: of outlines, a few large areas, next to nothing remains."""
        head = self._head(whole=True)
        return gzip.compress(head + self.pixels.tobytes(), 1, mtime=0)

    @property
    def slices_a_piece(self) -> int:
        """Tell how many slices are sent together."""
        slice_bytes: int = self.pixels[0].nbytes
        return max(1, PIECE // max(1, slice_bytes))

    def piece(self, number: int) -> bytes:
        """Give the pixels of the slices of one piece, counted from 0; the last one may have fewer.

        Raises:
            InputError: there is no such piece.
        """
        first = number * self.slices_a_piece
        if not 0 <= first < len(self.pixels):
            raise InputError("the image has {n} slices", n=len(self.pixels))
        content: bytes = self.pixels[first : first + self.slices_a_piece].tobytes()
        return content

    def _head(self, whole: bool) -> bytes:
        head = orjson.dumps({**self.header, "whole": whole, "piece": self.slices_a_piece})
        head += b" " * (-(len(head) + 8) % 8)  # numbers begin at a multiple of their size
        return MAGIC + struct.pack("<I", len(head)) + head


class ImageShelf:
    """Images that were read lately, kept in memory within a bound; threads may share it."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = threading.BoundedSemaphore(_AT_ONCE)
        self._being_made: dict[tuple[str, str], threading.Lock] = {}

    def image(self, assets: Assets, asset: str) -> Image:
        """Read an image.

        Raises:
            InputError: it is damaged, or what reads it is not installed.
            NotFoundError, IntegrityError, KeyUnavailableError: as `Assets.open`.
        """

        def read() -> _Kept:
            with self._reading, assets.open(asset) as file:
                made = read_image(file)
            return _Kept.of(made, made.pixels)

        found: Image = self._once(("image", asset), read)
        return found

    def wire(self, assets: Assets, asset: str) -> Wire:
        """Give an image as it is sent; raises as `image`."""

        def make() -> _Kept:
            made = wire_of(self.image(assets, asset))
            return _Kept.of(made, made.pixels)

        found: Wire = self._once(("wire", asset), make)
        return found

    def outline(self, assets: Assets, asset: str) -> bytes:
        """Give an outline as it is sent, packed; raises as `image`."""

        def make() -> _Kept:
            made = wire_of(self.image(assets, asset)).packed()
            return _Kept(made, len(made), id(made))

        found: bytes = self._once(("outline", asset), make)
        return found

    def thumbnail(self, assets: Assets, asset: str) -> bytes:
        """Give a small PNG of an image; raises as `image`."""

        def make() -> _Kept:
            made = thumbnail_of(self.image(assets, asset))
            return _Kept(made, len(made), id(made))

        found: bytes = self._once(("thumbnail", asset), make)
        return found

    def _once(self, key: tuple[str, str], make: Callable[[], _Kept]) -> Any:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key].made
            making = self._being_made.setdefault(key, threading.Lock())
        with making:  # a large file is not read by several at once
            with self._lock:
                if key in self._kept:
                    return self._kept[key].made
            try:
                kept = make()
            except BaseException:
                with self._lock:
                    self._forget(key, making)
                raise
            with self._lock:
                self._forget(key, making)
                self._kept[key] = kept
                self._kept.move_to_end(key)
                while self._size() > self._most and len(self._kept) > 1:
                    self._kept.popitem(last=False)
        return kept.made

    def _forget(self, key: tuple[str, str], making: threading.Lock) -> None:
        if self._being_made.get(key) is making:
            del self._being_made[key]

    def _size(self) -> int:
        return sum({one.buffer: one.size for one in self._kept.values()}.values())


@dataclass(frozen=True)
class _Kept:
    """What was made of a file: its bytes in memory, and which memory that is, since an image may be sent as it is."""

    made: Any = field(repr=False)
    size: int
    buffer: int

    @classmethod
    def of(cls, made: Any, pixels: NDArray[Any]) -> _Kept:
        """Count what pixels hold in memory: of a view, such as one channel of several, all that it is a view of."""
        owner = pixels
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        return cls(made, owner.nbytes, id(owner))


def wire_of(image: Image) -> Wire:
    """Make an image ready to be sent: one grey channel of 8 or 16 bits, or three colours of 8.

    Numbers that do not fit 16 bits are sent on a scale: a pixel is `slope` times what is sent plus `intercept`.
    """
    pixels, slope, intercept = _numbers(image)
    stacked = pixels if image.dimensions == 3 else pixels[:, None]
    placed = np.ascontiguousarray(np.moveaxis(stacked, 0, -1) if image.channels == 3 else stacked[0])
    affine = image.affine
    shape = [int(n) for n in placed.shape[:3]]
    flat = image.dimensions == 2
    known = image.spacing
    header = {
        "shape": shape,
        "colours": 3 if image.channels == 3 else 1,
        "type": {"uint8": "u1", "int16": "i2", "uint16": "u2"}[placed.dtype.name],
        "slope": slope,
        "intercept": intercept,
        "spacing": None if known is None else [1.0, *known] if flat else list(known),
        "affine": None if affine is None else [[float(one) for one in row] for row in affine],
        "ends": ends_of(affine, flat),
        "planes": [vars(plane) for plane in planes_of(affine, flat)],
        "main": main_plane(image),
        "window": list(window_of(image)),
        "range": [float(placed.min()) * slope + intercept, float(placed.max()) * slope + intercept],
        "unit": image.unit,
        "modality": image.modality,
        "notes": list(image.notes),
    }
    return Wire(header, placed)


def window_of(image: Image) -> tuple[float, float]:
    """Give the centre and width that an image is first shown with.

    >>> window_of(Image(np.zeros((1, 2, 2), np.uint8)))
    (127.5, 255.0)
    """
    if image.window is not None:
        return image.window
    if image.unit == "HU":
        return _SOFT_TISSUE
    if image.pixels.dtype == np.uint8:
        return 127.5, 255.0
    flat = image.pixels[0].reshape(-1)
    some = flat[:: max(1, flat.size // _LOOKED_AT)].astype(np.float64)
    some = some[np.isfinite(some)]
    low, high = np.percentile(some, (0.5, 99.5)) if some.size else (0.0, 1.0)
    if high <= low:
        low, high = (float(some.min()), float(some.max())) if some.size else (0.0, 1.0)
    return float(low + high) / 2, max(float(high - low), 1e-6)


def ends_of(affine: NDArray[np.float64] | None, flat: bool) -> list[list[str]] | None:
    """Name the ends of each axis (slice, row, column) in the patient: of what comes first, and last.

    >>> ends_of(np.diag([1.0, 1, 1, 1])[[2, 1, 0, 3]], False)
    [['I', 'S'], ['A', 'P'], ['R', 'L']]
    """
    if affine is None:
        return None
    named = []
    for axis in range(3):
        step = affine[:3, axis]
        long = float(np.linalg.norm(step))
        if long == 0 or (flat and axis == 0):
            named.append(["", ""])
            continue
        share = step / long
        told = [one for one in np.argsort(-np.abs(share), kind="stable") if abs(share[one]) >= _OBLIQUE][:2]
        ends = [
            "".join(_LETTERS[one][int((share[one] > 0) == last)] for one in told) for last in (False, True)
        ]
        named.append(ends)
    return named


def planes_of(affine: NDArray[np.float64] | None, flat: bool) -> list[Plane]:
    """Say how the planes across each axis are shown: the patient's right on the left, front or head on top.

    A single picture is shown as it was made.

    >>> [plane.name for plane in planes_of(np.diag([1.0, 1, 1, 1])[[2, 1, 0, 3]], False)]
    ['axial', 'coronal', 'sagittal']
    """
    if affine is None or flat:
        return [
            Plane("", 2, 1, (False, False)),
            Plane("", 2, 0, (False, False)),
            Plane("", 1, 0, (False, False)),
        ]
    runs = _main_directions(affine)
    planes = []
    for axis in range(3):
        across, down = sorted((one for one in range(3) if one != axis), key=lambda one: runs[one][0])
        turned_down = (runs[down][1] > 0) == (runs[down][0] == 2)  # the head is up, the front too
        planes.append(Plane(_PLANES[runs[axis][0]], across, down, (runs[across][1] < 0, turned_down)))
    return planes


def main_plane(image: Image) -> int:
    """Choose the axis that one scrolls along first: slices lie in a coarse volume's own plane, else axial."""
    if image.dimensions == 2:
        return 0
    spacing = image.spacing
    if image.affine is None or (spacing is not None and spacing[0] > 1.5 * max(spacing[1:])):
        return 0
    return next(axis for axis, (runs, _) in enumerate(_main_directions(image.affine)) if runs == 2)


def thumbnail_of(image: Image) -> bytes:
    """Draw the middle of an image as a small PNG."""
    from medloom.record.imaging.pictures import as_png

    flat = image.dimensions == 2
    axis = main_plane(image)
    volume = image.pixels[:, None] if flat else image.pixels
    plane = planes_of(image.affine, flat)[axis]
    middle = np.take(volume, volume.shape[1 + axis] // 2, axis=1 + axis)
    if plane.across < plane.down:
        middle = middle.transpose(0, 2, 1)
    for place, turned in ((2, plane.turned[0]), (1, plane.turned[1])):
        middle = np.flip(middle, place) if turned else middle
    spacing = (1.0, *image.spacing) if flat and image.spacing else image.spacing or (1.0, 1.0, 1.0)
    wide, high = middle.shape[2] * spacing[plane.across], middle.shape[1] * spacing[plane.down]
    scale = _THUMB / max(wide, high)
    small = _shrunk(middle, max(1, round(high * scale)), max(1, round(wide * scale)))
    if image.channels == 3:
        return as_png(small.round().astype(np.uint8))
    centre, width = window_of(image)
    grey = np.clip((np.nan_to_num(small[:1], nan=centre - width) - centre) / width + 0.5, 0, 1) * 255
    return as_png(grey.round().astype(np.uint8))


def _numbers(image: Image) -> tuple[NDArray[Any], float, float]:
    """Give pixels of 8 or 16 bits, and the slope and intercept that make them what they were."""
    pixels = image.pixels if image.channels in (1, 3) else image.pixels[:1]
    if pixels.dtype == np.bool_ or image.channels == 3:
        return pixels.astype(np.uint8, copy=False), 1.0, 0.0
    if pixels.dtype == np.uint8:
        return pixels, 1.0, 0.0
    exact = pixels.dtype.kind in "iu" or bool((np.isfinite(pixels) & (pixels == np.rint(pixels))).all())
    finite = pixels if pixels.dtype.kind != "f" else pixels[np.isfinite(pixels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    for name in ("int16", "uint16"):
        ends = np.iinfo(name)
        if exact and ends.min <= low and high <= ends.max:
            return pixels.astype("<i2" if name == "int16" else "<u2", copy=False), 1.0, 0.0
    slope = max(high - low, 1e-12) / 65535
    clean = np.nan_to_num(pixels.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((clean - low) / slope).astype("<u2"), slope, low


def _main_directions(affine: NDArray[np.float64]) -> list[tuple[int, float]]:
    """Tell of each axis which of the patient's axes it follows most, each once, and which way."""
    steps = affine[:3, :3] / np.maximum(np.linalg.norm(affine[:3, :3], axis=0), 1e-12)
    free, found = {0, 1, 2}, dict[int, tuple[int, float]]()
    for axis in np.argsort(-np.abs(steps).max(axis=0), kind="stable").tolist():
        best = max(sorted(free), key=lambda one: abs(steps[one, axis]))
        free.discard(best)
        found[axis] = (best, float(steps[best, axis]))
    return [found[axis] for axis in range(3)]


def _shrunk(pixels: NDArray[Any], high: int, wide: int) -> NDArray[np.float64]:
    """Scale (channels, height, width) by the mean of what falls together."""
    told = pixels.astype(np.float64)
    for axis, n in ((1, high), (2, wide)):
        edges = np.linspace(0, told.shape[axis], n + 1)
        spans = [(int(a), max(int(a) + 1, int(np.ceil(b)))) for a, b in pairwise(edges)]
        parts = [np.take(told, range(a, min(b, told.shape[axis])), axis).mean(axis) for a, b in spans]
        told = np.stack(parts, axis)
    return told
