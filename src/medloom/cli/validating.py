"""Commands on how far a model can be trusted, here and elsewhere."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.modelling import parameters_of
from medloom.cli.options import AddressOption, EngineOption, JsonOption, SeedOption, SiteOption
from medloom.evidence.section import Section
from medloom.evidence.words import metric_name
from medloom.foundation.engines import engine as working_on
from medloom.foundation.errors import LeakageError, NotFoundError
from medloom.foundation.messages import tr
from medloom.site import Site
from medloom.tasks.models import ModelName


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "validate", help=tr("Test a learner on all patients that are not held out, by folds, period or site.")
    )(validate)
    app.command(
        "validate-elsewhere",
        help=tr("Test a model on another hospital's site, as it came and updated there."),
    )(validate_elsewhere)
    app.command("stability", help=tr("How much a patient's answer depends on who else was learned from."))(
        stability
    )
    app.command("learning-curve", help=tr("How good a learner is with how many patients."))(learning_curve)
    app.command("recalibrate", help=tr("Make a model's risks fit patients it has not learned from."))(
        recalibrate
    )
    app.command("ranges", help=tr("Make a model say how sure it is: ranges of values, sets of classes."))(
        ranges
    )


def validate(
    name: Annotated[str, typer.Argument(help=tr("A task: its name, or a file ending in .yaml."))],
    learner: Annotated[
        str, typer.Option("--learner", "-l", help=tr("`medloom learners` lists them."))
    ] = "gbdt",
    design: Annotated[
        str, typer.Option(help="cross-validation, temporal, leave-one-site-out")
    ] = "cross-validation",
    folds: Annotated[int, typer.Option(help=tr("Of a cross-validation."))] = 5,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help=tr("The first day of the test patients (temporal).")),
    ] = None,
    place: Annotated[
        str | None, typer.Option(help=tr("The code that names each sample's site (leave-one-site-out)."))
    ] = None,
    site: SiteOption = None,
    seed: SeedOption = 0,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help=tr("key=value for the learner."))
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Validate."""
    from medloom import validation
    from medloom.evidence.validation_sections import validation_section

    opened = Site.open(site)
    asked = opened.task(name)
    with screen.showing_progress(json), working_on(engine, address):
        found = validation.validate(
            asked,
            learner,
            design,  # type: ignore[arg-type]
            folds=folds,
            start=None if start is None else start.date(),
            site=place,
            seed=seed,
            **parameters_of(parameter),
        )
    kept = _kept(opened, asked.samples.question.task, learner, validation_section(found))
    if json:
        screen.json(found.to_json())
        return
    screen.say(str(found))
    metric = next(iter(found.evaluation.metrics))
    rows = [(part, metrics[metric].said()) for part, metrics in found.parts.items()]
    screen.say()
    screen.table([tr("part"), screen.spoken(metric_name(metric))], rows, right=[1])
    _say_where(kept)


def validate_elsewhere(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    other: Annotated[Path, typer.Argument(help=tr("The folder of the other hospital's site."))],
    update: Annotated[str, typer.Option(help="auto, intercept, slope, temperature, beta, isotonic")] = "auto",
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Validate on another site."""
    from medloom import api, cards, dossier, validation
    from medloom.tasks import library

    opened, there = Site.open(site), Site.open(other)
    trained = api.trained(opened, model)
    assert trained.name is not None
    task = library.find(trained.name.task, opened.directory)
    with screen.showing_progress(json):
        samples = api.ask(there.record, task)
        if samples.record_digest == trained.samples.record_digest:
            raise LeakageError(
                "{folder} holds the record that {model} was learned from; name the folder of another hospital's site",
                folder=other.name,
                model=trained.name,
            )
        found = validation.validate_elsewhere(trained, samples, update, seed=seed)  # type: ignore[arg-type]
    for section in cards.elsewhere_sections(found, samples):
        dossier.keep_section(opened, trained.name, section)
    if json:
        screen.json(found.to_json())
        return
    difference = found.after.compared_with["before"].difference
    rows = [
        (
            screen.spoken(metric_name(metric)),
            before.said(),
            found.after.metrics[metric].said(),
            difference[metric].said() if metric in difference else "–",
        )
        for metric, before in found.before.metrics.items()
        if metric in found.after.metrics
    ]
    screen.table([tr("measure"), tr("as it came"), tr("updated"), tr("difference")], rows, right=[1, 2, 3])
    _say_where(trained.name)


def stability(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    refits: Annotated[
        int, typer.Option(help=tr("Models of resampled patients; 200 for a publication."))
    ] = 50,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Measure stability."""
    from medloom import api, dossier, validation
    from medloom.evidence.validation_sections import stability_section

    opened = Site.open(site)
    trained = api.trained(opened, model)
    with screen.showing_progress(json):
        found = validation.stability(trained, refits, seed=seed)
    assert trained.name is not None
    dossier.keep_section(opened, trained.name, stability_section(found))
    if json:
        screen.json(found.to_json())
        return
    rows = [(output, f"{mean:.3f}") for output, mean in found.mean_difference.items()]
    screen.table([tr("answer"), tr("mean difference of a refit's answer")], rows, right=[1])
    _say_where(trained.name)


def learning_curve(
    name: Annotated[str, typer.Argument(help=tr("A task: its name, or a file ending in .yaml."))],
    learner: Annotated[
        str, typer.Option("--learner", "-l", help=tr("`medloom learners` lists them."))
    ] = "gbdt",
    size: Annotated[
        list[int] | None, typer.Option(help=tr("Patients to learn from; once for each size."))
    ] = None,
    repeats: Annotated[int, typer.Option(help=tr("Draws of the patients."))] = 3,
    site: SiteOption = None,
    seed: SeedOption = 0,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help=tr("key=value for the learner."))
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draw a learning curve."""
    from medloom import validation
    from medloom.evidence.validation_sections import learning_curve_section

    opened = Site.open(site)
    asked = opened.task(name)
    with screen.showing_progress(json):
        found = validation.learning_curve(
            asked, learner, size or (), repeats=repeats, seed=seed, **parameters_of(parameter)
        )
    section = learning_curve_section(found, asked.samples.question.kind)
    kept = _kept(opened, asked.samples.question.task, learner, section)
    if json:
        screen.json({"curve": found.to_json()})
        return
    (shown,) = section.tables
    heads = [screen.spoken(one) for one in shown.head]
    rows = [tuple(screen.spoken(one.text) for one in row) for row in shown.rows]
    screen.table(heads, rows, right=range(len(heads)))
    _say_where(kept)


def recalibrate(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    method: Annotated[str, typer.Option(help="auto, intercept, slope, temperature, beta, isotonic")] = "auto",
    folds: Annotated[
        int | None, typer.Option(help=tr("For answers out of fold, where the site sets no patients aside."))
    ] = None,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Recalibrate."""
    from medloom import api, dossier, validation
    from medloom.evidence.validation_sections import recalibration_section

    opened = Site.open(site)
    with screen.showing_progress(json):
        made = validation.recalibrate(
            api.trained(opened, model),
            method,  # type: ignore[arg-type]
            folds=folds,
            site=opened,
            seed=seed,
        )
    update = made.recalibration
    assert update is not None and made.name is not None
    dossier.keep_section(opened, made.name, recalibration_section(update))
    if json:
        said = {"calibrator": update.calibrator.to_json(), "basis": update.basis.to_json()}
        screen.json({"model": str(made.name), **said})
        return
    choice = update.basis.choice
    for step in () if choice is None else choice.steps:
        screen.say(
            tr("{update} against {against}: p = {p:.3f}", update=step.update, against=step.against, p=step.p)
        )
    screen.say(
        tr(
            "Recalibrated {model} ({method}) on {n:,} samples.",
            model=made.name,
            method=update.calibrator.method,
            n=update.basis.n,
        )
    )
    screen.say(tr("Next: medloom evaluate {model}", model=made.name))


def ranges(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    scheme: Annotated[str, typer.Option(help="auto, residual, quantiles, adaptive, venn-abers")] = "auto",
    level: Annotated[
        float, typer.Option(help=tr("Share of new patients whose truth is to lie inside."))
    ] = 0.9,
    by: Annotated[
        list[str] | None, typer.Option(help=tr("sex or age: groups within which it is to hold."))
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help=tr("For answers out of fold, where the site sets no patients aside."))
    ] = None,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Make ranges."""
    from medloom import api, validation
    from medloom.training.conformal_model import ConformalModel

    opened = Site.open(site)
    with screen.showing_progress(json):
        made = validation.with_ranges(
            api.trained(opened, model),
            scheme,  # type: ignore[arg-type]
            level=level,
            by=by or [],  # type: ignore[arg-type]
            folds=folds,
            site=opened,
            seed=seed,
        )
    assert isinstance(made.model, ConformalModel)
    if json:
        said = {"scheme": made.model.scheme, "level": made.model.level, "by": made.model.by}
        screen.json({"model": str(made.name), **said, "n": made.model.basis.n})
        return
    screen.say(
        tr("{model} tells ranges now ({scheme}), from {n:,} samples.", model=made.name, scheme=made.model.scheme,
           n=made.model.basis.n)
    )  # fmt: skip
    screen.say(tr("Next: medloom evaluate {model}", model=made.name))


def _kept(site: Site, task: str, learner: str, section: Section) -> ModelName | None:
    """Keep a finding about a learner beside the latest model it made of the task; None: there is none yet."""
    from medloom import dossier

    try:
        name = site.model_name(f"{task}.{learner}")
    except NotFoundError:
        return None
    dossier.keep_section(site, name, section)
    return name


def _say_where(name: ModelName | None) -> None:
    if name is not None:
        screen.say(tr("The next report of {model} shows this.", model=name))
