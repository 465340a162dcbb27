"""What is known of a site's model, kept beside its package: evaluation, report, card, patients' pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom import cards
from medloom.api import Trained, with_samples
from medloom.api import evaluate as evaluate_trained
from medloom.evidence import words
from medloom.evidence.coverage import coverage_of
from medloom.evidence.coverage_section import coverage_section
from medloom.evidence.detection_evaluation import DetectionEvaluation
from medloom.evidence.development import development, development_section
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.marked_pictures import pictures_section
from medloom.evidence.places_evaluation import known_outlines
from medloom.evidence.report import flow_section, withheld_section, write_report
from medloom.evidence.robustness import Robustness
from medloom.evidence.robustness_section import robustness_section
from medloom.evidence.section import Section
from medloom.evidence.segmentation_evaluation import SegmentationEvaluation
from medloom.evidence.survival_evaluation import SurvivalEvaluation
from medloom.evidence.tagging_evaluation import TaggingEvaluation
from medloom.explaining import asked, can_be_asked, flags_of, similar, surrogate
from medloom.explanation.curve_answer import main_risks
from medloom.explanation.image_places import heat_of, picture_with_heat
from medloom.explanation.patient import PatientPage
from medloom.explanation.patient_page import write_patient_page
from medloom.explanation.pushes import as_many
from medloom.explanation.similar import FEWEST, in_words
from medloom.explanation.tree_drawing import TreeWords, tree_drawing
from medloom.explanation.windowed import recorded, unit_of
from medloom.explanation.wording import input_name
from medloom.features.images import image_of
from medloom.foundation.errors import InputError
from medloom.foundation.files import read_json, write_json, write_text
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.places import outline_by
from medloom.site import Site
from medloom.stressing import robustness, unlike
from medloom.tasks import models
from medloom.tasks.demographics import demographics
from medloom.tasks.explanation import Explanation
from medloom.tasks.history import STATIC
from medloom.tasks.kinds import Split
from medloom.tasks.labelling import Cohort
from medloom.tasks.model import Model
from medloom.tasks.models import ModelName
from medloom.tasks.package import package_digest
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.tasks.survival import read_curves
from medloom.training.conformal_model import ConformalModel
from medloom.training.group_thresholds import ThresholdedModel
from medloom.training.wrapping import innermost, layer

_REPORT: Final = "report.html"
_COVERAGE: Final = "coverage.json"
_ROBUSTNESS: Final = "robustness.json"
_EVALUATION: Final = "evaluation.json"
_SECTIONS: Final = "sections"
# Explaining every held-out sample would say the same and take longer; where each takes a second, fewer must do.
_EXPLAINED: Final = 500
_WITHHELD: Final = 20
_IMITATED: Final = 2000  # samples, by the tree that stands for a model
_COMPARED: Final = 500  # patients, on a patient's page
_EXPLAINED_SLOWLY: Final = 50
_NAMED: Final = 5  # of the weightiest inputs, on a card

_OfImages = SegmentationEvaluation | DetectionEvaluation
_OfPlaces = _OfImages | TaggingEvaluation


@dataclass(frozen=True)
class Dossier:
    """An evaluation and where it is kept."""

    trained: Trained
    evaluation: Evaluation
    folder: Path
    robustness: Robustness | None = None

    def copy_report(self, path: Path) -> None:
        """Write the page that was kept to another place too."""
        write_text(path, (self.folder / _REPORT).read_text(encoding="utf-8"))

    def write_json(self, path: Path) -> None:
        """Write the evaluation as JSON."""
        write_json(path, self.evaluation.to_json())


def evaluate(
    site: Site, model: str, split: str = "held_out", *, against: Sequence[str] = (), seed: int = 0
) -> Dossier:
    """Evaluate a site's model and keep `evaluation.json`, `report.html` and its card beside its package.

    Raises:
        NotFoundError: there is no such model.
        InputError: there is no such split, it is empty, or a model answers another question than the task asks now.
        LeakageError: a model was learned under another split than the task and the site have now.
    """
    chosen, name = cards.known_split(split), site.model_name(model)
    cohort = site.task(name.task).cohort
    one = with_samples(site, name, cohort.samples)
    others: dict[str, Trained] = {}
    for rival in against:
        other = site.model_name(rival)
        if other.task != name.task:
            raise InputError("{other} answers another task than {model}", other=other, model=name)
        others[str(other)] = with_samples(site, other, one.samples)
    evaluation = evaluate_trained(one, chosen, compared_with=others, seed=seed)
    dossier = Dossier(one, evaluation, models.evidence_directory(site.directory, name) / chosen)
    dossier.write_json(dossier.folder / _EVALUATION)
    dossier = replace(dossier, robustness=_robustness(site, dossier, seed))
    characteristics = cards.characterise(one, chosen, seed)
    sections = [
        *_findings(cohort, dossier, seed),
        *([] if dossier.robustness is None else [robustness_section(dossier.robustness)]),
        *characteristics.sections(chosen, cards.names_for(site)),
        *kept_sections(site, name),
    ]
    important = [] if isinstance(evaluation, _OfPlaces) else _important(site, dossier, seed)
    write_report(
        dossier.folder / _REPORT,
        evaluation,
        sections=sections,
        important=important,
        rests_on=_rests_on(site, one, chosen, seed),
        provenance=_provenance(site, dossier),
    )
    weightiest = [said for said, _ in important[:_NAMED]]
    cards.keep(site, one, evaluation, cohort, characteristics, sections, weightiest, dossier.folder)
    return dossier


def keep_section(site: Site, name: ModelName, section: Section) -> Path:
    """Keep a finding about a model, under its key; the next report of the model shows it."""
    path = models.evidence_directory(site.directory, name) / _SECTIONS / f"{section.key}.json"
    write_json(path, section.to_json())
    return path


def kept_sections(site: Site, name: ModelName) -> list[Section]:
    """Read what was kept about a model, in the order of keys.

    Raises:
        IntegrityError: a kept section was altered into something else.
    """
    folder = models.evidence_directory(site.directory, name) / _SECTIONS
    return [Section.from_json(read_json(path)) for path in sorted(folder.glob("*.json"))]


def patient_page(
    site: Site,
    one: Trained,
    sample: Samples,
    path: Path,
    *,
    evaluation: Evaluation | None = None,
    reveal: bool = False,
) -> None:
    """Write the page of one sample: risk, why, timeline.

    Args:
        site: the site of the model.
        one: the model and its samples.
        sample: exactly one sample.
        path: the page.
        evaluation: what is known of the model, for the line that says how good it is; None: the one that is kept.
        reveal: let the reader uncover what really happened (for demonstrations).
    """
    question = one.samples.question
    sample_id = int(sample.frame["sample_id"][0])
    explanation = one.explain(sample)
    predictions = one.predict(sample)
    answers = dict(predictions.frame.select("output", "value").iter_rows())
    output = predictions.largest(sample_id)
    person = demographics(sample).row(0, named=True)
    subject = int(sample.frame["subject_id"][0])
    catalogue = site.record.catalogue
    labels = one.samples.in_split("train").frame["label"]
    usual = labels.mean() if labels.dtype in (pl.Boolean, pl.Float64) else None
    tested = Tested.of(evaluation.to_json()) if evaluation is not None else kept_evaluation(site, one.name)
    base = dict(explanation.baseline.select("output", "value").iter_rows())
    low, high = predictions.frame.select("low", "high").row(0) if len(question.outputs) == 1 else (None, None)
    curves = None
    if question.kind == "survival":
        curves = read_curves(predictions.frame, question.outputs)
        answers = {question.outputs[at]: risk for at, risk in main_risks(question.horizons, curves).items()}
        output, low, high = max(answers, key=lambda one: answers[one]), None, None
    page = PatientPage(
        question=question,
        subject_id=subject,
        prediction_time=sample.frame["prediction_time"][0],
        sex=person["sex"],
        age=person["age"],
        answer=answers[output] if len(question.outputs) == 1 else answers,
        low=low,
        high=high,
        curves=curves,
        **ranges_told(one.model, predictions.frame),
        average=float(usual) if isinstance(usual, (int, float)) else None,
        percentile=_percentile(one, answers[output], output)
        if len(question.outputs) == 1 and curves is None
        else None,
        reasons=explanation.top(sample_id, _many(question, explanation), output),
        baseline=base[output],
        scale=explanation.scale,
        events=visible_events(sample),
        descriptions=catalogue.descriptions(),
        units=catalogue.units(),
        model=str(one.name or question.task),
        evidence=None if tested is None else tested.line(),
        caveat=None if tested is None or question.kind != "binary" else tested.caveat(answers[output]),
        split=sample.frame["split"][0],
        cautions=(),
        unlike=unlike(one, sample, catalogue.descriptions(), catalogue.units()),
        similar=similar_patients(one, sample, output),
        truth=str(sample.frame["label"][0]) if reveal else None,
        picture=_picture(one.model, sample, explanation, output),
    )
    write_patient_page(path, page)


def _many(question: Question, explanation: Explanation) -> int:
    """Say how many reasons a page wants; of an image all, for they are gathered by region."""
    return len(explanation.frame) if question.about == "image" else as_many(explanation.frame)


def _picture(model: Model, sample: Samples, explanation: Explanation, output: str) -> str | None:
    """Draw the image that was asked about, with where the model looked; None: it says so of no image."""
    inner = innermost(model)
    framing = getattr(inner, "framing", None)
    if sample.question.about != "image" or framing is None:
        return None
    heat = heat_of(explanation.frame.filter(pl.col("output") == output))
    spacing = getattr(inner, "spacing", None)
    return picture_with_heat(image_of(sample, 0), heat, framing.size, spacing, framing.keep_shape)


def ranges_told(model: Model, said: pl.DataFrame) -> dict[str, Any]:
    """Give what a model tells of how sure it is of several answers, and what that promises."""
    ranged = layer(model, ConformalModel)
    if ranged is None:
        return {}
    level = None if ranged.scheme == "venn-abers" else ranged.level
    if ranged.scheme in ("venn-abers", "adaptive"):
        bounds = {name: (low, high) for name, low, high in said.select("output", "low", "high").iter_rows()}
        several = {name: ends for name, ends in bounds.items() if None not in ends and said.height > 1}
        in_set = said.filter(pl.col("in_set"))["output"].to_list()
        return {"level": level, "bounds": several, "in_set": tuple(in_set)}
    return {"level": level}


def visible_events(sample: Samples) -> pl.DataFrame:
    """Give what was known of one sample at its prediction time, for people: the same door models use."""
    history = sample.history(columns=("text_value", "role"))
    time = pl.Series(history.time)
    return pl.DataFrame(
        {
            "time": time.set(time == STATIC, None).cast(pl.Datetime("us")),
            "code": pl.Series([history.vocabulary[code] for code in history.code], dtype=pl.String),
            "numeric_value": pl.Series(history.value).fill_nan(None),
            "text_value": pl.Series(history.columns["text_value"].to_pylist(), dtype=pl.String),
            "role": pl.Series(history.columns["role"].to_pylist(), dtype=pl.String),
        }
    )


def _findings(cohort: Cohort, dossier: Dossier, seed: int) -> list[Section]:
    """Find out what an evaluation of answers cannot tell: of the cohort, the development data, the ranges."""
    found = [flow_section(cohort.flow)]
    withheld = _withheld(cohort.samples.where(pl.col("split") == dossier.evaluation.split))
    if withheld:
        found.append(withheld_section(withheld))
    told = _coverage(dossier, seed)
    size = _development(dossier)
    seen = _pictures(dossier)
    return [*(one for one in (seen,) if one), *found, *(one for one in (told, size) if one is not None)]


def _pictures(dossier: Dossier) -> Section | None:
    """Show what the expert and a model that outlines drew; None: it answers otherwise."""
    evaluation, one = dossier.evaluation, dossier.trained
    if not isinstance(evaluation, _OfImages):
        return None
    return pictures_section(evaluation, known_outlines(one.samples, evaluation.split), outline_by(one))


def _robustness(site: Site, dossier: Dossier, seed: int) -> Robustness | None:
    """Try the model when things are not as they were, and keep what was found; None: of notes it is not tried."""
    if isinstance(dossier.evaluation, TaggingEvaluation):
        return None
    catalogue = site.record.catalogue
    found = robustness(
        dossier.trained,
        dossier.evaluation.split,  # type: ignore[arg-type]
        descriptions=catalogue.descriptions(),
        units=catalogue.units(),
        seed=seed,
    )
    write_json(dossier.folder / _ROBUSTNESS, found.to_json())
    return found


def _development(dossier: Dossier) -> Section | None:
    """Check whether there was enough to develop the model on; None where the criteria do not speak of such a model."""
    evaluation, model = dossier.evaluation, dossier.trained.model
    if isinstance(evaluation, SurvivalEvaluation | _OfPlaces) or not can_be_asked(model):
        return None
    developed = dossier.trained.samples.in_split("train", "tuning")
    one = developed.where(pl.int_range(pl.len()) < 1)
    found = development(evaluation, len(developed), asked(model).inputs(one).values.shape[1])
    return None if found is None else development_section(found)


def _coverage(dossier: Dossier, seed: int) -> Section | None:
    """Keep, and tell, how often the ranges or sets of a model that tells them hold the truth."""
    model = dossier.trained.model
    if isinstance(model, ThresholdedModel):
        model = model.model
    if not isinstance(model, ConformalModel):
        return None
    samples = dossier.trained.samples.where(pl.col("split") == dossier.evaluation.split)
    found = coverage_of(model, samples, seed=seed)
    write_json(dossier.folder / _COVERAGE, found.to_json())
    return coverage_section(found)


def _withheld(samples: Samples) -> list[tuple[str, int]]:
    """Name what most samples have only afterwards."""
    rows = samples.withheld().head(_WITHHELD).iter_rows()
    return [(f"{description} ({code})" if description else code, n) for code, description, n in rows]


def _important(site: Site, dossier: Dossier, seed: int) -> list[tuple[Text2, float]]:
    """Rank inputs by their mean absolute contribution over evaluated samples, drawn where there are many.

    The facts of a code count together.
    """
    samples = dossier.trained.samples.where(pl.col("split") == dossier.evaluation.split)
    most = _EXPLAINED_SLOWLY if dossier.trained.model.explains_slowly else _EXPLAINED
    drawn = generator(seed, "important").permutation(len(samples))[:most]
    some = samples.where(pl.int_range(pl.len()).is_in(drawn.tolist()))
    frame = dossier.trained.explain(some).frame
    things = {name: fact.code for name in frame["input"].unique() if (fact := recorded(name)) is not None}
    ranked = (
        frame.with_columns(pl.col("input").replace(things))
        .group_by("input")
        .agg(weight=pl.col("contribution").abs().sum() / max(len(some), 1))
        .sort("weight", "input", descending=[True, False])
        .head(15)
    )
    catalogue = site.record.catalogue
    descriptions, units = catalogue.descriptions(), catalogue.units()
    return [(input_name(name, descriptions, units), weight) for name, weight in ranked.iter_rows()]


def similar_patients(one: Trained, sample: Samples, output: str) -> Text2 | None:
    """Say what became of held-out patients whom the model sees alike, where there are enough, and quickly."""
    question = one.samples.question
    others = one.samples.in_split("held_out").where(pl.col("label").is_not_null())
    known = len(np.setdiff1d(others.groups, sample.groups))
    if question.kind == "survival" or one.model.explains_slowly or known < FEWEST:
        return None
    # of few patients all would be like this one, and the sentence would say what is so of everybody
    (found,) = similar(one, sample, output=output, n=min(50, max(FEWEST, known // 4)), most=_COMPARED)
    return in_words(found, question)


def _rests_on(site: Site, one: Trained, split: Split, seed: int) -> tuple[str, Text2] | None:
    """Draw a small tree that answers as the model does, and say how faithfully; None: there is none."""
    question = one.samples.question
    if question.kind not in ("binary", "regression") or split == "train" or not can_be_asked(one.model):
        return None
    found = surrogate(one, split=split, most=_IMITATED, seed=seed)
    r2, low, high = (float(ends[0]) for ends in (found.fidelity, found.low, found.high))
    if not isfinite(r2) or not isfinite(low) or found.tree.left[0] < 0:
        return None
    catalogue = site.record.catalogue
    descriptions, units = catalogue.descriptions(), catalogue.units()
    drawn = TreeWords(
        found.names,
        question,
        lambda input: input_name(input, descriptions, units),
        lambda input: unit_of(input, units),
        flags_of(one.model),
        found.may_be_missing,
    )
    said = text2(
        "A small tree that answers as the model does, as far as it goes: R² {r2:.2f} ({low:.2f} to {high:.2f}) on"
        " {n:,} samples it was not made from. What else moves the model's answers is not in it.",
        r2=r2,
        low=low,
        high=high,
        n=found.judged,
    )
    return tree_drawing(found.tree, drawn), said


def _percentile(one: Trained, answer: float, output: str) -> float | None:
    held_out = one.samples.in_split("held_out")
    if not len(held_out):
        return None
    values = one.predict(held_out).matrix([output])[:, 0]
    return float(100 * np.mean(values < answer))


@dataclass(frozen=True)
class Tested:
    """What is said of an evaluation where one patient is spoken of."""

    n_subjects: int
    metrics: dict[str, Estimate]
    calibration: dict[str, Any]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Tested:
        """Take it from the JSON of an evaluation."""
        metrics = {name: Estimate(**values) for name, values in found["metrics"].items()}
        return cls(found["n_subjects"], metrics, found.get("curves", {}).get("calibration", {}))

    def line(self) -> Text2:
        """Say in one line how good the model was, on how many patients."""
        first = next(iter(self.metrics))
        parts = []
        for name in (first, "calibration_slope"):
            if name in self.metrics:
                label, said = words.metric_name(name), self.metrics[name].said2(2)
                parts.append((f"{label.en} {said.en}", f"{label.zh} {said.zh}"))
        n = f"n = {self.n_subjects:,}"
        return Text2(*(" · ".join([*(part[at] for part in parts), n]) for at in (0, 1)))

    def caveat(self, risk: float) -> Text2 | None:
        """Say what testing found of such risks, where it was not as they say."""
        said = self._caveats
        return min(said, key=lambda one: abs(one[0] - risk))[1] if said else None

    @cached_property
    def _caveats(self) -> list[tuple[float, Text2]]:
        return words.caveats(self.metrics, self.calibration)


def kept_evaluation(site: Site, name: ModelName | None) -> Tested | None:
    """Take what is known of a model from held-out patients; None: nothing."""
    if name is None:
        return None
    kept = models.evidence_directory(site.directory, name) / "held_out" / _EVALUATION
    return Tested.of(read_json(kept)) if kept.is_file() else None


def _provenance(site: Site, dossier: Dossier) -> dict[str, str]:
    name, origin = dossier.trained.name, dossier.trained.model.origin
    assert name is not None
    return {
        "model": str(name),
        "package": package_digest(models.directory(site.directory, name))[:16],
        "task": origin.question.task,
        "learner": origin.learner,
        "seed": str(origin.seed),
        "data": origin.data_digest[:16],
        "record": dossier.trained.samples.record_digest[:16],
        "split": dossier.evaluation.split,
        "evaluated": datetime.now().strftime("%Y-%m-%d"),
        "medloom": version("medloom"),
    }
