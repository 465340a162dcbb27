"""The image that a reading is of, with the DICOM instances it was made of, where it was made of any."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from medloom.foundation.errors import InputError
from medloom.record.assets import Assets
from medloom.record.imaging.image import Image
from medloom.record.imaging.reading import ImageKind, kind_of, read_image

if TYPE_CHECKING:
    from pydicom import Dataset

# Written into every object that is derived from another one (PS3.3 sections C.7.1.1 and C.7.2.1); a header may lack
# them after de-identification.
_PATIENT_AND_STUDY: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)


@dataclass(frozen=True)
class Source:
    """An image of the record.

    Attributes:
        asset: its name.
        image: read.
        kind: of file.
        instances: its DICOM files without their pixels, in the order in which slices first lie in them; () of others.
        frames: of each slice, which instance it is in, and which frame there, both counted from 0; () of others.
    """

    asset: str
    image: Image = field(repr=False)
    kind: ImageKind = "picture"
    instances: tuple[Dataset, ...] = field(default=(), repr=False)
    frames: tuple[tuple[int, int], ...] = field(default=(), repr=False)

    @property
    def is_dicom(self) -> bool:
        """Tell whether there are DICOM instances to refer to."""
        return bool(self.instances)


def read_source(assets: Assets, asset: str) -> Source:
    """Read an image of the record, and the headers it was made of.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is no image, is damaged, or what reads it is not installed.
    """
    content = assets.read(asset)
    return source_of(content, asset)


def source_of(content: bytes, asset: str = "") -> Source:
    """Read an image file: DICOM, a zip of a series, NIfTI, or a picture; raises as `read_source`."""
    image = read_image(io.BytesIO(content))
    kind = kind_of(io.BytesIO(content))
    assert kind is not None  # it was read
    if kind not in ("dicom", "series"):
        return Source(asset, image, kind)
    files = [content] if kind == "dicom" else _members(content)
    from medloom.record.imaging.dicom import slices_of

    places = slices_of(files)
    order = list(dict.fromkeys(one.file for one in places))
    frames = tuple((order.index(one.file), one.number) for one in places)
    return Source(asset, image, kind, tuple(_header(files[number]) for number in order), frames)


def _members(content: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = sorted(one.filename for one in archive.infolist() if not one.is_dir())
        return [archive.read(name) for name in names]


def _header(content: bytes) -> Dataset:
    """Read all but the pixels, with what a derived object must say of patient and study, empty where it is not told."""
    import pydicom

    read = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
    for keyword in _PATIENT_AND_STUDY:
        if keyword not in read:
            setattr(read, keyword, "")
    missing = [one for one in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID") if one not in read]
    if missing:
        raise InputError(
            "a DICOM file lacks {missing}, by which others refer to it; export the series again",
            missing=missing,
        )
    if "FrameOfReferenceUID" not in read and "ImagePositionPatient" in read:
        from medloom.care.imaging.identity import uid

        # old files leave it out; slices of one series lie in one space
        read.FrameOfReferenceUID = uid("frame of reference", str(read.SeriesInstanceUID))
    return read
