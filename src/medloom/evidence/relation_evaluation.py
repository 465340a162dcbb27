"""Evaluate a model that names relations in notes, and the places they are between.

A relation is right where its name is, and both of its ends are: a place of the same characters and name (strict scores,
as Bekoulis et al., Expert Syst Appl 2018;114:34), or one of the places of the entity, where entities have several.
Scores of the whole count all relations alike; places have scores of their own, by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from medloom.evidence.intervals import REPLICATES
from medloom.evidence.named_measure import CASES, NamedMeasure
from medloom.evidence.tagging_evaluation import TaggingEvaluation, counted, told
from medloom.foundation.errors import InputError
from medloom.tasks.relations import Entity, Relating, Relation, entities_in, mentions_in, relations_in
from medloom.tasks.samples import Samples


def evaluate_relations(
    samples: Samples,
    relating: Relating,
    demographics: pl.DataFrame | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    *,
    compared_with: Mapping[str, Relating] | None = None,
    model: str = "",
    split: str | None = None,
    known_entities: bool = False,
) -> TaggingEvaluation:
    """Evaluate named relations, every number with a 95 % interval resampled by subject.

    Args:
        samples: of a question of relations; notes that nobody read are left out.
        relating: what names relations.
        demographics: sample_id, sex, age (years); subgroups are made where it is given.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        compared_with: name → another that names relations; differences are paired.
        model: its name.
        split: evaluate only samples of this split.
        known_entities: tell the model the entities that people named, and evaluate relations alone.

    Raises:
        InputError: the question is another one.
    """
    question = samples.question
    if question.kind != "relations":
        raise InputError(
            "task {task!r} is of kind {kind!r}; named relations answer questions of relations only",
            task=question.task,
            kind=question.kind,
        )
    asked = samples.where(pl.col("label").is_not_null())
    asked = asked if split is None else asked.where(pl.col("split") == split)
    labels, texts = asked.frame["label"].to_list(), asked.texts()
    between = tuple(name for name, _, _ in question.relations)
    places = () if known_entities else question.classes
    measure = NamedMeasure(asked.groups, (*places, *between), between, replicates, seed)

    def cases(one: Relating) -> pl.DataFrame:
        rows: list[tuple[object, ...]] = []
        if known_entities:
            made = one.relate(texts, [entities_in(label) for label in labels])
        else:
            read = one.read(texts)
            made = [some.relations for some in read]
            for number, (label, some) in enumerate(zip(labels, read, strict=True)):
                spans = [place.span for place in some.places]
                rows += [(number, *counts) for counts in counted(mentions_in(label), spans, places)]
        for number, (label, found) in enumerate(zip(labels, made, strict=True)):
            named = [one.relation for one in found]
            rows += [(number, *_counted(relations_in(label), named, name)) for name in between]
        return pl.DataFrame(rows, schema=CASES, orient="row")

    rivals = {name: cases(rival) for name, rival in (compared_with or {}).items()}
    return told(asked, measure, cases(relating), rivals, demographics, model=model, split=split)


def _counted(
    true: Sequence[Relation], made: Sequence[Relation], name: str
) -> tuple[str, int, int, int, int, int]:
    """Count relations of a name; several that mean the same true one count once."""
    there = [one for one in true if one.name == name]
    wrong, touching = 0, 0
    met: set[int] = set()
    touched: set[int] = set()
    named = {one for one in made if one.name == name}
    for one in named:
        meets = {place for place, other in enumerate(there) if _same(one, other)}
        near = {place for place, other in enumerate(there) if _near(one, other)}
        wrong, touching = wrong + (not meets), touching + bool(near)
        met, touched = met | meets, touched | near
    again = len(named) - wrong - len(met)
    return name, len(there), len(named) - again, len(met), len(touched), touching - again


def _same(one: Relation, other: Relation) -> bool:
    return bool(
        {*one.head.mentions} & {*other.head.mentions} and {*one.tail.mentions} & {*other.tail.mentions}
    )


def _near(one: Relation, other: Relation) -> bool:
    return _touch(one.head, other.head) and _touch(one.tail, other.tail)


def _touch(one: Entity, other: Entity) -> bool:
    return one.name == other.name and any(
        start < right and left < end
        for mine in one.mentions
        for theirs in other.mentions
        for start, end in mine.parts
        for left, right in theirs.parts
    )
