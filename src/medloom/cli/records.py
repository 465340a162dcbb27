"""Commands on the record: init, import, quality, codes, erase, merge."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloom import importers
from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.cli.people import PatientOption, SystemOption, pseudonym, subject_of
from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.site import SiteSettings
from medloom.record.importing import Importer
from medloom.site import Site

if TYPE_CHECKING:
    from medloom.record.quality import QualityReport


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init", help=tr("Create a site in a new folder."))(init)
    app.command("import", help=tr("Bring a source into the record; all or nothing, and safe to repeat."))(
        import_
    )
    app.command("importers", help=tr("List the formats that can be imported."))(list_importers)
    app.command("quality", help=tr("Judge the record: conformance, completeness, plausibility."))(quality)
    app.command("codes", help=tr("List the record's codes."))(codes)
    app.command("compact", help=tr("Move facts that arrived live into the record."))(compact)
    app.command("erase", help=tr("Erase one subject from the record, for good."))(erase)
    app.command("merge", help=tr("Let two subjects be one."))(merge)


def init(
    path: Annotated[Path, typer.Argument(help=tr("A new folder."))],
    name: Annotated[str | None, typer.Option(help=tr("The site's name; else the folder's."))] = None,
    time_zone: Annotated[
        str, typer.Option(help=tr("IANA name, such as Europe/Paris or Asia/Shanghai."))
    ] = "UTC",
    key: Annotated[
        str, typer.Option(help=tr("Where the site's key is kept: file, keyring or env."))
    ] = "file",
    encrypt: Annotated[
        bool, typer.Option(help=tr("Encrypt assets, live facts and quarantine at rest."))
    ] = False,
) -> None:
    """Create a site."""
    from pydantic import ValidationError

    try:
        settings = SiteSettings(
            name=name or path.resolve().name, time_zone=time_zone, key=key, encrypt_at_rest=encrypt
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            "site setting {key}: {reason}",
            key=".".join(map(str, first["loc"])),
            reason=first["msg"].removeprefix("Value error, "),
        ) from error
    Site.create(path, settings)
    screen.say(tr("Created the site {path}. Next: cd {path}; medloom import FORMAT SOURCE", path=path))


def import_(
    format: Annotated[
        str, typer.Argument(help=tr("fhir, omop, meds, table, …; `medloom importers` lists them."))
    ],
    source: Annotated[Path, typer.Argument(help=tr("A file or a folder."))],
    site: SiteOption = None,
    mapping: Annotated[
        str | None, typer.Option(help=tr("table: a mapping file, or the name of a shipped one."))
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help=tr("table: print a draft of the mapping and import nothing."))
    ] = False,
    system: Annotated[
        str, typer.Option(help=tr("Namespace of the patients' identifiers, where a hospital has several."))
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help=tr("key=value for the importer."))
    ] = None,
    json: JsonOption = False,
) -> None:
    """Import a source."""
    if suggest:
        from medloom.record.importers.table import suggest as draft

        screen.say(draft(source).rstrip("\n"))
        return
    importer = _importer(format, source, system, mapping, option or [])
    opened = Site.open(site)
    with screen.showing_progress(json):
        report = opened.record.add(importer)
    if json:
        screen.json(report.to_json())
        return
    screen.say(str(report))


def list_importers(json: JsonOption = False) -> None:
    """List the importers."""
    entries = registry.registered("medloom.importers")
    if json:
        screen.json({name: entry.value for name, entry in entries.items()})
        return
    rows = [(name, registry.summary(found)) for name, found in screen.loaded("medloom.importers")]
    screen.table([tr("format"), tr("what it is")], rows)


def quality(
    site: SiteOption = None,
    html: Annotated[Path | None, typer.Option("--html", help=tr("Write a page too."))] = None,
    json: JsonOption = False,
) -> None:
    """Judge the record."""
    from medloom.record.quality import assess

    opened = Site.open(site)
    with screen.showing_progress(json):
        report = assess(opened.record)
    if html is not None:
        report.to_html(html)
    if json:
        screen.json(report.to_json())
    else:
        show_quality(report)


def show_quality(report: QualityReport) -> None:
    """Print a quality report: a line a check, and what those that are not all right mean."""
    rows = report.rows()
    screen.table(
        [tr("status"), tr("check"), tr("found"), tr("share")],
        [(tr(status), title, found, share) for status, title, found, share, _ in rows],
        right=[2, 3],
    )
    screen.say()
    for status, title, _, _, meaning in rows:
        if status != "ok":
            screen.say(tr("{status}: {title}. {meaning}", status=tr(status), title=title, meaning=meaning))


def codes(
    search: Annotated[str, typer.Argument(help=tr("Part of a code or of its description."))] = "",
    site: SiteOption = None,
    json: JsonOption = False,
) -> None:
    """List the record's codes."""
    import polars as pl

    frame = Site.open(site).record.catalogue.frame
    found = frame.filter(
        pl.col("code").str.to_lowercase().str.contains(search.lower(), literal=True)
        | pl.col("description").str.to_lowercase().str.contains(search.lower(), literal=True).fill_null(False)
    ).select("code", "description", "unit", "static")
    if json:
        screen.json({"codes": found.to_dicts()})
        return
    screen.table(
        [tr("code"), tr("description"), tr("unit")], found.select("code", "description", "unit").iter_rows()
    )
    screen.say(tr("{n:,} codes", n=found.height))


def compact(site: SiteOption = None) -> None:
    """Move live facts into the record."""
    opened = Site.open(site)
    with screen.showing_progress():
        screen.say(str(opened.record.compact()))


def erase(
    subject: Annotated[
        str | None, typer.Argument(help=tr("The subject's pseudonym (subject_id)."), show_default=False)
    ] = None,
    patient: PatientOption = None,
    system: SystemOption = "",
    site: SiteOption = None,
    yes: Annotated[bool, typer.Option("--yes", help=tr("Do not ask."))] = False,
) -> None:
    """Erase a subject."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.loop import identity

    opened = Site.open(site)
    person = subject_of(opened.record, subject, patient, system)
    if not yes:
        typer.confirm(
            tr("Erase subject {subject} for good, also from older generations?", subject=person), abort=True
        )
    with operating(opened) as database:
        opened.record.erase(person)
        identity.erase(database, person, OPERATOR)
    screen.say(tr("Erased. Models trained before may still rest on this subject: train them anew."))


def merge(
    kept: Annotated[
        str | None, typer.Argument(help=tr("The subject that stays."), show_default=False)
    ] = None,
    absorbed: Annotated[
        str | None, typer.Argument(help=tr("The subject that becomes the other."), show_default=False)
    ] = None,
    patient: Annotated[
        list[str] | None,
        typer.Option("--patient", help=tr("Instead, the hospital's identifiers: who stays, then the other.")),
    ] = None,
    system: SystemOption = "",
    site: SiteOption = None,
) -> None:
    """Merge two subjects."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.loop import identity

    opened = Site.open(site)
    record = opened.record
    named, found = [one for one in (kept, absorbed) if one is not None], patient or []
    if (len(named), len(found)) not in ((2, 0), (0, 2)):
        raise InputError(
            "name two subjects, the one that stays first: both by pseudonym, or both with --patient ID --patient ID"
        )
    stays, goes = [pseudonym(one) for one in named] or [record.find(one, system) for one in found]
    with operating(opened) as database:
        record.merge(stays, goes)
        identity.merge(database, stays, goes, OPERATOR)
    screen.say(tr("Subject {absorbed} is now subject {kept}.", absorbed=goes, kept=stays))


def _importer(name: str, source: Path, system: str, mapping: str | None, options: list[str]) -> Importer:
    known = list(inspect.signature(registry.load("medloom.importers", name)).parameters)
    given: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise InputError("option {option!r} is not key=value", option=option)
        given[key] = value
    given |= {"system": system} if system else {}
    given |= {"mapping": mapping} if mapping else {}
    if "mapping" in known and "mapping" not in given:
        raise InputError(
            "a table needs a mapping; draft one with: medloom import table --suggest FILE > mapping.yaml"
        )
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(
            "importer {name!r} has no option {unknown}; it has: {known}",
            name=name,
            unknown=unknown,
            known=known[1:],
        )
    return importers.named(name, source, **given)
