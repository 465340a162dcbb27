"""Evaluate a model that finds objects: which it finds, what it marks for nothing, for whom, compared with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Kind
from medloom.evidence.detection import at_threshold, average_precision, froc, sensitivity_at
from medloom.evidence.detection_words import metric_name
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Comparison
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.places_evaluation import PlacesEvaluation, known_outlines
from medloom.evidence.subgroups import Subgroup, split_by
from medloom.evidence.tally import Floats
from medloom.features.boxes import Boxes, Finding, boxes_of
from medloom.features.images import image_of
from medloom.features.marks import Fit, Hits, Marks, hits, inside, overlapping
from medloom.features.outlines import outline_of
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.tasks.samples import Samples

METRICS: Final = (
    "sensitivity",
    "precision",
    "false_positives",
    "average_precision",
    "froc",
    "box_average_precision",
)
"""Names of what is measured of each structure, and on the mean."""

_OVERLAP: Final = 0.5

_Found = dict[str, Estimate]


@dataclass(frozen=True)
class DetectionEvaluation(PlacesEvaluation):
    """Everything measured of one model that finds objects, on one split.

    An object is found where the middle of a mark lies in its box; each mark finds one object at most. Metrics are named
    `STRUCTURE.sensitivity` and so on: `sensitivity`, `precision` and `false_positives` (an image) of the marks that are
    shown; `average_precision` and `froc` over all marks; `box_average_precision`, where a mark's box must cover half of
    what both cover. Without a structure's name they are the mean over structures. `prevalence`: share of images with
    each structure. Curves: `froc`, of each structure false positives an image and sensitivity.

    Attributes:
        cases: of each image and structure `objects`, `found`, and `wrong`, marks for nothing; numbered by the places of
            the samples that were evaluated.
        structures: their names.
        marked_from: of each structure the score from which on a mark is shown.
    """

    marked_from: tuple[float, ...] = ()

    name_of = staticmethod(metric_name)

    def ranked(self) -> list[int]:
        """List the images with objects or marks, those with most mistakes for what is there first."""
        assert self.cases is not None
        summed = self.cases.group_by("case").agg(pl.col("objects", "found", "wrong").sum())
        right = 2 * pl.col("found") / (pl.col("objects") + pl.col("found") + pl.col("wrong"))
        return summed.filter(pl.col("objects") + pl.col("wrong") > 0).sort(right, "case")["case"].to_list()

    def told_of(self, case: int) -> Text2:
        """Say what was found in one image, and what was marked for nothing."""
        assert self.cases is not None
        own = self.cases.filter(pl.col("case") == case).select("objects", "found", "wrong").sum()
        objects, found, wrong = own.row(0)
        return text2(
            "found: {found} of {objects}; marked for nothing: {wrong}",
            found=found,
            objects=objects,
            wrong=wrong,
        )


@dataclass(frozen=True)
class _Seen:
    """What a model marked of one structure in the images that were evaluated."""

    middles: Hits
    boxes: Hits
    threshold: float

    def measured(self, weight: Floats) -> dict[str, Floats]:
        """Measure, each image weighing so much: (...) each, named as `METRICS`."""
        found = at_threshold(self.middles, self.threshold, weight)
        return {
            **found,
            "average_precision": average_precision(self.middles, weight),
            "froc": sensitivity_at(self.middles, weight=weight).mean(axis=-1),
            "box_average_precision": average_precision(self.boxes, weight),
        }


def evaluate_detection(
    samples: Samples,
    finder: Finding,
    demographics: pl.DataFrame | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    *,
    compared_with: Mapping[str, Finding] | None = None,
    model: str = "",
    split: str | None = None,
) -> DetectionEvaluation:
    """Evaluate what a model finds, every number with a 95 % interval resampled by subject.

    Args:
        samples: of a detection question; those without an expert's outline are left out. What hangs together in an
            outline is an object.
        finder: what finds objects.
        demographics: sample_id, sex, age (years); subgroups are made where it is given.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        compared_with: name → another that finds; differences are paired.
        model: its name.
        split: evaluate only samples of this split.

    Raises:
        InputError: the question is another one, a file is damaged, or an outline does not fit its image.
    """
    question = samples.question
    if question.kind != "detection":
        raise InputError(
            "task {task!r} is of kind {kind!r}; what finds objects answers detection questions only",
            task=question.task,
            kind=question.kind,
        )
    asked = known_outlines(samples, split)
    structures = question.classes
    rivals = dict(compared_with or {})
    truth, said = _looked(asked, [finder, *rivals.values()])
    seen = _seen(truth, said[0], finder.thresholds)
    measure = _Measure(asked.groups, structures, replicates, seed)
    compared = {}
    for (name, rival), theirs in zip(rivals.items(), said[1:], strict=True):
        other = _seen(truth, theirs, rival.thresholds)
        compared[name] = Comparison(measure.of(other), measure.difference(seen, other))
    cases = _cases(truth, said[0], finder.thresholds, structures)
    return DetectionEvaluation(
        task=question.task,
        title=Text2(question.title.en, question.title.zh),
        kind=cast(Kind, "detection"),
        unit=question.unit,
        model=model,
        split=split or ", ".join(sorted(set(asked.frame["split"].drop_nulls().to_list()))),
        n=len(asked),
        n_subjects=len(np.unique(asked.groups)),
        prevalence=_prevalence(cases, structures),
        metrics=measure.of(seen),
        subgroups={}
        if demographics is None
        else _subgroups(asked, demographics, truth, said[0], finder.thresholds, cases, measure),
        curves={"froc": {name: froc(one.middles) for name, one in zip(structures, seen, strict=True)}},
        compared_with=compared,
        cases=cases,
        structures=structures,
        marked_from=finder.thresholds,
    )


@dataclass(frozen=True)
class _Measure:
    """How is measured: with intervals over subjects, of each structure and on the mean.

    Attributes:
        group: (images,) whose each is.
        structures: their names.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """

    group: NDArray[Any]
    structures: tuple[str, ...]
    replicates: int
    seed: int

    def of(self, seen: Sequence[_Seen]) -> _Found:
        """Measure one model."""
        return self._told(lambda weight: self._named(seen, weight))

    def difference(self, ours: Sequence[_Seen], theirs: Sequence[_Seen]) -> _Found:
        """Measure by how much one is above another, on the same resamples."""

        def between(weight: Floats) -> dict[str, Floats]:
            other = self._named(theirs, weight)
            return {name: one - other[name] for name, one in self._named(ours, weight).items()}

        return self._told(between)

    def _named(self, seen: Sequence[_Seen], weight: Floats) -> dict[str, Floats]:
        each = {name: one.measured(weight) for name, one in zip(self.structures, seen, strict=True)}
        named = {f"{name}.{metric}": one for name, found in each.items() for metric, one in found.items()}
        if len(each) == 1:
            return named
        mean = {name: _mean([found[name] for found in each.values()]) for name in METRICS}
        return {**mean, **named}

    def _told(self, measure: Any) -> _Found:
        whole = measure(np.ones(len(self.group)))
        if len(np.unique(self.group)) < FEWEST_SUBJECTS:
            few = text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
            return {name: Estimate(None, reason=few) for name in whole}
        groups = np.unique(self.group, return_inverse=True)[1].astype(np.intp)
        drawn = bootstrap(measure, groups, self.replicates, self.seed, "detection")
        return {
            name: estimate(one, drawn.get(name))
            if np.isfinite(one)
            else Estimate(None, reason=_nothing(name.rpartition(".")[2]))
            for name, one in whole.items()
        }


def _looked(samples: Samples, finders: Sequence[Finding]) -> tuple[list[Boxes], list[list[Boxes]]]:
    """Read each image once: what experts outlined, and what each model finds."""
    truth: list[Boxes] = []
    said: list[list[Boxes]] = [[] for _ in finders]
    for place in range(len(samples)):
        image = image_of(samples, place)
        truth.append(boxes_of(outline_of(samples, place, image)))
        for found, finder in zip(said, finders, strict=True):
            found.append(finder.find(image))
    return truth, said


def _seen(truth: Sequence[Boxes], said: Sequence[Boxes], thresholds: Sequence[float]) -> list[_Seen]:
    def matched(structure: int, fit: Fit) -> Hits:
        pairs = [(true.of(structure), one.of(structure)) for true, one in zip(truth, said, strict=True)]
        return hits([Marks(true.box, one.box, one.score) for true, one in pairs], fit)

    return [
        _Seen(matched(number, inside()), matched(number, overlapping(_OVERLAP)), threshold)
        for number, threshold in enumerate(thresholds, 1)
    ]


def _cases(
    truth: Sequence[Boxes], said: Sequence[Boxes], thresholds: Sequence[float], structures: tuple[str, ...]
) -> pl.DataFrame:
    rows = []
    for number, name in enumerate(structures, 1):
        for case, (true, one) in enumerate(zip(truth, said, strict=True)):
            own, shown = true.of(number), one.shown(thresholds).of(number)
            found = int(hits([Marks(own.box, shown.box, shown.score)], inside()).hit.sum())
            rows.append((case, name, len(own), found, len(shown) - found))
    kinds = {
        "case": pl.Int64,
        "structure": pl.String,
        "objects": pl.Int64,
        "found": pl.Int64,
        "wrong": pl.Int64,
    }
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _prevalence(cases: pl.DataFrame, structures: tuple[str, ...]) -> dict[str, float] | None:
    if not cases.height:
        return None
    shares = dict(cases.group_by("structure").agg((pl.col("objects") > 0).mean()).iter_rows())
    return {name: float(shares[name]) for name in structures}


def _subgroups(
    samples: Samples,
    demographics: pl.DataFrame,
    truth: Sequence[Boxes],
    said: Sequence[Boxes],
    thresholds: Sequence[float],
    cases: pl.DataFrame,
    measure: _Measure,
) -> dict[str, dict[str, Subgroup]]:
    found: dict[str, dict[str, Subgroup]] = {}
    for dimension, name, chosen in split_by(samples.frame["sample_id"], demographics):
        places = np.flatnonzero(chosen).tolist()
        group = measure.group[chosen]
        subjects = len(np.unique(group))
        seen = _seen([truth[at] for at in places], [said[at] for at in places], thresholds)
        own = _Measure(group, measure.structures, measure.replicates, measure.seed)
        part = cases.filter(pl.col("case").is_in(places))
        found.setdefault(dimension, {})[name] = Subgroup(
            n=len(places),
            n_subjects=subjects,
            # the share among a handful of people tells what each of them has
            prevalence=_prevalence(part, measure.structures) if subjects >= FEWEST_SUBJECTS else None,
            metrics=own.of(seen),
        )
    return found


def _mean(values: Sequence[Floats]) -> Floats:
    """Average what there is: (...), NaN where there is nothing."""
    stacked = np.stack(values)
    known = np.isfinite(stacked)
    total, n = np.where(known, stacked, 0.0).sum(0), known.sum(0)
    mean: Floats = np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0)
    return mean


def _nothing(metric: str) -> Text2:
    if metric == "precision":
        return text2("nothing is marked")
    return text2("no image has the structure")
