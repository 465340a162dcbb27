"""Files of notes to plain text: TXT, HTML, PDF with a text layer, DOCX."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
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
_BREAKS: Final = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n"}
_PAGES: Final = 5000
_HTML: Final = re.compile(
    r"^[\ufeff\s]*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html|head|body|div|p|h[1-6]|table|span|pre)\b",
    re.IGNORECASE | re.DOTALL,
)
_LETTER: Final = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]")
_GUESSED: Final = ("cp1252", "latin-1")
_LOOKED_AT: Final = 20_000  # characters
_FEW_LETTERS: Final = 5
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
RICH: Final = "the file is RTF, which is not read; save it as DOCX, PDF or TXT"
UNKNOWN: Final = "the letters of the note are written in an unknown way; save it as UTF-8"
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
    elif content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{\\rtf"):
        raise UnreadableError(RICH)
    elif content.startswith(b"PK\x03\x04"):
        note = ReadNote(_of_docx(content), "docx")
    else:
        told = _CHARSET.search(content[:4096]) if b"<" in content[:64] else None
        found = decoded(content, told[1].decode("ascii") if told else "")
        if found is None:
            raise UnreadableError(BINARY)
        if found.encoding in _GUESSED and _is_misread(found.text):
            raise UnreadableError(UNKNOWN)
        marked = _HTML.match(found.text[:4096]) is not None
        text = plain_text(found.text) if marked else found.text
        note = ReadNote(text, "html" if marked else "txt", found.mixed)
    text = as_plain(note.text)
    if not text.strip():
        raise UnreadableError(EMPTY)
    return ReadNote(text, note.kind, note.mixed)


def _is_misread(text: str) -> bool:
    """Tell whether most letters have accents: of another alphabet, Windows-1251 or KOI8 read as Latin."""
    letters: list[str] = _LETTER.findall(text[:_LOOKED_AT])
    accented = sum(not one.isascii() for one in letters)
    return len(letters) > _FEW_LETTERS and accented * 2 > len(letters)


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
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        raise UnreadableError(DAMAGED) from None
    if len(xml) > LARGEST:
        raise UnreadableError(TOO_LARGE)
    found = _Paragraphs()
    parser = ElementTree.XMLParser(target=found)
    try:
        parser.feed(xml)
        parser.close()
    except (ElementTree.ParseError, ValueError):
        raise UnreadableError(DAMAGED) from None
    return "\n".join(found.lines)


class _Paragraphs:
    """Gathers the paragraphs of a document as they are parsed; text boxes stand behind what is around them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._open: list[list[str]] = []
        self._depth = 0  # of alternatives for older readers, which say the same again
        self._said = False

    def doctype(self, *_arguments: object) -> None:
        """Refuse what could define entities that unfold without end, in any encoding."""
        raise ElementTree.ParseError

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += tag.endswith("}Fallback")
        if tag == f"{_WORD}p":
            self._open.append([])
        elif tag in _BREAKS and self._open:
            self._open[-1].append(_BREAKS[tag])
        self._said = tag == f"{_WORD}t"

    def data(self, data: str) -> None:
        if self._said and self._open and not self._depth:
            self._open[-1].append(data)

    def end(self, tag: str) -> None:
        self._depth -= tag.endswith("}Fallback")
        self._said = False
        if tag == f"{_WORD}p" and self._open:
            self.lines.append("".join(self._open.pop()))

    def close(self) -> None:
        """All is there."""
