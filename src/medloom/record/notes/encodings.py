"""Bytes to characters, where nobody says how they were written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PAIR: Final = re.compile(rb"[\x80-\xff]+")
_CONTROLS: Final = frozenset(range(32)) - {9, 10, 12, 13}
_LOOKED_AT: Final = 65_536  # bytes
_MOST_CONTROLS: Final = 0.02  # share of the bytes of a text
_FEW_CONTROLS: Final = 3
_USUAL: Final = re.compile("[\t\n\r -~\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


@dataclass(frozen=True)
class Decoded:
    """Characters, and how sure that is.

    Attributes:
        text: of it.
        encoding: it was written in; of one written in several, that of the first line that tells.
        mixed: whether lines are written in different encodings.
    """

    text: str
    encoding: str
    mixed: bool = False


def decoded(content: bytes, told: str = "") -> Decoded | None:
    """Read bytes as text: UTF-8, UTF-16, GB18030 or Windows-1252 (Latin-1); None: they are no text.

    Args:
        content: bytes.
        told: the encoding that the source names, such as that of a web page; tried first.

    >>> decoded("患者发热".encode("gb18030")).text, decoded("Käse".encode("latin-1")).text
    ('患者发热', 'Käse')
    >>> decoded(bytes(range(256))) is None
    True
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _strictly(content, encoding)
    if told and (found := _strictly(content, told)) is not None:
        return found
    wide = _wide(content)
    if wide is not None:
        return _strictly(content, wide)
    found = _strictly(content, "utf-8")
    if found is not None:
        return None if _is_binary(content) else found
    for encoding in ("utf-16-le", "utf-16-be"):
        found = _strictly(content, encoding)
        if found is not None and _is_plausible(found.text):
            return found
    if _is_binary(content):
        return None
    if _looks_chinese(content) and not _has_utf8(content):
        found = _strictly(content, "gb18030")
        if found is not None:
            return found
    return _by_line(content)


def _strictly(content: bytes, encoding: str) -> Decoded | None:
    try:
        return Decoded(content.decode(encoding), encoding.removesuffix("-sig"))
    except (UnicodeDecodeError, LookupError):
        return None


def _wide(content: bytes) -> str | None:
    """Tell UTF-16 without a mark by where its zeros are."""
    beginning = content[:_LOOKED_AT]
    if len(beginning) < 4:
        return None
    even, odd = beginning[::2].count(0), beginning[1::2].count(0)
    half = len(beginning) // 2
    if odd > half / 3 and even < half / 20:
        return "utf-16-le"
    return "utf-16-be" if even > half / 3 and odd < half / 20 else None


def _is_binary(content: bytes) -> bool:
    beginning = content[:_LOOKED_AT]
    controls = sum(beginning.count(one) for one in _CONTROLS)
    return controls > max(_FEW_CONTROLS, _MOST_CONTROLS * len(beginning))


def _is_plausible(text: str) -> bool:
    """Tell whether characters are those of Chinese and ASCII, as of UTF-16 that was read in the right order."""
    beginning = text[:_LOOKED_AT]
    return len(_USUAL.findall(beginning)) > 0.9 * len(beginning)


def _has_utf8(content: bytes) -> bool:
    """Tell whether some lines with other than ASCII are UTF-8; a short one may be by chance."""
    lines = [one for one in content[:_LOOKED_AT].split(b"\n") if not one.isascii()]
    return sum(_strictly(one, "utf-8") is not None for one in lines) > 0.3 * len(lines)


def _looks_chinese(content: bytes) -> bool:
    """Tell whether bytes above 127 come in pairs, as in GB 2312; letters with accents stand alone."""
    runs = [len(one) for one in _PAIR.findall(content[:_LOOKED_AT])]
    return sum(one for one in runs if one % 2 == 0) > 0.8 * sum(runs)


def _by_line(content: bytes) -> Decoded:
    """Read each line as it seems to be written; what is written in several encodings is said to be mixed."""
    found, used = [], []
    for line in content.split(b"\n"):
        order = ("utf-8", "gb18030", "cp1252") if _looks_chinese(line) else ("utf-8", "cp1252")
        one = next((read for name in order if (read := _strictly(line, name)) is not None), None)
        one = one or Decoded(line.decode("latin-1"), "latin-1")
        found.append(one.text)
        if not line.isascii():
            used.append(one.encoding)
    return Decoded("\n".join(found), (used or ["utf-8"])[0], len(set(used)) > 1)
