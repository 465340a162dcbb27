"""Small DICOM files, made up, for tests."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def ct_slice(number: int = 0, series: str = "1.2.3.4", **said: Any) -> Dataset:
    """Make a slice of 4 x 5 pixels, 2 mm behind the one before; stored numbers are 1000 + 100 * number + place."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = f"{series}.{number + 1}"
    made.SeriesInstanceUID = series
    made.StudyInstanceUID = "1.2.3"
    made.Modality = "CT"
    made.BodyPartExamined = "CHEST"
    made.PatientID = "4711"
    made.PatientName = "Miller^Ann"
    made.PatientSex = "F"
    made.PatientBirthDate = "19500102"
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = "20200131"
    made.AcquisitionTime = "093000"
    made.InstanceNumber = number + 1
    made.ImagePositionPatient = [-10.0, -20.0, 30.0 + 2.0 * number]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = [0.5, 0.75]
    made.SliceThickness = 2
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
    made.WindowCenter, made.WindowWidth = 40, 400
    with_pixels(made, 1000 + 100 * number + np.arange(20, dtype=np.uint16).reshape(4, 5), bits=12)
    for name, value in said.items():
        setattr(made, name, value)
    return made


def with_pixels(
    made: Dataset, stored: NDArray[Any], bits: int = 0, photometric: str = "MONOCHROME2"
) -> Dataset:
    """Put stored numbers in: (rows, columns), (frames, rows, columns) or, as RGB, (rows, columns, 3)."""
    colour = photometric == "RGB"
    made.Rows, made.Columns = stored.shape[:2] if colour else stored.shape[-2:]
    if stored.ndim == 3 and not colour:
        made.NumberOfFrames = stored.shape[0]
    made.SamplesPerPixel = 3 if colour else 1
    if colour:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = photometric
    made.BitsAllocated = stored.dtype.itemsize * 8
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    made.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    return made


def as_bytes(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Write a file."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", CTImageStorage)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", generate_uid())
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()
