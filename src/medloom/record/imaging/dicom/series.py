"""Files of one series become an image: pictures in the order in which they lie in the patient, in values."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.geometry import OTHERS, Stack, normal, stacked
from medloom.record.imaging.dicom.header import Header, Picture, header_of
from medloom.record.imaging.dicom.layout import Layout, check_pixels, laid_open
from medloom.record.imaging.dicom.unpacking import unpacked, with_pixels
from medloom.record.imaging.image import Image

Opened: TypeAlias = Callable[[], bytes]

_MOST_BYTES: Final = 8 << 30
_AIR: Final = -1000  # HU


@dataclass(frozen=True)
class Place:
    """Which picture of which file a slice is, both counted from 0."""

    file: int
    number: int


def read_dicom(file: BinaryIO) -> Image:
    """Read one DICOM file: a picture, or a volume or film where it holds several.

    Values are in the unit of the modality (CT: Hounsfield units); MONOCHROME1 is turned, so that higher is brighter;
    colours become red, green and blue. The window is told, not applied.

    Raises:
        InputError: it is damaged, cut short, holds no pixels, or is packed in a way that cannot be read.
    """
    return _image([_rewinding(file)])


def read_series(files: Iterable[BinaryIO]) -> Image:
    """Read the files of one series, in any order.

    At any moment one of them is held in memory, and the image. `Image.notes` says where slices are missing, unevenly
    apart, at one place or of another orientation.

    Raises:
        InputError: as for `read_dicom`; they are of several series; there are none.
    """
    return _image([_rewinding(file) for file in files])


def read_series_archive(file: BinaryIO) -> Image:
    """Read a series from a zip of its files.

    Raises:
        InputError: as for `read_series`; the zip is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = sorted(one.filename for one in archive.infolist() if not one.is_dir())
            if any(one.file_size > _MOST_BYTES for one in archive.infolist()):
                raise InputError("a DICOM header claims more than 8 GB of pixels; cut the series into parts")
            return _image([lambda name=name: archive.read(name) for name in members])  # type: ignore[misc]
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError):
        raise InputError("an archive of a series is damaged; import it again") from None


def slices_of(files: Sequence[bytes]) -> list[Place]:
    """Tell which picture of which file each slice of the image is that `read_series` makes of these files.

    Raises:
        InputError: as for `read_series`.
    """
    return _ordered(_headers([lambda content=content: content for content in files])).places  # type: ignore[misc]


@dataclass(frozen=True)
class _Ordered:
    """Pictures in the order in which they lie in the patient."""

    places: list[Place]
    pictures: list[Picture]
    stack: Stack
    left_out: bool


def _rewinding(file: BinaryIO) -> Opened:
    def opened() -> bytes:
        file.seek(0)
        return file.read()

    return opened


def _headers(files: Sequence[Opened]) -> list[Header]:
    headers = []
    for opened in files:
        layout = laid_open(opened())
        check_pixels(layout)
        headers.append(header_of(layout))
    if not headers:
        raise InputError("a series has no files")
    if len({one.series for one in headers}) > 1:
        raise InputError(
            "these files are of {n} series; read one at a time", n=len({one.series for one in headers})
        )
    return headers


def _ordered(headers: Sequence[Header]) -> _Ordered:
    places, left_out = _alike(headers)
    pictures = [headers[one.file].pictures[one.number] for one in places]
    stack = stacked([one.plane for one in pictures])
    return _Ordered([places[n] for n in stack.order], [pictures[n] for n in stack.order], stack, left_out)


def _image(files: Sequence[Opened]) -> Image:
    headers = _headers(files)
    found = _ordered(headers)
    places, pictures, stack = found.places, found.pictures, found.stack
    first = headers[places[0].file]
    low, high, kind = _range(first, pictures)
    height, width = first.shape
    channels = 3 if first.colour else 1
    if channels * len(places) * height * width * np.dtype(kind).itemsize > _MOST_BYTES:
        raise InputError("a DICOM header claims more than 8 GB of pixels; cut the series into parts")
    pixels = np.zeros((channels, len(places), height, width), kind)
    rows = {place: row for row, place in enumerate(places)}
    for number, opened in enumerate(files):
        wanted = {one.number: row for one, row in rows.items() if one.file == number}
        if not wanted:
            continue
        for frame, stored in enumerate(_frames(laid_open(opened()), headers[number])):
            if frame in wanted:
                row = wanted[frame]
                pixels[:, row] = _values(stored, headers[number], pictures[row], (low, high), kind)
    notes = dict.fromkeys([*first.notes, *((OTHERS,) if found.left_out else ()), *stack.notes])
    return _placed(pixels, first, pictures, stack, (low, high), tuple(notes))


def _alike(headers: Sequence[Header]) -> tuple[list[Place], bool]:
    """List the pictures of the size and kind that most have, in the scanner's order; tell whether there are others."""
    kinds = Counter({(one.shape, one.colour): 0 for one in headers})
    for one in headers:
        kinds[one.shape, one.colour] += len(one.pictures)
    most = kinds.most_common(1)[0][0]
    fitting = [number for number, one in enumerate(headers) if (one.shape, one.colour) == most]
    fitting.sort(key=lambda number: headers[number].order)
    places = [Place(number, frame) for number in fitting for frame in range(len(headers[number].pictures))]
    return places, len(kinds) > 1


def _range(header: Header, pictures: Sequence[Picture]) -> tuple[float, float, DTypeLike]:
    """Tell the lowest and highest value there may be, and the smallest type that holds them."""
    if header.colour:
        return 0, 255, np.uint8
    if not header.bits:
        return 0, 0, np.float32
    low, high = (
        (-(1 << header.bits - 1), (1 << header.bits - 1) - 1)
        if header.signed
        else (0, (1 << header.bits) - 1)
    )
    if header.table is not None:
        low, high = int(header.table[1].min()), int(header.table[1].max())
    else:
        scales = {(one.slope, one.intercept) for one in pictures}
        ends = [end * slope + intercept for end in (low, high) for slope, intercept in scales]
        if not all(slope.is_integer() and intercept.is_integer() for slope, intercept in scales):
            return min(ends), max(ends), np.float32
        low, high = int(min(ends)), int(max(ends))
    if header.unit == "HU":
        low, high = max(low, -(1 << 15)), min(high, (1 << 15) - 1)
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return low, high, kind
    return low, high, np.float32


def _frames(layout: Layout, header: Header) -> Iterator[NDArray[Any]]:
    """Unpack the pictures of a file, one after the other: (height, width), or (height, width, 3) of 0 … 255."""
    from pydicom.pixels import apply_color_lut

    try:
        said = with_pixels(layout)
        del layout  # the bytes of the file: they are not needed any more
        for frame in unpacked(said):
            if not header.colour:
                yield frame
            elif frame.ndim == 2:
                coloured = apply_color_lut(frame, said)
                yield coloured if coloured.dtype.itemsize == 1 else coloured >> 8
            else:
                yield frame if header.bits <= 8 else frame >> (header.bits - 8)
    except (AttributeError, ValueError, NotImplementedError, KeyError, IndexError, TypeError):
        raise InputError("the pixels of a DICOM file cannot be unpacked; export it uncompressed") from None


def _values(
    stored: NDArray[Any], header: Header, picture: Picture, ends: tuple[float, float], kind: DTypeLike
) -> NDArray[Any]:
    """Turn stored numbers into values: (channels, height, width)."""
    if header.colour:
        return np.moveaxis(stored, -1, 0)
    numbers = _counting(stored, header)
    if header.table is not None:
        lowest, table = header.table
        values: NDArray[Any] = table[np.clip(numbers.astype(np.int64) - lowest, 0, len(table) - 1)]
    elif (picture.slope, picture.intercept) == (1.0, 0.0):
        values = numbers
    elif np.dtype(kind).kind == "f":
        values = numbers * np.float64(picture.slope) + picture.intercept
    else:
        values = numbers.astype(np.int32) * int(picture.slope) + int(picture.intercept)
    if header.inverted and header.unit != "HU":
        values = (
            int(ends[0] + ends[1]) - values.astype(np.int64)
            if values.dtype.kind in "iu"
            else sum(ends) - values
        )
    if header.unit == "HU" and values.dtype.kind in "iu":
        values = np.clip(values, int(ends[0]), int(ends[1]))
    values = values.astype(kind)
    if header.padding is not None:
        outside = (numbers >= header.padding[0]) & (numbers <= header.padding[1])
        if outside.any() and not outside.all():
            values[outside] = _AIR if header.unit == "HU" else values[~outside].min()
    return values[None]


def _counting(stored: NDArray[Any], header: Header) -> NDArray[Any]:
    """Keep the bits of stored numbers that count; above them old files keep overlays (PS3.5 section 8.1.2)."""
    spare = stored.dtype.itemsize * 8 - header.bits
    if stored.dtype.kind == "f" or spare <= 0:
        return stored
    return (stored << spare) >> spare


def _placed(
    pixels: NDArray[Any],
    header: Header,
    pictures: Sequence[Picture],
    stack: Stack,
    ends: tuple[float, float],
    notes: tuple[str, ...],
) -> Image:
    """Say where the pixels are."""
    first = pictures[0]
    one = len(pictures) == 1
    spacing: tuple[float, ...] | None = first.spacing
    affine = None
    step = stack.step
    if one and first.plane is not None:
        step = normal(first.plane) * (first.thickness or 1.0)
    if first.plane is not None and first.spacing is not None and step is not None:
        affine = np.eye(4)
        affine[:3, 0] = step
        affine[:3, 1] = np.array(first.plane.down) * first.spacing[0]
        affine[:3, 2] = np.array(first.plane.across) * first.spacing[1]
        affine[:3, 3] = first.plane.position
    if not one:
        spacing = None
        if first.spacing is not None and stack.step is not None:
            spacing = (float(np.linalg.norm(stack.step)), *first.spacing)
    window = first.window
    if window is not None and header.inverted and header.unit != "HU":
        window = (ends[0] + ends[1] - window[0], window[1])
    return Image(
        pixels[:, 0] if one else pixels, spacing, affine, header.modality, header.unit, window, notes
    )
