"""De-identification of DICOM files (PS3.15 Annex E): bytes to bytes, values that stay are never read.

Pixels stay as they are, byte for byte, unless text burned into them is to be blanked. UIDs, names and dates are
replaced by keyed hashes: the same everywhere in one site, and of no use without its key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, TypeAlias

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.burned_in import without_text
from medloom.record.imaging.dicom.descriptors import clean
from medloom.record.imaging.dicom.elements import (
    EXPLICIT,
    Buffer,
    Element,
    Encoding,
    encoded,
    encoded_item,
    inside,
    items,
    vr_of,
)
from medloom.record.imaging.dicom.layout import Layout, laid_open
from medloom.record.imaging.dicom.profile import Action, Dates, Profile

Piece: TypeAlias = bytes | memoryview

_METHOD: Final = {  # PS3.16 CID 7050, version 2024
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "clean_pixels": ("113101", "Clean Pixel Data Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "keep": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "shift": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
}
_TEMPORAL: Final = {"remove": b"REMOVED", "shift": b"MODIFIED", "keep": b"UNMODIFIED"}
_STANDARD: Final = (
    b"1.2.840.10008."  # UIDs of the standard itself: classes, transfer syntaxes, frames of atlases
)
_MOST_REMEMBERED: Final = 20_000
_LARGE: Final = 65_536  # bytes
_BEYOND: Final = 1 << 32  # all tags
_LONGEST_SHIFT: Final = 3_650  # days
_IMPLEMENTATION: Final = b"2.25.303402281498264402861389124541163047723"
_NUMBERS: Final = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "UV": 8, "SV": 8}
_DUMMIES: Final = {
    "DA": b"19000101",
    "DT": b"19000101000000",
    "TM": b"000000",
    "AS": b"000Y",
    "DS": b"0",
    "IS": b"0",
    "UR": b"http://removed.invalid",
    "OB": b"\0\0",
    "OW": b"\0\0",
    "UN": b"\0\0",
}


@dataclass
class Deidentifier:
    """Takes out of DICOM files what tells who they are of.

    Attributes:
        secret: key of all pseudonyms; the same key gives the same ones.
        clean_pixels: find text burned into pictures and blank it (Clean Pixel Data Option).
        clean_descriptors: keep known words of texts on how an image was made (Clean Descriptors Option).
        dates: `remove`, `shift` by the patient's own number of days, or `keep` (Retain Longitudinal Temporal
            Information with Modified, or with Full Dates).
        report: (attribute, action) → how often; private attributes count under `private`. Holds no values.
        blanked: how many pictures had text that was blanked.

    >>> Deidentifier(b"key").pseudonym("4711", "") == Deidentifier(b"key").pseudonym("4711", "")
    True
    """

    secret: bytes = field(repr=False)
    clean_pixels: bool = False
    clean_descriptors: bool = True
    dates: Dates = "remove"
    blanked: int = 0
    _counts: Counter[tuple[int, Action]] = field(default_factory=Counter, repr=False)
    _uids: dict[bytes, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._profile = Profile(clean_descriptors=self.clean_descriptors, dates=self.dates)
        self._marks: dict[Encoding, dict[int, bytes]] = {}

    @property
    def report(self) -> Counter[tuple[str, Action]]:
        """Count what was done, by attribute and action."""
        found: Counter[tuple[str, Action]] = Counter()
        for (tag, action), n in self._counts.items():
            found[_name(tag), action] += n
        return found

    def __call__(self, content: Buffer) -> bytes:
        """De-identify a file; gives the new one.

        Raises:
            InputError: it is no DICOM file, is cut short or damaged.
        """
        return b"".join(self.pieces(laid_open(content)))

    def pieces(self, layout: Layout) -> list[Piece]:
        """De-identify a file laid open; gives the new one in pieces, of which those that stay are not copied."""
        blanked = without_text(layout) if self.clean_pixels else None
        self.blanked += blanked is not None
        identifier, issuer = layout.raw(0x00100020), layout.raw(0x00100021)
        patient = self.pseudonym(identifier.strip(b" \0"), issuer.strip(b" \0")).encode()
        own = self._own(layout.encoding)
        if blanked is not None:
            layout, own = blanked.layout, own | blanked.elements
        run = _Run(self, patient, self._days(patient), self._profile)
        written = list(_joined([self._meta(layout), *run.data_set(layout, own)]))
        self._counts.update(run.did)
        return written

    def pseudonym(self, identifier: str | bytes, issuer: str | bytes) -> str:
        """Give the name that a patient has in all files."""
        told = b"\x1f".join(
            part.encode() if isinstance(part, str) else part for part in (b"patient", issuer, identifier)
        )
        return "P" + hmac.digest(self.secret, told, hashlib.sha256).hex()[:15].upper()

    def uid(self, uid: bytes) -> bytes:
        """Give the UID that stands for another one (PS3.5 section B.2); those of the standard stand for themselves."""
        if uid.startswith(_STANDARD) or not uid:
            return uid
        known = self._uids.get(uid)
        if known is None:
            if len(self._uids) > _MOST_REMEMBERED:
                self._uids.clear()
            made = hmac.digest(self.secret, b"uid\x1f" + uid, hashlib.sha256)[:16]
            known = self._uids[uid] = b"2.25.%d" % int.from_bytes(made)
        return known

    def _days(self, patient: bytes) -> timedelta:
        made = hmac.digest(self.secret, b"days\x1f" + patient, hashlib.sha256)
        return timedelta(days=1 + int.from_bytes(made[:8]) % _LONGEST_SHIFT)

    def _own(self, encoding: Encoding) -> dict[int, bytes]:
        """Write what tells how the file was de-identified (PS3.3 section C.12.1.1.9), once for an encoding."""
        if encoding not in self._marks:
            chosen = {"clean_pixels": self.clean_pixels, "clean_descriptors": self.clean_descriptors}
            used = ["basic", *(name for name, wanted in chosen.items() if wanted), self.dates]
            codes = [_METHOD[name] for name in used if name in _METHOD]
            sequence = b"".join(_coded(code, words, encoding) for code, words in codes)
            # the numbers of the options: their names together would be longer than 64 characters
            told = "\\".join(["Medloom, DICOM PS3.15 Annex E", *(code for code, _ in codes)])
            self._marks[encoding] = {
                0x00120062: encoded(0x00120062, "CS", b"YES", encoding),
                0x00120063: encoded(0x00120063, "LO", told.encode(), encoding),
                0x00120064: encoded(0x00120064, "SQ", sequence, encoding),
                0x00280303: encoded(0x00280303, "CS", _TEMPORAL[self.dates], encoding),
            }
        return self._marks[encoding]

    def _meta(self, layout: Layout) -> bytes:
        """Write what precedes the data set (PS3.10 section 7.1), anew."""
        parts = b"".join(
            (
                encoded(0x00020001, "OB", b"\0\1", EXPLICIT),
                encoded(0x00020002, "UI", layout.raw(0x00080016).rstrip(b" \0"), EXPLICIT),
                encoded(0x00020003, "UI", self.uid(layout.raw(0x00080018).rstrip(b" \0")), EXPLICIT),
                encoded(0x00020010, "UI", layout.transfer_syntax.encode(), EXPLICIT),
                encoded(0x00020012, "UI", _IMPLEMENTATION, EXPLICIT),
                encoded(0x00020013, "SH", b"MEDLOOM", EXPLICIT),
            )
        )
        length = encoded(0x00020000, "UL", len(parts).to_bytes(4, "little"), EXPLICIT)
        return bytes(128) + b"DICM" + length + parts


@dataclass(frozen=True)
class _Run:
    """One file on its way through."""

    by: Deidentifier
    patient: bytes
    days: timedelta
    actions: Mapping[int, Action]
    did: list[tuple[int, Action]] = field(default_factory=list)

    def data_set(self, layout: Layout, own: Mapping[int, bytes]) -> list[Piece]:
        """Write a data set anew; `own` elements go to their places in the order of tags."""
        buffer, view = layout.body, memoryview(layout.body)
        waiting = [*sorted(own), _BEYOND]
        written: list[Piece] = []
        since = until = 0  # what stays, in one piece
        for element in layout.elements:
            tag, vr, start = element[:3]
            while waiting[0] < tag:
                written += (view[since:until], own[waiting.pop(0)])
                since = until = start
            if tag in own:
                new: bytes | None = b""
            elif (action := self.actions[tag]) == "keep" and vr != "SQ" and vr != "UN":
                new = None  # as `changed` would say; most are of this kind, or of the next
            elif action == "remove":
                self.did.append((tag, action))
                continue
            else:
                new = self.changed(buffer, element, layout.encoding, 0)
            if new is None:
                if start != until:
                    written.append(view[since:until])
                    since = start
                until = element.stop
            elif new:
                written += (view[since:until], new)
                since = until = element.stop
        written.append(view[since:until])
        return [*written, *(own[tag] for tag in waiting[:-1])]

    def changed(self, buffer: Buffer, element: Element, encoding: Encoding, depth: int) -> bytes | None:
        """Give what stands for an element; None: it stays."""
        tag = element.tag
        action = self.actions[tag]
        vr = element.vr if element.vr != "UN" else vr_of(tag)
        if action == "keep":
            return self.sequence(buffer, element, encoding, depth) if vr == "SQ" else None
        if action == "rewrite":
            return b""
        self.did.append((tag, action))
        if action == "remove":
            return b""
        return encoded(tag, vr, self.value(buffer, element, vr, action, encoding), encoding)

    def sequence(self, buffer: Buffer, element: Element, encoding: Encoding, depth: int) -> bytes:
        """Write a sequence anew, each of its items by the same rules."""
        inner = inside(element, encoding)
        written = []
        try:
            contents = list(items(buffer, element, inner, depth))
        except InputError:
            if element.vr != "UN":
                raise
            self.did.append((element.tag, "remove"))
            return b""  # not what its name says
        for content in contents:
            parts = []
            for part in content:
                new = self.changed(buffer, part, inner, depth + 1)
                parts.append(bytes(buffer[part.start : part.stop]) if new is None else new)
            written.append(encoded_item(b"".join(parts), inner))
        # one whose type was not told stays so: its items are written without types
        return encoded(element.tag, element.vr, b"".join(written), encoding)

    def value(self, buffer: Buffer, element: Element, vr: str, action: Action, encoding: Encoding) -> bytes:
        """Give what stands for a value."""
        if action == "empty":
            return b""
        if action == "pseudonym":
            return self.patient
        if vr == "SQ":
            return encoded_item(b"", encoding)
        if action == "dummy" and vr != "UI":
            return bytes(_NUMBERS[vr]) if vr in _NUMBERS else _DUMMIES.get(vr, b"REMOVED")
        values = bytes(buffer[element.value : element.end]).rstrip(b" \0").split(b"\\")
        if action == "shift":
            return b"\\".join(self.shifted(one) for one in values)
        if action == "clean":
            return b"\\".join(clean(one.decode("ascii", "ignore")).encode() for one in values)
        return b"\\".join(self.by.uid(one.strip(b" \0")) for one in values)

    def shifted(self, moment: bytes) -> bytes:
        """Move a date, or a date with a time, back by the patient's days; one that is no full date is left out."""
        digits = moment.strip(b" \0")
        if digits[4:5] == b".":
            digits = digits.replace(b".", b"")  # 2020.01.31, as before 1993
        try:
            day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) - self.days
            return day.isoformat().replace("-", "").encode() + digits[8:]
        except (ValueError, OverflowError):
            return b""


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join small pieces, which are many; leave large ones, which are pixels."""
    small: list[Piece] = []
    for piece in pieces:
        if len(piece) < _LARGE:
            small.append(piece)
            continue
        yield b"".join(small)
        small = []
        yield piece
    if small:
        yield b"".join(small)


def _coded(code: str, words: str, encoding: Encoding) -> bytes:
    parts = ((0x00080100, "SH", code), (0x00080102, "SH", "DCM"), (0x00080104, "LO", words))
    return encoded_item(
        b"".join(encoded(tag, vr, text.encode(), encoding) for tag, vr, text in parts), encoding
    )


def _name(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    if tag >> 16 & 1:
        return "private"
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
