"""Files of notes to plain text: TXT, HTML, PDF with a text layer, DOCX."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final
from xml.etree import ElementTree

from medloom.foundation.errors import InputError
from medloom.record.notes.encodings import decoded
from medloom.record.notes.html import plain_text

LARGEST: Final = 64 << 20
"""Bytes of a file, and of what is unpacked from it."""

_WORD: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DOCUMENT: Final = "word/document.xml"
_PAGES: Final = 5000
_HTML: Final = re.compile(
    rb"^\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|div|p)\b", re.I | re.S
)
_CHARSET: Final = re.compile(rb"charset\s*=\s*[\"']?([\w-]{2,20})", re.I)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff]")


class UnreadableError(Exception):
    """A file is no note, for one of the reasons below."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


# English templates; their translations are in `foundation/locales/zh/text-notes.json`.
BINARY: Final = "the file is no text that can be read; notes are TXT, HTML, PDF with a text layer, or DOCX"
EMPTY: Final = "the note has no words"
LOCKED: Final = "the PDF is locked with a password; save it without one"
PICTURED: Final = "the PDF has no text layer, pictures of pages alone; recognise its text first"
DAMAGED: Final = "the file of a note is damaged or cut short; export it again"
TOO_LARGE: Final = "the note, or what is unpacked from it, is larger than 64 MB"


@dataclass(frozen=True)
class ReadNote:
    """A note as it was read.

    Attributes:
        text: plain, lines end with a line feed; spans count its characters.
        kind: of file: `txt`, `html`, `pdf` or `docx`.
        mixed: whether it was written in several encodings.
    """

    text: str
    kind: str
    mixed: bool = False


def read_note(content: bytes) -> ReadNote:
    """Read a file of a note; what kind it is, is told by its content, not by its name.

    Raises:
        UnreadableError: it is none, is locked, damaged, too large, or says nothing.
        InputError: it is a PDF, and what reads PDF is not installed.

    >>> read_note(b"<html><body><p>Fever</p><p>No cough</p></body></html>").text
    'Fever\\nNo cough'
    """
    if len(content) > LARGEST:
        raise UnreadableError(TOO_LARGE)
    if content.startswith(b"%PDF-"):
        note = ReadNote(_of_pdf(content), "pdf")
    elif content.startswith(b"PK\x03\x04"):
        note = ReadNote(_of_docx(content), "docx")
    elif _HTML.match(content[:4096]):
        told = _CHARSET.search(content[:4096])
        found = decoded(content, told[1].decode("ascii") if told else "")
        if found is None:
            raise UnreadableError(BINARY)
        note = ReadNote(plain_text(found.text), "html", found.mixed)
    else:
        found = decoded(content)
        if found is None:
            raise UnreadableError(BINARY)
        note = ReadNote(found.text, "txt", found.mixed)
    text = as_plain(note.text)
    if not text.strip():
        raise UnreadableError(EMPTY)
    return ReadNote(text, note.kind, note.mixed)


def as_plain(text: str) -> str:
    r"""Give a text as records keep it: line feeds alone, and no control characters but tabs.

    >>> as_plain("\ufeffFever\r\nCough\x00")
    'Fever\nCough'
    """
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n"))


def _of_pdf(content: bytes) -> str:
    if find_spec("pypdf") is None:
        raise InputError('to read PDF, install pypdf: pip install "medloom[text]"')
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it would say what stands in a file
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError(LOCKED)
        pages, found, size = len(reader.pages), [], 0
        for number in range(min(pages, _PAGES)):
            found.append(reader.pages[number].extract_text())
            size += len(found[-1])
            if size > LARGEST:
                raise UnreadableError(TOO_LARGE)
    except UnreadableError:
        raise
    except Exception:  # noqa: BLE001 - a damaged file makes pypdf fail in any way
        raise UnreadableError(DAMAGED) from None
    text = "\n".join(found)
    if not text.strip():
        raise UnreadableError(PICTURED if pages else EMPTY)
    return text


def _of_docx(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if _DOCUMENT not in archive.namelist():
                raise UnreadableError(BINARY)
            if archive.getinfo(_DOCUMENT).file_size > LARGEST:
                raise UnreadableError(TOO_LARGE)
            with archive.open(_DOCUMENT) as file:
                xml = file.read(LARGEST + 1)  # what the archive declares need not be true
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        raise UnreadableError(DAMAGED) from None
    if len(xml) > LARGEST:
        raise UnreadableError(TOO_LARGE)
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:  # entities could unfold without end
        raise UnreadableError(DAMAGED)
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        raise UnreadableError(DAMAGED) from None
    return "\n".join(_paragraph(one) for one in root.iter(f"{_WORD}p"))


def _paragraph(paragraph: ElementTree.Element) -> str:
    pieces = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n"}
    return "".join(
        (part.text or "") if part.tag == f"{_WORD}t" else pieces.get(part.tag, "")
        for part in paragraph.iter()
    )
