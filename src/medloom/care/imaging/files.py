"""A reading as files in a folder; their names tell what they are, and nothing of whom they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from medloom.care.imaging.masks import nifti_mask
from medloom.care.imaging.measurement_report import measurement_report
from medloom.care.imaging.objects import as_bytes
from medloom.care.imaging.overlay import picture, telling
from medloom.care.imaging.reading import Reading
from medloom.care.imaging.resources import bundle
from medloom.care.imaging.secondary_capture import secondary_captures
from medloom.care.imaging.segmentation_object import segmentation
from medloom.foundation.clock import Clock
from medloom.foundation.errors import InputError
from medloom.foundation.files import write_bytes
from medloom.foundation.messages import LANGUAGES, Text2, speaking
from medloom.record.imaging.pictures import as_png
from medloom.training.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset

Format = Literal["seg", "sr", "sc", "nifti", "png", "fhir"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


@dataclass(frozen=True)
class Written:
    """What was written, and what could not be.

    Attributes:
        files: in the order of the formats.
        left_out: format → why there is none of it.
    """

    files: tuple[Path, ...]
    left_out: Mapping[Format, Text2] = field(default_factory=dict)


def known_formats(named: Sequence[str]) -> tuple[Format, ...]:
    """Read formats by their names, in the order of `FORMATS`.

    Raises:
        InputError: there is none of one of these names.

    >>> known_formats(["png", "seg"])
    ('seg', 'png')
    """
    unknown = sorted(set(named) - set(FORMATS))
    if unknown:
        raise InputError(
            "there is no format {unknown}; there are: {formats}", unknown=unknown, formats=FORMATS
        )
    return tuple(one for one in FORMATS if one in named)


def write(reading: Reading, folder: Path, formats: Sequence[Format], clock: Clock) -> Written:
    """Write a reading; a measurement report takes the segmentation it refers to with it.

    Args:
        reading: of an image.
        folder: made if it is not there; files of the same names are replaced.
        formats: which; what cannot be made of this reading is told, not raised.
        clock: of the site.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    made = _Made(reading, clock)
    files: list[Path] = []
    left_out: dict[Format, Text2] = {}
    for one in formats:
        try:
            contents = made.contents(one)
        except InputError as error:
            left_out[one] = _both(error)
            continue
        for name, content in contents.items():
            path = folder / name
            if path not in files:
                write_bytes(path, content)
                files.append(path)
    return Written(tuple(files), left_out)


class _Made:
    """Files of a reading, each made once."""

    def __init__(self, reading: Reading, clock: Clock) -> None:
        self._reading, self._clock = reading, clock
        self._objects: dict[str, list[Dataset]] = {}

    def contents(self, which: Format) -> dict[str, bytes]:
        """Give the files of a format by their names."""
        makers: dict[Format, Callable[[], dict[str, bytes]]] = {
            "seg": lambda: {"seg.dcm": as_bytes(self._seg())},
            "sr": self._sr,
            "sc": self._sc,
            "nifti": lambda: {"outline.nii.gz": nifti_mask(self._reading)},
            "png": self._png,
            "fhir": self._fhir,
        }
        with quiet("pydicom", "highdicom"):  # they quote what they wonder at
            return makers[which]()

    def _seg(self) -> Dataset:
        return self._once("seg", lambda: [segmentation(self._reading)])[0]

    def _sr(self) -> dict[str, bytes]:
        outlined = self._reading.labels is not None and bool(self._reading.labels.any())
        seg = self._seg() if outlined and self._reading.source.is_dicom else None
        report = self._once("sr", lambda: [measurement_report(self._reading, seg)])[0]
        with_seg = {} if seg is None else {"seg.dcm": as_bytes(seg)}
        return {"sr.dcm": as_bytes(report), **with_seg}

    def _sc(self) -> dict[str, bytes]:
        captures = self._once("sc", lambda: secondary_captures(self._reading))
        return {f"sc-{at:02d}.dcm": as_bytes(one) for at, one in enumerate(captures, 1)}

    def _png(self) -> dict[str, bytes]:
        return {
            f"slice-{place + 1:03d}.png": as_png(picture(self._reading, place).transpose(2, 0, 1))
            for place in telling(self._reading)
        }

    def _fhir(self) -> dict[str, bytes]:
        derived = [one for some in self._objects.values() for one in some]
        told = bundle(self._reading, self._clock, derived)
        return {"fhir.json": json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"}

    def _once(self, name: str, make: Callable[[], list[Dataset]]) -> list[Dataset]:
        if name not in self._objects:
            self._objects[name] = make()
        return self._objects[name]


def _both(error: InputError) -> Text2:
    said = []
    for one in LANGUAGES:
        with speaking(one):
            said.append(str(error))
    return Text2(*said)
