"""A fact of a card: a sentence or a few with the fields that prove it; and how such sentences are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from medloom.evidence.card.known import Known
from medloom.foundation.messages import Text2

Maker = tuple[tuple[str, ...], Callable[[Known], Text2 | None]]
"""The fields of what is known that a fact rests on, and what says it, called only where all of them are known."""


@dataclass(frozen=True)
class Fact:
    """What is so, and the fields that prove it: `task.exclude`, `evaluation.metrics`."""

    text: Text2
    sources: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {"en": self.text.en, "zh": self.text.zh, "sources": list(self.sources)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Fact:
        """Read what `to_json` gave."""
        return cls(Text2(content["en"], content["zh"]), tuple(content["sources"]))


def listed(parts: Iterable[Text2 | str]) -> Text2:
    """Join texts by commas.

    >>> listed([Text2("a", "甲"), "b"])
    Text2(en='a, b', zh='甲、b')
    """
    kept = [Text2(part, part) if isinstance(part, str) else part for part in parts]
    return Text2(", ".join(part.en for part in kept), "、".join(part.zh for part in kept))


def together(parts: Iterable[Text2 | None]) -> Text2:
    """Join sentences."""
    kept = [part for part in parts if part is not None and part.en]
    return Text2(" ".join(part.en for part in kept), "".join(part.zh for part in kept))


def clauses(parts: Iterable[Text2]) -> Text2:
    """Join clauses by semicolons."""
    kept = list(parts)
    return Text2("; ".join(part.en for part in kept), "；".join(part.zh for part in kept))
