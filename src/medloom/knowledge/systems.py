"""Code systems: one spelling for each system, code, assertion, encounter class and gender."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from medloom.foundation.errors import InputError
from medloom.knowledge import vocabularies

ASSERTION_PREFIXES: tuple[str, ...] = ("NOT", "FAMILY", "POSSIBLE", "PLANNED", "HISTORY")
REJECTED = "REJECTED"
"""Before a whole code, its assertion included: a person says that no fact is there. `NOT` is one: that it is denied."""
PREFIXES: tuple[str, ...] = (REJECTED, *ASSERTION_PREFIXES)
"""All that may stand before a code."""


@lru_cache(maxsize=16_384)
def vocabulary(uri: str) -> str:
    """Turn a FHIR system URI, an OID or a name into OMOP's vocabulary_id.

    What is unknown gets a short local name: the last part of its path in upper case, of
    letters, digits, '.', '_' and '-'. Where that would read as a standard vocabulary or
    as one of the record's own words, the host goes in front, so that no local list of
    codes passes for LOINC. Applying it twice changes nothing.

    Raises InputError for an empty one.

    >>> vocabulary("http://loinc.org"), vocabulary("urn:oid:2.16.840.1.113883.6.238")
    ('LOINC', 'Race')
    >>> vocabulary("http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-items")
    'MIMIC-D-ITEMS'
    >>> vocabulary("https://st-mary.org/CodeSystem/loinc")
    'ST-MARY.ORG-LOINC'
    """
    text = uri.strip()
    known = vocabularies.by_address().get(vocabularies.bare(text))
    if known is not None:
        return known
    if not _is_address(text):
        return _named(text)
    host, last = _host_and_last(text)
    return _local(last, host) if host else _named(last)


@lru_cache(maxsize=262_144)
def code(system: str, value: str) -> str:
    """Write a code as `SYSTEM//code` in the canonical spelling of its system.

    ICD in upper case with its dot (ICD-10: after the third character; ICD-9-CM: after the
    third, E codes after the fourth; ICD-9 procedures: after the second), NDC as 11 digits
    where the source's hyphens say which, all else as it is. `system` is a vocabulary_id,
    a URI or an OID. Applying it to its own value changes nothing.

    Raises InputError if system or value is empty.

    >>> code("ICD10CM", "e119"), code("ICD9CM", "E8889"), code("ICD9Proc", "3893")
    ('ICD10CM//E11.9', 'ICD9CM//E888.9', 'ICD9Proc//38.93')
    >>> code("http://hl7.org/fhir/sid/ndc", "0002-1433-80")
    'NDC//00002143380'
    >>> code("LOINC", " 8480-6 ")
    'LOINC//8480-6'
    """
    text = value.strip()
    if not text:
        raise InputError(
            "a code of system {system!r} is empty; give the code, or leave the row out", system=system
        )
    name = vocabulary(system)
    return f"{name}//{_spelled(name, text)}"


def split(code: str) -> tuple[str | None, str, str]:
    """Split a code of the record into assertion (or None), system and value ('' if there is none).

    >>> split("NOT//ICD10CM//I10"), split("LOINC//8480-6"), split("MEDS_BIRTH")
    (('NOT', 'ICD10CM', 'I10'), (None, 'LOINC', '8480-6'), (None, 'MEDS_BIRTH', ''))
    """
    first, _, rest = code.partition("//")
    if first in ASSERTION_PREFIXES and rest:
        system, _, value = rest.partition("//")
        return first, system, value
    return None, first, rest


def asserted(prefix: str | None, code: str) -> str:
    """Mark a code as not simply true of this patient now; None leaves it as it is.

    Raises InputError for an unknown prefix, or a code that carries another one already.

    >>> asserted("FAMILY", "SNOMED//44054006"), asserted("NOT", "NOT//SNOMED//44054006")
    ('FAMILY//SNOMED//44054006', 'NOT//SNOMED//44054006')
    """
    if prefix is None:
        return code
    if prefix not in ASSERTION_PREFIXES:
        raise InputError(
            "assertion {prefix!r} is unknown; use one of {known}",
            prefix=prefix,
            known=ASSERTION_PREFIXES,
        )
    present = split(code)[0]
    if present == prefix:
        return code
    if present is not None:
        raise InputError(
            "a code already marked {present} cannot also be marked {prefix}; keep one of them",
            present=present,
            prefix=prefix,
        )
    return f"{prefix}//{code}"


@lru_cache(maxsize=4096)
def encounter_class(code: str) -> str:
    """Sort an encounter into inpatient, emergency, outpatient, icu, home, virtual or other.

    Reads HL7 v3 ActCode, HL7 v2 PV1-2 (table 0004), OMOP visit concepts by id or name,
    FHIR R5 classes and Chinese words. ACUTE is an acute inpatient stay, as HL7 has it:
    a source that uses it for intensive care (MIMIC on FHIR) has to say so in its importer.

    >>> [encounter_class(c) for c in ("IMP", "AMB", "9203", "OBSENC", "住院", "Home Visit", "?")]
    ['inpatient', 'outpatient', 'emergency', 'inpatient', 'inpatient', 'home', 'other']
    """
    return _classes().get(_word(code), "other")


@lru_cache(maxsize=4096)
def gender(value: str) -> str | None:
    """Read an administrative gender: 'M', 'F', 'other', 'unknown', or None if it is no gender.

    FHIR, OMOP concept ids, HL7 v2 table 0001, SNOMED CT, LOINC answers, Chinese. Digits such as
    0, 1 and 2 are None: what they mean differs between hospitals.

    >>> [gender(v) for v in ("male", "8532", "女", "Other", "1")]
    ['M', 'F', 'F', 'other', None]
    """
    return _genders().get(_word(value))


_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_OID = re.compile(r"^[0-2](?:\.\d+){2,}$")
_OWN_WORDS = frozenset(("GENDER", "ENCOUNTER", "MEDS_BIRTH", "MEDS_DEATH", "MODEL", *PREFIXES))


def _named(text: str) -> str:
    """Find the vocabulary that a name means, stray punctuation aside; else a local one."""
    names = vocabularies.by_name()
    return (
        names.get(vocabularies.squeezed(text))
        or names.get(vocabularies.squeezed(_safe(text)))
        or _local(text, "")
    )


def _is_address(text: str) -> bool:
    return _ADDRESS.match(text) is not None or "/" in text or _OID.match(text) is not None


def _host_and_last(address: str) -> tuple[str, str]:
    """Split an unknown URI into the host (or URN namespace) and the last part of its path."""
    text = unquote(address.partition("|")[0])
    for scheme in ("urn:oid:", "oid:"):
        if text.lower().startswith(scheme):
            return "", "OID-" + text[len(scheme) :]
    if _OID.match(text):
        return "", "OID-" + text
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:  # an unbalanced bracket reads as a broken IPv6 address
        host = ""
    pieces = [piece for piece in re.split(r"[/#?:]", text) if piece]
    return host, pieces[-1] if pieces else ""


def _local(name: str, host: str) -> str:
    safe = _safe(name)
    if not safe:
        raise InputError("a code system is empty or has no usable name; give its URI or vocabulary_id")
    taken = safe in PREFIXES or (
        host != "" and (safe in _OWN_WORDS or vocabularies.squeezed(safe) in vocabularies.by_name())
    )
    return f"{_safe(host) or 'LOCAL'}-{safe}" if taken else safe


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name.upper()).strip("-.")


def _spelled(name: str, text: str) -> str:
    if name in ("ICD10CM", "ICD10", "ICD10CN", "ICD10GM", "ICD9CM", "ICD9Proc", "ICD10PCS"):
        return _icd(name, text.upper())
    if name == "NDC":
        return _ndc(text)
    return text


_ICD10 = re.compile(r"[A-Z]\d[0-9A-Z][0-9A-Z]*")
_ICD9 = re.compile(r"(?:\d{3}|V\d{2}|E\d{3})\d{0,2}")
_ICD9_PROCEDURE = re.compile(r"\d{2}\d{0,2}")
_ICD10_PROCEDURE = re.compile(r"[0-9A-HJ-NP-Z]{3,7}")


def _icd(name: str, text: str) -> str:
    """Put the dot where the classification has it; what is no code of it stays as it is."""
    plain = re.sub(r"[\s.]", "", text).rstrip("†*+")  # dagger and asterisk mark use, ICD-10 vol. 2 § 3.1.3
    if name == "ICD10PCS":
        return plain if _ICD10_PROCEDURE.fullmatch(plain) else text
    if name == "ICD9Proc":
        # 3.9 has lost its leading zero, and where it stood can no longer be told from 39
        padded = "0" + plain if re.fullmatch(r"\d\.\d{1,2}", text) else plain
        return _dotted(padded, 2) if _ICD9_PROCEDURE.fullmatch(padded) else text
    if name == "ICD9CM":
        if re.fullmatch(r"\d{1,2}\.\d{1,2}", text):  # a spreadsheet ate the zeros of 008.45
            plain = plain.zfill(len(plain) + 3 - text.index("."))
        return _dotted(plain, 4 if plain.startswith("E") else 3) if _ICD9.fullmatch(plain) else text
    return _dotted(plain, 3) if _ICD10.fullmatch(plain) else text


def _dotted(text: str, at: int) -> str:
    return f"{text[:at]}.{text[at:]}" if len(text) > at else text


def _ndc(text: str) -> str:
    """Write an NDC as 5-4-2 digits without hyphens; a 10-digit one without hyphens is ambiguous and stays."""
    parts = text.replace(" ", "").split("-")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return text
    widths = (5, 4, 2)
    fits = 2 <= len(parts) <= 3 and all(
        len(part) <= width for part, width in zip(parts, widths, strict=False)
    )
    if not fits:
        return "".join(parts) if len(parts) == 1 else text
    return "".join(part.zfill(width) for part, width in zip(parts, widths, strict=False))


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip().casefold())


_CLASSES: dict[str, str] = {
    "inpatient": "imp|inpatient|inpatient encounter|inpatient visit|inpatient hospital|ip|i|b|hospitalization"
    "|acute|inpatient acute|nonac|inpatient non acute|ss|short stay|obsenc|observation|observation encounter"
    "|observation room|admission|erip|emergency room and inpatient visit|9201|8717|581385|262"
    "|住院|入院|住院患者|留观",
    "emergency": "emer|emergency|emergency room visit|emergency room|emergency department|ed|er|e|9203|8870"
    "|急诊|急救",
    "outpatient": "amb|ambulatory|outpatient|outpatient visit|outpatient hospital|op|o|r|office visit|office"
    "|laboratory visit|urgent care facility|9202|8756|8940|581477|32036|8782|门诊|门诊患者|日间手术|体检",
    "icu": "icu|intensive care|intensive care unit|critical care|inpatient critical care facility"
    "|32037|581379|重症|重症监护|重症监护室|重症医学科",
    "home": "hh|home|home health|home visit|581476|家庭|上门|家庭病床|居家",
    "virtual": "vr|virtual|telehealth|telemedicine|5083|远程|互联网|互联网诊疗|线上",
}


@lru_cache(maxsize=1)
def _classes() -> dict[str, str]:
    return {word: name for name, words in _CLASSES.items() for word in words.split("|")}


_GENDERS: dict[str, str] = {
    "M": "m|male|man|8507|248153007|la2 8|男|男性|男士",
    "F": "f|female|woman|8532|248152002|la3 6|女|女性|女士",
    "other": "other|o|a|n|ambiguous|8521|8570|undifferentiated|其他|其它",
    "unknown": "unknown|u|unk|un|8551|asku|未知|不详|未说明|未说明的性别|未知的性别",
}


@lru_cache(maxsize=1)
def _genders() -> dict[str, str]:
    return {word: name for name, words in _GENDERS.items() for word in words.split("|")}
