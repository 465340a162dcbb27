"""A file of an image, of whatever kind, as an `Image`: what kind it is, its content says, not its name."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.util import find_spec
from typing import BinaryIO, Final, Literal

from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image

ImageKind = Literal["dicom", "series", "nifti", "picture"]

_NEEDED: Final = ("PIL", "nibabel", "pydicom")
_HEADER: Final = 512
_NIFTI: Final = ((344, (b"n+1\0", b"ni1\0")), (4, (b"n+2\0", b"ni2\0")))
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"GIF8")


def check_imaging() -> None:
    """Refuse to go on where what reads images is not installed.

    Raises:
        InputError: it is not; the message names the command that installs it.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise InputError('images need more packages; install them with: pip install "medloom[imaging]"')


def kind_of(file: BinaryIO) -> ImageKind | None:
    """Tell what kind of image a file is, by its first bytes; None: none that is known. The file is rewound.

    >>> import io
    >>> kind_of(io.BytesIO(b"BM....")), kind_of(io.BytesIO(b"hello"))
    ('picture', None)
    """
    file.seek(0)
    header = file.read(_HEADER)
    if header[:2] == b"\x1f\x8b":
        file.seek(0)
        try:
            with gzip.open(file) as opened:
                header = opened.read(_HEADER)
        except (OSError, EOFError):
            header = b""
    file.seek(0)
    if header[128:132] == b"DICM":
        return "dicom"
    if header[:4] == b"PK\3\4":
        return "series"
    if any(header[place : place + 4] in marks for place, marks in _NIFTI):
        return "nifti"
    webp = header[:4] == b"RIFF" and header[8:12] == b"WEBP"
    return "picture" if webp or header.startswith(_PICTURES) else None


def read_image(file: BinaryIO) -> Image:
    """Read an image: a DICOM file, an archive of a series, NIfTI, or a picture (PNG, JPEG, TIFF, BMP, WebP).

    Raises:
        InputError: it is none of these, is damaged, or what reads it is not installed.
    """
    check_imaging()
    kind = kind_of(file)
    if kind is None:
        raise InputError(
            "this file is no image that can be read; those that can: DICOM, NIfTI, PNG, JPEG, TIFF, BMP, WebP"
        )
    return _reader(kind)(file)


def _reader(kind: ImageKind) -> Callable[[BinaryIO], Image]:
    if kind == "picture":
        from medloom.record.imaging.pictures import read_picture

        return read_picture
    if kind == "nifti":
        from medloom.record.imaging.nifti import read_nifti

        return read_nifti
    from medloom.record.imaging.dicom import read_dicom, read_series_archive

    return read_dicom if kind == "dicom" else read_series_archive
