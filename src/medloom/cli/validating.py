"""Commands on how far a model can be trusted: validate, recalibrate, ranges."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.modelling import parameters_of
from medloom.cli.options import JsonOption, SeedOption, SiteOption
from medloom.evidence.metrics import PRIMARY
from medloom.evidence.words import metric_name
from medloom.foundation.messages import tr
from medloom.site import Site


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "validate", help=tr("Test a learner on all patients that are not held out, by folds, period or site.")
    )(validate)
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
    json: JsonOption = False,
) -> None:
    """Validate."""
    from medloom import validation

    opened = Site.open(site)
    with screen.showing_progress(json):
        found = validation.validate(
            opened.task(name),
            learner,
            design,  # type: ignore[arg-type]
            folds=folds,
            start=None if start is None else start.date(),
            site=place,
            seed=seed,
            **parameters_of(parameter),
        )
    if json:
        screen.json(found.to_json())
        return
    screen.say(str(found))
    metric = PRIMARY[found.evaluation.kind]
    rows = [(part, metrics[metric].said()) for part, metrics in found.parts.items()]
    screen.say()
    screen.table([tr("part"), screen.spoken(metric_name(metric))], rows, right=[1])


def recalibrate(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    method: Annotated[str, typer.Option(help="auto, intercept, slope, temperature, beta, isotonic")] = "auto",
    folds: Annotated[
        int, typer.Option(help=tr("For answers out of fold, where the site sets no patients aside."))
    ] = 5,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Recalibrate."""
    from medloom import api, validation

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
    assert update is not None
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
        int, typer.Option(help=tr("For answers out of fold, where the site sets no patients aside."))
    ] = 5,
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
