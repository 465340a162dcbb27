"""All facts of a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from medloom.evidence.card import asked, made, measured
from medloom.evidence.card.fact import Fact, Maker
from medloom.evidence.card.known import Known

MAKERS: Final[Mapping[str, Maker]] = {**asked.FACTS, **made.FACTS, **measured.FACTS}
"""Every fact there may be, by name, as checklists refer to it."""


def facts_of(known: Known) -> dict[str, Fact]:
    """Say what is known, each fact with the fields that prove it; what is not known is left out.

    >>> facts_of(Known())
    {}
    """
    found = {}
    for name, (sources, say) in MAKERS.items():
        if any(getattr(known, source.partition(".")[0]) is None for source in sources):
            continue
        text = say(known)
        if text is not None and text.en:
            found[name] = Fact(text, sources)
    return found
