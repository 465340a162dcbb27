"""Places of several parts, such as `left … lung` in *left and right lung*: each part is tagged, and parts are joined.

Parts have a name of their own for each name (as Tang et al., CLEF 2013 working notes, tag the words of disjoint places
otherwise than those of others); those of a name in one sentence are one place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from medloom.learners.text.tagging.chains import PART, Chain
from medloom.record.notes.sentences import sentences
from medloom.tasks.spans import Part, Span
from medloom.tasks.tagging import Tagged


def chains_of(names: Sequence[str], *, nested: bool, discontinuous: bool) -> tuple[Chain, ...]:
    """Give the rows in which names are tagged.

    Args:
        names: of places.
        nested: whether each name has a row of its own, so that places of different names may overlap.
        discontinuous: whether places may have several parts.

    >>> chains_of(["drug", "finding"], nested=True, discontinuous=True)[0].names
    ('drug', 'drug…')
    """
    rows = [(name,) for name in names] if nested else [tuple(names)]
    parts = [tuple(name + PART for name in row) if discontinuous else () for row in rows]
    return tuple(Chain(row + more) for row, more in zip(rows, parts, strict=True))


def joined(text: str, found: Sequence[Tagged]) -> list[Tagged]:
    """Join the parts of a name that stand in one sentence; how sure: as of the least sure part.

    >>> from medloom.tasks.spans import span
    >>> parts = [Tagged(span(0, 4, "organ…"), 0.9), Tagged(span(15, 19, "organ…"), 0.7)]
    >>> [(one.span.place, one.span.name, one.confidence) for one in joined("left and right lung.", parts)]
    [('0:4;15:19', 'organ', 0.7)]
    """
    whole = [one for one in found if not one.span.name.endswith(PART)]
    if len(whole) == len(found):
        return whole
    ends = [end for _, end in sentences(text)]
    groups: dict[tuple[str, int], list[Tagged]] = {}
    for one in sorted(found, key=lambda one: one.span):
        if one.span.name.endswith(PART):
            groups.setdefault((one.span.name, bisect_right(ends, one.span.start)), []).append(one)
    for (name, _), some in groups.items():
        parts: list[Part] = [part for one in some for part in one.span.parts]
        place = Span(tuple(parts), name.removesuffix(PART))
        whole.append(Tagged(place, min(one.confidence for one in some)))
    return whole
