"""A CT series that is made up: every file has about a hundred attributes, names and dates among them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

SIDE: Final = 512


def write_series(folder: Path, files: int, seed: int) -> None:
    """Write so many slices of 512 × 512 into a new folder."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    folder.mkdir()
    random = np.random.default_rng(seed)
    template = get_testdata_file("CT_small.dcm", download=False)
    said = dcmread(template)
    _fill(said)
    y, x = np.mgrid[:SIDE, :SIDE]
    body = np.where((x - 256) ** 2 / 200**2 + (y - 256) ** 2 / 150**2 < 1, 1064, 24).astype(np.int16)
    for number in range(files):
        said.SOPInstanceUID = said.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        said.InstanceNumber = number + 1
        said.ImagePositionPatient = [-180.0, -180.0, 0.5 * number]
        said.SliceLocation = 0.5 * number
        noise = random.integers(-20, 21, (SIDE, SIDE), dtype=np.int16)
        said.PixelData = (body + noise).astype("<i2").tobytes()
        said.save_as(folder / f"{number:06d}.dcm")


def _fill(said: Dataset) -> None:
    """Give a small CT the size of a large one, and the attributes that hospitals fill in."""
    from pydicom import Dataset, Sequence

    said.Rows = said.Columns = SIDE
    said.PixelSpacing = [0.7, 0.7]
    said.SliceThickness = 0.5
    said.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    for tag in [one.tag for one in said if one.tag.group == 0x7FE0 or one.tag.group == 0xFFFC]:
        if tag != 0x7FE00010:
            del said[tag]
    said.ReferringPhysicianName = said.OperatorsName = said.PerformingPhysicianName = "Doe^Jane"
    said.InstitutionAddress = "1 Main Street"
    said.PatientAddress = "2 Main Street"
    said.PatientTelephoneNumbers = "555-0100"
    said.ProtocolName = said.SeriesDescription = "CT CHEST W CONTRAST"
    said.RequestedProcedureDescription = "CT chest"
    said.BodyPartExamined = "CHEST"
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    reference.ReferencedSOPInstanceUID = "1.2.3.4.5.6"
    said.ReferencedImageSequence = Sequence([reference, reference])
    step = Dataset()
    step.RequestedProcedureID = "R1"
    step.ScheduledProcedureStepDescription = "chest"
    said.RequestAttributesSequence = Sequence([step])
    for number in range(20):
        said.add_new((0x0019, 0x1080 + number), "LO", f"private {number}")
