"""Which characters a file's bytes are: told apart where that is safe, refused where it is a guess."""

from __future__ import annotations

import codecs

from medloom.foundation.errors import InputError

# A GB18030 decoder accepts most Latin-1 text too ("ü" and the letter after it become one rare
# character); what people write in Chinese lies almost wholly in GB2312.
_COMMON_SHARE = 0.9


def detect_encoding(head: bytes, whole: bool, label: str) -> str:
    """Name the encoding of a file from its first bytes (`whole`: all of them), as a Python codec.

    Raises:
        InputError: it is none of UTF-8, UTF-16 with mark and GB18030; the message says how to name it.

    >>> detect_encoding("病历号,结果".encode("gbk"), True, "x"), detect_encoding("号".encode(), True, "x")
    ('gb18030', 'utf-8')
    """
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in head:
        raise InputError(
            "{label} has zero bytes and no byte order mark: it is not text, or UTF-16 without mark; "
            "if it is text, add to its table in the mapping: encoding: utf-16-le",
            label=label,
        )
    if decodes(head, "utf-8", whole) is not None:
        return "utf-8"
    text = decodes(head, "gb18030", whole)
    if text is not None:
        foreign = [c for c in text if ord(c) > 127]
        common = len("".join(foreign).encode("gb2312", "ignore").decode("gb2312"))
        if common >= _COMMON_SHARE * len(foreign):
            return "gb18030"
    raise InputError(
        "{label} is not UTF-8, nor UTF-16 with a mark, nor clearly GB18030; add its encoding to the table in "
        "the mapping, such as encoding: gb18030 (Chinese), encoding: latin-1 or encoding: cp1252 (Western)",
        label=label,
    )


def decodes(data: bytes, encoding: str, whole: bool) -> str | None:
    """Decode strictly, allowing a cut character at the end unless this is the whole; None if it fails."""
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(data, final=whole)
    except UnicodeDecodeError:
        return None


def check_encoding(name: str) -> None:
    """Check that an encoding exists.

    Raises:
        ValueError: it does not.
    """
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ValueError(
            f"{name!r} is no known encoding; write one like utf-8, gb18030, utf-16 or latin-1"
        ) from error
