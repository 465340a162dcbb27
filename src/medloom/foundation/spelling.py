"""What somebody may have meant: known words that are spelled nearly like the one that came."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], most: int = 3, alike: float = 0.6) -> list[str]:
    """List the known words nearest in spelling, the nearest first; case is no difference.

    >>> nearest("predikt", ["predict", "prediction_time", "population"], most=1)
    ['predict']
    >>> nearest("bananas", ["mg/dL", "mmol/L"])
    []
    """
    spelled: dict[str, list[str]] = {}
    for one in known:
        spelled.setdefault(one.casefold(), []).append(one)
    near = get_close_matches(word.casefold(), spelled, n=most, cutoff=alike)
    return [one for folded in near for one in spelled[folded]][:most]
