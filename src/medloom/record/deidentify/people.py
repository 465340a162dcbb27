"""Names of people in English notes, by titles, labels, relations, degrees and common first names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from medloom.record.deidentify.kinds import Identifier
from medloom.record.deidentify.labels import PEOPLE
from medloom.record.deidentify.words import GIVEN, ORDINARY, Spots, matches

Style = Literal["mixed", "upper", "lower"]

_WORD: Final = re.compile(r"[ ]{0,3}(?P<it>[A-Za-zÀ-ÖØ-öø-ÿ][A-Za-zÀ-ÖØ-öø-ÿ'’-]*)(?P<dot>\.?)")
_CAPITAL: Final = re.compile(r"[A-ZÀ-ÖØ-Þ]")
_PARTICLES: Final = frozenset(
    "van von der den de la le du di da del dos das bin ibn al el st mac ter ten".split()
)
_SURNAMES_TOO: Final = frozenset(
    "day page hand case weeks free child friend church park post early still house sheets".split()
)
_SUFFIXES: Final = frozenset("jr sr ii iii iv".split())
_CLOSED: Final = re.compile(r"[ ]*(?:[.,;:()\n|/]|$|\d|-\s)")
_TITLES: Final = (
    "dr|drs|mr|mrs|ms|mx|miss|prof|professor|doctor|nurse|rev|reverend|sgt|sergeant|officer|capt|captain|"
    "rabbi|pastor|fr|father|sister"
).split("|")
_TITLE: Final = re.compile(rf"(?:{'|'.join(_TITLES)})(?:(?P<dot>\.)[ ]{{0,3}}|[ ]{{1,3}})(?=[a-zà-ÿ])")
_WORDY: Final = frozenset("nurse father sister officer doctor professor miss captain pastor".split())
_DEGREE: Final = re.compile(
    r"(?:m\.?d|d\.?o|r\.?n|n\.?p|pa-c|p\.a|ph\.?d|m\.?b\.?b\.?s|lpn|lcsw|lvn|dnp|crna|pharm\.?d|d\.?d\.?s|"
    r"d\.?p\.?m|fnp(?:-c|-bc)?|aprn|cnp|msw|psy\.?d|facp|facs|frcp|dpt|otr/l|msn|bsn|ccrn|cnm|r\.?d)\b"
)
_BEFORE_DEGREE: Final = re.compile(r"(?P<comma>,?)\s{1,2}$")
_DEGREES: Final = (
    "m d r n p pa ph md do rn np phd mbbs lpn lcsw lvn dnp crna pharmd pharm dds dpm fnp aprn cnp msw psyd psy "
    "facp facs frcp dpt otr msn bsn ccrn cnm rd"
).split()
_BACK: Final = re.compile(
    r"(?:(?<=[^A-Za-zÀ-ÿ'’.-])|^)(?P<it>(?:[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’-]*\.?[ ]{1,2}){0,3}[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’-]+)$"
)
_RELATIONS: Final = (
    "wife|husband|spouse|son|daughter|mother|father|mom|dad|brother|sister|aunt|uncle|niece|nephew|cousin|"
    "grandson|granddaughter|grandmother|grandfather|grandma|grandpa|partner|fiance|fiancee|girlfriend|"
    "boyfriend|friend|neighbor|neighbour|roommate|caregiver|guardian|landlord|landlady|sibling|twin|"
    "stepson|stepdaughter|stepmother|stepfather|interpreter|coworker|colleague|surrogate|proxy|parents"
).split("|")
_RELATION: Final = re.compile(
    rf"(?:{'|'.join(_RELATIONS)})(?:-in-law)?(?![a-z'’-])(?P<gap>[ ]{{0,2}}[,(:]?[ ]{{0,2}}"
    r"(?:(?:named|is|called|whose name is)[ ]{1,2})?)(?=[a-zà-ÿ])"
)
_VERBS: Final = (
    "signed|dictated|transcribed|seen|examined|reviewed|taken|called|checked|assessed|performed|"
    "interpreted|referred|entered|witnessed|verified|prepared|authored|approved|written|accompanied|"
    "completed|collected|cosigned|administered|ordered|read|given to|reported to|called to|spoke with|"
    "spoken to by|spoke to|discussed with|talked with|met with|contacted|informed|notified|asked|dear|"
    "named|i,|name is|re|attn|signed,|regards,|sincerely,|patient|pt|pleasure of seeing|social worker,|"
    "patient is|pt is|social worker|case manager,|case manager|pharmacist,|pharmacist|therapist,|"
    "therapist|interpreter,|chaplain,|chaplain"
).split("|")
_BY: Final = re.compile(
    rf"(?:{'|'.join(sorted(_VERBS, key=len, reverse=True))})(?P<by>[ ]{{1,2}}by)?[:]?[ ]{{1,2}}"
    r"(?:(?:her|his|the|their)[ ])?(?=[a-zà-ÿ])"
)
_SURE: Final = frozenset("named dear i, re: name signed, regards, sincerely,".split())
_DONE: Final = re.compile(
    r"\b(?:signed|dictated|transcribed|seen|examined|reviewed|performed|interpreted|entered|"
    r"verified|written|read|taken|done|"
    r"completed|approved|prepared|collected|evaluated|assessed|cosigned|authenticated|electronically)\b[^.;\n]{0,30}$"
)
_FIRSTS: Final = tuple({one.split()[0].rstrip(",") for one in _VERBS})
_LABELLED: Final = re.compile(r"(?:[:|\t]|-[ ])[ ]{0,20}")
_BEFORE_COLON: Final = re.compile(
    r"(?:^|[^a-z'’ ]|[ ]{2})[ ]?(?P<it>[a-z][a-z'’-]*(?:[ ]{1,2}[a-z][a-z'’-]*){0,5})[ ]{0,3}$"
)
_NOTHING: Final = re.compile(r"[ ]*(?:\n|$)")
_BETWEEN: Final = re.compile(r"[ ]*(?:[;/&]|\band\b)[ ]*")
_TWO: Final = re.compile(
    r"(?P<first>[A-Z][a-z]{1,15})[ ]{1,2}(?:[A-Z]\.?[ ]{1,2})?(?P<last>(?:O['’]|Mc|Mac)?"
    r"[A-Z][a-zà-ÿ]{1,20}(?:-[A-Z][a-zà-ÿ]+)?)"
)


def style_of(text: str) -> Style:
    """Tell whether a text has capitals where they belong: else case tells no names.

    >>> style_of("Seen by Ann."), style_of("SEEN BY ANN."), style_of("seen by ann.")
    ('mixed', 'upper', 'lower')
    """
    upper = sum(map(str.isupper, text))
    lower = sum(map(str.islower, text))
    if upper * 200 <= lower:
        return "lower"
    return "upper" if lower * 8 <= upper else "mixed"


def people(text: str, low: str, where: Spots, style: Style) -> Iterator[Identifier]:
    """Find them.

    Args:
        text: in the usual characters.
        low: the same in lower case.
        where: its words stand.
        style: of the text.
    """
    for match in matches(_TITLE, _TITLES, low, where):
        if match.end() < len(low):
            word = match.group().split(".")[0].strip()
            loose = style == "mixed" and bool(match["dot"]) and word not in _WORDY
            yield from _named(text, low, match.end(), style, loose=loose, many=style == "mixed")
    for match in _LABELLED.finditer(low):
        before = _BEFORE_COLON.search(low, max(0, match.start() - 48), match.start())
        if before is not None and _is_label(before["it"]):
            if before["it"].split()[-1] in _RELATIONS:
                yield from _known(text, low, match.end(), style)
            else:
                yield from _listed(text, low, match.end(), style)
        elif before is not None and before["it"].split()[-1] in ("cc", "from", "to", "with", "by"):
            yield from _known(text, low, match.end(), style)
    for match in matches(_DEGREE, _DEGREES, low, where):
        gap = _BEFORE_DEGREE.search(low, max(0, match.start() - 4), match.start())
        back = gap and _BACK.search(text, max(0, gap.start() - 50), gap.start())
        capital = text[match.start()].isupper() if style == "mixed" else match.group() != "do"
        if gap and back and capital and (style == "mixed" or gap["comma"] or _is_name_like(low, back, match)):
            start = _back(text, low, back.start("it"), gap.start(), style)
            if start is not None:
                yield Identifier(start, gap.start(), "name")
    for match in matches(_RELATION, _RELATIONS, low, where):
        if match.end() < len(low):
            yield from _related(text, low, match.end(), style, ":" in match["gap"] or "named" in match["gap"])
    for match in matches(_BY, _FIRSTS, low, where):
        if match.end() < len(low):
            word = match.group().split()[0]
            sure = match["by"] is not None or word in _SURE
            yield from _related(text, low, match.end(), style, sure, least=1 if sure else 2)
    for start in where.get("by", ()):
        if low[start + 2 : start + 3] == " " and _DONE.search(low, max(0, start - 45), start):
            yield from _related(text, low, start + 3, style, sure=True)
    if style == "mixed":
        for match in _TWO.finditer(text):
            if match["first"].lower() in GIVEN and match["last"].lower() not in ORDINARY:
                yield Identifier(match.start(), match.end(), "name")


def _is_label(words: str) -> bool:
    parts = words.split()
    return any(" ".join(parts[-n:]) in PEOPLE for n in (3, 2, 1))


def _is_name_like(low: str, back: re.Match[str], degree: re.Match[str]) -> bool:
    """Tell whether words before a degree without a comma are a name, where case does not tell."""
    first = low[back.start("it") : degree.start()].split()
    return degree.group().strip() in ("md", "m.d", "rn", "phd", "lpn") and any(one in GIVEN for one in first)


def _is_initial(text: str, low: str, match: re.Match[str], style: Style) -> bool:
    """Tell whether a letter after a name is of its middle: a capital, or with a point, or before another name."""
    if style == "mixed":
        return text[match.start("it")].isupper()
    if match["dot"] or _NOTHING.match(text, match.end()) or text[match.end() : match.end() + 2] == "  ":
        return True
    behind = _WORD.match(text, match.end())
    return behind is not None and low[slice(*behind.span("it"))] not in ORDINARY


def _accepted(text: str, low: str, start: int, end: int, style: Style) -> bool:
    if low[start:end] in ORDINARY or (end - start == 1 and style == "mixed" and not text[start].isupper()):
        return False
    return style != "mixed" or _CAPITAL.match(text, start) is not None


def _name_end(
    text: str, low: str, at: int, style: Style, most: int = 4, turned: bool = False
) -> tuple[int, int] | None:
    """Give where a name begins and ends that stands here; None: none does."""
    start = end = -1
    words = 0
    while words < most:
        match = _WORD.match(text, at)
        if match is None:
            break
        first, last = match.span("it")
        said = low[first:last]
        if said in _PARTICLES and _WORD.match(text, match.end()) and words < most - 1:
            if start < 0:
                start = first
            at = match.end()
            continue
        initial = last - first == 1 and words > 0 and _is_initial(text, low, match, style)
        surname = style == "mixed" and words > 0 and said in _SURNAMES_TOO and text[first].isupper()
        if not initial and not surname and not _accepted(text, low, first, last, style):
            if style == "mixed" and said in _SUFFIXES and words:
                end = last
            break
        start = first if start < 0 else start
        initial = last - first == 1
        end = match.end() if initial and match["dot"] else last
        at = end
        words += 1 if not initial else 0
        if match["dot"] and not initial:
            if said == "st":
                at = match.end()
                continue
            break
        if turned and words and text[at : at + 1] == "," and (behind := _WORD.match(text, at + 1)):
            if _accepted(text, low, *behind.span("it"), style) and not _DEGREE.match(low, at):
                at, turned = at + 1, False
                continue
            break
    return None if end < 0 or words == 0 else (start, end)


def _named(
    text: str, low: str, at: int, style: Style, loose: bool = False, many: bool = True
) -> Iterator[Identifier]:
    """Give the name behind a title; where case does not tell, mostly one word of it.

    `loose`: a name without a capital is taken too, as behind `Mr.` nothing else stands.
    """
    if loose and not _CAPITAL.match(text, at):
        style, many = "lower", False
    found = _name_end(text, low, at, style)
    if found is None:
        return
    start, end = found
    if not many:
        end = _short(text, low, start, end)
    yield Identifier(start, end, "name")


def _short(text: str, low: str, start: int, end: int) -> int:
    """Give the end of the part of some words that is a name for sure: one word, or those before a mark."""
    words = [match.span("it") for match in _WORD.finditer(text, start, end)]
    if _CLOSED.match(text, end) or low[words[0][0] : words[0][1]] in GIVEN or words[0][1] - words[0][0] == 1:
        return end
    behind = _WORD.match(text, end)
    return end if behind is not None and behind["it"].lower() in ORDINARY and len(words) < 4 else words[0][1]


def _listed(text: str, low: str, at: int, style: Style) -> Iterator[Identifier]:
    """Give the names behind a label: one, or several with `and`, `;` or `/` between them."""
    while True:
        title = _TITLE.match(low, at)
        at = title.end() if title and title["dot"] else at
        here = (
            "lower"
            if style == "mixed" and not _CAPITAL.match(text, at) and _is_alone(text, low, at)
            else style
        )
        found = _name_end(text, low, at, here, turned=True)
        if found is None:
            return
        yield Identifier(*found, "name")
        between = _BETWEEN.match(low, found[1])
        if between is None:
            return
        at = between.end()


def _is_alone(text: str, low: str, at: int) -> bool:
    """Tell whether a line has at most four words more, none of which notes use."""
    line = low[at : (low.find("\n", at) + 1 or len(low) + 1) - 1].split("  ")[0]
    words = line.replace(",", " ").split()
    return 0 < len(words) < 5 and not any(one in ORDINARY or not one.rstrip(".").isalpha() for one in words)


def _known(text: str, low: str, at: int, style: Style) -> Iterator[Identifier]:
    """Give the name behind a label that others stand behind too, if its first word is a common first name."""
    found = _name_end(text, low, at, style)
    if found is None:
        return
    first = low[found[0] : found[1]].split()
    whole = _NOTHING.match(text, found[1]) is not None or text[found[1] : found[1] + 1] in ".;,("
    whole = whole and len(first) > 1
    if (
        first[0] in GIVEN
        or (whole and style == "mixed")
        or (whole and first[-1] not in ORDINARY and len(first) == 2)
    ):
        yield Identifier(*found, "name")


def _related(
    text: str, low: str, at: int, style: Style, sure: bool = False, least: int = 1
) -> Iterator[Identifier]:
    """Give the name behind a relation, as of `his wife, Ann, says`."""
    title = _TITLE.match(low, at)
    if title and title["dot"]:
        return
    found = _name_end(text, low, at, style)
    if found is None:
        return
    start, end = found
    words = low[start:end].split()
    if style == "mixed":
        short = (
            text[start : start + 2].isalpha()
            and text[start : start + 2].isupper()
            and (len(words) == 1 or not text[start:end].isupper())
        )
        if words[0] in GIVEN or (len(words) >= least and not short):
            yield Identifier(start, end, "name")
        return
    if words[0] in GIVEN or sure:
        yield Identifier(
            start, end if words[0] in GIVEN and len(words) < 4 else _short(text, low, start, end), "name"
        )
    elif (_CLOSED.match(text, end) and least <= len(words) < 4) or (
        least == 1
        and (behind := _WORD.match(text, end))
        and behind["it"].lower() in ORDINARY
        and sum(len(one) > 2 for one in words) < 3
    ):
        yield Identifier(start, end, "name")


def _back(text: str, low: str, start: int, end: int, style: Style) -> int | None:
    """Give where the name before a degree begins."""
    words = [match.span("it") for match in _WORD.finditer(text, start, end)]
    at: int | None = None
    taken = 0
    for first, last in reversed(words):
        if last - first == 1 and taken == 0:
            return None
        particle = low[first:last] in _PARTICLES
        if last - first > 1 and not particle and not _accepted(text, low, first, last, style):
            break
        if last - first == 1 and low[first] in "ai" and style == "lower" and text[last : last + 1] != ".":
            following = first == words[0][0]
            if following:
                break
        at = first
        taken += last - first > 1 and not particle
        if taken == (3 if style == "mixed" else 2):
            break
    return at
