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


class Piece(NamedTuple):
    """Where an entry stands in the bytes (whatever else stands before the next included), and what it begins with."""

    begin: int
    end: int
    address: str
    kind: str
    identifier: str


def cut(data: bytes) -> list[Piece] | None:
    """Cut a Bundle in JSON into its entries; None if that would not be exact, and it must be parsed as a whole.

    In valid JSON no string holds an unescaped quote: where `{"fullUrl"` stands, an
    object begins whose first key that is. Only a Bundle's entries have that key (R4
    § 2.36.8). So the cuts are right if there is one Bundle, each such object goes on
    as entries do, and what is left without them is a Bundle without entries.

    >>> entry = b'{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Claim","id":"a"}}'
    >>> (piece,) = cut(b'{"resourceType":"Bundle","entry":[' + entry + b']}')
    >>> piece.kind, piece.end - piece.begin == len(entry)
    ('Claim', True)
    """
    if data.count(b'"Bundle"') != 1:
        return None
    heads = []
    key = data.find(_KEY)
    while key >= 0:
        head = _HEAD.match(data, data.rfind(b"{", 0, key))
        if head is None:
            return None
        heads.append(head)
        key = data.find(_KEY, head.end())
    if not heads:
        return None
    last = heads[-1].start()
    try:
        rest = data[last:].decode()
        _, length = json.JSONDecoder().raw_decode(rest)
        end = last + len(rest[:length].encode())
        frame = orjson.loads(data[: heads[0].start()] + data[end:])
        if frame["resourceType"] != "Bundle" or frame["entry"] != []:
            return None
        ends = [*(head.start() for head in heads[1:]), end]
        return [
            Piece(head.start(), end, head[1].decode(), head[2].decode(), head[3].decode())
            for head, end in zip(heads, ends, strict=True)
        ]
    except (ValueError, KeyError, TypeError):
        return None


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
