"""What the timeline calls things: names, amounts, how often, and texts cut to what can be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from medloom.explanation.wording import amount, clean, code_name
from medloom.foundation.messages import here, tr

LONGEST_TEXT: Final = 140
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")


def name_of(code: str, descriptions: Mapping[str, str]) -> str:
    """Name a code; where nobody has described it, what tells it from others stands first."""
    name = here(code_name(code, descriptions))
    system, _, own = code.rpartition("//")
    return f"{own} ({system.replace('//', ' ')})" if system and name == code.replace("//", " ") else name


def amount_of(value: float, unit: str | None) -> str:
    """Write a value with its unit."""
    return here(amount(value, unit))


def how_often(n: int) -> str:
    """Say how many times."""
    return tr("{n}×", n=f"{n:,}")


def short(text: str | None, most: int = LONGEST_TEXT) -> str:
    """Cut a text to what a line holds; a moment to its minute."""
    said = clean((text or "")[: 2 * most])
    if _MOMENT.fullmatch(said):
        return said[:16].replace("T", " ").removesuffix(" 00:00")
    return said if len(said) <= most else said[: most - 1].rstrip() + "…"


def link_to(address: str, query: str) -> str:
    """Give the address of another view of the timeline."""
    return f"{address}?{query}#timeline"
