"""What the header of a file says of each of its pictures: place, scale, how stored numbers become values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.geometry import Plane, normal, plane
from medloom.record.imaging.dicom.layout import Layout
from medloom.record.imaging.dicom.unpacking import dataset

if TYPE_CHECKING:
    from pydicom import Dataset

DETECTOR: Final = "distances are those at the detector, not in the patient"
_MOST_FRAMES: Final = 1 << 20

# What tells several volumes at the same places apart comes before the number of the picture: else they would be mixed.
_ORDER: Final = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "EchoTime",
    "TriggerTime",
    "InstanceNumber",
)


@dataclass(frozen=True)
class Picture:
    """One picture of a file.

    Attributes:
        plane: where it lies; None: not told.
        spacing: mm between rows, and between columns; None: not told.
        slope: what stored numbers are multiplied by.
        intercept: what is then added.
        window: centre and width, in values; None: not told.
        thickness: mm; 0: not told.
    """

    plane: Plane | None
    spacing: tuple[float, float] | None
    slope: float = 1.0
    intercept: float = 0.0
    window: tuple[float, float] | None = None
    thickness: float = 0.0


@dataclass(frozen=True)
class Header:
    """What a file says of its pictures.

    Attributes:
        series: its SeriesInstanceUID.
        order: by which the scanner counts files.
        modality: as DICOM names it.
        unit: of values, as `Image.unit`.
        shape: (height, width) of each picture.
        colour: whether values are red, green and blue.
        inverted: whether low numbers are bright (MONOCHROME1).
        signed: whether stored numbers may be negative.
        bits: how many of each stored number count; 0: they are of floating type.
        padding: stored numbers from … to that are no part of the picture; None: there are none.
        table: by which stored numbers become values, in place of slope and intercept; None: there is none.
        pictures: of the file, in its order.
        notes: what a reader should know.
    """

    series: str
    order: tuple[float, ...]
    modality: str
    unit: str
    shape: tuple[int, int]
    colour: bool
    inverted: bool
    signed: bool
    bits: int
    padding: tuple[int, int] | None
    table: tuple[int, NDArray[np.int64]] | None
    pictures: list[Picture] = field(repr=False)
    notes: tuple[str, ...] = ()


def header_of(layout: Layout) -> Header:
    """Read what a file says of its pictures.

    Raises:
        InputError: what it says cannot be read.
    """
    try:
        return _header(dataset(layout))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, NotImplementedError):
        raise InputError("a DICOM header is damaged; export it again") from None


def _header(said: Dataset) -> Header:
    frames = int(said.get("NumberOfFrames") or 1)
    if frames > _MOST_FRAMES:
        raise ValueError
    photometric = str(said.get("PhotometricInterpretation", "")).strip()
    colour = int(said.get("SamplesPerPixel", 1)) == 3 or photometric == "PALETTE COLOR"
    modality = str(said.get("Modality") or "OT").strip().upper()
    signed = bool(said.get("PixelRepresentation", 0))
    scale = _transformation(said) or said
    notes = (DETECTOR,) if "PixelSpacing" not in said and "ImagerPixelSpacing" in said else ()
    return Header(
        str(said.get("SeriesInstanceUID", "")),
        tuple(_number(said, name) for name in _ORDER),
        modality,
        _unit(said, scale, modality),
        (int(said.Rows), int(said.Columns)),
        colour,
        photometric == "MONOCHROME1",
        signed,
        int(said.get("BitsStored") or said.get("BitsAllocated") or 8),
        None if colour else _padding(said),
        _table(said, signed),
        list(_pictures(said, frames)),
        notes,
    )


def _pictures(said: Dataset, frames: int) -> Iterator[Picture]:
    """Give what is said of each picture: by functional groups (PS3.3 C.7.6.16), else by the header as a whole."""
    shared = _first(said, "SharedFunctionalGroupsSequence")
    each = said.get("PerFrameFunctionalGroupsSequence") or []
    if shared is None and not each:
        yield from _of_whole(said, frames)
        return
    for number in range(frames):
        groups = [one for one in (each[number] if number < len(each) else None, shared) if one is not None]
        place = _group(groups, "PlanePositionSequence") or said
        turned = _group(groups, "PlaneOrientationSequence") or said
        measures = _group(groups, "PixelMeasuresSequence") or said
        scale = _group(groups, "PixelValueTransformationSequence") or said
        shown = _group(groups, "FrameVOILUTSequence") or said
        yield Picture(
            _plane(place, turned),
            _spacing(measures),
            _number(scale, "RescaleSlope", 1.0) or 1.0,
            _number(scale, "RescaleIntercept"),
            _window(shown),
            _number(measures, "SliceThickness"),
        )


def _of_whole(said: Dataset, frames: int) -> Iterator[Picture]:
    slope = _number(said, "RescaleSlope", 1.0) or 1.0
    slope = _number(said, "DoseGridScaling", slope) or slope
    first, window = _plane(said, said), _window(said)
    offsets = np.atleast_1d(np.array(said.get("GridFrameOffsetVector") or [], dtype=np.float64))
    for number in range(frames):
        place = first if frames == 1 else None
        if first is not None and len(offsets) == frames:
            moved = np.array(first.position) + normal(first) * (offsets[number] - offsets[0])
            place = plane(moved.tolist(), (*first.across, *first.down))
        yield Picture(
            place,
            _spacing(said),
            slope,
            _number(said, "RescaleIntercept"),
            window,
            _number(said, "SliceThickness"),
        )


def _plane(place: Dataset, turned: Dataset) -> Plane | None:
    position, orientation = place.get("ImagePositionPatient"), turned.get("ImageOrientationPatient")
    if not position or not orientation:
        return None
    return plane([float(one) for one in position], [float(one) for one in orientation])


def _spacing(said: Dataset) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        told = said.get(name)
        if told and len(told) == 2 and min(float(one) for one in told) > 0:
            return float(told[0]), float(told[1])
    return None


def _window(said: Dataset) -> tuple[float, float] | None:
    centre, width = (_numbers(said, name) for name in ("WindowCenter", "WindowWidth"))
    if centre and width and width[0] >= 1:
        return centre[0], width[0]
    table = _first(said, "VOILUTSequence")
    if table is None:
        return None
    count, lowest = (int(one) for one in table.LUTDescriptor[:2])
    return lowest + (count or 1 << 16) / 2, float(count or 1 << 16)


def _padding(said: Dataset) -> tuple[int, int] | None:
    if said.get("PixelPaddingValue") is None:
        return None
    ends = [int(said.PixelPaddingValue), int(said.get("PixelPaddingRangeLimit") or said.PixelPaddingValue)]
    return min(ends), max(ends)


def _table(said: Dataset, signed: bool) -> tuple[int, NDArray[np.int64]] | None:
    """Read the Modality LUT (PS3.3 C.11.1): the stored number it begins with, and the values."""
    table = _first(said, "ModalityLUTSequence")
    if table is None:
        return None
    count, lowest, bits = (int(one) for one in table.LUTDescriptor)
    if signed and lowest >= 1 << 15:
        lowest -= 1 << 16
    told: Any = table.LUTData
    if isinstance(told, bytes):
        told = np.frombuffer(told, "<u2" if len(told) >= 2 * (count or 1 << 16) else "u1")
    values = np.asarray(told, dtype=np.int64)
    if not len(values) or bits > 16:
        raise ValueError
    return lowest, values


def _unit(said: Dataset, scale: Dataset, modality: str) -> str:
    """Name the unit of values; of CT as PS3.3 C.8.2.1.1.2 has it, where some makers call Hounsfield units `US`."""
    if modality == "CT" and "RescaleIntercept" in scale:
        kinds = list(said.get("ImageType") or [])
        plain = kinds[:1] == ["ORIGINAL"] and "LOCALIZER" not in kinds
        return "HU" if (scale.get("RescaleType") or "HU") in (("HU", "US") if plain else ("HU",)) else ""
    if modality == "RTDOSE":
        return str(said.get("DoseUnits", "")).strip()
    return str(said.get("Units", "")).strip() if modality == "PT" else ""


def _transformation(said: Dataset) -> Dataset | None:
    shared = _first(said, "SharedFunctionalGroupsSequence")
    each = _first(said, "PerFrameFunctionalGroupsSequence")
    return _group([one for one in (each, shared) if one is not None], "PixelValueTransformationSequence")


def _group(groups: Sequence[Dataset], name: str) -> Dataset | None:
    return next((found for one in groups if (found := _first(one, name)) is not None), None)


def _first(said: Dataset, name: str) -> Dataset | None:
    found = said.get(name)
    return found[0] if found else None


def _numbers(said: Dataset, name: str) -> list[float]:
    told = said.get(name)
    if told is None or told == "":
        return []
    return [
        float(one) for one in (told if isinstance(told, Sequence) and not isinstance(told, str) else [told])
    ]


def _number(said: Dataset, name: str, otherwise: float = 0.0) -> float:
    return next(iter(_numbers(said, name)), otherwise)
