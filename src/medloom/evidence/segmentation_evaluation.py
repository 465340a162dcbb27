"""Evaluate the outlines of any model: how good, for whom, compared with what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Kind
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Comparison
from medloom.evidence.intervals import REPLICATES
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.places_evaluation import PlacesEvaluation, known_outlines
from medloom.evidence.segmentation import METRICS, compare_each, estimates
from medloom.evidence.segmentation_words import metric_name
from medloom.evidence.subgroups import Subgroup, split_by
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.record.imaging.image import Image
from medloom.tasks.samples import Samples

Outline: TypeAlias = Callable[[Image], NDArray[np.integer]]

SHOWN: Final = ("dice", "hd95", "assd", "surface_dice", "volume_error")
_NAMES: Final = {"asd": "assd", "nsd": "surface_dice"}
_Found = dict[str, Estimate]


@dataclass(frozen=True)
class SegmentationEvaluation(PlacesEvaluation):
    """Everything measured of one model that outlines, on one split.

    Metrics are named `STRUCTURE.dice` and so on, those of `evidence.segmentation`: `dice`, `iou`, `hd95`, `assd` (mean
    distance of borders), `surface_dice` (within 1 mm), `volume_error` (mm³), `lesion_sensitivity`, `false_positives`,
    `absent`. Without a structure's name they are the mean over structures. `prevalence`: share of images with each
    structure. Curves: `dice`, of each structure the Dice of all images, ascending.

    Attributes:
        cases: rows of `CASE_SCHEMA`, numbered by the places of the samples that were evaluated.
    """

    name_of = staticmethod(metric_name)

    def ranked(self) -> list[int]:
        """List the cases by the mean Dice of their structures, the worst first; those without any are left out."""
        assert self.cases is not None
        scores = self.cases.group_by("case").agg(pl.col("dice").fill_nan(None).mean()).drop_nulls("dice")
        return scores.sort("dice", "case")["case"].to_list()

    def told_of(self, case: int) -> Text2:
        """Say how good the outlines of one case are."""
        assert self.cases is not None
        rows = self.cases.filter(pl.col("case") == case).select("structure", "dice").drop_nulls().iter_rows()
        values = [f"{structure} {dice:.2f}" for structure, dice in rows if np.isfinite(dice)]
        return text2("Dice: {values}", values=", ".join(values))


def evaluate_segmentation(
    samples: Samples,
    outline: Outline,
    demographics: pl.DataFrame | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    *,
    compared_with: Mapping[str, Outline] | None = None,
    model: str = "",
    split: str | None = None,
) -> SegmentationEvaluation:
    """Evaluate outlines, every number with a 95 % interval resampled by subject.

    Args:
        samples: of a segmentation question; those without an expert's outline are left out.
        outline: of an image, the numbers of structures (*space).
        demographics: sample_id, sex, age (years); subgroups are made where it is given.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        compared_with: name → what another model outlines; differences are paired.
        model: its name.
        split: evaluate only samples of this split.

    Raises:
        InputError: the question is another one, a file is damaged, or an outline does not fit its image.
    """
    question = samples.question
    if question.kind != "segmentation":
        raise InputError(
            "task {task!r} is of kind {kind!r}; outlines answer segmentation questions only",
            task=question.task,
            kind=question.kind,
        )
    asked = known_outlines(samples, split)
    cases = compare_each(asked, outline)
    group = asked.groups
    n_subjects = len(np.unique(group))
    metrics = _estimated(cases, group, question.classes, replicates, seed)
    compared = {}
    for name, other in (compared_with or {}).items():
        theirs = compare_each(asked, other)
        difference = _estimated(_difference(cases, theirs), group, question.classes, replicates, seed)
        kept = {key: one for key, one in difference.items() if key.rpartition(".")[2] in _averaged()}
        compared[name] = Comparison(_estimated(theirs, group, question.classes, replicates, seed), kept)
    return SegmentationEvaluation(
        task=question.task,
        title=Text2(question.title.en, question.title.zh),
        kind=cast(Kind, "segmentation"),
        unit=question.unit,
        model=model,
        split=split or ", ".join(sorted(set(asked.frame["split"].drop_nulls().to_list()))),
        n=len(asked),
        n_subjects=n_subjects,
        prevalence=_prevalence(cases, question.classes),
        metrics=metrics,
        subgroups={}
        if demographics is None
        else _subgroups(cases, asked, demographics, question.classes, replicates, seed),
        curves=_curves(cases, question.classes),
        compared_with=compared,
        cases=cases,
        structures=question.classes,
    )


def _averaged() -> tuple[str, ...]:
    return tuple(_NAMES.get(name, name) for name in METRICS)


def _estimated(
    cases: pl.DataFrame, group: NDArray[Any], structures: tuple[str, ...], replicates: int, seed: int
) -> _Found:
    """Measure, with names as they are told; those of too few subjects are not estimable."""
    n_subjects = len(np.unique(group))
    found = estimates(cases, group, replicates, seed) if len(group) else {}
    few = text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
    absent = text2("no image has the structure")
    made: _Found = {}
    for structure in ("", *structures) if len(structures) > 1 else structures:
        prefix = f"{structure}." if structure else ""
        for name, one in found.get(structure, {}).items():
            value = one
            if n_subjects < FEWEST_SUBJECTS:
                value = Estimate(None, reason=few)
            elif one.value is None or not np.isfinite(one.value):
                value = Estimate(None, reason=absent if name != "absent" else _always_there())
            made[f"{prefix}{_NAMES.get(name, name)}"] = value
    return made


def _always_there() -> Text2:
    return text2("every image has the structure")


def _difference(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    joined = ours.join(theirs, on=["case", "structure"], how="left", suffix="_theirs", maintain_order="left")
    return joined.with_columns(pl.col(name) - pl.col(f"{name}_theirs") for name in METRICS).select(
        ours.columns
    )


def _prevalence(cases: pl.DataFrame, structures: tuple[str, ...]) -> dict[str, float] | None:
    if not cases.height:
        return None
    there = cases.group_by("structure").agg((pl.col("volume") > 0).mean())
    shares = dict(there.iter_rows())
    return {name: float(shares[name]) for name in structures}


def _curves(cases: pl.DataFrame, structures: tuple[str, ...]) -> dict[str, Any]:
    known = cases.filter(pl.col("dice").is_not_nan() & pl.col("dice").is_not_null())
    return {
        "dice": {
            name: known.filter(pl.col("structure") == name)["dice"].sort().round(4).to_list()
            for name in structures
        }
    }


def _subgroups(
    cases: pl.DataFrame,
    samples: Samples,
    demographics: pl.DataFrame,
    structures: tuple[str, ...],
    replicates: int,
    seed: int,
) -> dict[str, dict[str, Subgroup]]:
    found: dict[str, dict[str, Subgroup]] = {}
    for dimension, name, chosen in split_by(samples.frame["sample_id"], demographics):
        places = np.flatnonzero(chosen)
        number = {int(place): at for at, place in enumerate(places)}
        part = cases.filter(pl.col("case").is_in(places.tolist())).with_columns(
            pl.col("case").replace_strict(number, return_dtype=pl.Int64)
        )
        group = samples.groups[chosen]
        subjects = len(np.unique(group))
        found.setdefault(dimension, {})[name] = Subgroup(
            n=int(chosen.sum()),
            n_subjects=subjects,
            # the share among a handful of people tells what each of them has
            prevalence=_prevalence(part, structures) if subjects >= FEWEST_SUBJECTS else None,
            metrics=_estimated(part, group, structures, replicates, seed),
        )
    return found
