"""Commands on tasks and models: tasks, label, train, evaluate, predict, models, learners."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from medloom.cli import predicted, screen
from medloom.cli.options import (
    AddressOption,
    EngineOption,
    JsonOption,
    ParameterOption,
    SeedOption,
    SiteOption,
)
from medloom.evidence.words import kind_name, split_with_code
from medloom.foundation import registry
from medloom.foundation.engines import engine as working_on
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import replacing
from medloom.foundation.messages import Text2, language, tr
from medloom.foundation.site import SiteDirectory, find_site
from medloom.site import Site
from medloom.tasks import encoders, library
from medloom.tasks.kinds import Kind
from medloom.tasks.labelling import FlowStep
from medloom.tasks.predictions import Predictions
from medloom.tasks.question import Question
from medloom.tasks.relations import entities_in, relations_in
from medloom.tasks.spans import spans_in
from medloom.tasks.timelines import NAME as TIMELINES

if TYPE_CHECKING:
    from medloom.api import Trained

_TIMELINE = "timeline"
# with one of these given, it pretrains its own body
_OF_PRETRAINING = ("encoder", "objective", "size", "step", "most", "pretraining_epochs")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("tasks", help=tr("List the tasks: the site's own and those that ship with Medloom."))(tasks)
    app.command("task", help=tr("Print a task's file, or the JSON Schema of task files."))(task)
    app.command("label", help=tr("Put a task to the record: cohort flow, label rate, splits."))(label)
    app.command("learners", help=tr("List the learners."))(learners)
    app.command("train", help=tr("Learn a model for a task."))(train)
    app.command("models", help=tr("List the site's models."))(models)
    app.command("evaluate", help=tr("Evaluate a model: how good, for whom, compared with what."))(evaluate)
    app.command("predict", help=tr("Answer for every sample of a model's task."))(predict)


def tasks(site: SiteOption = None, json: JsonOption = False) -> None:
    """List the tasks."""
    folder = _site_folder(site)
    rows: list[tuple[str, str, str]] = []
    for name in sorted({*library.shipped(), *library.own(folder)}):
        found = library.find(name, folder)
        rows.append((name, found.kind, getattr(found.title, language())))
    rows += [
        (name, _kind_kept(folder, name), tr("labels made elsewhere")) for name in library.labelled(folder)
    ]
    if json:
        screen.json({"tasks": [dict(zip(("name", "kind", "title"), row, strict=True)) for row in rows]})
        return
    shown = [(name, screen.spoken(kind_name(kind)), title) for name, kind, title in rows]
    screen.table([tr("name"), tr("kind"), tr("question")], shown)


def task(
    name: Annotated[str, typer.Argument(help=tr("A task's name."))] = "",
    site: SiteOption = None,
    schema: Annotated[bool, typer.Option("--schema", help=tr("Print the JSON Schema."))] = False,
) -> None:
    """Print a task."""
    from medloom.tasks.task import json_schema

    if schema:
        screen.json(json_schema())
        return
    folder = _site_folder(site)
    if name in library.labelled(folder):
        kind = _kind_kept(folder, name)
        screen.say(
            tr(
                "{name}: labels made elsewhere ({kind}), in tasks/{file}",
                name=name,
                kind=kind,
                file=f"{name}{library.LABELS}",
            )
        )
        return
    found = library.find(name, folder)
    import yaml

    content = found.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    screen.say(yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100).rstrip())


def label(
    name: Annotated[str, typer.Argument(help=tr("A task: its name, or a file ending in .yaml."))],
    site: SiteOption = None,
    from_meds: Annotated[
        Path | None, typer.Option(help=tr("MEDS labels made elsewhere (ACES writes them); kept under NAME."))
    ] = None,
    out: Annotated[Path | None, typer.Option(help=tr("Write the labels as MEDS (Parquet)."))] = None,
    json: JsonOption = False,
) -> None:
    """Label."""
    from medloom.tasks.external import to_meds_labels

    opened = Site.open(site)
    with screen.showing_progress(json):
        if from_meds is not None:
            flow: tuple[FlowStep, ...] = ()
            doubts: tuple[Text2, ...] = ()
            samples = opened.keep_labels(name, from_meds)
        else:
            asked = opened.task(name)
            asked.keep()
            cohort = asked.cohort
            flow, samples, doubts = cohort.flow, cohort.samples, cohort.doubts
    if out is not None:
        with replacing(out) as incoming:
            to_meds_labels(samples, incoming)
    splits = dict(samples.frame["split"].value_counts(sort=True).iter_rows())
    answers = _answers(samples.frame["label"], samples.question.kind)
    if json:
        steps = [{"step": step.step.en, "samples": step.samples, "subjects": step.subjects} for step in flow]
        screen.json(
            {
                "task": samples.question.task,
                "n": len(samples),
                "flow": steps,
                "splits": splits,
                "labels": answers,
                "warnings": [doubt.en for doubt in doubts],
            }
        )
        return
    if flow:
        show_flow(flow)
    for doubt in doubts:
        screen.warning(screen.spoken(doubt))
    rows = [(key, _number(value)) for key, value in answers.items()]
    if samples.question.kind == "multilabel":
        rows.append((tr("none of them"), _number(int((samples.frame["label"].list.len() == 0).sum()))))
    screen.say()
    screen.table([tr("answer"), tr("number")], rows, right=[1])
    screen.say()
    screen.table(
        [tr("split"), tr("samples")],
        [(screen.spoken(split_with_code(key)), f"{value:,}") for key, value in splits.items()],
        right=[1],
    )


def show_flow(flow: tuple[FlowStep, ...]) -> None:
    """Print a cohort flow."""
    before: int | None = None
    rows = []
    for step in flow:
        lost = "" if before is None or step.samples >= before else f"-{before - step.samples:,}"
        rows.append((getattr(step.step, language()), f"{step.samples:,}", f"{step.subjects:,}", lost))
        before = step.samples
    screen.table([tr("cohort flow"), tr("samples"), tr("subjects"), tr("lost")], rows, right=[1, 2, 3])


def learners(json: JsonOption = False) -> None:
    """List the learners."""
    entries = registry.registered("medloom.learners")
    if json:
        screen.json({name: entry.value for name, entry in entries.items()})
        return
    rows = []
    for name, found in screen.loaded("medloom.learners"):
        kinds = tr(", ").join(screen.spoken(kind_name(kind)) for kind in sorted(found.kinds))
        rows.append((name, found.modality, kinds, registry.summary(found)))
    screen.table([tr("name"), tr("modality"), tr("kinds"), tr("what it is")], rows)


def train(
    name: Annotated[str, typer.Argument(help=tr("A task: its name, or a file ending in .yaml."))],
    learner: Annotated[
        str, typer.Option("--learner", "-l", help=tr("`medloom learners` lists them."))
    ] = "gbdt",
    site: SiteOption = None,
    seed: SeedOption = 0,
    parameter: ParameterOption = None,
    ranges: Annotated[
        bool, typer.Option("--ranges/--no-ranges", help=tr("Whether predictions say how sure they are."))
    ] = True,
    encoder: Annotated[
        str | None,
        typer.Option(
            help=tr("Of the learner timeline: NAME[@N], as `medloom encoders` lists them; else timelines.")
        ),
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option(help=tr("Of the learner timeline: how an encoder is fitted to the task, such as lora.")),
    ] = None,
    together: Annotated[
        list[str] | None,
        typer.Option("--with", help=tr("Of the learner timeline: another task to learn together with it.")),
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Train."""
    from medloom import api

    opened = Site.open(site)
    parameters = parameters_of(parameter)
    if together and learner != _TIMELINE:
        raise InputError("only learner timeline learns several tasks together; name it: --learner timeline")
    started_from = _encoder(opened, encoder, learner, parameters)
    if adapt is not None:
        parameters["adapt"] = adapt
    asked = [opened.task(one) for one in (name, *(together or ()))]
    with screen.showing_progress(json):
        doubts = [doubt for one in asked for doubt in one.cohort.doubts]
    if not json:
        for doubt in doubts:
            screen.warning(screen.spoken(doubt))
        if started_from is not None:
            screen.say(tr("Starts from encoder {encoder}.", encoder=started_from))
    with screen.showing_progress(json), working_on(engine, address):
        if together:
            done = api.train_together(asked, ranges=ranges, seed=seed, **parameters)
        else:
            done = [api.train(asked[0], learner, ranges=ranges, seed=seed, **parameters)]
    if json:
        told = [_as_json(made, learner, seed) for made in done]
        screen.json({"models": told} if together else told[0])
        return
    for made in done:
        _say(made)


def _encoder(opened: Site, named: str | None, learner: str, parameters: dict[str, Any]) -> str | None:
    """Put the encoder that is named, or else the site's usual one, among the parameters; give its name."""
    known = {one.name for one in encoders.names_in(opened.directory)}
    asked_anew = not parameters.keys().isdisjoint(_OF_PRETRAINING)
    usual = TIMELINES if learner == _TIMELINE and not asked_anew and TIMELINES in known else None
    if (chosen := named or usual) is None:
        return None
    found = encoders.find(opened.directory, chosen)
    parameters["encoder"] = str(encoders.directory(opened.directory, found))
    return str(found)


def _as_json(made: Trained, learner: str, seed: int) -> dict[str, Any]:
    """Tell what was learned, as `--json` has it."""
    from medloom.training.conformal_model import ConformalModel

    assert made.name is not None
    return {
        "model": str(made.name),
        "task": made.name.task,
        "learner": learner,
        "seed": seed,
        **_sizes(made),
        "ranges": made.model.scheme if isinstance(made.model, ConformalModel) else None,
        "without_ranges": None if made.without_ranges is None else made.without_ranges.en,
    }


def _sizes(made: Trained) -> dict[str, int]:
    return {split: len(made.samples.in_split(split)) for split in ("train", "tuning")}


def _say(made: Trained) -> None:
    """Say what was learned."""
    from medloom.training.conformal_model import ConformalModel

    assert made.name is not None
    sizes = _sizes(made)
    screen.say(tr("Learned {model} from {train:,} samples, tuned on {tuning:,}.", model=made.name, **sizes))
    if isinstance(made.model, ConformalModel):
        n = made.model.basis.n
        screen.say(tr("Each prediction says how sure it is, as {n:,} samples not learned from tell.", n=n))
    elif made.without_ranges is not None:
        screen.warning(
            tr("Its predictions come without ranges: {why}", why=screen.spoken(made.without_ranges))
        )
    screen.say(tr("Next: medloom evaluate {model}", model=f"{made.name.task}.{made.name.learner}"))


def models(site: SiteOption = None, json: JsonOption = False) -> None:
    """List the models."""
    names = [str(name) for name in Site.open(site).models]
    if json:
        screen.json({"models": names})
        return
    for name in names or [tr("There is no model yet; learn one with: medloom train TASK")]:
        screen.say(name)


def evaluate(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    split: Annotated[str, typer.Option(help="train, tuning, calibration, held_out")] = "held_out",
    site: SiteOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help=tr("Another model of the same task to compare with.")),
    ] = None,
    report: Annotated[Path | None, typer.Option(help=tr("Write a page (HTML) too."))] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Evaluate."""
    from medloom import dossier
    from medloom.evidence.robustness_section import worst_in_words

    opened = Site.open(site)
    with screen.showing_progress(json):
        written = dossier.evaluate(opened, model, split, against=against or [], seed=seed)
        if report is not None:
            written.copy_report(report)
    if json:
        screen.json(written.evaluation.to_json())
        return
    screen.say(str(written.evaluation))
    if written.robustness is not None:
        screen.say()
        screen.say(screen.spoken(worst_in_words(written.robustness)))
    screen.say(tr("Kept in {folder}", folder=written.folder))


def predict(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    out: Annotated[Path, typer.Option(help=tr("A Parquet file."))],
    split: Annotated[str | None, typer.Option(help=tr("One split; else all samples."))] = None,
    zero_shot: Annotated[
        str | None,
        typer.Option(
            "--zero-shot", help=tr("An encoder that samples futures to be counted; MODEL is then a task.")
        ),
    ] = None,
    futures: Annotated[int, typer.Option(help=tr("Of each sample, with --zero-shot."))] = 100,
    site: SiteOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Predict."""
    from medloom import api

    if zero_shot is not None:
        _count_futures(Site.open(site), model, zero_shot, out, split, futures, seed, json)
        return
    from medloom.stressing import tells_unusual, unusual
    from medloom.training.group_thresholds import ThresholdedModel

    trained = api.trained(Site.open(site), model)
    samples = trained.samples.in_split(split) if split else trained.samples  # type: ignore[arg-type]
    with screen.showing_progress(json), working_on(engine, address):
        predictions = trained.predict(samples)
        keys = samples.frame.select("sample_id", "subject_id", "prediction_time")
        if tells_unusual(trained.model):
            far = unusual(trained, samples, named=0).select("sample_id", unusual="percentile")
            keys = keys.join(far, on="sample_id", how="left", maintain_order="left")
        if isinstance(trained.model, ThresholdedModel):
            flags = trained.model.flags(samples).drop("value")
            keys = keys.join(flags, on="sample_id", how="left", maintain_order="left")
    _write_answers(predictions, keys, trained.model.origin.question, out, None, json)


def _write_answers(
    predictions: Predictions,
    keys: pl.DataFrame,
    question: Question,
    out: Path,
    futures: int | None,
    json: bool,
) -> None:
    found = predictions.frame.join(keys, on="sample_id", how="left", maintain_order="left")
    with replacing(out) as incoming:
        found.write_parquet(incoming)
    if json:
        screen.json(predicted.told(found, question, out, futures))
    else:
        predicted.show(found, question, out, futures)


def _count_futures(
    site: Site, task: str, encoder: str, out: Path, split: str | None, futures: int, seed: int, json: bool
) -> None:
    """Answer a task by an encoder's futures."""
    from medloom import pretraining

    asked = site.task(task)
    with screen.showing_progress(json):
        predictions = pretraining.zero_shot(
            encoder,
            asked,
            task,
            split=split,  # type: ignore[arg-type]
            futures=futures,
            seed=seed,
        )
    keys = asked.samples.frame.select("sample_id", "subject_id", "prediction_time")
    _write_answers(predictions, keys, asked.samples.question, out, futures, json)


def _site_folder(site: Path | None) -> SiteDirectory | None:
    try:
        return find_site(site)
    except NotFoundError:
        if site is not None:
            raise
        return None  # the shipped tasks can be listed anywhere


def _kind_kept(folder: SiteDirectory | None, name: str) -> str:
    from medloom.tasks.external import kind_of_labels

    assert folder is not None
    return kind_of_labels(folder.tasks / f"{name}{library.LABELS}")


def _answers(labels: pl.Series, kind: Kind) -> dict[str, float]:
    if kind in ("segmentation", "detection"):
        return {tr("with an outline"): float(labels.count())}
    if kind == "tagging":  # how many places of each name
        found = Counter(one.name for label in labels for one in spans_in(label))
        return {name: float(n) for name, n in found.most_common()}
    if kind == "relations":  # how many entities and relations of each name
        found = Counter(one.name for label in labels for one in entities_in(label))
        found += Counter(one.name for label in labels for one in relations_in(label))
        return {name: float(n) for name, n in found.most_common()}
    if labels.dtype == pl.Float64:
        described = labels.describe().rows()
        return {
            str(name): float(value)
            for name, value in described
            if name in ("mean", "std", "min", "50%", "max")
        }
    if isinstance(labels.dtype, pl.Struct):  # of survival: what happened first
        labels = labels.struct.field("event").fill_null(tr("no event while followed"))
    if labels.dtype == pl.List(pl.String):
        labels = labels.explode(empty_as_null=False)
    return {str(name): float(n) for name, n in labels.cast(pl.String).value_counts(sort=True).iter_rows()}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def parameters_of(texts: list[str] | None) -> dict[str, Any]:
    """Read `key=value` texts: values as Python writes them, else as they stand."""
    return dict(_parameter(text) for text in texts or [])


def _parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError("parameter {text!r} is not key=value", text=text)
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
