"""Sections of a note that was written after a conversation: which heading opens which, and what order they stand in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HEADINGS: Final[dict[str, str]] = {
    "chief_complaint": "CHIEF COMPLAINT",
    "history": "HISTORY OF PRESENT ILLNESS",
    "past_history": "PAST HISTORY",
    "medications": "MEDICATIONS",
    "allergies": "ALLERGIES",
    "family_history": "FAMILY HISTORY",
    "social_history": "SOCIAL HISTORY",
    "review_of_systems": "REVIEW OF SYSTEMS",
    "examination": "PHYSICAL EXAM",
    "results": "RESULTS",
    "assessment": "ASSESSMENT AND PLAN",
}


@dataclass(frozen=True)
class NoteSection:
    """A section of a note: its key, its heading as written, the characters below it."""

    key: str
    heading: str
    start: int
    end: int


def note_sections(note: str) -> tuple[NoteSection, ...]:
    """Find the sections of a note whose headings stand alone on a line in capitals; others belong to the one above.

    >>> [(one.key, one.heading) for one in note_sections("CC:\\nKnee pain.\\nEXAM\\nTender.\\nPLAN\\nIce.")]
    [('chief_complaint', 'CC'), ('examination', 'EXAM'), ('assessment', 'PLAN')]
    """
    marks = [
        (key, mark)
        for mark in _HEADING.finditer(note)
        if (key := _key(mark["heading"])) is not None  # such as HIV, alone on a line
    ]
    ends = [*(mark.start() for _, mark in marks[1:]), len(note)]
    return tuple(
        NoteSection(key, mark["heading"].rstrip(": "), mark.end(), end)
        for (key, mark), end in zip(marks, ends, strict=True)
    )


_HEADING: Final = re.compile(r"^[ \t]*(?P<heading>[A-Z][A-Z ,&/()-]+:?)[ \t]*$", re.MULTILINE)
_KEYS: Final = (  # the first that is found in the heading
    ("review_of_systems", ("REVIEW OF SYSTEMS", "ROS")),
    ("chief_complaint", ("CHIEF COMPLAINT", "CC", "REASON FOR")),
    ("family_history", ("FAMILY",)),
    ("social_history", ("SOCIAL",)),
    ("history", ("PRESENT ILLNESS", "HPI", "SUBJECTIVE", "INTERVAL HISTORY")),
    ("medications", ("MEDICATION",)),
    ("allergies", ("ALLERG",)),
    ("past_history", ("HISTORY", "PMH")),
    ("examination", ("EXAM", "VITAL", "OBJECTIVE", "MSK")),
    ("results", ("RESULT", "LAB", "IMAGING", "FINDINGS")),
    ("assessment", ("ASSESSMENT", "PLAN", "IMPRESSION", "INSTRUCTION", "RECOMMENDATION", "PROCEDURE")),
)


def _key(heading: str) -> str | None:
    return next(
        (key for key, words in _KEYS if any(re.search(rf"\b{word}", heading) for word in words)), None
    )
