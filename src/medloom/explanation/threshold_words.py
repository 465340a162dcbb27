"""The two sides of a threshold in words, such as the branches of a tree."""

from __future__ import annotations

from math import floor, isfinite

from medloom.explanation.windowed import COUNT, SINCE, windowed
from medloom.explanation.wording import amount, same
from medloom.foundation.messages import Text2, text2
from medloom.tasks.history import HOURS_PER_YEAR


def sides(input: str, threshold: float, unit: str | None, is_flag: bool = False) -> tuple[Text2, Text2]:
    """Say the two sides of a threshold: at or below it, and above; an infinite one tells known from missing.

    >>> [side.en for side in sides("A count ever", 0.5, None)], [side.en for side in sides("age", 64.5, "a")]
    (['none', '≥ 1'], ['≤ 64.5 years', '> 64.5 years'])
    >>> [side.zh for side in sides("GENDER//F", 0.5, None, is_flag=True)]
    ['否', '是']
    """
    if not isfinite(threshold):
        return text2("known"), text2("not known")
    if is_flag:
        return text2("no"), text2("yes")
    found = windowed(input)
    if found is not None and found.statistic == COUNT:
        n = floor(threshold)
        return text2("none") if n <= 0 else same(f"≤ {n:,}"), same(f"≥ {max(n, 0) + 1:,}")
    if found is not None and found.statistic == SINCE and threshold >= 2 * HOURS_PER_YEAR:
        said = amount(round(threshold / HOURS_PER_YEAR, 1), "a")
    elif found is not None and found.statistic == SINCE and threshold >= 72:
        said = amount(round(threshold / 24, 1), "d")
    else:
        said = amount(threshold, unit)
    return Text2(f"≤ {said.en}", f"≤ {said.zh}"), Text2(f"> {said.en}", f"> {said.zh}")
