"""The command `deidentify`: notes, and texts in tables, without what could name a person."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import tr

if TYPE_CHECKING:
    from medloom.record.deidentify.folders import Deidentified
    from medloom.record.deidentify.replacing import Finder

_PURPOSE: Final = "deidentify text"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deidentify", help=tr("Write notes and tables anew, without what could name a person."))(
        deidentify
    )


def deidentify(
    source: Annotated[Path, typer.Argument(help=tr("A note, a table (CSV, Parquet), or a folder of them."))],
    out: Annotated[Path, typer.Argument(help=tr("A new folder; the source is never touched."))],
    mode: Annotated[
        str,
        typer.Option(
            help=tr("safe-harbor: dates become years; date-shifted: they move, and an expert must agree.")
        ),
    ] = "safe-harbor",
    replace: Annotated[
        str, typer.Option(help=tr("tags, such as [NAME]; or surrogates that look alike."))
    ] = "tags",
    patient: Annotated[
        str,
        typer.Option(help=tr("Pattern whose group names the patient in a file's name, or a table's column.")),
    ] = "",
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help=tr("A table's column of free text; else all texts are read.")),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option("--identifier", help=tr("A table's column that names a person; it is left out.")),
    ] = None,
    quasi: Annotated[
        list[str] | None,
        typer.Option("--quasi", help=tr("A column that others may know too; the risk is measured.")),
    ] = None,
    sensitive: Annotated[
        list[str] | None, typer.Option("--sensitive", help=tr("A column that nobody should learn."))
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=tr(
                "A tagging model of the site, TASK.LEARNER, whose places are kinds of identifiers; beside the rules."
            )
        ),
    ] = None,
    site: SiteOption = None,
    json: JsonOption = False,
) -> None:
    """Write what stands in a folder anew."""
    from medloom.record.deidentify.folders import Settings, deidentify_folder
    from medloom.record.deidentify.replacing import MODES, WAYS

    for name, given, known in (("mode", mode, MODES), ("replace", replace, WAYS)):
        if given not in known:
            raise InputError(
                "there is no {name} {value!r}; there are: {known}", name=name, value=given, known=known
            )
    if not source.exists():
        raise NotFoundError("there is no file or folder {path!r}", path=str(source))
    settings = Settings(
        mode,  # type: ignore[arg-type]
        replace,  # type: ignore[arg-type]
        patient,
        tuple(text or ()),
        tuple(drop or ()),
        tuple(quasi or ()),
        tuple(sensitive or ()),
    )
    finders = () if model is None else (_finder(model, site),)
    with screen.showing_progress(json):
        done = deidentify_folder(source, out, settings, _key(site), finders)
    if json:
        screen.json(done.to_json())
        return
    _show(done, mode, out, keyed=site is not None, taught=model is not None)


def _finder(model: str, site: Path | None) -> Finder:
    """Give what finds identifiers as one of a site's models does.

    Raises:
        InputError: there is no such model, it names no places, or calls them otherwise.
    """
    from medloom.learners.text.identities import IdentityFinder, check_identities
    from medloom.places import tagging_by
    from medloom.site import Site

    loaded = Site.open(site).model(model)
    tagging = tagging_by(loaded)
    check_identities(loaded.origin.question.classes)
    return IdentityFinder(tagging)


def _key(site: Path | None) -> bytes:
    """Give the key of surrogates: the site's, so that later exports agree; else one for this time alone."""
    if site is None:
        return secrets.token_bytes(32)
    from medloom.record.keys import derived, site_key
    from medloom.site import Site

    return derived(site_key(Site.open(site).directory), _PURPOSE)


def _show(done: Deidentified, mode: str, out: Path, keyed: bool, taught: bool) -> None:
    from medloom.record.deidentify.folders import REPORT

    screen.say(
        tr(
            "{n:,} texts of {files:,} files, {found:,} identifiers replaced.",
            n=done.texts,
            files=done.files,
            found=done.counts.total(),
        )
    )
    if done.counts:
        screen.table(
            [tr("identifier"), tr("number")],
            [(kind, f"{n:,}") for kind, n in done.counts.most_common()],
            right=[1],
        )
    for name, one in done.risks.items():
        screen.say(
            tr(
                "{table}: k = {k}, {unique:.1%} of the rows are alone, {few:.1%} in groups of fewer than 5.",
                table=name,
                k=one.k,
                unique=one.unique,
                few=one.below_5,
            )
        )
    for problem, n in done.problems.items():
        screen.warning(tr("{n:,} files were left out: {problem}", n=n, problem=tr(problem)))
    if mode == "date-shifted":
        screen.warning(
            tr("Dates that move are no Safe Harbor: an expert determines the risk (45 CFR 164.514(b)(1)).")
        )
    if not taught:
        screen.say(
            tr(
                "Names without a title or a label are not found by rules: read a sample before you give it on."
            )
        )
    if done.doubts:
        screen.say(
            tr(
                "{n:,} places may still name somebody: look_at in {path}.",
                n=done.doubts.total(),
                path=out / REPORT,
            )
        )
    if not keyed:
        screen.say(tr("Another run draws other surrogates; with --site the site's key makes all runs agree."))
    screen.say(tr("Wrote {path}.", path=out))
