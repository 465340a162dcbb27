"""Tables that are opened in spreadsheets: nothing in them is taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

MARK: Final = "\ufeff"
"""Begins a file; without it spreadsheets take Chinese for something else."""

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(cell: object) -> str:
    """Write a cell so that no spreadsheet takes it for a formula (OWASP, CSV Injection).

    >>> harmless("=1+1"), harmless("lin"), harmless(None), harmless(-3), harmless(-0.5)
    ("'=1+1", 'lin', '', '-3', '-0.5')
    """
    if isinstance(cell, int | float):
        return str(cell)
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def line(cells: Iterable[object]) -> str:
    """Write one row as CSV (RFC 4180)."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(cell) for cell in cells])
    return buffer.getvalue()
