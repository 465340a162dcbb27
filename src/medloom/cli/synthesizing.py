"""The command `synthesize`: patients who never were, judged before they are given away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SeedOption, SiteOption
from medloom.evidence.synthetic_page import synthetic_section, write_synthetic_page
from medloom.foundation.errors import InputError
from medloom.foundation.files import replacing
from medloom.foundation.messages import tr
from medloom.site import Site
from medloom.tasks import encoders, library


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("synthesize", help=tr("Make up patients like those of a table or of the site."))(synthesize)


def synthesize(
    out: Annotated[Path, typer.Option(help=tr("A Parquet file: rows of the table, or MEDS events."))],
    table: Annotated[
        Path | None, typer.Option(help=tr("A table, a row a patient: .csv or .parquet."))
    ] = None,
    label: Annotated[
        str | None, typer.Option(help=tr("Of a table: the column that models are to tell."))
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help=tr("Of a table: a column to leave out, such as a number."))
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help=tr("Of the site's timelines: NAME[@N], as `medloom encoders` lists them.")),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help=tr("Of timelines: the task whose split the encoder was pretrained under.")),
    ] = None,
    n: Annotated[int | None, typer.Option(help=tr("Patients; else as many as are learned from."))] = None,
    epochs: Annotated[int, typer.Option(help=tr("Of a table: passes over its rows."))] = 300,
    report: Annotated[Path | None, typer.Option(help=tr("Write a page (HTML) too."))] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help=tr("Write the patients though privacy is poor."))
    ] = False,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Synthesize."""
    from medloom import synthesizing

    if (table is None) == (encoder is None):
        raise InputError("name either a table or an encoder: --table FILE or --encoder NAME")
    with screen.showing_progress(json):
        if table is not None:
            frame = pl.read_parquet(table) if table.suffix == ".parquet" else pl.read_csv(table)
            made = synthesizing.synthesize(
                frame, label, n=n, drop=tuple(drop or ()), epochs=epochs, seed=seed
            )
        else:
            opened = Site.open(site)
            named = encoders.directory(opened.directory, encoders.find(opened.directory, str(encoder)))
            asked = None if task is None else library.find(task, opened.directory)
            made = synthesizing.synthesize_timelines(named, opened.record, asked, n=n, seed=seed)
    if report is not None:
        write_synthetic_page(report, made.evidence)
    doubts = made.evidence.doubts
    if doubts and not anyway:
        raise InputError(
            "the made-up patients were not written, as privacy is poor: {doubts} Add --anyway to write them",
            doubts=" ".join(screen.spoken(doubt) for doubt in doubts),
        )
    with replacing(out) as incoming:
        made.rows.write_parquet(incoming)
    if json:
        screen.json(made.evidence.to_json())
        return
    screen.section(synthetic_section(made.evidence))
    screen.say(tr("{n:,} rows in {path}", n=made.rows.height, path=out))
