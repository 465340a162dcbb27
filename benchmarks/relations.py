"""What drugs caused, in sentences (ADE) and in abstracts (BC5CDR): entities and relations, on a laptop.

ADE: five folds of articles, each held out once; a place is right to the character, a relation where both its places
are; places are named by the embedded encoder and by the linear tagger. BC5CDR: which chemical of an abstract induces
which disease, with the entities and their codes given; learned from training and development part together, the 500
test abstracts are looked at once. Beside it, what stands in the same sentence taken for related. Recipes were fixed on
the training part of the first fold, and on the development part. How far learning is, is kept in the benchmark's
folder: a run that was cut off goes on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom import api
from medloom.cli.bench import Bench
from medloom.evidence.named_measure import CASES, NamedMeasure
from medloom.evidence.relation_evaluation import evaluate_relations
from medloom.evidence.tagging_evaluation import TaggingEvaluation
from medloom.foundation.files import remove
from medloom.learners.text.relating.pairs import Relators, learned
from medloom.record.datasets import get
from medloom.record.notes.sentences import sentences
from medloom.tasks import package
from medloom.tasks.relations import Entity, Read, Related, Relating, Relation, as_relation_label
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span

FOLDS: Final = 5
LEARNERS: Final[dict[str, dict[str, Any]]] = {
    "crf": {"nested": True},
    "encoder": {
        "nested": True,
        "epochs": 5,
        "learning_rate": 0.0005,
        "average": 0.98,
        "precision": "bf16",
    },
}
REFERENCES: Final = {
    "ade SpERT entities macro f1": 0.893,
    "ade SpERT relations macro f1": 0.792,
    "bc5cdr best of BioCreative V f1, entities found by itself": 0.570,
    "source": "Eberts & Ulges, ECAI 2020 (10 folds of sentences); Wei et al., Database 2016;baw032",
}
_TASK: Final = {
    "kind": "relations",
    "predict": {
        "of": "note",
        "spans": {"drug": ["DRUG//*"], "effect": ["EFFECT//*"]},
        "relations": {"causes": {"head": "drug", "tail": "effect", "codes": ["READ//all"]}},
    },
}
_KINDS: Final = {"Chemical": "drug", "Disease": "effect"}
_LEARNED: Final = ("CDR_TrainingSet", "CDR_DevelopmentSet")
_TEST: Final = "CDR_TestSet"


def run(bench: Bench) -> None:
    """Learn, then look at each fold and at the test abstracts once."""
    sys.path.append(str(bench.folder))
    bench.references = REFERENCES
    told, folds = ade()
    known, test = Abstracts.of(*_LEARNED), Abstracts.of(_TEST)
    bench.data["ade-corpus"] = {"sentences": len(told), "articles": told.frame["subject_id"].n_unique()}
    bench.data["bc5cdr"] = {"train": len(known.codes), "test": len(test.codes)}
    parts = [told.among(np.flatnonzero(folds != fold).tolist()) for fold in range(FOLDS)]
    models = {
        name: [
            _learned(name, part, bench.seed, bench.work / "run" / f"{name}-{fold}")
            for fold, part in enumerate(parts)
        ]
        for name in LEARNERS
    }
    begun = time.perf_counter()
    relators = learned(known.samples, bench.seed)
    bench.figures["bc5cdr.clues.train_s"] = time.perf_counter() - begun
    bench.looked()
    for name, made in models.items():
        bench.figures[f"ade.{name}.train_s"] = sum(taken for _, taken in made)
        reading = Folded([one for one, _ in made], told.texts(), folds)
        bench.figures |= ade_figures(name, evaluate_relations(told, reading, seed=bench.seed))
    bench.figures |= test.figures(relators, "clues", bench.seed)
    bench.figures |= test.figures(SameSentence(), "same-sentence", bench.seed)
    remove(bench.work / "run")


def ade() -> tuple[Samples, np.ndarray]:
    """Put the question to the sentences of ADE; with the fold of each, which its article is in."""
    from _ade import sentences as read  # type: ignore[import-not-found]  # beside this one

    known = read(get("ade-corpus") / "corpus" / "DRUG-AE.rel")
    articles = sorted({one.article for one in known})
    order = np.random.default_rng(0).permutation(len(articles))
    numbers = {article: int(number) for article, number in zip(articles, order, strict=True)}
    known.sort(key=lambda one: numbers[one.article])
    labels = [as_relation_label(one.entities, one.relations) for one in known]
    notes = [(1 + numbers[one.article], one.text, label) for one, label in zip(known, labels, strict=True)]
    return _noted(notes), np.array([numbers[one.article] % FOLDS for one in known])


def ade_figures(learner: str, found: TaggingEvaluation) -> dict[str, float]:
    """Give strict scores of entities, of both names alike (macro), and of relations."""
    named = [found.metrics[f"{name}.f1"].value or 0.0 for name in ("drug", "effect")]
    figures = {f"ade.{learner}.entities.f1": sum(named) / 2}
    for name, key in (("drug.f1", "drug.f1"), ("effect.f1", "effect.f1"), ("f1", "relations.f1")):
        figures |= _with_interval(f"ade.{learner}.{key}", found.metrics[name])
    for name in ("precision", "sensitivity"):
        figures |= _with_interval(f"ade.{learner}.relations.{name}", found.metrics[name])
    return figures


@dataclass(frozen=True)
class Folded:
    """Reads each text by the model that did not learn from it.

    Attributes:
        models: of each fold.
        known: the texts.
        folds: of each text.
    """

    models: Sequence[Relating]
    known: Sequence[str]
    folds: np.ndarray

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Name places and relations in the texts that are known, in their order."""
        assert list(texts) == list(self.known)
        found: list[Read | None] = [None] * len(texts)
        for fold, model in enumerate(self.models):
            places = np.flatnonzero(self.folds == fold).tolist()
            for place, one in zip(places, model.read([texts[place] for place in places]), strict=True):
                found[place] = one
        return [one for one in found if one is not None]

    def relate(self, texts: Sequence[str], entities: Sequence[Sequence[Entity]]) -> list[tuple[Related, ...]]:
        """Is not asked."""
        raise NotImplementedError


@dataclass(frozen=True)
class Abstracts:
    """Abstracts with what induces what.

    Attributes:
        samples: with what people said.
        entities: of each abstract; those that are named at the same places are one.
        codes: of each entity.
        induced: pairs of codes, of each abstract.
    """

    samples: Samples
    entities: list[list[Entity]]
    codes: list[list[set[str]]]
    induced: list[set[tuple[str, str]]]

    @classmethod
    def of(cls, *files: str) -> Abstracts:
        """Read some files."""
        from _pubtator import abstracts  # type: ignore[import-not-found]  # beside this one

        folder = get("bc5cdr") / "pubtator"
        known = [one for file in files for one in abstracts(folder / f"{file}.PubTator.txt", _KINDS)]
        notes, entities, codes, induced = [], [], [], []
        for number, one in enumerate(known):
            places: dict[tuple[str, str], set[Span]] = {}
            for mention in one.mentions:
                for code in mention.codes:
                    places.setdefault((mention.span.name, code), set()).add(mention.span)
            meant: dict[Entity, set[str]] = {}
            for (_, code), spans in places.items():
                meant.setdefault(Entity(tuple(sorted(spans))), set()).add(code)
            pairs = {(head, tail) for _, head, tail in one.relations}
            related = [
                Relation("causes", head, tail)
                for head, mine in meant.items()
                for tail, theirs in meant.items()
                if any((code, other) in pairs for code in mine for other in theirs)
            ]
            notes.append((1 + number, one.text, as_relation_label([*meant], related)))
            entities.append([*meant])
            codes.append([*meant.values()])
            induced.append(pairs)
        return cls(_noted(notes), entities, codes, induced)

    def figures(self, relating: Relators | SameSentence, name: str, seed: int) -> dict[str, float]:
        """Measure by codes: which pairs of them it names of each abstract."""
        rows = []
        said = relating.relate(self.samples.texts(), self.entities)
        for case, (entities, codes, there, found) in enumerate(
            zip(self.entities, self.codes, self.induced, said, strict=True)
        ):
            meant = dict(zip(entities, codes, strict=True))
            named = {
                (code, other)
                for one in found
                for code in meant[one.relation.head]
                for other in meant[one.relation.tail]
            }
            right = len(there & named)
            rows.append((case, "causes", len(there), len(named), right, right, right))
        measure = NamedMeasure(np.arange(len(rows)), ("causes",), ("causes",), 1000, seed)
        told = measure.of(pl.DataFrame(rows, schema=CASES, orient="row"))
        figures: dict[str, float] = {}
        for metric in ("f1", "precision", "sensitivity"):
            figures |= _with_interval(f"bc5cdr.{name}.{metric}", told[f"causes.{metric}"])
        return figures


class SameSentence:
    """Takes a drug and an effect for related where a sentence names both."""

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Is not asked."""
        raise NotImplementedError

    def relate(self, texts: Sequence[str], entities: Sequence[Sequence[Entity]]) -> list[tuple[Related, ...]]:
        """Relate what stands in the same sentence."""
        found = []
        for text, some in zip(texts, entities, strict=True):
            ends = np.array([end for _, end in sentences(text)])
            within = [
                {int(np.searchsorted(ends, one.start, "right")) for one in each.mentions} for each in some
            ]
            pairs = [
                Relation("causes", head, tail)
                for head, mine in zip(some, within, strict=True)
                for tail, theirs in zip(some, within, strict=True)
                if (head.name, tail.name) == ("drug", "effect") and mine & theirs
            ]
            found.append(tuple(Related(one, 1.0) for one in pairs))
        return found


def _noted(notes: Sequence[tuple[int, str, str]]) -> Samples:
    from _noted import noted  # type: ignore[import-not-found]  # beside this one

    made: Samples = noted(_TASK, notes)
    return made


def _learned(name: str, train: Samples, seed: int, into: Path) -> tuple[Any, float]:
    """Learn, unless a run that was cut off has."""
    told = into.with_suffix(".json")
    if not told.is_file():
        into.parent.mkdir(parents=True, exist_ok=True)
        kept = {"folder": str(into.with_suffix(".work"))} if name != "crf" else {}
        begun = time.perf_counter()
        model = api.learner(name, **LEARNERS[name], **kept).fit(train, train.where(pl.lit(False)), seed)
        remove(into)
        model.save(into)
        told.write_text(json.dumps(time.perf_counter() - begun), encoding="utf-8")
    return package.load(into), float(json.loads(told.read_text(encoding="utf-8")))


def _with_interval(name: str, one: Any) -> dict[str, float]:
    parts = (("", one.value), (".low", one.low), (".high", one.high))
    return {f"{name}{end}": value for end, value in parts if value is not None}
