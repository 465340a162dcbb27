"""Commands on public data sets: data list, data get."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption
from medloom.foundation.messages import tr


def register(app: typer.Typer) -> None:
    """Add the commands."""
    data = typer.Typer(help=tr("Public data sets for benchmarks."), no_args_is_help=True)
    data.command("list", help=tr("List them, with owner and licence."))(list_)
    data.command("get", help=tr("Fetch one: from MEDLOOM_MIRROR, else from its owner, checked by its sum."))(
        get
    )
    app.add_typer(data, name="data")


def list_(json: JsonOption = False) -> None:
    """List the data sets."""
    from medloom.record.datasets import available

    sets = available()
    if json:
        screen.json({"data": [one.model_dump(mode="json") for one in sets]})
        return
    screen.table(
        [tr("name"), tr("what"), tr("licence")], [(one.name, one.title, one.licence) for one in sets]
    )


def get(
    name: Annotated[str, typer.Argument(help=tr("A data set; `medloom data list` names them."))],
    into: Annotated[Path | None, typer.Option(help=tr("A folder; else the user's cache."))] = None,
) -> None:
    """Fetch a data set."""
    from medloom.record.datasets import get as fetch

    with screen.showing_progress():
        path = fetch(name, into)
    screen.say(str(path))
