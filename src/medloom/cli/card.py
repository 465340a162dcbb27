"""The command on a model's card: what is known of it, and what a person must answer."""

from __future__ import annotations

from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.foundation.messages import tr
from medloom.site import Site


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("card", help=tr("Write a model's card, with what people answered."))(card)


def card(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    split: Annotated[str, typer.Option(help="train, tuning, calibration, held_out")] = "held_out",
    blank: Annotated[
        bool,
        typer.Option(
            "--blank",
            help=tr("Write what is still open into the file that people fill in; answers there stay."),
        ),
    ] = False,
    site: SiteOption = None,
    json: JsonOption = False,
) -> None:
    """Write a card."""
    from medloom import cards
    from medloom.evidence.card.card import write_card

    opened = Site.open(site)
    made, folder = cards.card(opened, model, split)
    file = cards.answers_file(opened, opened.model_name(model))
    if blank:
        cards.ask(made, file)
        screen.say(tr("Answer in {file}, then: medloom card {model}", file=file, model=model))
        return
    write_card(folder, made)
    if json:
        screen.json(made.to_json())
        return
    screen.say(tr("Kept in {folder}", folder=folder))
    if made.open:
        screen.say(
            tr(
                "{n} different questions are for a person; medloom card {model} --blank puts them into {file}",
                n=len(made.open),
                model=model,
                file=file,
            )
        )
