"""A model that names relations in notes: a tagger that names places, and a network that relates what they name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom.foundation.errors import InputError
from medloom.learners.text.encoders import VOCABULARY, Vocabulary, body_in, files_in
from medloom.learners.text.network import TextBody
from medloom.learners.text.relating.network import PairNetwork
from medloom.learners.text.relating.pairs import Naming
from medloom.learners.text.relating.teaching import scores_of
from medloom.learners.text.tagging.answers import rows_of
from medloom.learners.text.tagging.model import TaggerModel, load_tagger
from medloom.learners.text.windows import Note, Windowing
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.relations import Entity, Read, Related, Relation
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span
from medloom.training.additions import described, put_in
from medloom.training.tensors import read_weights, write_weights

LIBRARIES: Final = ("numpy", "safetensors", "tokenizers", "torch", "transformers")

_METHOD = "places by how sure each is"
_SPECIFICATION: Final = "relations.json"
_WEIGHTS: Final = "relations.safetensors"


@dataclass(frozen=True)
class RelationModel(Model):
    """Names places and relations in notes; what learners `encoder` and `bilstm-crf` give for a question of relations.

    Attributes:
        origin: where it comes from.
        network: tells which relations hold.
        naming: what can be named.
        threshold: how sure it has to be of a relation to name it.
        vocabulary: of its encoder.
        windowing: how notes are read in pieces; what no piece holds together is not related.
        files: of its encoder, by name: configuration and vocabulary.
        tagger: names the places; None: it relates what it is told of alone.
    """

    origin: Origin
    network: PairNetwork = field(repr=False)
    naming: Naming
    threshold: float
    vocabulary: Vocabulary = field(repr=False)
    windowing: Windowing
    files: dict[str, str] = field(repr=False)
    tagger: TaggerModel | None = None

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Name places, and relations between them.

        Where the question is about all places of a note with the same code, places of a name with the same words are
        one entity.

        Raises:
            InputError: it was learned without places.
        """
        if self.tagger is None:
            raise InputError(
                "this model was learned without places: name what it is to relate, or learn with places=true"
            )
        tagged = self.tagger.tag(texts)
        grouped = self.origin.question.entities == "code"
        entities = [
            _entities(text, [one.span for one in found], grouped)
            for text, found in zip(texts, tagged, strict=True)
        ]
        related = self.relate(texts, entities)
        return [Read(places, some) for places, some in zip(tagged, related, strict=True)]

    def relate(self, texts: Sequence[str], entities: Sequence[Sequence[Entity]]) -> list[tuple[Related, ...]]:
        """Name relations between entities that are known."""
        notes = [Note.of(text, self.vocabulary) for text in texts]
        scored = scores_of(self.network, notes, entities, self.vocabulary, self.windowing, self.naming)
        found = []
        for some, pairs in zip(entities, scored, strict=True):
            named = [
                Related(
                    Relation(self.naming.relations[number][0], some[head], some[tail]), float(sure[number])
                )
                for (head, tail), sure in pairs.items()
                for number in np.flatnonzero(np.nan_to_num(sure) >= self.threshold)
            ]
            found.append(tuple(sorted(named, key=lambda one: one.relation)))
        return found

    def predict(self, samples: Samples) -> Predictions:
        """Give a row for each place that is named, and one for each relation: `place` tells where.

        `start` and `end` of a relation are those of both its places together.

        Raises:
            InputError: the samples are not about notes, or it was learned without places.
        """
        return Predictions(self._rows(samples, PREDICTION_SCHEMA, "value"))

    def explain(self, samples: Samples) -> Explanation:
        """Give places and relations with how sure it is of each."""
        outputs = self.origin.question.outputs
        return Explanation(
            self._rows(samples, EXPLANATION_SCHEMA, "contribution"),
            pl.DataFrame({"output": outputs, "value": np.zeros(len(outputs))}),
            _METHOD,
            "probability",
            additive=False,
        )

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def _rows(self, samples: Samples, schema: pl.Schema, told: str) -> pl.DataFrame:
        named = []
        for read in self.read(samples.texts()):
            own = [
                (one.span.name, one.span.place, one.span.start, one.span.end, one.confidence)
                for one in read.places
            ]
            for one in read.relations:
                ends = [one.relation.head.mentions[0], one.relation.tail.mentions[0]]
                first, last = min(end.start for end in ends), max(end.end for end in ends)
                own.append((one.relation.name, one.relation.place, first, last, one.confidence))
            named.append(own)
        return rows_of(named, samples, schema, told)

    def _write(self, folder: Path) -> None:
        content = {
            "naming": asdict(self.naming),
            "threshold": self.threshold,
            "windowing": asdict(self.windowing),
            "added": described(self.network.body),
            "places": self.tagger is not None,
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        for name, one in self.files.items():
            (folder / name).write_text(one, encoding="utf-8")
        write_weights(folder / _WEIGHTS, self.network)
        if self.tagger is not None:
            self.tagger.write_into(folder)


def load_relations(directory: Path) -> RelationModel:
    """Load a package that a `RelationModel` wrote, whose sums have been checked."""
    folder = directory / "weights"
    files = files_in(folder)
    told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
    between = tuple((name, head, tail) for name, head, tail in told["naming"]["relations"])
    naming = Naming(tuple(told["naming"]["places"]), between)
    network = PairNetwork(TextBody(body_in(folder, learned=False)), len(naming.places), len(between))
    put_in(network.body, told["added"])
    network.load_state_dict(read_weights(folder / _WEIGHTS))
    return RelationModel(
        package.origin_in(directory),
        network.eval().requires_grad_(False),
        naming,
        told["threshold"],
        Vocabulary.of(files[VOCABULARY]),
        Windowing(**told["windowing"]),
        files,
        load_tagger(directory) if told["places"] else None,
    )


def _entities(text: str, places: Sequence[Span], grouped: bool) -> list[Entity]:
    """Make entities of places: each one, or those of a name that say the same words."""
    found: dict[object, list[Span]] = {}
    for one in places:
        words = " ".join(one.words(text).casefold().split())
        found.setdefault((one.name, words) if grouped else one, []).append(one)
    return [Entity(tuple(sorted(some))) for some in found.values()]
