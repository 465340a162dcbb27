"""The card of a site's model: what is known of it is gathered and kept, and a person's answers are merged in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom.api import Trained
from medloom.evidence.card.card import Card, make_card, write_card
from medloom.evidence.card.fact import Fact, together
from medloom.evidence.card.facts import facts_of
from medloom.evidence.card.known import InputsKnown, Known, PackageKnown, PartSize
from medloom.evidence.card.person import FILE, blank_file, read_answers
from medloom.evidence.characteristics import (
    Covariate,
    DemographicSummary,
    has_outcome,
    summarise_inputs,
    summarise_people,
)
from medloom.evidence.characteristics_section import inputs_section, people_section
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.fairness_section import fairness_section
from medloom.evidence.section import Section
from medloom.evidence.validation import External
from medloom.evidence.validation_sections import external_section
from medloom.evidence.words import dimension_name
from medloom.explanation.windowed import unit_of
from medloom.explanation.wording import fill, input_name
from medloom.foundation import registry
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import read_json, write_json, write_text
from medloom.foundation.messages import LANGUAGES, Text2, speaking, text2
from medloom.foundation.seeds import generator
from medloom.learners.windowed import WindowedModel
from medloom.site import Site
from medloom.tasks import library, models
from medloom.tasks.demographics import demographics
from medloom.tasks.kinds import SPLITS, Split
from medloom.tasks.labelling import Cohort
from medloom.tasks.model import Model
from medloom.tasks.models import ModelName
from medloom.tasks.package import check, package_digest
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from medloom.training.conformal_model import ConformalModel
from medloom.training.group_thresholds import ThresholdedModel
from medloom.training.recalibration import CalibratedModel
from medloom.training.reweighing import ReweighedModel
from medloom.training.wrapping import layers

_FACTS: Final = "facts.json"
_CHARACTERISTICS: Final = "characteristics.json"
_WEIGHING: Final = ("class_weight", "balanc", "oversampl", "undersampl", "smote")  # in names of settings
_DESCRIBED: Final = 20_000  # samples of a split, over which inputs are described


@dataclass(frozen=True)
class Characteristics:
    """Who the patients of a model are, and what is known of them.

    Attributes:
        people: by split and outcome.
        covariates: all inputs; None: the model does not say what it looks at.
        n: samples the inputs were described over.
        missing: share of values of inputs that are missing in these.
    """

    people: DemographicSummary
    covariates: tuple[Covariate, ...] | None
    n: int
    missing: float | None

    def sections(self, split: str, name_of: Callable[[str], Text2]) -> list[Section]:
        """Give what the report of an evaluation of `split` shows."""
        made = [people_section(self.people, ("train", split))]
        return made if not self.covariates else [*made, inputs_section(self.covariates, self.n, name_of)]

    def write(self, folder: Path) -> None:
        """Keep it as `characteristics.json`."""
        inputs = [] if self.covariates is None else [one.to_json() for one in self.covariates]
        content = {"people": self.people.to_json(), "samples": self.n, "inputs": inputs}
        write_json(folder / _CHARACTERISTICS, content)


def characterise(one: Trained, split: str, seed: int = 0) -> Characteristics:
    """Describe the patients of a model and its inputs, learned from against evaluated on `split`."""
    samples = one.samples
    kind = samples.question.kind
    outcome = has_outcome(kind, samples.frame["label"])
    people = summarise_people(samples.frame, demographics(samples), outcome, split)
    model = _windowed(one.model)
    learned = _drawn(samples.in_split("train"), seed)
    if model is None or not len(learned):
        return Characteristics(people, None, 0, None)
    inputs = model.inputs(learned)
    others = None if split == "train" else _drawn(samples.where(pl.col("split") == split), seed)
    found = summarise_inputs(
        inputs,
        learned.groups,
        has_outcome(kind, learned.frame["label"]),
        None if others is None else model.inputs(others),
        None if others is None else others.groups,
    )
    cells = inputs.dense.size + inputs.sparse.shape[0] * inputs.sparse.shape[1]
    missing = float(np.isnan(inputs.dense).sum() / cells) if cells else None
    return Characteristics(people, tuple(found), len(learned), missing)


def elsewhere_sections(found: External, samples: Samples) -> list[Section]:
    """Give what the report and the card tell of an external validation: how it did, for whom, and on whom."""
    before = found.before
    tested = samples.in_split("held_out")
    tested = tested if len(tested) else samples
    outcome = has_outcome(samples.question.kind, tested.frame["label"])
    everybody = tested.frame.with_columns(split=pl.lit("elsewhere"))
    people = people_section(summarise_people(everybody, demographics(tested), outcome), ("elsewhere",))
    made = [
        external_section(found),
        replace(people, key="elsewhere-people", title=text2("Who the patients elsewhere are")),
    ]
    fair = fairness_section(before.fairness, before.kind, before.unit)
    if fair is not None:
        title = text2("Elsewhere: is it as good for some as for others")
        made.append(replace(fair, key="elsewhere-fairness", title=title))
    return made


def names_for(site: Site) -> Callable[[str], Text2]:
    """Give what names a model's inputs for people, with the record's descriptions and units."""
    descriptions, units = site.record.catalogue.descriptions(), site.record.catalogue.units()

    def named(input: str) -> Text2:
        said, unit = input_name(input, descriptions, units), unit_of(input, units)
        return said if unit is None else Text2(f"{said.en} [{unit}]", f"{said.zh} [{unit}]")

    return named


def keep(
    site: Site,
    one: Trained,
    evaluation: Evaluation,
    cohort: Cohort,
    characteristics: Characteristics,
    sections: Sequence[Section],
    important: Sequence[Text2],
    folder: Path,
) -> None:
    """Keep what is known of an evaluated model, and write its card beside it.

    Args:
        site: of the model.
        one: the model and its samples.
        evaluation: of the model.
        cohort: how the samples came about.
        characteristics: of patients and inputs.
        sections: of the report.
        important: the weightiest inputs, for people.
        folder: of the evidence.
    """
    assert one.name is not None
    known = _known(site, one, evaluation, cohort, characteristics, sections, important)
    facts = facts_of(known)
    characteristics.write(folder)
    title = {"en": evaluation.title.en, "zh": evaluation.title.zh}
    content = {"title": title, "facts": {name: fact.to_json() for name, fact in facts.items()}}
    write_json(folder / _FACTS, content)
    person = read_answers(answers_file(site, one.name))
    write_card(folder, make_card(evaluation.title, str(one.name), evaluation.split, facts, person))


def card(site: Site, model: str, split: str = "held_out") -> tuple[Card, Path]:
    """Put what is known of an evaluated model and what people answered together; gives the card and its folder.

    Raises:
        NotFoundError: there is no such model, or it was not evaluated.
        InputError: there is no such split, or the file of a person's answers is not valid.
    """
    name = site.model_name(model)
    folder = models.evidence_directory(site.directory, name) / known_split(split)
    kept = folder / _FACTS
    if not kept.is_file():
        raise NotFoundError(
            "{model} was not evaluated on {split}; evaluate it first: medloom evaluate {model} --split {split}",
            model=name,
            split=split,
        )
    content = read_json(kept)
    facts = {key: Fact.from_json(fact) for key, fact in content["facts"].items()}
    person = read_answers(answers_file(site, name))
    return make_card(Text2(**content["title"]), str(name), split, facts, person), folder


def known_split(split: str) -> Split:
    """Take the name of a split.

    Raises:
        InputError: there is no such split.
    """
    if split not in SPLITS:
        raise InputError("there is no split {split!r}; there are: {splits}", split=split, splits=SPLITS)
    return split


def answers_file(site: Site, name: ModelName) -> Path:
    """Place what people answer about a model, whatever its version: `models/TASK.LEARNER/card.yaml`."""
    return models.directory(site.directory, name).parent.parent / FILE


def ask(found: Card, file: Path) -> None:
    """Write what is still open into the file of a person's answers; answers that are there stay.

    Raises:
        InputError: the file is not what `medloom card` reads.
    """
    kept = file.read_text(encoding="utf-8") if file.is_file() else ""
    write_text(file, blank_file(found.open, kept))


def _known(
    site: Site,
    one: Trained,
    evaluation: Evaluation,
    cohort: Cohort,
    characteristics: Characteristics,
    sections: Sequence[Section],
    important: Sequence[Text2],
) -> Known:
    assert one.name is not None
    origin, record = one.model.origin, site.record
    directory = models.directory(site.directory, one.name)
    content = check(directory)
    times = one.samples.frame["prediction_time"].drop_nulls()
    first, last = times.min(), times.max()
    model = _windowed(one.model)
    base = content["base_digest"]
    return Known(
        question=one.samples.question,
        evaluation=evaluation,
        task=_task(site, one.name.task),
        descriptions=record.catalogue.descriptions(),
        flow=cohort.flow or None,
        withheld=one.samples.where(pl.col("split") == evaluation.split).withheld().height,
        parts=_parts(one.samples),
        period=None if first is None or last is None else (first.date(), last.date()),  # type: ignore[union-attr]
        subjects=record.n_subjects,
        importers=tuple(
            dict.fromkeys(str(each["importer"]) for each in record.imports if "importer" in each)
        ),
        people=characteristics.people,
        covariates=characteristics.covariates,
        inputs=None
        if model is None
        else InputsKnown(
            model.features.names,
            model.features.codes,
            tuple(important),
            characteristics.missing,
            _filled(model),
        ),
        learner=origin.learner,
        learner_is=_summary(origin.learner),
        parameters=_without_folders(content["parameters"]),
        seed=origin.seed,
        weighted=_weighs(one.model),
        package=PackageKnown(str(one.name), package_digest(directory), content["versions"], base),
        updated=_updated(one.model),
        mitigated=_mitigated(one.model),
        own_thresholds=any(isinstance(each, ThresholdedModel) for each in layers(one.model)),
        explained_by=None if model is None else model.estimator.method,
        sections={each.key: each for each in sections},
        evaluated=date.today(),
        medloom=version("medloom"),
    )


def _task(site: Site, name: str) -> Task | None:
    try:
        return library.find(name, site.directory)
    except NotFoundError:
        return None  # labels made elsewhere have no task file


def _parts(samples: Samples) -> Mapping[str, PartSize]:
    outcome = has_outcome(samples.question.kind, samples.frame["label"])
    found: dict[str, PartSize] = {}
    for split in SPLITS:
        mine = (samples.frame["split"] == split).to_numpy()
        if mine.any():
            subjects = len(np.unique(samples.groups[mine]))
            found[split] = PartSize(
                int(mine.sum()), subjects, None if outcome is None else int(outcome[mine].sum())
            )
    return found


def _windowed(model: Model) -> WindowedModel | None:  # type: ignore[type-arg]
    """Find the model of window features inside whatever was put around it."""
    return next((each for each in layers(model) if isinstance(each, WindowedModel)), None)


def _filled(model: WindowedModel) -> bool | None:  # type: ignore[type-arg]
    """Tell whether missing values are replaced before anything looks at them; None: by some members of a blend only."""
    parts = getattr(model.estimator, "members", None) or (model,)
    filled = {part.preparation is not None for part in parts}
    return filled.pop() if len(filled) == 1 else None


def _drawn(samples: Samples, seed: int) -> Samples:
    if len(samples) <= _DESCRIBED:
        return samples
    kept = generator(seed, "characteristics").permutation(len(samples))[:_DESCRIBED]
    return samples.where(pl.int_range(pl.len()).is_in(kept.tolist()))


def _summary(learner: str) -> Text2 | None:
    said = []
    for spoken in LANGUAGES:
        with speaking(spoken):
            said.append(registry.summary(registry.load("medloom.learners", learner)))
    return Text2(*said)


def _without_folders(value: Any) -> Any:
    """Leave of absolute paths, such as an encoder's outside of the site, the name: a card is shown to many."""
    if isinstance(value, dict):
        return {name: _without_folders(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _weighs(model: Model) -> bool | None:
    """Tell whether a model of ours was learned with classes weighed or resampled; of others nothing is known."""
    entry = registry.registered("medloom.learners").get(model.origin.learner)
    if entry is None or not entry.value.startswith("medloom."):
        return None
    if any(isinstance(each, ReweighedModel) for each in layers(model)):
        return True
    return any(word in name for name in model.origin.parameters for word in _WEIGHING)


def _mitigated(model: Model) -> Text2:
    """Say what was done so that groups are treated alike."""
    said = []
    for each in layers(model):
        if isinstance(each, ReweighedModel):
            by = dimension_name(each.by)
            said.append(
                fill(
                    text2(
                        "Learned from samples reweighed so that the outcome is as frequent in every group ({by})."
                    ),
                    by=by,
                )
            )
        elif isinstance(each, ThresholdedModel):
            by = dimension_name(each.thresholds.by)
            said.append(fill(text2("Whom it flags is decided by a threshold for each group ({by})."), by=by))
    return together(said) if said else text2("It was not reweighed, and has no thresholds by group.")


def _updated(model: Model) -> Text2:
    """Say what was done to a model's answers after it was trained, the first first."""
    said = []
    for each in layers(model):
        if isinstance(each, ConformalModel):
            made = text2(
                "Ranges were added ({scheme}, {level:.0%}) from {n:,} samples.",
                scheme=each.scheme,
                level=each.level,
                n=each.basis.n,
            )
            said.append(made)
        elif isinstance(each, CalibratedModel):
            made = text2(
                "Its answers were recalibrated ({method}) on {n:,} samples of {subjects:,} subjects.",
                method=each.calibrator.method,
                n=each.basis.n,
                subjects=each.basis.n_groups,
            )
            said.append(made)
    return together(reversed(said)) if said else text2("The model is as it was trained; nothing was updated.")
