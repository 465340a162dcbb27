"""The commands `pretrain` and `encoders`: bodies learned from the site's timelines, without labels."""

from __future__ import annotations

from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.modelling import parameters_of
from medloom.cli.options import (
    AddressOption,
    EngineOption,
    JsonOption,
    ParameterOption,
    SeedOption,
    SiteOption,
)
from medloom.foundation.durations import hours
from medloom.foundation.engines import engine as working_on
from medloom.foundation.messages import tr
from medloom.foundation.site import find_site
from medloom.site import Site
from medloom.tasks import encoders, library
from medloom.tasks.timelines import NAME, timelines
from medloom.tasks.unlabelled import IMAGES, NOTES

MinutesOption = Annotated[float | None, typer.Option(help=tr("After which training stops."))]
SplitOption = Annotated[
    str | None,
    typer.Option(help=tr("A task whose split decides who is trained on; else the record's split.")),
]

_FACT, _MOMENT = "fact", "moment"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("pretrain", help=tr("Learn from the site's timelines, without labels."))(pretrain)
    app.command("pretrain-images", help=tr("Learn from the site's images, without labels."))(pretrain_images)
    app.command("pretrain-notes", help=tr("Learn from the site's notes, without labels."))(pretrain_notes)
    app.command("encoders", help=tr("List the site's pretrained encoders."))(listed)


def pretrain(
    name: Annotated[str, typer.Argument(help=tr("What the encoder is called."))] = NAME,
    site: SiteOption = None,
    objective: Annotated[
        str,
        typer.Option(help=tr("next-event, masked, time-to-event or contrastive; several joined by +.")),
    ] = "next-event+time-to-event",
    size: Annotated[str, typer.Option(help="nano, micro, mini, small, base, large, xl")] = "nano",
    step: Annotated[
        str, typer.Option(help=tr("What is read together: fact, moment, or a length of time such as 1h."))
    ] = _MOMENT,
    most: Annotated[int, typer.Option(help=tr("Steps of a timeline that are read at most."))] = 512,
    epochs: Annotated[int, typer.Option(help=tr("Passes over the timelines."))] = 10,
    batch: Annotated[int, typer.Option(help=tr("Timelines a step of training."))] = 64,
    learning_rate: Annotated[float, typer.Option(help=tr("At its highest."))] = 0.002,
    minutes: MinutesOption = None,
    precision: Annotated[str, typer.Option(help="32, bf16, auto")] = "auto",
    devices: Annotated[int, typer.Option(help=tr("Processes or accelerators to train with."))] = 1,
    strategy: Annotated[
        str, typer.Option(help=tr("Of several devices: ddp, or fsdp, where each has a share of the weights."))
    ] = "ddp",
    pieces: Annotated[
        int, typer.Option(help=tr("Into which a batch is cut where memory is short; their gradients add up."))
    ] = 1,
    recompute: Annotated[
        bool, typer.Option(help=tr("Keep less in memory and work it out twice: the same numbers, slower."))
    ] = False,
    task: SplitOption = None,
    track: Annotated[str | None, typer.Option(help=tr("Log the course too: tensorboard or mlflow."))] = None,
    seed: SeedOption = 0,
    engine: EngineOption = "local",
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Pretrain; interrupted, the same command goes on where it stopped."""
    from medloom.pretraining import pretrain as learn
    from medloom.training.schedule import Schedule
    from medloom.training.tracking import tracking

    opened = Site.open(site)
    work = encoders.unfinished(opened.directory, name)
    if (work / "checkpoints").is_dir() and not json:
        screen.say(tr("Goes on where an earlier run stopped."))
    splits = None if task is None else library.find(task, opened.directory).split
    learned = len(timelines(opened.record, splits).in_split("train"))
    total = epochs * Schedule(batch=batch).steps(learned)
    curve: list[dict[str, float | int | None]] = []
    with (
        screen.showing_progress(json),
        working_on(engine, address),
        tracking(track, str(work.parent)) as tracker,
    ):

        def noted(done: int, loss: float, judged: float | None) -> None:
            curve.append({"step": done, "train": loss, "tuning": judged})
            losses = {"train": loss, **({} if judged is None else {"tuning": judged})}
            if tracker is not None:
                tracker.judged(name, done, losses)
            if not json:
                said = tr("not judged") if judged is None else f"{judged:.4f}"
                screen.say(
                    tr(
                        "step {step:>6,} of {total:,}   loss {loss:.4f}   on tuning {judged}",
                        step=done,
                        total=total,
                        loss=loss,
                        judged=said,
                    )
                )

        try:
            made = learn(
                opened,
                name,
                task,
                objective=objective,
                size=size,
                step=_hours(step),
                most=most,
                recompute=recompute,
                seed=seed,
                noted=noted,
                epochs=epochs,
                batch=batch,
                learning_rate=learning_rate,
                minutes=minutes,
                precision=precision,
                devices=devices,
                strategy=strategy,
                pieces=pieces,
            )
        except KeyboardInterrupt:
            if not json:
                screen.say(tr("The same command goes on from here."))
            raise
    saved = encoders.find(opened.directory, name)
    parameters = sum(one.numel() for one in made.network.body.parameters())
    assert made.course is not None
    seconds = made.course.seconds
    if json:
        screen.json(
            {
                "encoder": str(saved),
                "timelines": learned,
                "parameters": parameters,
                "curve": curve,
                "seconds": seconds,
            }
        )
        return
    screen.say(
        tr(
            "Learned {encoder} ({n:,} weights) from {timelines:,} timelines.",
            encoder=saved,
            n=parameters,
            timelines=learned,
        )
    )
    screen.say(tr("Next: medloom train TASK --learner timeline --encoder {encoder}", encoder=saved))
    if encoders.about(opened.directory, saved).foresees:
        screen.say(
            tr(
                "It can also answer without labels: medloom predict TASK --zero-shot {encoder} --split held_out "
                "--out answers.parquet",
                encoder=saved,
            )
        )


def pretrain_images(
    name: Annotated[str, typer.Argument(help=tr("What the encoder is called."))] = IMAGES,
    site: SiteOption = None,
    images: Annotated[
        list[str] | None, typer.Option(help=tr("Codes of images, such as IMAGE//DX*; all when left out."))
    ] = None,
    learner: Annotated[
        str, typer.Option("--learner", "-l", help="cnn, efficientnet, densenet, resnet, vit")
    ] = "cnn",
    parameter: ParameterOption = None,
    objective: Annotated[str, typer.Option(help="distilled, masked")] = "distilled",
    epochs: Annotated[int, typer.Option(help=tr("Passes over the images."))] = 20,
    batch: Annotated[int, typer.Option(help=tr("Images a step of training."))] = 64,
    minutes: MinutesOption = None,
    task: SplitOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Pretrain on images; interrupted, the same command goes on where it stopped."""
    from medloom.pretraining import pretrain_images as learn

    opened = Site.open(site)
    with screen.showing_progress(json):
        made = learn(
            opened,
            learner,
            name,
            images=tuple(images or ("IMAGE//*",)),
            task=task,
            objective=objective,
            schedule={"epochs": epochs, "batch": batch, "minutes": minutes},
            seed=seed,
            **parameters_of(parameter),
        )
    saved = encoders.find(opened.directory, name)
    if json:
        screen.json({"encoder": str(saved), "learner": learner, **made.learned_from})
        return
    screen.say(
        tr("Learned {encoder} from {images:,} images.", encoder=saved, images=made.learned_from["facts"])
    )
    screen.say(
        tr("Next: medloom train TASK --learner {learner} -p start={encoder}", learner=learner, encoder=saved)
    )


def pretrain_notes(
    name: Annotated[str, typer.Argument(help=tr("What the encoder is called."))] = NOTES,
    site: SiteOption = None,
    start: Annotated[
        str, typer.Option(help=tr("The encoder that it goes on from: minilm, or a folder with another one."))
    ] = "minilm",
    notes: Annotated[
        list[str] | None,
        typer.Option(help=tr("Codes of notes, such as NOTE//Discharge*; all when left out.")),
    ] = None,
    epochs: Annotated[int, typer.Option(help=tr("Passes over the notes."))] = 1,
    batch: Annotated[int, typer.Option(help=tr("Pieces of notes a step of training."))] = 32,
    minutes: MinutesOption = None,
    task: SplitOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Pretrain on notes; interrupted, the same command goes on where it stopped."""
    from medloom.pretraining import pretrain_notes as learn

    opened = Site.open(site)
    with screen.showing_progress(json):
        made = learn(
            opened,
            name,
            start=start,
            notes=tuple(notes or ("NOTE//*",)),
            task=task,
            schedule={"epochs": epochs, "batch": batch, "minutes": minutes},
            seed=seed,
        )
    saved = encoders.find(opened.directory, name)
    if json:
        screen.json({"encoder": str(saved), **made.learned_from})
        return
    screen.say(tr("Learned {encoder} from {notes:,} notes.", encoder=saved, notes=made.learned_from["facts"]))
    screen.say(tr("Next: medloom train TASK --learner encoder -p start={encoder}", encoder=saved))


def listed(site: SiteOption = None, json: JsonOption = False) -> None:
    """List the encoders."""
    folder = find_site(site)
    found = [encoders.about(folder, name) for name in encoders.names_in(folder)]
    if json:
        screen.json({"encoders": [_told(one) for one in found]})
        return
    if not found:
        screen.say(tr("There is no encoder yet; pretrain one with: medloom pretrain"))
        return
    screen.table(
        [
            tr("name"),
            tr("learner"),
            tr("size"),
            tr("objectives"),
            tr("step"),
            tr("patients"),
            tr("facts"),
            tr("futures"),
            tr("saved"),
        ],
        [
            (
                one.name,
                one.learner,
                one.size,
                "\n".join(one.objectives),
                _step(one.step) if one.learner == "timeline" else "–",
                "–" if one.patients is None else f"{one.patients:,}",
                "–" if one.facts is None else f"{one.facts:,}",
                tr("yes") if one.foresees else tr("no"),
                one.saved.date().isoformat(),
            )
            for one in found
        ],
        right=[5, 6],
    )
    if any(one.foresees for one in found):
        screen.say()
        screen.say(
            tr("With futures a task is answered without labels: medloom predict TASK --zero-shot NAME[@N]")
        )


def _told(one: encoders.About) -> dict[str, object]:
    return {
        "name": str(one.name),
        "learner": one.learner,
        "size": one.size,
        "objectives": list(one.objectives),
        "step": _step(one.step),
        "patients": one.patients,
        "facts": one.facts,
        "zero_shot": one.foresees,
        "saved": one.saved.isoformat(timespec="seconds"),
    }


def _step(length: float | None) -> str:
    """Write a step as `--step` takes it."""
    if length is None:
        return _FACT
    return _MOMENT if length == 0 else f"{length:g}h"


def _hours(step: str) -> float | None:
    if step == _FACT:
        return None
    return 0.0 if step == _MOMENT else hours(step)
