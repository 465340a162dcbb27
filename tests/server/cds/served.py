"""A hospital with a released model, served over loopback, and a record system that is registered with it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import uvicorn

import medloom as ml
from medloom import dossier
from medloom.database.engine import Database
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.record.importing import Batch, ImportContext
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.cds import clients
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.cds.ehr import Ehr
from tests.sites import LAB, Stays
from tests.tasks.builders import at

ADMIN = Actor("root", "admin")
NOW = at(60)  # the stays of all patients began 60 hours ago, and were asked about 12 hours ago
CREATININE, AKI = "LOINC//2160-0", "SNOMED//14669001"
TASK = f"""\
name: aki
title: {{en: Acute kidney injury within 48 hours, zh: 48小时内急性肾损伤}}
kind: binary
prediction_time: {{event: [ENCOUNTER//inpatient//START], offset: 48h}}
predict: {{event: [{AKI}], within: 48h}}
"""
Json = dict[str, Any]


class Kidneys(Stays):
    """Patients whose creatinine foretells an acute kidney injury."""

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        is_lab = pl.col("code") == LAB
        for batch in super().batches(context):
            yield replace(
                batch,
                facts=batch.facts.filter(pl.col("code") != "X//other").with_columns(
                    code=pl.col("code").replace({LAB: CREATININE, "X//outcome": AKI}),
                    numeric_value=pl.when(is_lab).then(1.5 + 0.3 * pl.col("numeric_value")),
                    unit=pl.when(is_lab).then(pl.lit("mg/dL")),
                ),
            )


@dataclass
class Hospital:
    site: Site
    backend: Backend
    address: str
    ehr: Ehr = field(default_factory=Ehr)
    stranger: Ehr = field(default_factory=lambda: Ehr("https://clinic.example.org"))

    def url(self, path: str = "") -> str:
        return f"{self.address}/cds-services{path}"

    def post(self, path: str, body: Any, by: Ehr | None = None, **headers: str) -> httpx.Response:
        token = (by or self.ehr).token(self.url(path))
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx.post(self.url(path), headers={"authorization": f"Bearer {token}", **headers}, **sent)


@contextmanager
def hospital(folder: Path) -> Iterator[Hospital]:
    site = Site.create(folder / "site")
    site.record.add(Kidneys(0, 200))
    (site.directory.tasks / "aki.yaml").write_text(TASK, encoding="utf-8")
    ml.train(site.task("aki"), "logistic", ranges=False)
    dossier.evaluate(site, "aki.logistic")
    database = Database.of(site.directory)
    proposed = releases.propose(site, database, "aki.logistic", Actor("ada", "data_scientist"), threshold=0.5)
    releases.sign(database, proposed.id, Actor("grace", "governance"))
    database.close()
    backend = Backend.of(site, ServerSettings(as_of=NOW))
    server = uvicorn.Server(uvicorn.Config(create_app(backend), port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    made = Hospital(site, backend, f"http://127.0.0.1:{port}")
    clients.add(backend.database, ADMIN, "ehr", made.ehr.issuer, made.ehr.jwks(), system="")
    clients.add(backend.database, ADMIN, "clinic", made.stranger.issuer, made.stranger.jwks())
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join()


def resources(patient: str, value: float, began: float = 0.0) -> Json:
    """Give what is prefetched of a stay that began so many hours after the first day."""
    about = {"subject": {"reference": f"Patient/{patient}"}}
    stay = {
        "resourceType": "Encounter",
        "id": f"stay-{patient}",
        "status": "in-progress",
        "class": {"code": "IMP"},
        "period": {"start": at(began).isoformat() + "Z"},
        **about,
    }
    lab = {
        "resourceType": "Observation",
        "id": f"lab-{patient}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "effectiveDateTime": at(began + 10).isoformat() + "Z",
        "valueQuantity": {"value": value, "code": "mg/dL"},
        **about,
    }
    return {
        "patient": {"resourceType": "Patient", "id": patient, "gender": "female", "birthDate": "1950-05-05"},
        "encounter": bundle(stay),
        "observation": bundle(lab),
    }


def bundle(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in entries]}


def call(
    patient: str, hook: str = "patient-view", prefetch: Json | None = None, wanted: Any = (), **context: Any
) -> Json:
    """Make a call; of `wanted` keys that are not in `prefetch` it says that there is nothing."""
    body: Json = {
        "hook": hook,
        "hookInstance": str(uuid.uuid4()),
        "fhirServer": "http://169.254.169.254/fhir",
        "fhirAuthorization": {"access_token": "secret", "token_type": "Bearer"},
        "context": {"userId": "Practitioner/grace", "patientId": patient, **context},
    }
    if prefetch is not None:
        body["prefetch"] = {key: prefetch.get(key) for key in (*wanted, *prefetch)}
    return body
