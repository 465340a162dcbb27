"""Addresses, towns, hospitals and employers in English notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from medloom.record.deidentify.kinds import Identifier, Kind
from medloom.record.deidentify.labels import PLACES
from medloom.record.deidentify.people import Style
from medloom.record.deidentify.words import ORDINARY, Spots, matches

_STATES: Final = (
    "al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc "
    "nd oh ok or pa ri sc sd tn tx ut vt va wa wv wi wy dc pr"
).split()
_LONG_STATES: Final = (
    "alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|georgia|hawaii|"
    "idaho|illinois|indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|"
    "minnesota|mississippi|missouri|montana|nebraska|nevada|new hampshire|new jersey|new mexico|new york|"
    "north carolina|north dakota|ohio|oklahoma|oregon|pennsylvania|rhode island|south carolina|"
    "south dakota|tennessee|texas|utah|vermont|virginia|washington|west virginia|wisconsin|wyoming"
)
_END: Final = (
    r"(?:street|str|st|avenue|ave|av|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|pl|"
    r"terrace|ter|circle|cir|"
    r"parkway|pkwy|highway|hwy|square|sq|trail|trl|crescent|row|alley|plaza|turnpike|pike|loop|close|gardens)"
)
_STREET: Final = re.compile(
    rf"(?<![\d/.,-])\d{{1,5}}[a-z]?[ ]{{1,2}}(?P<words>(?:(?:[nsew]|[ns][ew])\.?[ ]{{1,2}})?"
    rf"(?:[a-z][a-z'’.-]*[ ]{{1,2}}|\d{{1,3}}(?:st|nd|rd|th)"
    rf"[ ]{{1,2}}){{1,4}}?)(?P<end>{_END})\b\.?"
    r"(?P<flat>,?[ ]{1,2}(?:apt|apartment|unit|suite|ste|#|room|floor|bldg)\.?[ ]{0,2}#?[a-z]?\d{1,4}[a-z]?\b)?"
)
_ROUTE: Final = re.compile(
    r"(?<![\d/.,-])\d{1,5}[ ]{1,2}(?:(?:old|state|county|us|u\.s\.|[nsew]\.?|north|south|east|west)[ ]{1,2}){0,2}"
    r"(?:highway|hwy|route|rte|road|rd)\.?[ ]{1,2}\d{1,4}\b"
)
_PART: Final = re.compile(r"[A-Za-z][A-Za-z'’-]*\.?")
_RUN: Final = re.compile(r"\S+")
_FIRM: Final = re.compile(r"[ ]{0,2}(?P<it>[A-Za-z0-9&][A-Za-z0-9'’&-]*)(?P<dot>\.?)")
_BOX: Final = re.compile(r"p\.?[ ]?o\.?[ ]{0,2}box[ ]{1,2}\d{1,8}")
_TOWN_BEHIND: Final = re.compile(
    r"(?:,[ ]{0,2}|[ ]{0,2}\n[ ]*)(?P<town>(?:[a-z][a-z'’.-]*[ ]{1,2}){0,2}[a-z][a-z'’-]*)"
    rf"(?=[ ]?(?:,[ ]{{1,2}}(?:{'|'.join(_STATES)}|{_LONG_STATES})\b|[.;,]?(?:\s|$)))"
)
_TOWN: Final = re.compile(
    rf",[ ]{{1,2}}(?:(?P<state>{'|'.join(_STATES)})|{_LONG_STATES})\b(?P<zip>\.?[ ]{{1,3}}"
    rf"(?P<code>\d{{5}}(?:-\d{{4}})?)(?![\d-]))?"
)
_WORDS_BACK: Final = re.compile(r"(?:[A-Za-z][A-Za-z'’-]*\.?[ ]{1,2}){0,2}[A-Za-z][A-Za-z'’-]*$")
_PREPOSITION: Final = re.compile(r"(?:in|from|to|of|at|near|outside|around|:|\|)[ ]{1,2}$")
_ENDING: Final = re.compile(
    r"(?:hospital|medical (?:center|centre|group|associates)|clinic|infirmary|health (?:center|"
    r"centre|system|network)|"
    r"nursing home|rehabilitation (?:center|hospital)|family practice|hospice|sanatorium|care center|healthcare|"
    r"nursing facility|assisted living|surgery center|cancer center|urgent care|manor|recovery "
    r"center|treatment center|"
    r"wellness center|trauma center|birth center|dialysis center)(?![a-z])"
)
_FURTHER: Final = re.compile(
    r"[ ]{1,2}of(?:[ ]the)?(?:[ ]University[ ]of)?[ ]{1,2}(?P<it>[A-Z][\w'’-]*)(?:[ ][A-Z][\w'’-]*){0,3}"
)
_FURTHER_SAID: Final = re.compile(
    r"[ ]{1,2}of(?:[ ]the)?(?:[ ]university[ ]of)?[ ]{1,2}(?P<it>(?!(?:the|his|her|choice|record|"
    r"care|a|this)\b)[a-z][a-z'’-]*)",
    re.IGNORECASE,
)
_ENDINGS: Final = (
    "hospital medical clinic infirmary health nursing rehabilitation family hospice sanatorium "
    "care healthcare assisted surgery cancer urgent manor recovery treatment wellness trauma "
    "birth dialysis".split()
)
_GENERIC: Final = frozenset(
    "general community county regional state university children's veterans psychiatric "
    "rehabilitation teaching local outside nearby tertiary acute day private public pain wound "
    "skilled nursing outpatient inpatient cardiology oncology surgery surgical dermatology "
    "neurology urology orthopedic eye heart failure lung diabetes anticoagulation coumadin "
    "warfarin memory sleep medicine specialty primary care family practice walk-in free student "
    "women's fracture pediatric fertility dental travel vein hand foot stroke transplant headache "
    "hypertension renal dialysis infusion referring receiving academic area district base field "
    "follow-up health mental long-term post-acute rural city".split()
)
_OURS: Final = frozenset(
    "the a an our your this that her his their my at to from in of for by and or with via".split()
)
_PROPER: Final = frozenset(
    "general medical first second third center centre family heart hope one two three four five "
    "six seven eight nine ten upper lower side old park church post county court home school "
    "university right day early still social state hospital young".split()
)
_EMPLOYED: Final = re.compile(
    r"(?:works? (?:at|for)|worked (?:at|for)|working (?:at|for)|employed (?:by|at|with)|retired "
    r"from|employee of|teacher at|"
    r"student at|studies at|attends|teaches at|job at|employer is|employer[ ]?[:|]|school[ ]?[:|])[ ]{0,3}(?:the[ ])?"
)
_ORGANISATION: Final = re.compile(
    r"(?:inc|llc|ltd|corp|corporation|company|gmbh|plc|elementary school|high school|middle school|"
    r"university|college|"
    r"fire department|police department|transit authority|logistics|insurance group|school district)\b\.?"
)
_EMPLOYMENT: Final = (
    "works work worked working employed retired employee teacher student studies attends teaches job employer "
    "school".split()
)
_ORGANISATIONS: Final = (
    "inc llc ltd corp corporation company gmbh plc elementary high middle university college fire "
    "police transit logistics insurance school".split()
)
_LABELS: Final = (
    "home mailing street permanent address residence city town county birthplace place lives "
    "employer school workplace facility hospital".split()
)
_BACKWARD: Final = re.compile(r"(?:[A-Za-z0-9&][A-Za-z0-9'’&-]*\.?,?[ ]{1,2}){1,5}$")
_LABEL: Final = re.compile(
    r"(?P<it>(?:home |mailing |street |permanent )?address|residence|city/state/zip|city|town|"
    r"county|birthplace|place of birth|"
    r"lives at|employer|school|workplace|facility|hospital)[ ]{0,3}[:|][ ]{0,20}"
)


def places_named(text: str, low: str, where: Spots, style: Style) -> Iterator[Identifier]:
    """Find them.

    Args:
        text: in the usual characters.
        low: the same in lower case.
        where: its words stand.
        style: of the text.
    """
    for match in _STREET.finditer(low):
        if _is_street(text, low, match, style):
            yield Identifier(match.start(), match.end(), "address")
            behind = _TOWN_BEHIND.match(low, match.end())
            if behind is not None and _proper(text, low, *behind.span("town"), style):
                yield Identifier(behind.start("town"), behind.end("town"), "address")
    routes = (
        _ROUTE.finditer(low)
        if any(one in where for one in ("highway", "hwy", "route", "rte", "road", "rd"))
        else ()
    )
    for match in (*routes, *matches(_BOX, ("p", "po"), low, where)):
        yield Identifier(match.start(), match.end(), "address")
        behind = _TOWN_BEHIND.match(low, match.end())
        if behind is not None and _proper(text, low, *behind.span("town"), style):
            yield Identifier(behind.start("town"), behind.end("town"), "address")
    for match in _TOWN.finditer(low):
        yield from _town(text, low, match, style)
    for match in matches(_ENDING, _ENDINGS, low, where):
        found = _before(text, low, match.start(), style, 5)
        further = (
            _FURTHER.match(text, match.end()) if style == "mixed" else _FURTHER_SAID.match(low, match.end())
        )
        if further is not None and further["it"].lower() not in ORDINARY - _PROPER:
            yield Identifier(match.start() if found is None else found, further.end(), "hospital")
        elif found is not None and not all(one in _GENERIC for one in low[found : match.start()].split()):
            yield Identifier(found, match.end(), "hospital")
    for match in matches(_ORGANISATION, _ORGANISATIONS, low, where):
        found = _before(text, low, match.start(), style, 4)
        if found is not None and low[found : match.start()].strip() not in _GENERIC:
            yield Identifier(found, match.end(), "organisation")
    for match in matches(_EMPLOYED, _EMPLOYMENT, low, where):
        end = _run(text, low, match.end(), style)
        if end is not None:
            yield Identifier(match.end(), end, "organisation")
    for match in matches(_LABEL, _LABELS, low, where):
        yield from _labelled(text, low, match, style)


def _is_street(text: str, low: str, match: re.Match[str], style: Style) -> bool:
    words = match["words"].split()
    if any(one.rstrip(".") in ORDINARY - _PROPER for one in words if len(one) > 1):
        return False
    if style == "mixed":
        capital = [text[one.start()].isupper() or text[one.start()].isdigit() for one in
                   _RUN.finditer(text, match.start("words"), match.end("end"))]  # fmt: skip
        return all(capital) or (
            not any(capital) and len(match["end"]) > 3 and match["end"] not in ("court", "place")
        )
    return match["end"] not in ("st", "ct", "dr", "sq", "row", "way", "close") or len(match["words"]) > 3


def _town(text: str, low: str, match: re.Match[str], style: Style) -> Iterator[Identifier]:
    if match["code"]:
        yield Identifier(match.start("code"), match.end("code"), "postcode")
    back = _WORDS_BACK.search(text, max(0, match.start() - 40), match.start())
    if back is None:
        return
    state = match["state"]
    if style == "mixed" and state and not text[match.start("state") : match.end("state")].isupper():
        return
    start = _first_proper(text, low, back.start(), match.start(), style)
    if start is None:
        return
    led = _PREPOSITION.search(low, max(0, start - 10), start) is not None
    if style != "mixed" and not match["code"] and not led:
        return
    if style != "mixed" and state in ("or", "in", "me", "as", "so") and not match["code"] and not led:
        return
    yield Identifier(start, match.start(), "address")


def _first_proper(text: str, low: str, start: int, end: int, style: Style) -> int | None:
    """Give where the last words of a place begin that are a proper name."""
    found: int | None = None
    for match in reversed(list(_PART.finditer(text, start, end))):
        said = low[match.start() : match.end()].rstrip(".")
        if said in ORDINARY or (style == "mixed" and not text[match.start()].isupper()):
            break
        if said.endswith(("street", "avenue", "road")):
            break
        found = match.start()
    return found


def _proper(text: str, low: str, start: int, end: int, style: Style) -> bool:
    return _first_proper(text, low, start, end, style) == start


def _before(text: str, low: str, at: int, style: Style, most: int) -> int | None:
    """Give where the name before such a word begins."""
    back = _BACKWARD.search(text, max(0, at - 60), at)
    if back is None:
        return None
    found: int | None = None
    words = list(_RUN.finditer(text, back.start(), at))
    for turn, match in enumerate(reversed(words)):
        said = low[match.start() : match.end()].rstrip(".,")
        if turn == most or (match.group().endswith(",") and found is not None):
            break
        if match.group().endswith(".") and said not in ("st", "mt", "ft", "dr") and turn:
            break
        linked = said in ("of", "the", "and", "&") and turn + 1 < len(words) and found is not None
        if linked:
            first = words[len(words) - turn - 2]
            before = low[first.start() : first.end()]
            if before in (
                "university",
                "hospital",
                "college",
                "church",
                "lady",
                "school",
                "bank",
            ) or said in ("&",):
                continue
            break
        plain = said in (_OURS if style == "mixed" else ORDINARY) and said not in _PROPER
        if plain or (
            style == "mixed" and not (text[match.start()].isupper() or text[match.start()].isdigit())
        ):
            break
        found = match.start()
    return found


def _run(text: str, low: str, at: int, style: Style) -> int | None:
    """Give where a run of words of a firm ends that begins here."""
    end: int | None = None
    for _ in range(6):
        match = _FIRM.match(text, at)
        if match is None:
            return end
        said = low[match.start("it") : match.end("it")]
        linked = (
            said in ("of", "&", "and")
            and end is not None
            and style == "mixed"
            and text[match.end() + 1 : match.end() + 2].isupper()
        )
        kept = said in ("company", "school", "department", "hospital", "medical", "group", "care", "service")
        if not linked and (
            (said in ORDINARY and not kept) or (style == "mixed" and not text[match.start("it")].isupper())
        ):
            return end
        end = at = match.end("it")
        if said in ("inc", "corp", "ltd", "llc", "co"):
            return match.end()
        if match["dot"]:
            return end
    return end


def _labelled(text: str, low: str, match: re.Match[str], style: Style) -> Iterator[Identifier]:
    kind: Kind = PLACES.get(match["it"], "address")
    end = low.find("\n", match.end())
    line = text[match.end() : end if end >= 0 else len(text)]
    value = re.split(r"[ ]{3,}|\t|;|\||  (?=[A-Z])", line)[0].rstrip(" .")
    if kind == "hospital" and style != "mixed":
        return
    if 3 < len(value) < 100 and value.strip().lower() not in ORDINARY and _is_value(value, kind):
        yield Identifier(match.end(), match.end() + len(value), kind)


def _is_value(value: str, kind: Kind) -> bool:
    if kind == "address":
        return value[0].isalnum() and len(value.split()) < 16
    return value[0].isupper() or (value[0].islower() and len(value.split()) < 7)
