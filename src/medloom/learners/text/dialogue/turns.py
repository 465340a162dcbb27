"""Who says what in a written conversation: turns of speakers, and the thoughts in each, as ranges"
" of characters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from medloom.foundation.errors import InputError

Speaker = Literal["doctor", "patient", "other"]


@dataclass(frozen=True)
class Turn:
    """What one speaker says without a break: characters of the dialogue, without the speaker's name."""

    speaker: Speaker
    start: int
    end: int


def turns(dialogue: str) -> tuple[Turn, ...]:
    """Find the turns: lines that begin with `[doctor]`, `Doctor:`, `Dr. Moore:`, `[patient]` or `Patient:`.

    `医生：` and `患者：` name speakers too, `Guest_family:` and the like are others; a line that names none belongs to
    the turn above.

    Raises:
        InputError: the text is empty, no line names a speaker, or only one speaks.

    >>> text = "[doctor] any fever ?\\n[patient] no .\\nnone at all ."
    >>> [(one.speaker, text[one.start : one.end]) for one in turns(text)]
    [('doctor', 'any fever ?'), ('patient', 'no .\\nnone at all .')]
    """
    if not dialogue.strip():
        raise InputError("the conversation is empty")
    marks = [*_NAMED.finditer(dialogue)]
    ends = [*(mark.start() for mark in marks[1:]), len(dialogue)][: len(marks)]
    found = []
    for mark, end in zip(marks, ends, strict=True):
        start = mark.end()
        said = dialogue[start:end]
        start, end = start + len(said) - len(said.lstrip()), end - (len(said) - len(said.rstrip()))
        if start < end:
            found.append(Turn(_speaker(mark["bracketed"] or mark["plain"]), start, end))
    if not found:
        raise InputError(
            "no line of the conversation names who speaks; begin each turn with [doctor] or [patient]"
        )
    if len({one.speaker for one in found}) < 2:
        raise InputError(
            "only one speaker is named in the conversation; a draft is made from what two say to each other"
        )
    return tuple(found)


def thoughts(dialogue: str, turn: Turn) -> tuple[tuple[int, int], ...]:
    """Divide a turn into sentences; where it has no punctuation, at words that begin another thought.

    >>> text = "[doctor] okay . your lungs are clear .\\n[patient] great"
    >>> [text[start:end] for start, end in thoughts(text, turns(text)[0])]
    ['okay .', 'your lungs are clear .']
    """
    sentences = _ranges(dialogue, turn.start, turn.end, _SENTENCE_ENDS)
    divided: list[tuple[int, int]] = []
    for start, end in sentences:
        long = len(dialogue[start:end].split()) > _LONG
        for first, last in _ranges(dialogue, start, end, _NEXT_THOUGHT) if long else [(start, end)]:
            while last - first > _LONGEST:  # no one's thought
                divided.append((first, first + _LONGEST))
                first += _LONGEST
            divided.append((first, last))
    return tuple(divided)


_LONGEST: Final = 1000  # characters
_LONG: Final = 22  # words; longer ones are mostly transcripts without punctuation
_NAMED: Final = re.compile(
    r"^[ \t]*(?:\[(?P<bracketed>[^\]\n]{1,30})\]|(?P<plain>dr\.?[ ]\w{1,30}|doctor|clinician|physician|provider"
    r"|nurse|patient|pt|guest\w{0,30}|family|interpreter|医生|大夫|医师|护士|患者|病人|家属)[ \t]*[:：])",
    re.MULTILINE | re.IGNORECASE,
)
_SENTENCE_ENDS: Final = re.compile(
    r"(?<=[.?!])(?<!\.\.)(?<!\bdr\.)(?<!\bmr\.)(?<!\bms\.)(?<!\bmrs\.)\s+|(?<=[。！？])|\n+", re.IGNORECASE
)
_NEXT_THOUGHT: Final = re.compile(
    r"\s+(?=(?:okay|ok|alright|all right|so|um|uh|yeah|and then|and so|but|because|now|well|let's"
    r"|and (?:i|you|your|we|the|on|it|if)|i'm going to|i'm gon na|we'll|we're gon na|i'd like|i want"
    r"|i wan na|(?:can|do|did|have|are) you|is there any"
    r"|does (?:it|that)|how(?:'s| about| is| are| have))\b)",
    re.IGNORECASE,
)


def _speaker(name: str) -> Speaker:
    said = name.strip().lower()
    if said.startswith(("doctor", "dr", "clinician", "physician", "provider", "nurse", "医", "大夫", "护士")):
        return "doctor"
    return "patient" if said.startswith(("patient", "pt", "患者", "病人")) else "other"


def _ranges(text: str, start: int, end: int, between: re.Pattern[str]) -> list[tuple[int, int]]:
    """Divide a range at what matches, which belongs to no part."""
    found, begun = [], start
    for gap in between.finditer(text, start, end):
        if gap.start() > begun:
            found.append((begun, gap.start()))
        begun = gap.end()
    return [*found, (begun, end)] if begun < end else found
