"""A DICOM file laid open: where its parts lie (PS3.10 section 7), what its header says, whether that can be true."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.elements import (
    EXPLICIT,
    IMPLICIT,
    PIXELS,
    Buffer,
    Element,
    Encoding,
    elements,
    fragments,
)

EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
_EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_NATIVE: Final = frozenset({EXPLICIT_LITTLE, IMPLICIT_LITTLE, _EXPLICIT_BIG, _DEFLATED})
_VIDEOS: Final = "1.2.840.10008.1.2.4.10"  # … 100 to 108
_WHOLE_SLIDE: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_MOST_BYTES: Final = 8 << 30
_MOST_INFLATED: Final = 2 << 30
_LIKELY: Final = 1 << 28
_MOST_PACKED: Final = 5_000  # times smaller than its pixels; JPEG 2000 of one colour throughout gets that far


@dataclass(frozen=True)
class Layout:
    """A file's parts.

    Attributes:
        body: bytes that hold the data set; those of the file, unless it is deflated.
        elements: of the data set.
        encoding: of the data set.
        transfer_syntax: of the pixels, once the data set is inflated.
    """

    body: Buffer = field(repr=False)
    elements: list[Element] = field(repr=False)
    encoding: Encoding
    transfer_syntax: str

    @cached_property
    def by_tag(self) -> dict[int, Element]:
        """Find elements by their tag."""
        return {element.tag: element for element in self.elements}

    @property
    def native(self) -> bool:
        """Tell whether pixels are not compressed."""
        return self.transfer_syntax in _NATIVE

    @property
    def pixels(self) -> Element | None:
        """Give the element that holds the pixels."""
        return next((self.by_tag[tag] for tag in PIXELS if tag in self.by_tag), None)

    def raw(self, tag: int) -> bytes:
        """Give an element's value as it stands; empty: it has none."""
        element = self.by_tag.get(tag)
        return b"" if element is None else bytes(self.body[element.value : element.end])

    def text(self, tag: int) -> str:
        """Give the first value of an element whose characters are those of ASCII; others are left out."""
        first = self.raw(tag).partition(b"\\")[0]
        return first.decode("ascii", "ignore").strip(" \0")

    def numbers(self, tag: int) -> list[float]:
        """Give an element's decimal numbers; empty: there are none, or they cannot be read."""
        try:
            return [float(part) for part in self.raw(tag).decode("ascii").strip(" \0").split("\\") if part]
        except ValueError:
            return []

    def integer(self, tag: int, otherwise: int) -> int:
        """Give an unsigned number of two bytes."""
        raw = self.raw(tag)
        return struct.unpack(">H" if self.encoding.big else "<H", raw[:2])[0] if len(raw) >= 2 else otherwise


def laid_open(buffer: Buffer) -> Layout:
    """Find the parts of a DICOM file; one without its first 132 bytes is taken too, where it begins like one.

    Raises:
        InputError: it is no DICOM file, is cut short or damaged.
    """
    syntax, start = _syntax(buffer)
    if start + 8 > len(buffer):
        raise InputError("a DICOM file is cut short; export it again")
    if syntax == _DEFLATED:
        buffer, start, syntax = _inflated(buffer[start:]), 0, EXPLICIT_LITTLE
    encoding = _encoding(buffer, start, syntax)
    if not syntax or (syntax in _NATIVE and (syntax == IMPLICIT_LITTLE) != encoding.implicit):
        syntax = IMPLICIT_LITTLE if encoding.implicit else _EXPLICIT_BIG if encoding.big else EXPLICIT_LITTLE
    found, _ = elements(buffer, start, len(buffer), encoding)
    return Layout(buffer, found, encoding, syntax)


def is_dicom(header: bytes) -> bool:
    """Tell by a file's first bytes (132 of them) whether it may be DICOM.

    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"GIF89a")
    (True, False)
    """
    if header[128:132] == b"DICM":
        return True
    return header[:2] in (b"\x08\0", b"\x02\0") and len(header) > 8 and header[3:4] == b"\0"


def check_pixels(layout: Layout) -> int:
    """Compare the size that a header claims with what is there, before anything is reserved; gives that size in bytes.

    Raises:
        InputError: pixels are cut short, or the header cannot be true.
    """
    pixels = layout.pixels
    if layout.text(0x00080016) == _WHOLE_SLIDE:
        raise InputError(
            "a DICOM file is a tile of a slide under the microscope, which cannot be read as an image"
        )
    if pixels is None:
        raise InputError("a DICOM file holds no pixels; it is a report, a plan or the like")
    rows, columns = layout.integer(0x00280010, 0), layout.integer(0x00280011, 0)
    frames, samples = layout.numbers(0x00280008) or [1.0], layout.integer(0x00280002, 1)
    bits = layout.integer(0x00280100, 0)
    if not (rows and columns and bits and samples and 1 <= frames[0] <= 2**31):
        raise InputError("a DICOM header does not say how many pixels there are; export it again")
    shared = 2 if layout.native and layout.text(0x00280004) == "YBR_FULL_422" else samples
    claimed = (rows * columns * int(frames[0]) * shared * bits + 7) // 8
    there = pixels.end - pixels.value
    if claimed > _MOST_BYTES:
        raise InputError("a DICOM header claims more than 8 GB of pixels; cut the series into parts")
    if layout.native:
        if claimed > there:
            raise InputError("the pixels of a DICOM file are cut short; export it again")
        return claimed
    if layout.transfer_syntax.startswith(_VIDEOS):
        raise InputError(
            "a DICOM file holds a video (MPEG, HEVC), which cannot be read; export it as single pictures"
        )
    parts = len(fragments(layout.body, pixels)) - 1
    if not pixels.undefined or parts < frames[0] or (claimed > _LIKELY and claimed > _MOST_PACKED * there):
        raise InputError("the pixels of a DICOM file are cut short; export it again")
    return claimed


def _syntax(buffer: Buffer) -> tuple[str, int]:
    """Give the transfer syntax as told, empty where it is not, and where the data set begins."""
    start = 132 if bytes(buffer[128:132]) == b"DICM" else 0
    if not start and not is_dicom(bytes(buffer[:132])):
        raise InputError("this is no DICOM file, whatever its name says")
    syntax = ""
    while bytes(buffer[start : start + 2]) == b"\x02\0":
        explicit = bytes(buffer[start + 4 : start + 6]).isupper()
        kind = bytes(buffer[start + 4 : start + 6])
        header = 12 if kind in (b"OB", b"UN", b"UT") else 8
        if start + header > len(buffer):
            raise InputError("a DICOM file is cut short; export it again")
        long = struct.unpack_from("<I", buffer, start + header - 4)[0]
        length = long if header == 12 or not explicit else struct.unpack_from("<H", buffer, start + 6)[0]
        value = start + header
        if bytes(buffer[start + 2 : start + 4]) == b"\x10\0":
            syntax = bytes(buffer[value : value + min(length, 64)]).decode("ascii", "ignore").strip(" \0")
        start = value + length
    return syntax, start


def _encoding(buffer: Buffer, start: int, syntax: str) -> Encoding:
    """Tell how the data set is written: as the first element shows, whatever the header says."""
    explicit = bytes(buffer[start + 4 : start + 6])
    if not (explicit.isalpha() and explicit.isupper()):
        return IMPLICIT
    big = syntax == _EXPLICIT_BIG or bytes(buffer[start : start + 2]) == b"\0\x08"
    return Encoding(big=True) if big else EXPLICIT


def _inflated(packed: bytes) -> bytes:
    try:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = inflating.decompress(packed, _MOST_INFLATED)
    except zlib.error:
        raise InputError("a DICOM file is damaged; export it again") from None
    if inflating.unconsumed_tail:
        raise InputError("a DICOM file unpacks to more than 2 GB; export it without deflating")
    if not inflating.eof:
        raise InputError("a DICOM file is cut short; export it again")
    return plain
