"""Resources that came in a request, read as an import reads them, into a record in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from medloom.record.importers.fhir.codings import Codings
from medloom.record.importers.fhir.importer import KINDS
from medloom.record.importers.fhir.medications import Medications
from medloom.record.importers.fhir.reading import Reading
from medloom.record.importing import Batch
from medloom.record.merging import merge
from medloom.record.normalising import Identities, Normaliser
from medloom.record.record import Record
from medloom.record.schema import RECORD_SCHEMA
from medloom.record.store import MemoryStore


@dataclass(frozen=True)
class Visit:
    """What a request told of people.

    Attributes:
        record: the facts, with the face of every record; its codes and units are those that an import would leave.
        subjects: source identifier of each patient met → number in `record`.
        problems: why facts could not be used → how many.
    """

    record: Record
    subjects: Mapping[str, int]
    problems: Mapping[str, int]


def read_in_memory(
    documents: Sequence[Any], identities: Identities, system: str, base: Record, now: datetime
) -> Visit:
    """Read FHIR R4 resources and Bundles, parsed from JSON, as `FhirImporter` reads files of them.

    A fact that stands in several documents counts once. Units are those of `base`, the record whose models
    will be asked; nothing is added to it. What is wrong with a resource is counted, and nothing raises.

    Args:
        documents: what was parsed; anything that is not FHIR is a problem.
        identities: who the patients are.
        system: namespace of the patients' identifiers.
        base: gives canonical units, descriptions and ancestors of codes, and the site's settings.
        now: the site's wall clock; undated retractions hold from then.
    """
    settings = base.settings
    catalogue = base.catalogue
    normaliser = Normaliser(identities, system, 0, catalogue.units(), settings.time_zone, now)
    pending, rejected = normaliser.normalise(read_batch(documents, settings.time_zone))
    merged = merge(pl.DataFrame(schema=RECORD_SCHEMA), pending)
    problems = Counter(rejected["problem"].to_list())
    if merged.undatable.height:
        problems["no date, and its encounter has no end"] = merged.undatable.height
    codes = merged.rows["code"].unique()
    learned = catalogue.updated(normaliser.codes, normaliser.units, normaliser.static_codes, codes)
    record = Record(MemoryStore.of_events(merged.rows, settings.split_seed, learned), settings=settings)
    return Visit(record, dict(normaliser.subjects), problems)


def read_batch(documents: Sequence[Any], zone: str) -> Batch:
    """Read the documents, each as a file of its own; `row` is the place of an entry in its Bundle, from 1."""
    codes = Codings()
    reading = Reading(KINDS, Medications(lambda: _medications(documents)), codes, zone)
    for ordinal, document in enumerate(documents):
        reading.open_file(ordinal)
        entries = _entries(document)
        reading.enter_bundle()
        for entry in entries:
            reading.meet(entry)
        for row, entry in enumerate(entries, start=1):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(resource, dict) and resource.get("resourceType") == "Medication":
                reading.pass_over("Medication")
            else:
                reading.resource(resource, row)
        reading.leave_bundle()
    return reading.take()


def _entries(document: Any) -> list[Any]:
    """Give the entries of a Bundle, or a single resource as the one entry of one."""
    if isinstance(document, dict) and document.get("resourceType") == "Bundle":
        entries = document.get("entry")
        return entries if isinstance(entries, list) else []
    return [{"resource": document}]


def _medications(documents: Iterable[Any]) -> Iterator[Any]:
    for document in documents:
        for entry in _entries(document):
            with suppress(AttributeError, KeyError, TypeError):
                if entry["resource"]["resourceType"] == "Medication":
                    yield entry["resource"]
