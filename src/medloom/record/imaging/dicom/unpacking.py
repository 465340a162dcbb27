"""From a file laid open to pydicom, which unpacks its pixels, whatever they are packed by."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.layout import Layout

if TYPE_CHECKING:
    from pydicom import Dataset


def dataset(layout: Layout) -> Dataset:
    """Read the data set with pydicom, without its pixels."""
    from pydicom.filereader import read_dataset

    pixels = layout.pixels
    start = layout.elements[0].start if layout.elements else 0
    content = bytes(layout.body[start : pixels.start if pixels is not None else len(layout.body)])
    return read_dataset(io.BytesIO(content), layout.encoding.implicit, not layout.encoding.big)


def with_pixels(layout: Layout) -> Dataset:
    """Read the data set with its pixels, still packed."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    pixels = layout.pixels
    assert pixels is not None
    said = dataset(layout)
    said.file_meta = FileMetaDataset()
    said.file_meta.TransferSyntaxUID = UID(layout.transfer_syntax)
    content = bytes(layout.body[pixels.value : pixels.end])
    said.add_new(pixels.tag, pixels.vr if pixels.vr != "UN" else "OW", content)
    return said


def unpacked(said: Dataset) -> Iterator[NDArray[Any]]:
    """Unpack pictures one by one: (height, width), or (height, width, 3) of red, green and blue.

    Raises:
        InputError: they are damaged, or packed in a way that nobody here knows.
    """
    from pydicom.pixels import iter_pixels
    from pydicom.uid import JPEG2000TransferSyntaxes

    # of several that could, GDCM is asked first, and refuses JPEG 2000 whose sign is told wrongly
    wave = said.file_meta.TransferSyntaxUID in JPEG2000TransferSyntaxes
    try:
        yield from iter_pixels(said, decoding_plugin="pylibjpeg" if wave else "")
    except (
        *(ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError, KeyError, IndexError),
        *(struct.error, EOFError, OverflowError, OSError),
    ):
        raise InputError("the pixels of a DICOM file cannot be unpacked; export it uncompressed") from None
