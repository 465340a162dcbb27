"""Slices with what was drawn on them as DICOM Secondary Capture (PS3.3 section A.8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from medloom.care.imaging.objects import about, check_dicom, equipment, finished, instances_of
from medloom.care.imaging.overlay import picture, telling
from medloom.care.imaging.reading import Reading

if TYPE_CHECKING:
    from pydicom import Dataset


_LETTERS: Final = (("L", "R"), ("P", "A"), ("H", "F"))  # along x, y, z, and against them


def secondary_captures(
    reading: Reading, slices: Sequence[int] | None = None, *, words: bool = True
) -> list[Dataset]:
    """Make a picture of each of some slices; burned-in annotation says whether there are letters on it.

    Args:
        reading: of a DICOM image.
        slices: from 0; None: those that show most.
        words: write beneath each what is drawn, by which model, and what it is not for.

    Raises:
        InputError: the image is no DICOM.
    """
    check_dicom(reading)
    return [
        _capture(reading, place, at, words)
        for at, place in enumerate(telling(reading) if slices is None else slices, 1)
    ]


def _capture(reading: Reading, place: int, number: int, words: bool) -> Dataset:
    from highdicom.sc import SCImage

    first = instances_of(reading)[0]
    along = _orientation(reading)
    told = about(reading, "sc", place, words)
    made: Dataset = SCImage(
        pixel_array=picture(reading, place, words=words),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=first.StudyInstanceUID,
        instance_number=number,
        patient_id=first.PatientID or None,
        patient_name=first.PatientName or None,
        patient_birth_date=first.PatientBirthDate or None,
        patient_sex=first.PatientSex or None,
        accession_number=first.AccessionNumber or None,
        study_id=first.StudyID or None,
        study_date=first.StudyDate or None,
        study_time=first.StudyTime or None,
        patient_orientation=along or ("L", "P"),
        **told,
        **equipment(reading),
    )
    made.ConversionType = "WSD"
    if along is None:
        made.PatientOrientation = None  # type 2C: empty where it is not known
    burned = words or _burned_in(reading, place)
    made.BurnedInAnnotation = "YES" if burned else "NO"
    made.DerivationDescription = f"slice {place + 1}, drawn on"
    return finished(made, reading, f"Drawn on by {reading.reader.model}")


def _orientation(reading: Reading) -> tuple[str, str] | None:
    """Name where rows and columns point (PS3.3 section C.7.6.1.1.1), the nearest axis each; None: not known."""
    affine = reading.source.image.affine
    if affine is None:
        return None
    letters = []
    for column in (2, 1):
        direction = affine[:3, column]
        axis = int(np.abs(direction).argmax())
        letters.append(_LETTERS[axis][int(direction[axis] < 0)])
    return letters[0], letters[1]


def _burned_in(reading: Reading, place: int) -> bool:
    """Tell whether the source says that there are letters on a slice."""
    one = reading.source.instances[reading.source.frames[place][0]]
    return str(one.get("BurnedInAnnotation", "")) == "YES"
