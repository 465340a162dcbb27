"""Evaluate a model that names places in notes: which it finds, what it names wrongly, for whom, compared with what.

A place is right where its characters and its name are (strict scores of SemEval-2013 task 9.1: Segura-Bedmar et al.).
Scores of the whole count all places alike, whatever their names (micro average).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import polars as pl

from medloom.evidence.answers import Kind
from medloom.evidence.intervals import REPLICATES
from medloom.evidence.named_measure import CASES, NamedMeasure, prevalence
from medloom.evidence.places_evaluation import PlacesEvaluation
from medloom.evidence.tagging_words import metric_name
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span, spans_in
from medloom.tasks.tagging import Tagging

METRICS: Final = ("f1", "precision", "sensitivity", "touching_f1")
"""Names of what is measured of each name, and of all together."""


@dataclass(frozen=True)
class TaggingEvaluation(PlacesEvaluation):
    """Everything measured of one model that names places in notes, on one split.

    Metrics are named `NAME.f1` and so on, and without a name of all places together: `f1`, `precision` and
    `sensitivity` of places that are right to the character; `touching_f1`, where it is enough that they touch.
    `prevalence`: share of notes with each name.

    Attributes:
        cases: of each note and name how many places people named (`there`), the model names (`named`), and are `right`;
            of `there` those `touched`, of `named` those `touching`; numbered by the places of the samples that were
            evaluated.
        structures: the names.
        of_relations: whether metrics of the whole are of relations.
    """

    of_relations: bool = False

    name_of = staticmethod(metric_name)


def evaluate_tagging(
    samples: Samples,
    tagger: Tagging,
    demographics: pl.DataFrame | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    *,
    compared_with: Mapping[str, Tagging] | None = None,
    model: str = "",
    split: str | None = None,
) -> TaggingEvaluation:
    """Evaluate named places, every number with a 95 % interval resampled by subject.

    Args:
        samples: of a tagging question; notes that nobody read are left out.
        tagger: what names places.
        demographics: sample_id, sex, age (years); subgroups are made where it is given.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        compared_with: name → another that names places; differences are paired.
        model: its name.
        split: evaluate only samples of this split.

    Raises:
        InputError: the question is another one.
    """
    question = samples.question
    if question.kind != "tagging":
        raise InputError(
            "task {task!r} is of kind {kind!r}; named places answer tagging questions only",
            task=question.task,
            kind=question.kind,
        )
    asked = samples.where(pl.col("label").is_not_null())
    asked = asked if split is None else asked.where(pl.col("split") == split)
    texts = asked.texts()
    truth = [spans_in(label) for label in asked.frame["label"]]
    names = question.classes
    measure = NamedMeasure(asked.groups, names, names, replicates, seed)

    def cases(one: Tagging) -> pl.DataFrame:
        said = [[found.span for found in some] for some in one.tag(texts)]
        rows = [
            (number, *counts)
            for number, (true, made) in enumerate(zip(truth, said, strict=True))
            for counts in counted(true, made, names)
        ]
        return pl.DataFrame(rows, schema=CASES, orient="row")

    rivals = {name: cases(rival) for name, rival in (compared_with or {}).items()}
    return told(asked, measure, cases(tagger), rivals, demographics, model=model, split=split)


def told(
    asked: Samples,
    measure: NamedMeasure,
    cases: pl.DataFrame,
    rivals: Mapping[str, pl.DataFrame],
    demographics: pl.DataFrame | None,
    *,
    model: str,
    split: str | None,
) -> TaggingEvaluation:
    """Tell what was counted of a model that names something in notes, and of rivals."""
    question = asked.question
    return TaggingEvaluation(
        task=question.task,
        title=Text2(question.title.en, question.title.zh),
        kind=cast(Kind, question.kind),
        unit=question.unit,
        model=model,
        split=split or ", ".join(sorted(set(asked.frame["split"].drop_nulls().to_list()))),
        n=len(asked),
        n_subjects=len(np.unique(asked.groups)),
        prevalence=prevalence(cases, measure.names),
        metrics=measure.of(cases),
        subgroups={} if demographics is None else measure.subgroups(asked, demographics, cases),
        compared_with=measure.compared(cases, rivals),
        cases=cases,
        structures=measure.names,
        of_relations=question.kind == "relations",
    )


def counted(
    true: Sequence[Span], made: Sequence[Span], names: Sequence[str]
) -> list[tuple[str, int, int, int, int, int]]:
    """Count places by name, in columns of `CASES`."""
    rows = []
    for name in names:
        there = {one for one in true if one.name == name}
        named = {one for one in made if one.name == name}
        both = len(there & named)
        rows.append((name, len(there), len(named), both, _touched(there, named), _touched(named, there)))
    return rows


def _touched(some: set[Span], others: set[Span]) -> int:
    """Count those of some places that share a character with one of the others."""
    taken = {at for one in others for start, end in one.parts for at in range(start, end)}
    return sum(any(at in taken for start, end in one.parts for at in range(start, end)) for one in some)
