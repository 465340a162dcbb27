"""The command `facts`: what notes tell, taken into the record, asked about in SQL, given as FHIR, reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.site import Site

if TYPE_CHECKING:
    import polars as pl

    from medloom.care.notes.facts import Extraction
    from medloom.learners.text.facts.mentions import Finder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("facts", help=tr("Take facts from the site's notes, and ask about them."))(facts)


def facts(
    site: SiteOption = None,
    extract: Annotated[
        bool, typer.Option("--extract", help=tr("Read the site's notes first; safe to repeat."))
    ] = False,
    where: Annotated[
        str | None,
        typer.Option(help=tr("An expression in SQL, such as: code like 'ICD10CM//E11%'; else all facts.")),
    ] = None,
    dictionary: Annotated[
        list[str] | None,
        typer.Option(
            help=tr("--extract: icd10cm, hpo, drugbank, or own for our words alone; else icd10cm and hpo.")
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=tr("--extract: TASK.LEARNER[@N] that names places in notes, asked before the rules.")
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help=tr("--model: NAME=KIND of facts; kinds: problem, drug, procedure, allergy.")),
    ] = None,
    normaliser: Annotated[
        Path | None,
        typer.Option(help=tr("--model: a folder with a normaliser, for words that no dictionary has.")),
    ] = None,
    fhir: Annotated[Path | None, typer.Option(help=tr("Write the facts as a FHIR R4 Bundle too."))] = None,
    limit: Annotated[int, typer.Option(help=tr("Facts shown at most; 0: all. A file holds all."))] = 50,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help=tr("List the facts that wait for a person instead."))
    ] = False,
    agreement: Annotated[
        bool,
        typer.Option(
            "--agreement", help=tr("Tell how far those agree who read the same notes to their end.")
        ),
    ] = False,
    accept: Annotated[
        int | None, typer.Option(help=tr("Take a doubtful fact into the record, by its number."))
    ] = None,
    reject: Annotated[int | None, typer.Option(help=tr("Refuse a doubtful fact, by its number."))] = None,
    code: Annotated[
        str | None, typer.Option(help=tr("--accept: another code, such as NOT//ICD10CM//I10."))
    ] = None,
    by: Annotated[str | None, typer.Option(help=tr("Who accepts or rejects."))] = None,
    json: JsonOption = False,
) -> None:
    """Extract, ask, review."""
    from medloom.care.notes.asking import facts_where

    opened = Site.open(site)
    if accept is not None or reject is not None:
        _decide(opened, accept, reject, code, by, json)
        return
    if agreement:
        list_agreement(opened, json)
        return
    if model is None and (kind or normaliser is not None):
        raise InputError("--kind and --normaliser tell of a model's places; name it: --model TASK.LEARNER")
    named = () if model is None else (model_finder(opened, model, dictionary, kind or (), normaliser),)
    extraction = extracted(opened, dictionary, json, named) if extract else None
    if doubtful:
        list_doubtful(opened, json)
        return
    if extract and where is None and fhir is None:
        if json:
            screen.json(extraction.to_json() if extraction else {})
        return
    found = facts_where(opened.record, where)
    if fhir is not None:
        write_fhir(opened, found, fhir)
    if json:
        screen.json(
            {"facts": found.to_dicts()} | ({"extraction": extraction.to_json()} if extraction else {})
        )
        return
    show_facts(found, limit, fhir)


def model_finder(
    opened: Site, model: str, dictionary: list[str] | None, kinds: Sequence[str], normaliser: Path | None
) -> Finder:
    """Give what finds facts as one of the site's models names places.

    It is called by the model's name without a version: what a new version says replaces what the last one said.

    Raises:
        InputError: the model names no places, or it is not known what they mean.
    """
    from medloom.learners.text.facts.tagger import TaggerFinder, meant_by
    from medloom.learners.text.normalising.normaliser import Normaliser
    from medloom.places import tagging_by
    from medloom.tasks import library

    name = opened.model_name(model)
    patterns = library.find(name.task, opened.directory).predict.spans or {}
    pairs = (one.partition("=") for one in kinds)
    return TaggerFinder(
        f"{name.task}.{name.learner}",
        tagging_by(opened.model(str(name))),
        meant_by(patterns, {one: kind for one, _, kind in pairs}),
        _vocabularies(dictionary),
        None if normaliser is None else Normaliser.load(normaliser),
    )


def extracted(
    opened: Site, dictionary: list[str] | None, quiet: bool, finders: Sequence[Finder] = ()
) -> Extraction:
    """Take facts out of a site's notes, and say how many; `finders` go before the rules."""
    from medloom.care.notes.facts import keep_facts
    from medloom.learners.text.facts.rules import RuleFinder

    with screen.showing_progress(quiet):
        found = keep_facts(opened.record, [*finders, RuleFinder(_vocabularies(dictionary))])
    if quiet:
        return found
    written = sum(one.written for one in found.reports)
    screen.say(
        tr(
            "{notes:,} notes read, {n:,} facts written, {known:,} known already.",
            notes=found.notes,
            n=written,
            known=sum(one.duplicates for one in found.reports),
        )
    )
    if foreign := found.languages["other"]:
        screen.warning(
            tr("{n:,} notes are neither in English nor in Chinese; nothing was taken from them.", n=foreign)
        )
    if waiting := sum(found.doubtful.values()):
        screen.say(tr("{n:,} doubtful facts wait for a person: medloom facts --doubtful", n=waiting))
    return found


def _vocabularies(dictionary: list[str] | None) -> tuple[str, ...]:
    return ("icd10cm", "hpo") if dictionary is None else tuple(one for one in dictionary if one != "own")


def _decide(
    opened: Site, accept: int | None, reject: int | None, code: str | None, by: str | None, json: bool
) -> None:
    from medloom.care.notes import reviewing

    if by is None or (accept is not None) == (reject is not None):
        raise InputError("name one fact and who decides: --accept 3 --by NAME, or --reject 3 --by NAME")
    if accept is not None:
        decided = reviewing.accept(opened.record, accept, by, code)
        said = tr("Fact {id} stands in the record now.", id=accept)
    elif reject is not None:
        decided = reviewing.reject(opened.record, reject, by)
        said = tr("Fact {id} was rejected.", id=reject)
    if json:
        screen.json({"id": decided.id, "state": decided.state})
    else:
        screen.say(said)


def list_doubtful(opened: Site, json: bool) -> None:
    """Print the facts that wait for a person."""
    from medloom.care.notes.facts import note_texts
    from medloom.learners.text.facts.mentions import parts_of, words_at

    with opened.record.doubtful() as queue:
        waiting = queue.facts()
    texts = note_texts(opened.record, sorted({one.subject_id for one in waiting}))
    rows = []
    for one in waiting:
        text = texts.get((one.subject_id, one.derived_from), "")
        words = "" if "language" in one.reasons else words_at(text, parts_of(one.fact["span"]))
        rows.append((one, words))
    if json:
        listed = [
            {
                "id": one.id,
                "subject_id": one.subject_id,
                "derived_from": one.derived_from,
                "reasons": one.reasons,
                **one.fact,
                "words": words,
            }
            for one, words in rows
        ]
        screen.json({"doubtful": listed})
        return
    screen.table(
        [tr("number"), tr("patient"), tr("code"), tr("words"), tr("why")],
        [(one.id, one.subject_id, one.fact["code"], words, ", ".join(one.reasons)) for one, words in rows],
        right=(0, 1),
    )


def list_agreement(opened: Site, json: bool) -> None:
    """Print how far readers of the same notes agree."""
    from medloom.care.notes.agreeing import reader_agreement
    from medloom.database.engine import Database
    from medloom.foundation.messages import here

    database = Database.of(opened.directory)
    try:
        found = reader_agreement(opened.record, database)
    finally:
        database.close()
    if json:
        screen.json({"agreement": [one.to_json() for one in found]})
        return
    if not found:
        screen.say(tr("No note was read to its end by two people, each for themselves."))
        return
    screen.table(
        [tr("readers"), tr("notes"), tr("F1, strict"), tr("F1, touching"), tr("kappa of words")],
        [
            (
                f"{one.first}, {one.second}",
                one.notes,
                one.strict.said(2),
                one.touching.said(2),
                one.kappa.said(2),
            )
            for one in found
        ],
        right=(1,),
    )
    for one in found:
        screen.say(f"{one.first}, {one.second}: {here(one.meaning)}")


def write_fhir(opened: Site, found: pl.DataFrame, path: Path) -> None:
    """Write facts as a FHIR R4 Bundle."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    import orjson

    from medloom.care.notes.resources import bundle
    from medloom.foundation.clock import Clock
    from medloom.foundation.files import write_bytes

    zone = opened.settings.time_zone
    now = datetime.now(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0)
    write_bytes(path, orjson.dumps(bundle(found, Clock(zone), now), option=orjson.OPT_INDENT_2))


def show_facts(found: pl.DataFrame, limit: int, fhir: Path | None) -> None:
    """Print facts with their words, at most so many; 0: all."""
    shown = found.head(limit) if limit > 0 else found
    rows = [
        (
            row["subject_id"],
            "" if row["time"] is None else f"{row['time']:%Y-%m-%d}",
            row["code"],
            " ".join(
                str(one)
                for one in (
                    None if row["numeric_value"] is None else f"{row['numeric_value']:g}",
                    row["unit"],
                    row["text_value"],
                )
                if one is not None
            ),
            row["words"],
            row["span"],
        )
        for row in shown.iter_rows(named=True)
    ]
    screen.table(
        [tr("patient"), tr("time"), tr("code"), tr("value"), tr("words"), tr("place")], rows, right=(0,)
    )
    screen.say(tr("{n:,} facts.", n=found.height))
    if found.height > shown.height:
        screen.say(tr("Shown are {n:,}; more with --limit, all with --json.", n=shown.height))
    if fhir is not None:
        screen.say(tr("Wrote {path}.", path=fhir))
