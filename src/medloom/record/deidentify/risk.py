"""How easily rows of a table could be told whose they are: k-anonymity, l-diversity, unique rows.

k: Sweeney, Int J Uncertainty Fuzziness 2002;10:557-570. l, of
distinct values: Machanavajjhala et al., ACM TKDD 2007;1:3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from medloom.foundation.errors import InputError


@dataclass(frozen=True)
class Risk:
    """What a table tells by columns that others may know too.

    Attributes:
        rows: of the table.
        groups: of rows that are alike in those columns.
        k: rows of the smallest group.
        unique: share of the rows that are alone in their group.
        below_5: share of the rows in groups of fewer than 5.
        l: of each sensitive column the fewest different values in a group.
    """

    rows: int
    groups: int
    k: int
    unique: float
    below_5: float
    l: dict[str, int]  # noqa: E741 - the field's own letter

    def to_json(self) -> dict[str, Any]:
        """Answer the numbers by their names."""
        return asdict(self)


def risk(frame: pl.DataFrame, quasi: Sequence[str], sensitive: Sequence[str] = ()) -> Risk:
    """Measure a table.

    Args:
        frame: a row a person.
        quasi: columns that others may know: sex, year of birth, postcode, ….
        sensitive: columns that nobody should learn.

    Raises:
        InputError: the table has no such column, or no row.

    >>> people = pl.DataFrame({"sex": ["F", "F", "M"], "age": [70, 70, 64], "ill": ["x", "y", "x"]})
    >>> found = risk(people, ["sex", "age"], ["ill"])
    >>> found.k, found.groups, round(found.unique, 2), found.l
    (1, 2, 0.33, {'ill': 1})
    """
    missing = [name for name in (*quasi, *sensitive) if name not in frame.columns]
    if missing or not quasi:
        raise InputError(
            "the table has no column {missing}; it has: {columns}", missing=missing, columns=frame.columns
        )
    if not frame.height:
        raise InputError("the table has no row")
    groups = frame.group_by(list(quasi)).agg(
        pl.len().alias("\0n"), *(pl.col(one).n_unique() for one in sensitive)
    )
    sizes = groups["\0n"]
    return Risk(
        frame.height,
        groups.height,
        int(sizes.min()),  # type: ignore[arg-type]
        float((sizes == 1).sum() / frame.height),
        float(sizes.filter(sizes < 5).sum() / frame.height),
        {one: int(groups[one].min()) for one in sensitive},  # type: ignore[arg-type]
    )
