"""The command `generate-images`: pictures that were never taken, judged before they are learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.modelling import parameters_of
from medloom.cli.options import JsonOption, ParameterOption, SeedOption, SiteOption
from medloom.evidence.generated_page import generated_section, write_generated_page
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.site import Site


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate-images", help=tr("Learn to draw pictures of each class of a task."))(
        generate_images
    )


def generate_images(
    task: Annotated[str, typer.Argument(help=tr("A task about pictures, binary or multiclass."))],
    out: Annotated[Path, typer.Option(help=tr("A new folder, for the generator."))],
    site: SiteOption = None,
    size: Annotated[
        int, typer.Option(help=tr("Pixels a side; 0: 64, or those of the pictures where smaller."))
    ] = 0,
    width: Annotated[int, typer.Option(help=tr("Channels of the finest layers."))] = 32,
    steps: Annotated[int, typer.Option(help=tr("Of learning."))] = 2000,
    minutes: Annotated[float | None, typer.Option(help=tr("After which training stops."))] = None,
    flip: Annotated[bool, typer.Option("--flip", help=tr("Left and right may change places."))] = False,
    learner: Annotated[
        str,
        typer.Option(
            "--learner", "-l", help=tr("That learns with drawn images and without; none: none does.")
        ),
    ] = "cnn",
    parameter: ParameterOption = None,
    generated: Annotated[int, typer.Option(help=tr("Drawn images of each class that it learns from."))] = 200,
    repeats: Annotated[int, typer.Option(help=tr("Models of each kind, whose answers are averaged."))] = 1,
    held_out: Annotated[
        bool, typer.Option("--held-out", help=tr("Judge it on held-out images, not on those of tuning."))
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help=tr("Write a page (HTML) too; it shows images of patients."))
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help=tr("Keep the generator though privacy is poor."))
    ] = False,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Learn, judge, keep; interrupted, the same command goes on where it stopped."""
    from medloom import generating
    from medloom.foundation.files import remove

    if out.exists() and any(out.iterdir()):
        raise InputError("{path!r} holds something already; name a new folder", path=str(out))
    work = out.with_name(f".{out.name}.training")
    with screen.showing_progress(json):
        made = generating.generate_images(
            Site.open(site).task(task),
            teaching={"size": size, "width": width, "steps": steps, "minutes": minutes, "flip": flip},
            learner=None if learner == "none" else learner,
            generated=generated,
            repeats=repeats,
            split="held_out" if held_out else "tuning",
            seed=seed,
            folder=work,
            **parameters_of(parameter),
        )
    if report is not None:
        write_generated_page(report, made.evidence, made.shown)
    doubts = made.evidence.doubts
    if doubts and not anyway:
        raise InputError(
            "the generator was not kept, as privacy is poor: {doubts} Add --anyway to keep it",
            doubts=" ".join(screen.spoken(doubt) for doubt in doubts),
        )
    made.generator.save(out)
    remove(work)
    if json:
        screen.json({"generator": str(out), **made.evidence.to_json()})
        return
    screen.section(generated_section(made.evidence))
    screen.say(tr("Kept {path}, learned from {n:,} images.", path=out, n=made.evidence.images["train"]))
    screen.say(
        tr(
            "Next: medloom train {task} --learner {learner} -p generated={n} -p generator={path}",
            task=task,
            learner="cnn" if learner == "none" else learner,
            n=generated,
            path=out,
        )
    )
