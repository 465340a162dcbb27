"""Cursors: where a page of a list ended, so that the next begins there whatever was added meanwhile.

A cursor holds nothing secret, and nothing is taken from it that the list itself would not give.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

import orjson

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest

_LARGEST: Final = 2**62  # no number of a patient, and no place in a list


def written(of: Sequence[Any], last: Sequence[Any]) -> str:
    """Write a cursor.

    Args:
        of: which list: its name, and all that chooses and sorts its rows.
        last: where it ended: values of the last row, by which the list is sorted.
    """
    content = orjson.dumps([digest(list(of))[:16], *last])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def after(text: str | None, of: Sequence[Any], *kinds: type | tuple[type, ...]) -> list[Any] | None:
    """Read where a page begins; None: at the start.

    Args:
        text: a cursor of this list.
        of: as it was written for.
        kinds: of the values of the last row.

    Raises:
        InputError: it is no cursor, or one of another list.

    >>> after(written(["patients"], [7]), ["patients"], int)
    [7]
    """
    if text is None:
        return None
    try:
        name: Any
        last: list[Any]
        name, *last = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise InputError("this is no cursor; begin without one") from None
    fits = len(last) == len(kinds) and all(
        isinstance(value, kind) and not (isinstance(value, bool) and kind is int) and _is_small(value)
        for value, kind in zip(last, kinds, strict=True)
    )
    if name != digest(list(of))[:16] or not fits:
        raise InputError("this cursor is of another list; begin without one")
    return last


def _is_small(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < _LARGEST
