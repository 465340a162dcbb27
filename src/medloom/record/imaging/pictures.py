"""Pictures: PNG, JPEG, TIFF and the like, of any grey depth; and what they carry beside their pixels, left out."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image

_MOST_PIXELS: Final = 200_000_000
_GREY: Final = frozenset({"1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_KEPT_CHUNKS: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sBIT", b"cHRM", b"sRGB"}
)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SPEAKING: Final = frozenset(
    {*range(0xE1, 0xEE), 0xEF, 0xFE}
)  # APP1 … APP13, APP15, and comments; APP14: the colours


def read_picture(file: BinaryIO) -> Image:
    """Read a picture: grey as it stands, with one channel, whatever its depth; else red, green and blue.

    A picture with equal channels is grey; see-through parts are dropped.

    Raises:
        InputError: it is damaged, or larger than 200 megapixels.
    """
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            opened = Pillow.open(file)
            if opened.width * opened.height > _MOST_PIXELS:
                raise InputError(
                    "a picture has more than 200 megapixels; cut it into parts, or scale it down"
                )
            opened.load()
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Pillow.DecompressionBombError,
    ):
        # from None: a reason may quote the file
        raise InputError("a picture is damaged or cut short; export it again") from None
    if opened.mode in _GREY:
        grey = np.asarray(opened if opened.mode != "1" else opened.convert("L"))
        return Image(np.ascontiguousarray(grey)[None])
    colours = np.asarray(opened.convert("RGB"))
    first = colours[..., :1]
    if (colours == first).all():
        return Image(np.ascontiguousarray(first[..., 0])[None])
    return Image(np.ascontiguousarray(colours.transpose(2, 0, 1)))


def without_remarks(content: bytes) -> bytes:
    """Leave out what a JPEG or PNG says beside its pixels (names, places, times), and keep those bit for bit.

    A picture of another kind is written anew as PNG.

    Raises:
        InputError: it is damaged.

    >>> picture = as_png(np.zeros((1, 2, 2), np.uint8))
    >>> without_remarks(picture) == picture
    True
    """
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg_without(content)
    if content.startswith(_PNG):
        return _png_without(content)
    return as_png(read_picture(io.BytesIO(content)).pixels)


def as_png(pixels: NDArray[Any]) -> bytes:
    """Write a picture as PNG: (1, h, w) or (3, h, w) of 8 bits, or (1, h, w) of 16; other numbers are scaled to 16.

    The same pixels give the same bytes.
    """
    from PIL import Image as Pillow

    told = pixels
    if told.dtype not in (np.uint8, np.uint16):
        low, high = float(told.min()), float(told.max())
        told = np.round((told - low) / (max(high - low, 1e-9) / 65535)).astype(np.uint16)
    flat = told[0] if told.shape[0] == 1 else told.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(flat)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _jpeg_without(content: bytes) -> bytes:
    kept, place = [content[:2]], 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xDA:  # the pixels, up to the end
            kept.append(content[place:])
            return b"".join(kept)
        length = 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
        if marker not in _SPEAKING:
            kept.append(content[place : place + length])
        place += length
    raise InputError("a picture is damaged or cut short; export it again")


def _png_without(content: bytes) -> bytes:
    kept, place = [_PNG], len(_PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        name = content[place + 4 : place + 8]
        if name in _KEPT_CHUNKS:
            kept.append(content[place : place + 12 + length])
        place += 12 + length
        if name == b"IEND":
            return b"".join(kept)
    raise InputError("a picture is damaged or cut short; export it again")
