"""The values of an observation: numbers, numbers in texts, and everything that is only a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloom.record.importers.fhir.codings import wording

Json = Mapping[str, Any]
# numeric_value, text_value, unit
Value = tuple[float | None, str | None, str | None]

NOTHING: Value = (None, None, None)


def number_in(text: str) -> float | None:
    """Read the number a text consists of, after a comparator if there is one; None if it is no number.

    A comma is not read: `1,5` is one and a half here and fifteen hundred there.

    >>> [number_in(t) for t in (" 12.5 ", ">500", "≤ 3", "1,5", "阳性", "nan", "1_000")]
    [12.5, 500.0, 3.0, None, None, None, None]
    """
    bare = text.strip().lstrip("<>=≤≥＜＞~≈ ")
    if not bare or not (bare[0].isdecimal() or bare[0] in "+-.") or "_" in bare:
        return None
    try:
        number = float(bare)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def quantity(value: Json) -> Value:
    """Read a Quantity: value and unit; with a comparator its text too.

    >>> quantity({"value": 500, "comparator": ">", "unit": "mg/dL"})
    (500, '>500', 'mg/dL')
    """
    number = value.get("value")
    unit = value.get("code") or value.get("unit")
    comparator = value.get("comparator")
    if isinstance(number, str):  # not FHIR, yet met
        return number_in(number), number, unit
    if comparator and number is not None:
        return number, f"{comparator}{number}", unit
    return number, None, unit


def value_of(element: Json) -> Value | None:
    """Read the `value[x]` of an Observation or of one of its components; None if it has none."""
    if (value := element.get("valueQuantity")) is not None:
        return quantity(value)
    if (value := element.get("valueCodeableConcept")) is not None:
        return None, wording(value), None
    if (value := element.get("valueString")) is not None:
        return number_in(value), value, None
    if (value := element.get("valueInteger")) is not None:
        return value, None, None
    if (value := element.get("valueBoolean")) is not None:
        return (1.0, "true", None) if value else (0.0, "false", None)
    for name in ("valueDateTime", "valueTime"):
        if (value := element.get(name)) is not None:
            return None, value, None
    if (value := element.get("valueRange")) is not None:
        return None, _range(value), _unit(value.get("low")) or _unit(value.get("high"))
    if (value := element.get("valueRatio")) is not None:
        return None, f"{_plain(value.get('numerator'))}:{_plain(value.get('denominator'))}", None
    if (value := element.get("valuePeriod")) is not None:
        return None, f"{value.get('start', '')}/{value.get('end', '')}", None
    return NOTHING if "valueSampledData" in element else None


def _range(value: Json) -> str:
    return f"{_plain(value.get('low'))}-{_plain(value.get('high'))}"


def _plain(value: Json | None) -> str:
    if not value or value.get("value") is None:
        return ""
    return f"{value.get('comparator', '')}{value['value']}"


def _unit(value: Json | None) -> str | None:
    return (value.get("code") or value.get("unit")) if value else None
