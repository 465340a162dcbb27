"""Words for a model's inputs: `SNOMED//396275006 count ever` as a clinician would say it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nextafter
from typing import Final

from medloom.explanation.image_places import place_of
from medloom.explanation.windowed import AGE, COUNT, RHYTHM, SINCE, SLOPE, Recorded, recorded, windowed
from medloom.foundation import durations
from medloom.foundation.messages import LANGUAGES, Text2, text2
from medloom.knowledge import names
from medloom.knowledge.limits import Limits, limits
from medloom.knowledge.systems import split

REST: Final = "…"
"""The input that stands for all that are not shown one by one (`Explanation.top`)."""

AGED: Final = nextafter(90.0, 91.0)
"""An age that nobody has: it stands for 90 years and older where it is not told how old exactly."""

# Control characters break a page; those that turn the direction of writing can make it lie (CVE-2021-42574).
_UNSEEN: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)
# SNOMED CT's semantic tag at the end of a fully specified name (SNOMED CT Editorial Guide, "Semantic tag").
_TAG: Final = re.compile(
    r"\s+\((?:disorder|finding|procedure|situation|regime/therapy|observable entity|substance|product"
    r"|morphologic abnormality|body structure|event|physical object|qualifier value|medicinal product)\)$"
)
_LONGEST_NAME: Final = 90
_SPELLED: Final = (
    ("m[Hg]", "mHg"),
    ("[IU]", "IU"),
    ("[iU]", "IU"),
    ("Cel", "°C"),
    ("[degF]", "°F"),
    ("[lb_av]", "lb"),
    ("[in_i]", "in"),
)
_NOTHING: Final = Text2("", "")


@dataclass(frozen=True)
class Phrase:
    """What an input says of a patient: about what, what of it, and both in one line."""

    name: Text2
    detail: Text2
    whole: Text2
    absent: bool = False


def readable(
    input: str, value: float | None, descriptions: Mapping[str, str], units: Mapping[str, str]
) -> Text2:
    """Say one input of a model and its value in words, in both languages.

    Args:
        input: its name: `CODE statistic window`, `CODE 3.50h before`, `CODE`, `CODE=text` or `age`.
        value: None or NaN: missing.
        descriptions: of codes, from the record's catalogue.
        units: UCUM units of codes.

    >>> said = {"SNOMED//396275006": "Osteoarthritis"}
    >>> readable("SNOMED//396275006 count ever", 3, said, {}).en
    'Osteoarthritis, recorded 3 times'
    >>> readable("SNOMED//396275006 count 365d", 0, said, {})
    Text2(en='No osteoarthritis recorded in the last year', zh='过去 1 年内无Osteoarthritis的记录')
    >>> readable("age", 71.4, {}, {}).zh
    '年龄 71 岁'
    >>> readable("age", AGED, {}, {}).en
    'Age 90 years or older'
    >>> readable("LOINC//8867-4 3.50h before", 120, {}, {"LOINC//8867-4": "/min"}).en
    'Heart rate, 120/min, 3 hours before'
    """
    return phrase(input, value, descriptions, units).whole


def phrase(
    input: str,
    value: float | None,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    adult: bool = False,
) -> Phrase:
    """Say an input in two parts; for an `adult`, also whether a measurement is outside of what is usual."""
    known = value if value is not None and isfinite(value) else None
    if input == REST:
        return _plain(text2("All other inputs together"), _NOTHING)
    if input == AGE:
        return _age(known)
    if input == RHYTHM:
        return _plain(text2("When and how often facts were recorded"), _NOTHING)
    place = place_of(input)
    if place is not None:
        named = Text2(_capitalised(place.region.en), place.region.zh)
        return Phrase(named, place.detail, fill(text2("{name}: {detail}"), name=named, detail=place.detail))
    fact = recorded(input)
    if fact is not None:
        return _fact(fact, known, descriptions, units.get(fact.code), adult)
    found = windowed(input)
    if found is None:
        return _static(input, known, descriptions, units)
    code, statistic = found.code, found.statistic
    name, when = code_name(code, descriptions), _window(found.window)
    measured = code in units or limits(code) is not None
    if statistic == COUNT:
        return _count(name, known, when, measured)
    if statistic == SINCE:
        return _since(name, known, when, measured)
    return _measurement(name, code, statistic, known, when, units.get(code), adult)


def input_name(input: str, descriptions: Mapping[str, str], units: Mapping[str, str]) -> Text2:
    """Name an input without a value, so that no two read the same.

    >>> said = {"SNOMED//396275006": "Osteoarthritis"}
    >>> input_name("SNOMED//396275006 count ever", said, {}).en
    'Osteoarthritis: how often recorded'
    >>> input_name("SNOMED//396275006 hours since last 90d", said, {}).en
    'Osteoarthritis: how long ago last recorded in the last 90 days'
    >>> input_name("SMOKING=never", {}, {}).en, input_name("GENDER//F", {}, {}).zh
    ('SMOKING: never', '性别：女')
    """
    if input in (REST, AGE, RHYTHM):
        return phrase(input, None, descriptions, units).name
    fact = recorded(input)
    if fact is not None:
        return phrase(input, None, descriptions, units).whole
    found = windowed(input)
    if found is None:
        return _static_name(input, descriptions, units)
    code = found.code
    measured = code in units or limits(code) is not None
    said = {
        "count": text2("how often measured{when}") if measured else text2("how often recorded{when}"),
        "hours since last": text2("how long ago last measured{when}")
        if measured
        else text2("how long ago last recorded{when}"),
        "first": text2("first value{when}"),
        "last": text2("latest value{when}"),
        "min": text2("lowest value{when}"),
        "max": text2("highest value{when}"),
        "mean": text2("mean value{when}"),
        "slope": text2("trend{when}"),
    }
    detail = fill(said[found.statistic], when=_window(found.window))
    return fill(text2("{name}: {detail}"), name=code_name(code, descriptions), detail=detail)


def _static_name(input: str, descriptions: Mapping[str, str], units: Mapping[str, str]) -> Text2:
    code, sign, text = input.partition("=")
    if input.startswith("GENDER//"):
        name, detail = text2("Sex"), _sex(input, 1.0).detail
    elif sign and input not in descriptions and input not in units:
        name, detail = code_name(code, descriptions), same(clean(text)) if text else text2("empty")
    else:
        return code_name(input, descriptions)
    return fill(text2("{name}: {detail}"), name=name, detail=detail)


def code_name(code: str, descriptions: Mapping[str, str]) -> Text2:
    """Name a code: as a clinician would, else as the catalogue describes it, else by the code itself.

    >>> code_name("LOINC//8867-4 ", {}), code_name("ICD10CM//I10", {})
    (Text2(en='Heart rate', zh='心率'), Text2(en='ICD10CM I10', zh='ICD10CM I10'))
    >>> code_name("FAMILY//ICD10CM//I10", {"ICD10CM//I10": "hypertension"}).en
    'Hypertension (family history)'
    """
    code = code.strip()
    assertion, _, _ = split(code)
    if assertion is not None and code not in descriptions:
        inner = code_name(code.removeprefix(f"{assertion}//"), descriptions)
        return fill(_asserted(assertion), name=inner)
    # The start of an encounter is the encounter; its end is worth a word of its own.
    looked_up = code.removesuffix("//START") if code.startswith("ENCOUNTER//") else code
    english, chinese = (names.name(looked_up, language) for language in LANGUAGES)
    if english is not None:
        return Text2(english, chinese or english)
    described = clean(_TAG.sub("", descriptions.get(code, "")))
    said = described or clean(code.replace("//", " ")) or "?"
    return same(_capitalised(_cut(said)))


def clean(text: str) -> str:
    """Take out of a text from outside what a reader could not see.

    >>> clean("Aspirin\\x00 81\\u202e MG\\n")
    'Aspirin 81 MG'
    """
    return " ".join(_UNSEEN.sub(" ", text).split())


def number(value: float) -> str:
    """Write a number as on a chart: the digits that matter, and a true minus.

    >>> number(7.352), number(-0.5), number(12345), number(98.0), number(0.731)
    ('7.35', '−0.5', '12,345', '98', '0.73')
    """
    size = abs(value)
    whole = size >= 999.5 or value == round(value)
    said = f"{value:,.0f}" if whole else f"{value:.3g}" if size >= 0.995 else f"{value:.2g}"
    return said.replace("-", "−")


def amount(value: float, unit: str | None) -> Text2:
    """Write a value with its unit, spelled for people rather than machines.

    >>> amount(120, "mm[Hg]").en, amount(9.8, "10*3/uL").en, amount(88, "/min").en, amount(3, "d").zh
    ('120 mmHg', '9.8 10³/µL', '88/min', '3 天')
    """
    said = number(value)
    if unit in ("a", "mo", "wk", "d", "h", "min"):
        return _length(value, unit)
    spelled = unit_spelled(unit or "")
    whole = f"{said}{spelled}" if spelled.startswith("/") else f"{said} {spelled}".strip()
    return same(whole)


def unit_spelled(unit: str) -> str:
    """Spell a UCUM unit as on a chart; annotations (`{score}`) and the unit 1 say nothing to a reader.

    >>> unit_spelled("mm[Hg]"), unit_spelled("[degF]"), unit_spelled("10*3/uL")
    ('mmHg', '°F', '10³/µL')
    """
    unit = re.sub(r"\{[^}]*\}", "", clean(unit)).strip()
    if unit in ("1", "[pH]"):
        return ""
    unit = re.sub(r"10\*(\d+)", lambda power: "10" + power[1].translate(_RAISED), unit)
    for ucum, spelled in _SPELLED:
        unit = unit.replace(ucum, spelled)
    return re.sub(r"\bu(?=[A-Za-z])", "µ", unit)


def duration(hours: float) -> Text2:
    """Write a length of time in the unit a person would choose.

    >>> duration(0.2).en, duration(30).en, duration(24 * 365.25 * 3).zh
    ('less than an hour', '30 hours', '3 年')
    """
    if hours < 1:
        return text2("less than an hour")
    days = round(hours, 6) / 24  # a day ends a microsecond before the next
    if days < 2:
        return _length(int(hours + 1e-9), "h")
    if days < 60:
        return _length(int(days + 1e-9), "d")
    if days < 730:
        return _length(int(days / 30.4369 + 1e-9), "mo")
    return _length(int(days / 365.2425 + 1e-9), "a")


def usual_range(code: str, unit: str | None) -> Limits | None:
    """Give the limits of a code where they are in the unit its values have."""
    known = limits(code)
    return known if known is not None and known.unit == unit else None


def joined(parts: list[Text2]) -> Text2:
    """String phrases together, each language with its own mark."""
    return Text2("; ".join(p.en for p in parts if p.en), "；".join(p.zh for p in parts if p.zh))


def same(said: str) -> Text2:
    """Say what reads the same in both languages."""
    return Text2(said, said)


def fill(template: Text2, **values: object) -> Text2:
    """Fill a text in two languages with values, of which those that are texts in two languages differ between them.

    >>> fill(Text2("{n:,} of {who}", "{who}中 {n:,}"), n=1200, who=Text2("all", "全部"))
    Text2(en='1,200 of all', zh='全部中 1,200')
    """

    def said(at: int) -> str:
        return template[at].format(
            **{key: value[at] if isinstance(value, Text2) else value for key, value in values.items()}
        )

    return Text2(said(0), said(1))


def _asserted(assertion: str) -> Text2:
    said = {
        "NOT": text2("{name} (ruled out)"),
        "FAMILY": text2("{name} (family history)"),
        "POSSIBLE": text2("{name} (possible)"),
        "PLANNED": text2("{name} (planned)"),
        "HISTORY": text2("{name} (in the past)"),
    }
    return said[assertion]


def _length(value: float, unit: str) -> Text2:
    n = number(value)
    said = {
        "a": (text2("1 year"), text2("{n} years", n=n)),
        "mo": (text2("1 month"), text2("{n} months", n=n)),
        "wk": (text2("1 week"), text2("{n} weeks", n=n)),
        "d": (text2("1 day"), text2("{n} days", n=n)),
        "h": (text2("1 hour"), text2("{n} hours", n=n)),
        "min": (text2("1 minute"), text2("{n} minutes", n=n)),
    }
    return said[unit][n != "1"]


def _plain(name: Text2, detail: Text2) -> Phrase:
    whole = fill(text2("{name}: {detail}"), name=name, detail=detail) if detail.en else name
    return Phrase(name, detail, whole)


def _listed(name: Text2, detail: Text2) -> Phrase:
    return Phrase(name, detail, fill(text2("{name}, {detail}"), name=name, detail=detail))


def _age(years: float | None) -> Phrase:
    name = text2("Age")
    if years is None:
        return _plain(name, text2("not known"))
    if years < 2:
        return _plain(name, _length(int(years * 12 + 1e-9), "mo"))
    if years == AGED:
        return Phrase(name, text2("90 y or older"), text2("Age 90 years or older"))
    n = int(years + 1e-9)
    return Phrase(name, text2("{n} y", n=n), text2("Age {n} years", n=n))


def _static(
    input: str, value: float | None, descriptions: Mapping[str, str], units: Mapping[str, str]
) -> Phrase:
    if input.startswith("GENDER//"):
        return _sex(input, value)
    code, sign, text = input.partition("=")
    if sign and input not in descriptions and input not in units:
        said = same(clean(text)) if text else text2("empty")
        detail = said if value else fill(text2("not {what}"), what=said)
        return _plain(code_name(code, descriptions), text2("not known") if value is None else detail)
    name = code_name(input, descriptions)
    if value is None:
        return _plain(name, text2("not known"))
    if input not in units and value in (0, 1):
        return _plain(name, text2("yes") if value else text2("no"))
    return _plain(name, amount(value, units.get(input)))


def _sex(code: str, value: float | None) -> Phrase:
    sex = names.name(code, "en"), names.name(code, "zh")
    said = Text2(sex[0] or clean(code), sex[1] or clean(code))
    lower = Text2(said.en[:1].lower() + said.en[1:], said.zh)
    name = text2("Sex")
    if value is None:
        return _plain(name, text2("not known"))
    if value:
        return Phrase(name, lower, said)
    return _plain(name, fill(text2("not {what}"), what=lower))


def _count(name: Text2, value: float | None, when: Text2, measured: bool) -> Phrase:
    if not value:
        return _absence(name, when, measured)
    n = same(number(value))
    if measured:
        template = text2("measured once{when}") if value == 1 else text2("measured {n} times{when}")
    else:
        template = text2("recorded once{when}") if value == 1 else text2("recorded {n} times{when}")
    return _listed(name, fill(template, n=n, when=when))


def _since(name: Text2, value: float | None, when: Text2, measured: bool) -> Phrase:
    if value is None:
        return _absence(name, when, measured)
    if abs(value - 24) < 1e-6:  # a fact or a moment that has a day and no time
        same_day = (
            text2("last measured the same day or the day before")
            if measured
            else text2("last recorded the same day or the day before")
        )
        return _listed(name, same_day)
    template = text2("last measured {length} ago") if measured else text2("last recorded {length} ago")
    return _listed(name, fill(template, length=duration(value)))


def _absence(name: Text2, when: Text2, measured: bool) -> Phrase:
    if measured:
        detail = fill(text2("not measured{when}"), when=when)
        return Phrase(name, detail, fill(text2("{name}: {detail}"), name=name, detail=detail), absent=True)
    inside = Text2(_decapitalised(name.en), name.zh)
    whole = fill(text2("No {name} recorded{when}"), name=inside, when=when)
    return Phrase(name, fill(text2("none recorded{when}"), when=when), whole, absent=True)


def _measurement(
    name: Text2,
    code: str,
    statistic: str,
    value: float | None,
    when: Text2,
    unit: str | None,
    adult: bool,
) -> Phrase:
    if statistic == SLOPE:
        return _listed(name, _trend(value, when, unit))
    if value is None:
        return _absence(name, when, measured=True)
    said = {
        "first": text2("first {value}{when}"),
        "last": text2("latest {value}{when}"),
        "min": text2("lowest {value}{when}"),
        "max": text2("highest {value}{when}"),
        "mean": text2("mean {value}{when}"),
    }
    detail = fill(said[statistic], value=amount(value, unit), when=when)
    return _listed(name, _beside_usual(detail, code, value, unit) if adult else detail)


def _fact(
    fact: Recorded, value: float | None, descriptions: Mapping[str, str], unit: str | None, adult: bool
) -> Phrase:
    name, ago = code_name(fact.code, descriptions), duration(fact.hours)
    if value is None:
        return _listed(name, fill(text2("recorded {length} before"), length=ago))
    detail = fill(text2("{value}, {length} before"), value=amount(value, unit), length=ago)
    return _listed(name, _beside_usual(detail, fact.code, value, unit) if adult else detail)


def _beside_usual(detail: Text2, code: str, value: float, unit: str | None) -> Text2:
    """Say whether a value is outside of what is usual in adults."""
    usual = usual_range(code, unit)
    if usual is not None and usual.reference_high is not None and value > usual.reference_high:
        limit = number(usual.reference_high)
        return fill(text2("{detail} (usual: up to {limit})"), detail=detail, limit=same(limit))
    if usual is not None and usual.reference_low is not None and value < usual.reference_low:
        limit = number(usual.reference_low)
        return fill(text2("{detail} (usual: from {limit})"), detail=detail, limit=same(limit))
    return detail


def _trend(value: float | None, when: Text2, unit: str | None) -> Text2:
    """Say a slope, given per hour, per the shortest of hour, day, month, year that needs no zeros."""
    if value is None:
        return fill(text2("too few values for a trend{when}"), when=when)
    for hours, template in (
        (1.0, text2("{change} per hour{when}")),
        (24.0, text2("{change} per day{when}")),
        (24 * 30.4369, text2("{change} per month{when}")),
        (24 * 365.2425, text2("{change} per year{when}")),
    ):
        moved = value * hours
        if abs(moved) >= 0.1:
            change = text2("rising by {value}") if moved > 0 else text2("falling by {value}")
            rounded = float(f"{abs(moved):.2g}")
            return fill(template, change=fill(change, value=amount(rounded, unit)), when=when)
    return fill(text2("steady{when}"), when=when)


def _window(window: str) -> Text2:
    if window == "ever":
        return _NOTHING
    hours = durations.hours(window)
    if abs(hours / 24 - 365.25) < 1:
        return text2(" in the last year")
    if hours == 1:
        return text2(" in the last hour")
    if hours < 1:
        length = _length(hours * 60, "min")
    elif hours < 48:
        length = _length(hours, "h")
    elif hours < 24 * 366 or window.endswith("d"):
        length = _length(hours / 24, "d")
    else:
        length = _length(hours / 24 / 365.25, "a")
    return fill(text2(" in the last {length}"), length=length)


def _capitalised(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if len(first) > 1 and first.islower() else text


def _decapitalised(text: str) -> str:
    """Write an ordinary word small inside a sentence; abbreviations and names keep their capital."""
    words = text.split(" ")
    named = len(words) > 1 and words[1].lower() in ("disease", "syndrome", "lymphoma", "sign", "fracture")
    ordinary = re.fullmatch(r"[A-Z][a-z]{2,}", words[0]) is not None
    return text[:1].lower() + text[1:] if ordinary and not named else text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1].rstrip() + "…"


_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
