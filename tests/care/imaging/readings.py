"""Readings of made-up series and pictures, with outlines whose measures are known by hand."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage, MRImageStorage

from medloom.care.imaging.reading import Reader, Reading, outlined_reading
from medloom.care.imaging.source import Source, source_of
from medloom.record.imaging.nifti import as_nifti
from medloom.record.imaging.pictures import as_png
from medloom.tasks.question import Question, Title
from tests.record.imaging.dicom_files import as_bytes, ct_slice, with_pixels

MADE = datetime(2021, 5, 4, 12, 30)
TAKEN = datetime(2020, 1, 31, 9, 30)
READER = Reader("lungs.unet@1", "ab" * 32)
SHAPE = (10, 24, 32)
SPACING = (2.0, 0.5, 0.75)
OBLIQUE = [0.8, 0.6, 0.0, -0.36, 0.48, 0.8]  # rows and columns at right angles, neither along the body


def question(*structures: str) -> Question:
    return Question(
        task="lungs",
        kind="segmentation",
        title=Title(en="Lungs", zh="肺"),
        about="image",
        classes=structures,
    )


def series(orientation: list[float] | None = None, modality: str = "CT", **said: Any) -> list[Dataset]:
    """Make ten slices of 24 x 32 pixels, 2 mm apart, each a little brighter than the one before."""
    along = orientation or [1, 0, 0, 0, 1, 0]
    normal = np.cross(along[:3], along[3:])
    made = []
    for number in range(SHAPE[0]):
        one = ct_slice(number, **said)
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        one.FrameOfReferenceUID = "1.2.3.9"
        one.ImageOrientationPatient = along
        one.ImagePositionPatient = (np.array([-10.0, -20.0, 30.0]) + 2.0 * number * normal).tolist()
        one.PatientIdentityRemoved, one.DeidentificationMethod = "YES", "Medloom"
        stored = 1000 + 10 * number + np.zeros(SHAPE[1:], np.uint16)
        if modality != "CT":
            one.Modality, one.SOPClassUID = modality, MRImageStorage
            del one.RescaleSlope, one.RescaleIntercept, one.RescaleType
        made.append(with_pixels(one, stored.astype(np.uint16), bits=12))
    return made


def enhanced() -> Dataset:
    """Make a file of three frames, the last one first in the patient."""
    made = ct_slice()
    made.SOPClassUID = EnhancedCTImageStorage
    made.FrameOfReferenceUID = "1.2.3.9"
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(made, keyword)
    del made.RescaleIntercept, made.RescaleType
    with_pixels(made, np.full((3, *SHAPE[1:]), 1000, np.uint16), bits=12)
    shared, measures, along, value = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2.0
    along.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    value.RescaleSlope, value.RescaleIntercept, value.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [along]
    shared.PixelValueTransformationSequence = [value]
    made.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for number in range(3):
        frame, where = Dataset(), Dataset()
        where.ImagePositionPatient = [-10.0, -20.0, 30.0 - 2.0 * number]
        frame.PlanePositionSequence = [where]
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = frames
    return made


def packed(instances: list[Dataset]) -> bytes:
    """Zip a series, its files in another order than they lie in the patient."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, one in enumerate(reversed(instances)):
            archive.writestr(f"{number:06d}.dcm", as_bytes(one))
    return file.getvalue()


def source(orientation: list[float] | None = None, modality: str = "CT") -> Source:
    return source_of(packed(series(orientation, modality)), "sha256:" + "0" * 64)


def outline() -> NDArray[np.uint8]:
    """Outline one lung of 4 x 8 x 6 voxels, and nodules of 2 x 4 x 2 and of one."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 4:12, 3:9] = 1
    labels[3:5, 14:18, 20:22] = 2
    labels[8, 20, 28] = 2
    return labels


def reading(of: Source | None = None, labels: NDArray[np.uint8] | None = None) -> Reading:
    """Read a left lung, lung nodules, and a thing of no code that is not there."""
    asked = question("left lung", "lung nodule", "thing")
    drawn = outline() if labels is None else labels
    return outlined_reading(of or source(), drawn, READER, asked, MADE, subject_id=7, taken=TAKEN)


def nifti_source() -> Source:
    pixels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return source_of(as_nifti(pixels, np.diag([1.0, 1.0, 1.0, 1.0])), "sha256:" + "1" * 64)


def picture_source() -> Source:
    grey = np.full((1, 40, 60), 90, np.uint8)
    grey[0, 10:20, 20:50] = 200
    return source_of(as_png(grey), "sha256:" + "2" * 64)
