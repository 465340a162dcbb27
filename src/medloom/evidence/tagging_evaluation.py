"""Evaluate a model that names places in notes: which it finds, what it names wrongly, for whom, compared with what.

A place is right where its characters and its name are (strict scores of SemEval-2013 task 9.1: Segura-Bedmar et al.).
Scores of the whole count all places alike, whatever their names (micro average).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Kind
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Comparison
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.places_evaluation import PlacesEvaluation
from medloom.evidence.subgroups import Subgroup, split_by
from medloom.evidence.tagging_words import metric_name
from medloom.evidence.tally import Floats, ratio
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span, spans_in
from medloom.tasks.tagging import Tagging

METRICS: Final = ("f1", "precision", "sensitivity", "touching_f1")
"""Names of what is measured of each name, and of all together."""

_CASES: Final = pl.Schema(
    {
        "case": pl.Int64,
        "structure": pl.String,
        "there": pl.Int64,  # places that people named
        "named": pl.Int64,  # that the model names
        "right": pl.Int64,
        "touched": pl.Int64,  # of `there`, those that one of the same name touches
        "touching": pl.Int64,  # of `named`, those that touch one of the same name
    }
)
_COUNTS: Final = ("there", "named", "right", "touched", "touching")


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
    """

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
    measure = _Measure(asked.groups, names, replicates, seed)
    cases = _cases(truth, _said(tagger, texts), names)
    compared = {}
    for name, rival in (compared_with or {}).items():
        theirs = _cases(truth, _said(rival, texts), names)
        compared[name] = Comparison(measure.of(theirs), measure.difference(cases, theirs))
    return TaggingEvaluation(
        task=question.task,
        title=Text2(question.title.en, question.title.zh),
        kind=cast(Kind, "tagging"),
        unit=question.unit,
        model=model,
        split=split or ", ".join(sorted(set(asked.frame["split"].drop_nulls().to_list()))),
        n=len(asked),
        n_subjects=len(np.unique(asked.groups)),
        prevalence=_prevalence(cases, names),
        metrics=measure.of(cases),
        subgroups={} if demographics is None else _subgroups(asked, demographics, cases, measure),
        compared_with=compared,
        cases=cases,
        structures=names,
    )


@dataclass(frozen=True)
class _Measure:
    """How is measured: with intervals over subjects, of each name and of all.

    Attributes:
        group: (notes,) whose each is.
        names: of places.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """

    group: NDArray[Any]
    names: tuple[str, ...]
    replicates: int
    seed: int

    def of(self, cases: pl.DataFrame) -> dict[str, Estimate]:
        """Measure one model."""
        counts = self._counts(cases)
        return self._told(lambda weight: self._scores(counts, weight))

    def difference(self, ours: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, Estimate]:
        """Measure by how much one is above another, on the same resamples."""
        one, other = self._counts(ours), self._counts(theirs)

        def between(weight: Floats) -> dict[str, Floats]:
            rivals = self._scores(other, weight)
            return {name: value - rivals[name] for name, value in self._scores(one, weight).items()}

        return self._told(between)

    def _counts(self, cases: pl.DataFrame) -> dict[str, Floats]:
        """Count by name and of all: (notes, counts) each."""
        each = {
            name: cases.filter(pl.col("structure") == name).select(_COUNTS).to_numpy().astype(np.float64)
            for name in self.names
        }
        return {"": np.sum(list(each.values()), axis=0), **each} if len(each) > 1 else each

    def _scores(self, counts: Mapping[str, Floats], weight: Floats) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for name, each in counts.items():
            there, named, right, touched, touching = np.moveaxis(weight @ each, -1, 0)
            scores = {
                "f1": ratio(2 * right, there + named),
                "precision": ratio(right, named),
                "sensitivity": ratio(right, there),
                "touching_f1": ratio(touched + touching, there + named),
            }
            found |= {f"{name}.{metric}" if name else metric: one for metric, one in scores.items()}
        return found

    def _told(self, measure: Any) -> dict[str, Estimate]:
        whole = measure(np.ones(len(self.group)))
        if len(np.unique(self.group)) < FEWEST_SUBJECTS:
            few = text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
            return {name: Estimate(None, reason=few) for name in whole}
        groups = np.unique(self.group, return_inverse=True)[1].astype(np.intp)
        drawn = bootstrap(measure, groups, self.replicates, self.seed, "tagging")
        return {
            name: estimate(one, drawn.get(name))
            if np.isfinite(one)
            else Estimate(None, reason=_nothing(name.rpartition(".")[2]))
            for name, one in whole.items()
        }


def _said(tagger: Tagging, texts: Sequence[str]) -> list[tuple[Span, ...]]:
    return [tuple(one.span for one in found) for found in tagger.tag(texts)]


def _cases(
    truth: Sequence[Sequence[Span]], said: Sequence[Sequence[Span]], names: Sequence[str]
) -> pl.DataFrame:
    rows = []
    for case, (true, made) in enumerate(zip(truth, said, strict=True)):
        for name in names:
            there = {one for one in true if one.name == name}
            named = {one for one in made if one.name == name}
            rows.append(
                (
                    case,
                    name,
                    len(there),
                    len(named),
                    len(there & named),
                    _touched(there, named),
                    _touched(named, there),
                )
            )
    return pl.DataFrame(rows, schema=_CASES, orient="row")


def _touched(some: set[Span], others: set[Span]) -> int:
    """Count those of some places that share a character with one of the others."""
    taken = {at for one in others for start, end in one.parts for at in range(start, end)}
    return sum(any(at in taken for start, end in one.parts for at in range(start, end)) for one in some)


def _prevalence(cases: pl.DataFrame, names: Sequence[str]) -> dict[str, float] | None:
    if not cases.height:
        return None
    shares = dict(cases.group_by("structure").agg((pl.col("there") > 0).mean()).iter_rows())
    return {name: float(shares[name]) for name in names}


def _subgroups(
    samples: Samples, demographics: pl.DataFrame, cases: pl.DataFrame, measure: _Measure
) -> dict[str, dict[str, Subgroup]]:
    found: dict[str, dict[str, Subgroup]] = {}
    for dimension, name, chosen in split_by(samples.frame["sample_id"], demographics):
        group = measure.group[chosen]
        subjects = len(np.unique(group))
        part = cases.filter(pl.col("case").is_in(np.flatnonzero(chosen).tolist()))
        own = _Measure(group, measure.names, measure.replicates, measure.seed)
        found.setdefault(dimension, {})[name] = Subgroup(
            n=len(group),
            n_subjects=subjects,
            # the share among a handful of people tells what each of them has
            prevalence=_prevalence(part, measure.names) if subjects >= FEWEST_SUBJECTS else None,
            metrics=own.of(part),
        )
    return found


def _nothing(metric: str) -> Text2:
    return text2("nothing is named") if metric == "precision" else text2("no note has such a place")
