"""Conditions on a row: `In-hospital_death == 1`, `status in final, corrected`, `note is missing`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

_PATTERN = re.compile(
    r"^\s*(?P<column>.+?)\s*(?P<operator>==|!=|<=|>=|<|>|\sin\s|\sis not missing$|\sis missing$)"
    r"\s*(?P<value>.*?)\s*$"
)


@dataclass(frozen=True)
class RowCondition:
    """A column, an operator and what it is compared with."""

    column: str
    operator: str
    values: tuple[str, ...]

    def expression(self) -> pl.Expr:
        """Say the condition over text columns; a missing (null) cell meets only `is missing` and `!=`."""
        cell = pl.col(self.column)
        if self.operator in ("is missing", "is not missing"):
            return cell.is_null() if self.operator == "is missing" else cell.is_not_null()
        number = cell.cast(pl.Float64, strict=False)
        same = pl.lit(False)
        for value in self.values:
            same = same | (cell == value)
            if _number(value) is not None:
                same = same | (number == _number(value))
        if self.operator in ("==", "in"):
            return same.fill_null(False)
        if self.operator == "!=":
            return ~same.fill_null(False)
        limit = _number(self.values[0])
        compared = {"<": number < limit, "<=": number <= limit, ">": number > limit, ">=": number >= limit}
        return compared[self.operator].fill_null(False)


def parse_condition(text: str) -> RowCondition:
    """Read a condition.

    Raises:
        ValueError: it is not one; the message shows how one looks.

    >>> parse_condition("In-hospital_death == 1")
    RowCondition(column='In-hospital_death', operator='==', values=('1',))
    """
    found = _PATTERN.match(text)
    if not found:
        raise ValueError(
            f"{text!r} is not a condition; write: column == value "
            "(or != < <= > >= in, is missing, is not missing)"
        )
    operator, value = found["operator"].strip(), found["value"]
    if operator.startswith("is "):
        return RowCondition(found["column"], operator, ())
    values = [value] if operator != "in" else [part.strip() for part in value.split(",")]
    if operator in ("<", "<=", ">", ">=") and _number(value) is None:
        raise ValueError(f"{text!r} compares with {value!r}, which is not a number")
    return RowCondition(found["column"], operator, tuple(part.strip("\"'") for part in values))


def all_of(conditions: Sequence[str]) -> pl.Expr:
    """Say that all of some conditions hold."""
    return pl.all_horizontal(parse_condition(text).expression() for text in conditions)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
