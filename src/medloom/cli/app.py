"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import core

from medloom import __version__
from medloom.cli import (
    bench,
    card,
    cds,
    compressing,
    datasets,
    deidentifying,
    demo,
    explaining,
    generating,
    mitigating,
    modelling,
    noting,
    pretraining,
    records,
    reporting,
    serving,
    synthesizing,
    validating,
)
from medloom.cli.help import SpeakingGroup
from medloom.foundation.messages import tr

core.HAS_RICH = False  # help is plain text here; with rich it would say "\[required]"

app = typer.Typer(
    name="medloom",
    cls=SpeakingGroup,
    help=tr("From a hospital's own records to evaluated, explained, reviewable decision support."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"medloom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=tr("Print the version."))
    ] = False,
    lang: Annotated[
        str | None,
        typer.Option(
            "--lang", help=tr("en or zh, before or after the command; else MEDLOOM_LANG or the locale.")
        ),
    ] = None,
) -> None:
    """Hold the options of all commands; `--lang` is read before (see `medloom.cli.main`)."""


records.register(app)
modelling.register(app)
pretraining.register(app)
explaining.register(app)
reporting.register(app)
validating.register(app)
mitigating.register(app)
compressing.register(app)
synthesizing.register(app)
generating.register(app)
card.register(app)
noting.register(app)
serving.register(app)
cds.register(app)
deidentifying.register(app)
datasets.register(app)
bench.register(app)
demo.register(app)
