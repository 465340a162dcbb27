"""A model that names relations in notes: one that names places, and what relates what they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medloom.learners.text.relating.pairs import Relators
from medloom.learners.text.tagging.answers import Named, as_explanation, as_predictions
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.relations import Entity, Read, Related
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span
from medloom.tasks.tagging import Tagging

LIBRARIES: Final = ("lightgbm", "numpy", "scipy")

_PLACES: Final = "places"


@dataclass(frozen=True)
class RelationModel(Model):
    """Names places and relations in notes; what learners of text give for a question of relations.

    Attributes:
        origin: where it comes from.
        places: names the places.
        relators: tell which relations hold between what they name.
    """

    origin: Origin
    places: Model
    relators: Relators

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Name places, and relations between them.

        Where the question is about all places of a note with the same code, places of a name with the same words are
        one entity.
        """
        assert isinstance(self.places, Tagging)
        tagged = self.places.tag(texts)
        grouped = self.origin.question.entities == "code"
        entities = [
            _entities(text, [one.span for one in found], grouped)
            for text, found in zip(texts, tagged, strict=True)
        ]
        related = self.relate(texts, entities)
        return [Read(places, some) for places, some in zip(tagged, related, strict=True)]

    def relate(self, texts: Sequence[str], entities: Sequence[Sequence[Entity]]) -> list[tuple[Related, ...]]:
        """Name relations between entities that are known."""
        return self.relators.relate(texts, entities)

    def predict(self, samples: Samples) -> Predictions:
        """Give a row for each place that is named, and one for each relation: `place` tells where.

        `start` and `end` of a relation are those of both its places together.

        Raises:
            InputError: the samples are not about notes.
        """
        return as_predictions(self._named(samples), samples)

    def explain(self, samples: Samples) -> Explanation:
        """Give places and relations with how sure it is of each."""
        return as_explanation(self._named(samples), self.origin.question.outputs, samples)

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def _named(self, samples: Samples) -> list[list[Named]]:
        return [
            [
                (one.span.name, one.span.place, one.span.start, one.span.end, one.confidence)
                for one in read.places
            ]
            + [_of_relation(one) for one in read.relations]
            for read in self.read(samples.texts())
        ]

    def _write(self, folder: Path) -> None:
        self.relators.save(folder)
        self.places.save(folder / _PLACES)


def load_relations(directory: Path) -> RelationModel:
    """Load a package that a `RelationModel` wrote, whose sums have been checked."""
    folder = directory / "weights"
    return RelationModel(package.origin_in(directory), package.load(folder / _PLACES), Relators.load(folder))


def _of_relation(one: Related) -> Named:
    ends = [one.relation.head.mentions[0], one.relation.tail.mentions[0]]
    first, last = min(end.start for end in ends), max(end.end for end in ends)
    return one.relation.name, one.relation.place, first, last, one.confidence


def _entities(text: str, places: Sequence[Span], grouped: bool) -> list[Entity]:
    """Make entities of places: each one, or those of a name that say the same words."""
    found: dict[object, list[Span]] = {}
    for one in places:
        words = " ".join(one.words(text).casefold().split())
        found.setdefault((one.name, words) if grouped else one, []).append(one)
    return [Entity(tuple(sorted(some))) for some in found.values()]
