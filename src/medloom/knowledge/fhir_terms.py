"""Codes, quantities and words of the record as FHIR R4 data types; a model as FHIR names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from medloom.foundation.hashing import digest
from medloom.foundation.messages import Text2, language
from medloom.knowledge import names, ucum, vocabularies

Json = dict[str, Any]

UCUM: Final = "http://unitsofmeasure.org"
HL7: Final = "http://terminology.hl7.org/CodeSystem/"
OWN: Final = "urn:x-medloom:"  # of what FHIR has no name for
_LOCAL: Final = OWN + "vocabulary:"
_NO_SYSTEM: Final = "LOCAL"
_TEXT: Final = "TEXT"
_LONGEST_ID: Final = 64


def coding(system: str, code: str, display: str | None = None) -> Json:
    """Make a Coding of a FHIR code system.

    >>> coding("http://loinc.org", "2823-3")
    {'system': 'http://loinc.org', 'code': '2823-3'}
    """
    return {"system": system, "code": code} | ({"display": display} if display else {})


def concept(code: str, descriptions: Mapping[str, str]) -> Json:
    """Turn a code of the record, without assertion, into a CodeableConcept; `vocabulary` and `code` take it back.

    `display` is what the source called it; `text` a clinician's short name, where there is one.

    >>> concept("LOINC//2823-3", {})
    {'coding': [{'system': 'http://loinc.org', 'code': '2823-3'}], 'text': 'Potassium'}
    >>> concept("TEXT//Fast heart", {}), concept("LOCAL//7", {"LOCAL//7": "Pain"})
    ({'text': 'Fast heart'}, {'coding': [{'code': '7', 'display': 'Pain'}]})
    """
    vocabulary, _, value = code.partition("//")
    description = descriptions.get(code)
    if vocabulary == _TEXT and value:
        return {"text": description or value}
    made: Json = {"code": value or vocabulary}
    if value and vocabulary != _NO_SYSTEM:
        made = {"system": uri(vocabulary)} | made
    if description:
        made["display"] = description
    short = names.name(code, language())
    return {"coding": [made]} | ({"text": short} if short else {})


def uri(vocabulary: str) -> str:
    """Give the system URI of a vocabulary of the record; one of the hospital's own gets a URN.

    >>> uri("SNOMED"), uri("MIMIC-D-ITEMS")
    ('http://snomed.info/sct', 'urn:x-medloom:vocabulary:MIMIC-D-ITEMS')
    """
    return vocabularies.address(vocabulary) or _LOCAL + quote(vocabulary, safe="-._~")


def said(text: Text2) -> str:
    """Say a text in the caller's language."""
    return text.zh if language() == "zh" else text.en


def quantity(value: float, unit: str | None, comparator: str | None = None) -> Json:
    """Make a Quantity; only what is UCUM is said to be.

    >>> quantity(4.1, "mmol/L")
    {'value': 4.1, 'unit': 'mmol/L', 'system': 'http://unitsofmeasure.org', 'code': 'mmol/L'}
    >>> quantity(500.0, "puffs", ">")
    {'value': 500, 'comparator': '>', 'unit': 'puffs'}
    """
    made: Json = {"value": decimal(value)}
    if comparator:
        made["comparator"] = comparator
    if unit:
        made["unit"] = unit
        if ucum.parse(unit) is not None:
            made |= {"system": UCUM, "code": unit}
    return made


def decimal(value: float) -> float | int:
    """Give the shortest number that is the same single-precision value: the record keeps no more digits.

    >>> decimal(4.099999904632568), decimal(72.0)
    (4.1, 72)
    """
    short = float(str(np.float32(value)))
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def extension(name: str, **value: Any) -> Json:
    """Make an extension of ours.

    >>> extension("model", valueString="gbdt")
    {'url': 'urn:x-medloom:extension:model', 'valueString': 'gbdt'}
    """
    return {"url": f"{OWN}extension:{name}", **value}


def device_id(model: str) -> str:
    """Name a model as FHIR takes it: letters, digits, dots and hyphens.

    >>> device_id("aki-48h.gbdt@3")
    'aki-48h.gbdt-v3'
    """
    name = model.replace("@", "-v")
    legal = len(name) <= _LONGEST_ID and all(c.isascii() and (c.isalnum() or c in "-.") for c in name)
    return name if legal else digest(model)[:32]
