"""Relations between what a text names: a drug and what it caused, a dose and its drug.

What is named is an entity: one place, or all places of a text that mean the same. A fact or a label of a relation
writes where it is as two places, `12:24>30:35`: from the head to the tail. A label of a question of relations is JSON:
entities, each a name and its places, and relations, each a name and the numbers of the two entities.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from medloom.foundation.errors import InputError
from medloom.tasks.spans import Part, Span, parts_of
from medloom.tasks.tagging import Tagged

BETWEEN: Final = ">"


@dataclass(frozen=True, order=True)
class Entity:
    """What a text names, at one place or several.

    Attributes:
        mentions: its places, in the order of the text; they have one name.
    """

    mentions: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Give what it is."""
        return self.mentions[0].name


@dataclass(frozen=True, order=True)
class Relation:
    """One entity's relation to another.

    Attributes:
        name: which relation.
        head: from whom.
        tail: to whom.
    """

    name: str
    head: Entity
    tail: Entity

    @property
    def place(self) -> str:
        """Write where it is, by the first mention of each.

        >>> from medloom.tasks.spans import span
        >>> drug, effect = Entity((span(0, 7, "drug"),)), Entity((span(15, 19, "effect"),))
        >>> Relation("causes", drug, effect).place
        '0:7>15:19'
        """
        return BETWEEN.join(one.mentions[0].place for one in (self.head, self.tail))


@dataclass(frozen=True)
class Related:
    """A relation that a model names.

    Attributes:
        relation: between which entities.
        confidence: how sure the model is, from 0 to 1.
    """

    relation: Relation
    confidence: float


@dataclass(frozen=True)
class Read:
    """What a model reads in a text.

    Attributes:
        places: that it names.
        relations: between them.
    """

    places: tuple[Tagged, ...]
    relations: tuple[Related, ...]


@runtime_checkable
class Relating(Protocol):
    """A model that names places in texts, and relations between what they name."""

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Name places and relations."""
        ...

    def relate(self, texts: Sequence[str], entities: Sequence[Sequence[Entity]]) -> list[tuple[Related, ...]]:
        """Name relations between entities that are known."""
        ...


def ends_of(place: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Read the two places of a relation.

    Raises:
        InputError: it is none.

    >>> ends_of("12:24>30:35;40:44")
    (((12, 24),), ((30, 35), (40, 44)))
    """
    head, between, tail = place.partition(BETWEEN)
    if not between:
        raise InputError(
            "{place!r} is no relation's place; write two places, such as 12:24>30:35", place=place
        )
    return parts_of(head), parts_of(tail)


def as_relation_label(entities: Sequence[Entity], relations: Iterable[Relation]) -> str:
    """Write entities and relations as a label.

    Raises:
        KeyError: a relation is between others.

    >>> from medloom.tasks.spans import span
    >>> drug, effect = Entity((span(0, 7, "drug"),)), Entity((span(15, 19, "effect"),))
    >>> as_relation_label([effect, drug], [Relation("causes", drug, effect)])
    '{"entities":[["drug",["0:7"]],["effect",["15:19"]]],"relations":[["causes",0,1]]}'
    """
    ordered = sorted(set(entities))
    numbers = {one: number for number, one in enumerate(ordered)}
    between = sorted({(one.name, numbers[one.head], numbers[one.tail]) for one in relations})
    content = {
        "entities": [[one.name, [mention.place for mention in one.mentions]] for one in ordered],
        "relations": [list(one) for one in between],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def entities_in(label: str) -> tuple[Entity, ...]:
    """Read the entities of a label."""
    return tuple(
        Entity(tuple(Span(parts_of(place), name) for place in places))
        for name, places in json.loads(label)["entities"]
    )


def relations_in(label: str) -> tuple[Relation, ...]:
    """Read the relations of a label.

    >>> label = '{"entities":[["drug",["0:7"]],["effect",["15:19"]]],"relations":[["causes",0,1]]}'
    >>> [one.tail.name for one in relations_in(label)]
    ['effect']
    """
    entities = entities_in(label)
    return tuple(
        Relation(name, entities[head], entities[tail]) for name, head, tail in json.loads(label)["relations"]
    )


def mentions_in(label: str) -> tuple[Span, ...]:
    """Read the places of a label, in the order of the text."""
    return tuple(sorted({mention for one in entities_in(label) for mention in one.mentions}))
