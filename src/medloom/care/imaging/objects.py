"""What every DICOM object of ours has in common: who made it, when, and whose it is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from medloom.care.imaging.identity import uid
from medloom.care.imaging.reading import Reading
from medloom.foundation.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER: Final = "Medloom"
CAUTION: Final = "for research and evaluation, not cleared as a medical device"
APPROXIMATE: Final = "Approximate ellipsoid around what was found, no outline"
"""What a mark of a model is that finds objects; of a picture an ellipse. At most 64 characters, as VR LO has."""
SERIES: Final = {"seg": 9001, "sr": 9002, "sc": 9003}
"""Numbers of the series that are added to a study, far from those of scanners."""

_DEIDENTIFIED: Final = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
_LONGEST_TEXT: Final = 64


def check_dicom(reading: Reading) -> None:
    """Refuse to write DICOM objects about what is no DICOM, or without what writes them.

    Raises:
        InputError: the image is a NIfTI file or a picture; the message says what can be written of it.
    """
    if find_spec("highdicom") is None:
        raise InputError('images need more packages; install them with: pip install "medloom[imaging]"')
    if not reading.source.is_dicom:
        raise InputError(
            "DICOM objects refer to the DICOM files they are about, and this image is none; of it can be written: "
            "nifti, png, fhir"
        )


def about(reading: Reading, kind: str, *what: object) -> dict[str, Any]:
    """Give what constructors of highdicom are told of an object.

    Args:
        reading: that it tells.
        kind: of `SERIES`.
        what: which one of its series.
    """
    return {
        "series_instance_uid": uid("series", kind, *reading.identity),
        "series_number": SERIES[kind],
        "sop_instance_uid": uid("instance", kind, *what, *reading.identity),
        "manufacturer": MANUFACTURER,
    }


def instances_of(reading: Reading) -> list[Dataset]:
    """Give the source's headers as constructors of highdicom take them.

    They warn of a name of one component, quoting it, unless a caret ends it (PS3.5 section 6.2.1.1); pseudonyms are
    such names, and no name belongs into a warning. `finished` gives back the name as the source has it.
    """
    first = deepcopy(reading.source.instances[0])
    for keyword in ("PatientName", "ReferringPhysicianName"):
        if (name := str(first.get(keyword, "") or "")) and "^" not in name:
            setattr(first, keyword, f"{name}^")
    return [first, *reading.source.instances[1:]]


def equipment(reading: Reading) -> dict[str, Any]:
    """Give the enhanced equipment (PS3.3 section C.7.5.2): the model is the device."""
    return {
        "manufacturer_model_name": reading.reader.model[:_LONGEST_TEXT],
        "software_versions": version("medloom"),
        "device_serial_number": reading.reader.package[:_LONGEST_TEXT] or "0",
    }


def finished(made: Dataset, reading: Reading, description: str) -> Dataset:
    """Say of an object when it was made, what it is, and that its patient's identity was removed where it was.

    The moment is the reading's, so that the same reading gives the same bytes.
    """
    day, moment = reading.made.strftime("%Y%m%d"), reading.made.strftime("%H%M%S")
    made.InstanceCreationDate = made.ContentDate = day
    made.InstanceCreationTime = made.ContentTime = moment
    made.SeriesDescription = description[:_LONGEST_TEXT]
    for one in made.get("ContributingEquipmentSequence", ()):
        one.ContributionDateTime = day + moment
    first = reading.source.instances[0]
    for keyword in ("PatientName", "ReferringPhysicianName"):
        if keyword in first:
            setattr(made, keyword, first[keyword].value)
    for keyword in _DEIDENTIFIED:
        if keyword in first:
            setattr(made, keyword, getattr(first, keyword))
    return made


def as_bytes(made: Dataset) -> bytes:
    """Write a DICOM file (PS3.10)."""
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def modalities(instances: Sequence[Dataset]) -> str:
    """Name the modality of a series; `OT` where it is not told."""
    return str(instances[0].get("Modality", "") or "OT") if instances else "OT"
