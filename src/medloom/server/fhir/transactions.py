"""Bundles in: a transaction or batch becomes live facts, read as an import reads them (R4 § 3.1.0.11).

Facts go to the live tail and not through an import: an import makes a new generation of the whole record and lets
nobody else in meanwhile, while appended facts are visible, to models too, within milliseconds, and are merged in the
same way at the next import or compaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from medloom.foundation.messages import tr
from medloom.knowledge.fhir_terms import Json
from medloom.record.importers.fhir.importer import KINDS
from medloom.record.importers.fhir.in_memory import read_batch
from medloom.record.importers.fhir.references import bare
from medloom.record.importing import CodeInfo, as_batch_frame
from medloom.record.normalising import with_problems
from medloom.record.record import Record
from medloom.server import arrivals
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.fhir.outcomes import RefusedError, outcome

_MOST_ENTRIES: Final = 10_000
_METHODS: Final = ("POST", "PUT")
_CONDITIONS: Final = ("ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince")
_OUR_ENCOUNTER: Final = r"^\d+-(e\d+|\d+-\d+)$"
_MEDICATION: Final = "Medication"  # serves the entries that refer to it


@dataclass
class _Told:
    """What is answered to each entry, by its place from 1."""

    refused: dict[int, tuple[int, str]] = field(default_factory=dict)
    passed_over: dict[int, str] = field(default_factory=dict)

    def refuse(self, place: int, status: int, said: str) -> None:
        self.refused.setdefault(place, (status, said))


def take_in(backend: Backend, person: Person, bundle: Any, system: str | None) -> tuple[int, Json]:
    """Take in a Bundle: status, and the response Bundle or what was wrong.

    A transaction is taken in as a whole or not at all; of a batch every entry by itself. An entry without a fact of
    a patient, such as a Practitioner, is passed over and told of.

    Args:
        backend: of the server.
        person: who sends it.
        bundle: parsed JSON.
        system: namespace of the patients' identifiers in the Bundle, as at an import; None: references to patients
            are to those of this server, by their number.

    Raises:
        RefusedError: it is no transaction or batch.
        LockedError: an import is running, and one of the patients is new.
    """
    entries = _entries(bundle)
    told = _Told()
    for place, entry in enumerate(entries, start=1):
        _check_request(place, entry, told)
    seen = _check_patients(backend, person, entries, told) if system is None else None
    facts, codes = _facts(backend, bundle, entries, told)
    if seen is not None:
        _check_same(facts, seen, told)
    whole = bundle["type"] == "transaction"
    facts = facts.filter(~pl.col("row").is_in(list(told.refused)))
    if facts.height and not (whole and told.refused):
        named = _under_identifiers(backend.site.record, facts, system)
        places = named["row"].to_list()
        arrival = arrivals.keep(backend, person, named, "fhir", codes=codes, whole=whole)
        for row, reason in arrival.refused.items():
            told.refuse(places[row - 1], 422, tr(reason))
    if whole and told.refused:
        status = 403 if all(status == 403 for status, _ in told.refused.values()) else 422
        return status, _refusals(told)
    answers = [_answer(place, entry, told) for place, entry in enumerate(entries, start=1)]
    return 200, {"resourceType": "Bundle", "type": f"{bundle['type']}-response", "entry": answers}


def _entries(bundle: Any) -> list[Any]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise RefusedError("send a Bundle here, of type transaction or batch")
    if bundle.get("type") not in ("transaction", "batch"):
        raise RefusedError("a Bundle that is sent here is of type transaction or batch")
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries:
        raise RefusedError("the Bundle has no entries")
    if len(entries) > _MOST_ENTRIES:
        raise RefusedError(
            "the Bundle has more than {n:,} entries; import it as a file instead", n=_MOST_ENTRIES, status=413
        )
    return entries


def _check_request(place: int, entry: Any, told: _Told) -> None:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or request.get("method") not in _METHODS:
        told.refuse(place, 405, tr("an entry here has a request by POST or PUT"))
    elif any(name in request for name in _CONDITIONS):
        told.refuse(place, 412, tr("conditional requests are not taken here"))
    elif not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        told.refuse(place, 400, tr("the entry holds no resource"))
    elif str(request.get("url", "")).strip("/").split("/")[0] != resource["resourceType"]:
        told.refuse(place, 400, tr("the address of the request is of another type than the resource"))
    elif resource["resourceType"] not in KINDS and resource["resourceType"] != _MEDICATION:
        told.passed_over[place] = tr(
            "{kind} holds no fact that the record keeps; nothing was done with it",
            kind=resource["resourceType"],
        )


def _check_patients(backend: Backend, person: Person, entries: list[Any], told: _Told) -> dict[int, int]:
    """Refuse what is not about a patient of this server whom the person sees; gives place → patient of the rest."""
    known = set(backend.site.record.subject_ids.tolist())
    found: dict[int, int] = {}
    for place, entry in enumerate(entries, start=1):
        if place in told.refused or place in told.passed_over:
            continue
        resource = entry["resource"]
        kind = resource["resourceType"]
        if kind == _MEDICATION:
            continue
        if kind == "Patient":
            told.refuse(
                place,
                422,
                tr("to bring patients, name the namespace of their identifiers in the address: ?system=NAME"),
            )
            continue
        subject = _subject(resource, KINDS[kind].subject or "subject")
        if subject is None or subject not in known:
            told.refuse(
                place,
                422,
                tr(
                    "the resource names no patient of this server, such as Patient/12; if it names one by the"
                    " hospital's identifier, name its namespace in the address: ?system=NAME"
                ),
            )
        elif not backend.sees(person, subject):
            told.refuse(place, 403, tr("this patient is not of your care team"))
        else:
            found[place] = subject
    return found


def _check_same(facts: pl.DataFrame, seen: Mapping[int, int], told: _Told) -> None:
    """Refuse what would be read as another patient's than was checked, as where a fullUrl stands for another id."""
    for place, patient in facts.select("row", "patient").unique().iter_rows():
        if place not in told.refused and patient != str(seen.get(place)):
            told.refuse(place, 422, tr("the resource names its patient in a way that is not taken here"))


def _subject(resource: Json, name: str) -> int | None:
    reference = resource.get(name)
    address = reference.get("reference") if isinstance(reference, dict) else None
    number = (
        bare(address, "Patient", {}) if isinstance(address, str) and not address.startswith("urn:") else None
    )
    return int(number) if number and number.isascii() and number.isdecimal() and len(number) < 19 else None


def _facts(
    backend: Backend, bundle: Json, entries: list[Any], told: _Told
) -> tuple[pl.DataFrame, Mapping[str, CodeInfo]]:
    """Read the facts of what was not refused, and what is said of their codes.

    What cannot be used is refused, with the whole entry it is of.
    """
    nothing: dict[str, Any] = {}
    usable = [
        nothing if place in told.refused or place in told.passed_over else entry
        for place, entry in enumerate(entries, start=1)
    ]
    zone = backend.site.settings.time_zone
    batch = read_batch(
        [{**bundle, "entry": [one or {"resource": {"resourceType": "Basic"}} for one in usable]}], zone
    )
    facts = with_problems(as_batch_frame(batch.facts, zone))
    for place, problem in facts.filter(pl.col("problem").is_not_null()).select("row", "problem").iter_rows():
        told.refuse(int(place), 422, tr(problem))
    found = set(facts["row"].to_list())
    for place, entry in enumerate(usable, start=1):
        if entry and place not in found and entry["resource"]["resourceType"] != _MEDICATION:
            told.passed_over[place] = tr("the resource holds no fact; nothing was done with it")
    return facts, batch.codes


def _under_identifiers(record: Record, facts: pl.DataFrame, system: str | None) -> pl.DataFrame:
    """Name the `system` of each fact's patient; about patients of this server, as if their source had named them."""
    if system is not None:
        return facts.with_columns(system=pl.lit(system))
    subjects = [int(number) for number in facts["patient"].unique()]
    known = {str(subject): pairs[0] for subject, pairs in record.identifiers(subjects).items()}
    # facts name stays by the source's identifiers, which an id of this server's does not tell
    ours = pl.col("encounter").str.contains(_OUR_ENCOUNTER)
    return facts.with_columns(
        system=pl.col("patient").replace_strict({number: pair[0] for number, pair in known.items()}),
        patient=pl.col("patient").replace_strict({number: pair[1] for number, pair in known.items()}),
        encounter=pl.when(~ours).then("encounter"),
    )


def _answer(place: int, entry: Json, told: _Told) -> Json:
    if place in told.refused:
        status, said = told.refused[place]
        return {"response": {"status": str(status), "outcome": outcome(said, status)}}
    if place in told.passed_over:
        issue = {"severity": "information", "code": "not-supported", "diagnostics": told.passed_over[place]}
        return {
            "response": {"status": "200", "outcome": {"resourceType": "OperationOutcome", "issue": [issue]}}
        }
    return {"response": {"status": "201" if entry["request"]["method"] == "POST" else "200"}}


def _refusals(told: _Told) -> Json:
    issues: Iterable[Json] = (
        outcome(said, status)["issue"][0] | {"expression": [f"Bundle.entry[{place - 1}]"]}
        for place, (status, said) in sorted(told.refused.items())
    )
    return {"resourceType": "OperationOutcome", "issue": list(issues)}
