"""What a card and its checklists ask: data files beside this one, each item with the facts that answer it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from medloom.foundation.messages import Text2
from medloom.foundation.yaml import parse_yaml

Name = Literal["chai", "hti-1", "tripod-ai", "probast-ai"]
NAMES: Final[tuple[Name, ...]] = ("chai", "hti-1", "tripod-ai", "probast-ai")
"""In the order of a card."""


class Both(BaseModel):
    """A text in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)

    @property
    def text(self) -> Text2:
        """Give it as pages take it."""
        return Text2(self.en, self.zh)


class Item(BaseModel):
    """One thing that is asked.

    Attributes:
        id: as the source numbers it.
        asks: what.
        of: `D` of the development of a model, `E` of its evaluation, `D E` of both; where the source tells them apart.
        answered_by: facts (`card.facts`), and items of any checklist in full (`hti-1.2.i`), that answer it. Any one
            of them that is known is an answer; none: a person answers.
        person: what a person must add, whatever is known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    asks: Both
    of: str | None = None
    answered_by: tuple[str, ...] = Field((), alias="from")
    person: Both | None = None


class Part(BaseModel):
    """Items under a heading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Both
    items: tuple[Item, ...]


class Checklist(BaseModel):
    """Everything that one source asks.

    >>> len(list(checklist("hti-1").items)), len(list(checklist("probast-ai").items))
    (31, 34)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Name
    title: Both
    source: Both
    sections: tuple[Part, ...]

    @property
    def items(self) -> dict[str, Item]:
        """Give all items by their full names: `hti-1.2.i`."""
        return {f"{self.key}.{item.id}": item for part in self.sections for item in part.items}


@cache
def checklist(name: Name) -> Checklist:
    """Read one checklist."""
    text = (files("medloom.evidence.card") / "checklists" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_yaml(text, Checklist, "checklist", name)


@cache
def all_items() -> dict[str, Item]:
    """Give the items of all checklists by their full names."""
    return {name: item for key in NAMES for name, item in checklist(key).items.items()}
