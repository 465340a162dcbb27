"""Whom a call is about, and what is known of them: what was sent, or else the site's own record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from medloom.foundation.messages import Text2, text2
from medloom.loop.serving import Asked, Served
from medloom.record.importers.fhir.in_memory import read_in_memory
from medloom.record.record import Record
from medloom.record.vault import ERASED
from medloom.server.cds.clients import Client
from medloom.server.cds.requests import RefusedError
from medloom.tasks.asking import Asker


@dataclass(frozen=True)
class Patient:
    """Whom a call is about.

    Attributes:
        subject_id: the record's number, or a guest's (see `record.guests`).
        record: what is known: the site's record, or what was sent.
        sent: whether it was sent.
        cautions: what a reader must know of it.
    """

    subject_id: int
    record: Record
    sent: bool
    cautions: tuple[Text2, ...] = ()


def patient_of(
    record: Record,
    client: Client,
    patient_id: str,
    prefetch: Mapping[str, Any] | None,
    wanted: Mapping[str, str],
    now: datetime,
) -> Patient:
    """Find what is known of a patient.

    What was sent counts where all of it was sent; else the site's record, if the client's patients are known by it.

    Args:
        record: the site's.
        client: who calls.
        patient_id: FHIR id, as in the context.
        prefetch: what was sent: by key, a resource, a Bundle, or null where there is nothing.
        wanted: the keys that the service asks for.
        now: the site's wall clock.

    Raises:
        RefusedError: 412: not all was sent, and the record does not know the patient, or they were erased from it.
            400: what was sent is about somebody else.
    """
    missing = [key for key in wanted if key not in (prefetch or {})]
    system = f"cds:{client.issuer}" if client.system is None else client.system
    with record.guests() as guests:
        subject = int(guests.assign(system, [patient_id])[0])
        if subject == ERASED:
            raise RefusedError(
                "this patient was erased from the site; nothing is answered about them", status=412
            )
        if missing and subject < 0:
            raise RefusedError(
                "needed and not sent: {keys}; nothing is fetched from fhirServer",
                status=412,
                keys=missing,
            )
        if missing:
            return Patient(subject, record, False)
        sent = [document for key in wanted if (document := (prefetch or {})[key]) is not None]
        if any(map(_goes_on, sent)):
            raise RefusedError("prefetch has further pages; all of it has to be sent at once", status=412)
        visit = read_in_memory(sent, guests, system, record, now)
    if set(visit.subjects) - {patient_id}:
        raise RefusedError("prefetch holds facts of another patient than context.patientId")
    unusable = sum(visit.problems.values())
    cautions = [] if not unusable else [text2("{n} facts that were sent could not be used.", n=unusable)]
    return Patient(subject, visit.record, True, tuple(cautions))


def asked_now(served: Served, patient: Patient, now: datetime) -> Asked | None:
    """Give the sample of a patient where the task asks about them and the answer is still about what is to come."""
    asker = Asker(served.asker.task, patient.record) if patient.sent else served.asker
    current = asker.current(now, [patient.subject_id])
    until = current.until["until"].to_list()
    if not until or (until[0] is not None and until[0] <= now):
        return None
    sample = current.samples
    if patient.sent:
        # what was sent says nothing of whether the model learned from this patient; the site's record does
        split = "held_out"
        if patient.subject_id > 0:
            split = served.asker.at(now, patient.subject_id)[0].frame["split"][0]
        sample = replace(sample, frame=sample.frame.with_columns(split=pl.lit(split)))
    return Asked(sample, patient.cautions)


def _goes_on(document: Any) -> bool:
    """Tell whether a Bundle has a next page (section "Prefetch Template")."""
    links = document.get("link") if isinstance(document, dict) else None
    return isinstance(links, list) and any(
        isinstance(link, dict) and link.get("relation") == "next" for link in links
    )
