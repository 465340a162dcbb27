"""The elements of a DICOM file as they stand in its bytes (PS3.5 section 7), found without reading their values."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from medloom.foundation.errors import InputError

Buffer: TypeAlias = bytes | mmap.mmap

UNDEFINED: Final = 0xFFFFFFFF
PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_DEEPEST: Final = 32
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT: Final = b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
_KINDS: Final = {kind: kind.decode() for kind in (*_SHORT, *_LONG)}


class Encoding(NamedTuple):
    """How elements are written: whether their types are left out, and which byte comes first."""

    implicit: bool = False
    big: bool = False


EXPLICIT: Final = Encoding()
IMPLICIT: Final = Encoding(implicit=True)


class Element(NamedTuple):
    """One element: its bytes are `start` … `stop`, its value `value` … `end`."""

    tag: int
    vr: str
    start: int
    value: int
    end: int
    stop: int
    undefined: bool  # its length is not told: a delimiter ends it


def elements(
    buffer: Buffer, start: int, end: int, encoding: Encoding, depth: int = 0, delimited: bool = False
) -> tuple[list[Element], int]:
    """Find the elements between two places; gives them, and the place behind.

    Args:
        delimited: an item's end ends them too.

    Raises:
        InputError: an element goes beyond the end, or items lie in items too deeply.
    """
    if depth > _DEEPEST:
        raise InputError("a DICOM file has sequences within sequences without end; export it again")
    found: list[Element] = []
    order = ">" if encoding.big else "<"
    short, long = struct.Struct(f"{order}HH2sH").unpack_from, struct.Struct(f"{order}I").unpack_from
    place, implicit = start, encoding.implicit
    while place + 8 <= end:
        group, number, kind, length = short(buffer, place)
        tag = group << 16 | number
        value = place + 8
        if group == 0xFFFE:
            if tag == _ITEM_END and delimited:
                return found, value
            raise _damaged()
        if implicit or kind not in _KINDS:
            (length,) = long(buffer, place + 4)
            vr = vr_of(tag)
        else:
            vr = _KINDS[kind]
            if kind in _LONG:
                if place + 12 > end:
                    raise _cut_short()
                (length,) = long(buffer, place + 8)
                value = place + 12
        if length != UNDEFINED:
            last = stop = value + length
            if stop > end:
                raise _cut_short()
        else:
            # of unknown type and length: a sequence in implicit form (PS3.5 section 6.2.2)
            inner = IMPLICIT if vr == "UN" and tag not in PIXELS else encoding
            last, stop = _delimited(buffer, value, end, inner, depth, tag in PIXELS)
        found.append(Element(tag, vr, place, value, last, stop, length == UNDEFINED))
        place = stop
    if delimited or any(buffer[place:end]):
        raise _cut_short()
    return found, end


def items(buffer: Buffer, sequence: Element, encoding: Encoding, depth: int) -> Iterator[list[Element]]:
    """Give the elements of each item of a sequence.

    Raises:
        InputError: it is damaged.
    """
    place = sequence.value
    while place + 8 <= sequence.end:
        tag, length = _item(buffer, place, encoding)
        if tag != _ITEM:
            raise _damaged()
        place += 8
        if length == UNDEFINED:
            found, place = elements(buffer, place, sequence.end, encoding, depth + 1, delimited=True)
        elif place + length <= sequence.end:
            found, place = elements(buffer, place, place + length, encoding, depth + 1)
        else:
            raise _cut_short()
        yield found


def inside(element: Element, encoding: Encoding) -> Encoding:
    """Tell how the items of a sequence are written: those of one whose type is not told without types."""
    return IMPLICIT if element.vr == "UN" and not encoding.implicit else encoding


def fragments(buffer: Buffer, pixels: Element) -> list[tuple[int, int]]:
    """Find the parts of compressed pixels (PS3.5 section A.4), the table of offsets among them: (start, end)."""
    found = []
    place = pixels.value
    while place + 8 <= pixels.end:
        _, length = _item(buffer, place, EXPLICIT)
        found.append((place + 8, place + 8 + length))
        place += 8 + length
    return found


def encoded(tag: int, vr: str, value: bytes, encoding: Encoding) -> bytes:
    """Write one element; a value of odd length is filled up.

    >>> encoded(0x00100020, "LO", b"abc", EXPLICIT)
    b'\\x10\\x00 \\x00LO\\x04\\x00abc '
    """
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    order = ">" if encoding.big else "<"
    group, number = tag >> 16, tag & 0xFFFF
    if encoding.implicit:
        return struct.pack(f"{order}HHI", group, number, len(value)) + value
    if vr.encode() in _LONG:
        return struct.pack(f"{order}HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack(f"{order}HH2sH", group, number, vr.encode(), len(value)) + value


def encoded_item(content: bytes, encoding: Encoding) -> bytes:
    """Write one item of a sequence."""
    return struct.pack(">HHI" if encoding.big else "<HHI", 0xFFFE, 0xE000, len(content)) + content


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> str:
    """Tell the type of an attribute by the standard's dictionary (PS3.6); `UN`: it is not in there.

    >>> vr_of(0x00100010), vr_of(0x00091001), vr_of(0x60100050)
    ('PN', 'UN', 'SS')
    """
    from pydicom.datadict import dictionary_VR

    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    if not tag & 0xFFFF:
        return "UL"
    try:
        return dictionary_VR(tag).split()[0]
    except KeyError:
        return "UN"


def _delimited(
    buffer: Buffer, place: int, end: int, encoding: Encoding, depth: int, pixels: bool
) -> tuple[int, int]:
    """Find where items without a told length end: before and behind the delimiter."""
    while place + 8 <= end:
        tag, length = _item(buffer, place, encoding)
        if tag == _SEQUENCE_END:
            return place, place + 8
        if tag != _ITEM:
            raise _damaged()
        place += 8
        if length != UNDEFINED:
            place += length
        elif pixels:
            raise _damaged()
        else:
            _, place = elements(buffer, place, end, encoding, depth + 1, delimited=True)
    raise _cut_short()


def _item(buffer: Buffer, place: int, encoding: Encoding) -> tuple[int, int]:
    group, number, length = struct.unpack_from(">HHI" if encoding.big else "<HHI", buffer, place)
    return group << 16 | number, length


def _cut_short() -> InputError:
    return InputError("a DICOM file is cut short; export it again")


def _damaged() -> InputError:
    return InputError("a DICOM file is damaged; export it again")
