"""Numbers of persons as everybody may read them: nobody is shown who could be found.

Fewer than ten are not told, nor what would tell them: a part of a known number whose remainder is small, a single
hidden group among groups that add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FEWEST: Final = 10
FEW: Final = f"<{FEWEST}"
HIDDEN: Final = f"≥{FEWEST}"


@dataclass(frozen=True)
class Count:
    """A number of persons; where `n` is None, `shown` says only `<10` or `≥10`."""

    n: int | None
    shown: str

    @classmethod
    def of(cls, n: int) -> Count:
        """Count persons, hidden where they are few.

        >>> Count.of(9).shown, Count.of(1234).shown
        ('<10', '1,234')
        """
        return cls(None, FEW) if n < FEWEST else cls(n, f"{n:,}")

    @classmethod
    def of_part(cls, n: int, whole: int) -> Count:
        """Count a part of a number that is told: hidden too where the others are few.

        >>> Count.of_part(91, 100).shown, Count.of_part(90, 100).shown, Count.of_part(100, 100).shown
        ('≥10', '90', '100')
        """
        return cls(None, HIDDEN) if n >= FEWEST and 0 < whole - n < FEWEST else cls.of(n)


def of_groups(groups: Mapping[str, int], whole: int) -> dict[str, str]:
    """Say how many persons are in each of the groups that a known number of persons is divided into.

    >>> of_groups({"F": 50, "M": 45, "other": 5}, 100)
    {'F': '50', 'M': '≥10', 'other': '<10'}
    """
    counted = one_more_hidden([Count.of_part(n, whole) for n in groups.values()])
    return {name: one.shown for name, one in zip(groups, counted, strict=True)}


def one_more_hidden(column: list[Count]) -> list[Count]:
    """Of groups that add up to a known total: a single hidden one could be told from the others."""
    hidden = [one.n is None for one in column]
    if sum(hidden) != 1:
        return column
    shown = [at for at, one in enumerate(column) if one.n is not None]
    if not shown:
        return column
    smallest = min(shown, key=lambda at: column[at].n or 0)
    return [Count(None, HIDDEN) if at == smallest else one for at, one in enumerate(column)]
