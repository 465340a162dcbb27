"""A Bundle's bytes cut into its entries, so that each is parsed by itself and many need not be parsed at all.

Parsing a Bundle as a whole makes a tree of all its entries before the first is
read: more memory, and most of what is read has left the processor's cache by
then. Cutting is exact or is not done: see `cut`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

import orjson

_HEAD: Final = re.compile(
    rb'\{\s*"fullUrl"\s*:\s*"([^"\\]*)"\s*,\s*"resource"\s*:\s*\{'
    rb'\s*"resourceType"\s*:\s*"([A-Za-z]+)"\s*,\s*"id"\s*:\s*"([^"\\]*)"'
)
_ENTRIES: Final = re.compile(r'"entry"\s*:\s*\[')
_KEY: Final = b'"fullUrl"'
_OF_RESOURCES: Final = (None, "transaction", "batch", "searchset", "collection", "document", "message")
_COMMA: Final = ord(",")


class Pieces(NamedTuple):
    """Where a Bundle's entries stand, of what type they are, and what their addresses stand for."""

    places: list[tuple[int, int, str]]  # begin, end, type; what stands before the next begin is included
    aliases: dict[str, str]  # fullUrl → id, where the one does not end in the other


def cut(data: bytes) -> Pieces | None:
    """Cut a Bundle in JSON into its entries; None if that would not be exact, and it must be parsed as a whole.

    In valid JSON no string holds an unescaped quote: where `{"fullUrl"` stands, an
    object begins whose first key that is, and only a Bundle's entries have that key (R4
    § 2.36.8). The cuts are right if each such object goes on as entries do and follows
    another one (so none is of a Bundle within the Bundle), and if what is left without
    them is a Bundle without entries.

    >>> entry = b'{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Claim","id":"a"}}'
    >>> bundle = b'{"resourceType":"Bundle","entry":[' + entry + b"]}"
    >>> [(kind, bundle[begin:end] == entry) for begin, end, kind in cut(bundle).places]
    [('Claim', True)]
    """
    begins: list[int] = []
    kinds: list[str] = []
    aliases: dict[bytes, bytes] = {}
    key = data.find(_KEY)
    while key >= 0:
        begin = data.rfind(b"{", 0, key)
        head = _HEAD.match(data, begin)
        if head is None or (begins and data[begin - 1] != _COMMA and not _follows(data, begin)):
            return None
        address, kind, identifier = head.groups()
        if not address.endswith((b":" + identifier, b"/" + identifier)):
            aliases[address] = identifier
        begins.append(begin)
        kinds.append(kind.decode())
        key = data.find(_KEY, head.end())
    if not begins:
        return None
    try:
        rest = data[begins[-1] :].decode()
        _, length = json.JSONDecoder().raw_decode(rest)
        end = begins[-1] + len(rest[:length].encode())
        frame = orjson.loads(data[: begins[0]] + data[end:])
        if frame["resourceType"] != "Bundle" or frame["entry"] != []:
            return None
        # entries without a resource could hide behind one that is not parsed
        if frame.get("type") not in _OF_RESOURCES or b'"DELETE"' in data:
            return None
        read = {address.decode(): identifier.decode() for address, identifier in aliases.items()}
    except (ValueError, KeyError, TypeError):
        return None
    return Pieces(list(zip(begins, [*begins[1:], end], kinds, strict=True)), read)


def _follows(data: bytes, begin: int) -> bool:
    """Tell whether a comma stands before a place, white space aside."""
    return data[max(0, begin - 256) : begin].rstrip().endswith(b",")


def entries_in(piece: bytes) -> list[Any]:
    """Parse a piece: one entry, and after it those that have no fullUrl.

    Raises:
        ValueError: it is not valid JSON.
    """
    found: list[Any] = orjson.loads(b"[" + piece.rstrip(b" \t\r\n,") + b"]")
    return found


def whole_entries(data: bytes) -> list[Any]:
    """Give the entries of a Bundle that is not valid JSON, up to the first that is not whole."""
    text = data.decode("utf-8", errors="replace")
    begin = _ENTRIES.search(text)
    entries: list[Any] = []
    if begin is None:
        return entries
    decode = json.JSONDecoder().raw_decode
    place = begin.end()
    while True:
        while text[place : place + 1] in (" ", "\t", "\r", "\n", ","):
            place += 1
        try:
            entry, place = decode(text, place)
        except ValueError:
            return entries
        entries.append(entry)
