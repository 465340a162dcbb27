"""NIfTI: volumes as research keeps them (NIfTI-1.1 and -2, https://nifti.nimh.nih.gov), read and written."""

from __future__ import annotations

import gzip
import io
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image

_MOST_BYTES: Final = 8 << 30
_FLIPPED: Final = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # NIfTI counts to the right and to the front, DICOM the other way
_SPEAKING: Final = ("descrip", "db_name", "aux_file", "intent_name", "data_type")


def read_nifti(file: BinaryIO) -> Image:
    """Read a volume, plain or packed by gzip; a fourth axis becomes channels.

    The file's axes (x, y, z) become (slice, row, column) = (z, y, x).

    Raises:
        InputError: it is damaged, or claims to be larger than it is.
    """
    content = _unpacked(file)
    try:
        loaded: Any = _kind(content).from_bytes(content)
        _check_claim(loaded, len(content))
        values = np.asarray(loaded.dataobj)
        affine, zooms = np.asarray(loaded.affine, dtype=np.float64), loaded.header.get_zooms()[:3]
    except _damage():
        raise InputError("a NIfTI file is damaged or cut short; export it again") from None
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim not in (3, 4) or not values.size:
        raise InputError("a NIfTI file has {axes} axes; volumes of 2, 3 or 4 can be read", axes=values.ndim)
    stacked = values if values.ndim == 4 else values[..., None]
    pixels = np.ascontiguousarray(stacked.transpose(3, 2, 1, 0))
    place = (_FLIPPED @ affine)[:, [2, 1, 0, 3]]
    spacing = tuple(float(abs(one)) or 1.0 for one in reversed([*zooms, 1.0, 1.0, 1.0][:3]))
    return Image(pixels, spacing, place)


def as_nifti(pixels: NDArray[Any], affine: NDArray[np.float64]) -> bytes:
    """Write a volume (depth, height, width) as NIfTI-1, packed by gzip; the same volume gives the same bytes.

    Args:
        pixels: of an integer or floating type.
        affine: as `Image.affine`.
    """
    import nibabel

    turned = (_FLIPPED @ affine)[:, [2, 1, 0, 3]]
    kind: Any = nibabel.Nifti1Image
    made = kind(np.ascontiguousarray(pixels.transpose(2, 1, 0)), turned)
    return gzip.compress(made.to_bytes(), 6, mtime=0)


def without_remarks(content: bytes) -> bytes:
    """Leave out what a NIfTI file says beside its numbers: descriptions, names, extensions; packed by gzip.

    Raises:
        InputError: it is damaged.
    """
    plain = _unpacked(io.BytesIO(content))
    try:
        loaded: Any = _kind(plain).from_bytes(plain)
        _check_claim(loaded, len(plain))
        header = loaded.header.copy()
        for name in _SPEAKING:
            if name in header:
                header[name] = b""
        header.extensions.clear()
        made = type(loaded)(np.asanyarray(loaded.dataobj.get_unscaled()), loaded.affine, header)
        slope, inter = loaded.dataobj.slope, loaded.dataobj.inter
        made.header.set_slope_inter(slope, inter)
        written = io.BytesIO()
        made.header["vox_offset"] = 0
        made.to_stream(written)
    except _damage():
        raise InputError("a NIfTI file is damaged or cut short; export it again") from None
    return gzip.compress(written.getvalue(), 6, mtime=0)


def _damage() -> tuple[type[Exception], ...]:
    """Name what a damaged file makes nibabel raise."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    return (OSError, ValueError, EOFError, KeyError, ImageFileError, HeaderDataError, WrapStructError)


def _kind(content: bytes) -> Any:
    import nibabel

    return nibabel.Nifti2Image if content[4:8] in (b"n+2\0", b"ni2\0") else nibabel.Nifti1Image


def _unpacked(file: BinaryIO) -> bytes:
    content = file.read()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as opened:
            plain = opened.read(_MOST_BYTES + 1)
    except (OSError, EOFError):
        raise InputError("a NIfTI file is damaged or cut short; export it again") from None
    if len(plain) > _MOST_BYTES:
        raise InputError("a NIfTI file unpacks to more than 8 GB; cut it into parts")
    return plain


def _check_claim(loaded: Any, there: int) -> None:
    claimed = int(np.prod([int(n) for n in loaded.shape])) * loaded.header.get_data_dtype().itemsize
    if claimed > there:
        raise ValueError
