"""The importer: files to documents, documents to resources, resources to batches."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson

from medloom.record.importers.fhir import (
    bundles,
    clinical,
    documents,
    observations,
    patients,
    problems,
    source,
    treatments,
)
from medloom.record.importers.fhir.codings import Codings
from medloom.record.importers.fhir.medications import Medications
from medloom.record.importers.fhir.reading import FACTS_PER_BATCH, Kind, Reading
from medloom.record.importing import Batch, ImportContext, Importer

KINDS: Final[Mapping[str, Kind]] = {
    "Patient": Kind(patients.patient, None, None),
    "Encounter": Kind(patients.encounter, "subject", None),
    "Condition": Kind(clinical.condition, "subject", "encounter"),
    "AllergyIntolerance": Kind(clinical.allergy, "patient", "encounter"),
    "Procedure": Kind(clinical.procedure, "subject", "encounter"),
    "Immunization": Kind(clinical.immunization, "patient", "encounter"),
    "ServiceRequest": Kind(clinical.service_request, "subject", "encounter"),
    "Observation": Kind(observations.observation, "subject", "encounter"),
    "MedicationRequest": Kind(treatments.medication_request, "subject", "encounter"),
    "MedicationAdministration": Kind(treatments.medication_administration, "subject", "context"),
    "MedicationDispense": Kind(treatments.medication_dispense, "subject", "context"),
    "MedicationStatement": Kind(treatments.medication_statement, "subject", "context"),
    "DiagnosticReport": Kind(documents.diagnostic_report, "subject", "encounter"),
    "DocumentReference": Kind(documents.document_reference, "subject", None),
}

_TYPE: Final = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]+)"')


class FhirImporter(Importer):
    """Reads FHIR R4: bulk-export NDJSON and Bundles or resources in JSON, gzipped or not, in folders or tars.

    `system` is the namespace of the patients' identifiers. `row` of a fact is the
    line in an NDJSON file, the entry in a Bundle; in a tar both are counted
    through all its members. A Bundle's bytes are held in memory, NDJSON never is.

    >>> FhirImporter("export/", system="st-mary").system
    'st-mary'
    """

    name: ClassVar[str] = "fhir"

    def __init__(self, path: str | Path, system: str = "") -> None:
        self.path = path
        self.system = system

    def sources(self) -> list[Path]:
        """List the files that will be read, sorted.

        Raises:
            InputError: nothing there looks like FHIR; the message says what was looked for.
            StorageError: a folder or file may not be read.
        """
        return source.find(Path(self.path))

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield the facts of all files, in the files' order."""
        run = _Run(self.sources(), context)
        filled = run.filled()
        while True:
            with _without_cycle_search():
                reading = next(filled, None)
                batch = reading.take() if reading is not None else None
            if batch is None:
                return
            yield batch


class _Run:
    """One pass through the files."""

    def __init__(self, files: list[Path], context: ImportContext) -> None:
        self._files = files
        self._codes = Codings()
        self._medications = Medications(self._all_medications)
        self._reading = Reading(KINDS, self._medications, self._codes, context.time_zone)
        self._row = 0  # of the file at hand, the last that was read
        self._damaged = False  # of that file a damage has been noted

    def filled(self) -> Iterator[Reading]:
        """Read on until a batch is full, and yield the reading for it to be taken; again until the end."""
        reading = self._reading
        for ordinal, path in enumerate(self._files):
            reading.open_file(ordinal)
            self._row = 0
            self._damaged = False
            try:
                for name, pieces in source.documents(path):
                    for _ in self._document(name, pieces):
                        yield reading
            except source.DamagedError as damage:
                self._note_damage(damage)
        if not reading.empty:
            yield reading

    def _note_damage(self, damage: source.DamagedError) -> None:
        if damage.problem == problems.EMPTY_FILE:
            self._reading.notes[damage.problem] += 1
        elif not self._damaged:  # a tar that ends early ends its last member early too: said once
            self._damaged = True
            self._row += 1
            self._reading.problem(self._row, damage.problem)

    def _document(self, name: str, pieces: Iterator[bytes]) -> Iterator[None]:
        """Read one document; pause whenever a batch is full."""
        if name.endswith(source.LINES):
            yield from self._lines(pieces)
            return
        damage = None
        whole = bytearray()
        try:
            for piece in pieces:
                whole += piece
        except source.DamagedError as error:
            damage = error
        data = bytes(whole)
        del whole
        if not data.strip():
            self._note_damage(damage or source.DamagedError(problems.EMPTY_FILE))
            return
        if damage is None and (cut := bundles.cut(data)) is not None:
            yield from self._pieces(data, cut)
            return
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError:
            if damage is None and _is_json(data.lstrip().partition(b"\n")[0]):
                yield from self._lines(iter((data,)))  # one resource a line, under the other name
                return
            yield from self._entries(bundles.whole_entries(data))
            fault = problems.FILE_NOT_JSON if data.rstrip().endswith(b"}") else problems.TRUNCATED
            self._note_damage(damage or source.DamagedError(_why_not_json(data, fault)))
            return
        del data
        yield from self._content(content)
        if damage is not None:
            self._note_damage(damage)

    def _lines(self, pieces: Iterator[bytes]) -> Iterator[None]:
        reading = self._reading
        loads = orjson.loads
        read = reading.resource
        facts = reading.facts
        row = begun = self._row
        passing = False  # the last resource was of a type that is passed over: look before parsing
        try:
            for block in source.lines(pieces):
                for line in block:
                    row += 1
                    if passing and (kind := _passed_over(line)):
                        reading.pass_over(kind)
                        continue
                    try:
                        resource = loads(line)
                    except orjson.JSONDecodeError:
                        if line.strip():
                            reading.problem(row, _why_not_json(line, problems.NOT_JSON))
                        continue
                    kind = resource.get("resourceType") if isinstance(resource, dict) else None
                    if kind == "Bundle":
                        self._row = row
                        yield from self._content(resource, step=0)
                    elif kind == "Medication":
                        self._medication(resource, row)
                    else:
                        passing = isinstance(kind, str) and kind not in KINDS
                        read(resource, row)
                    if len(facts) >= FACTS_PER_BATCH:
                        yield
                self._row = row
        except source.DamagedError as damage:
            self._note_damage(damage)
        if row == begun and not self._damaged:
            reading.notes[problems.EMPTY_FILE] += 1

    def _content(self, content: Any, step: int = 1) -> Iterator[None]:
        """Read a Bundle or a single resource; `step` is what the row grows by from entry to entry."""
        kind = content.get("resourceType") if isinstance(content, dict) else None
        if kind == "Bundle":
            entries = content.get("entry")
            yield from self._entries(entries if isinstance(entries, list) else [], step)
        elif kind is None and isinstance(content, dict) and "transactionTime" in content:
            self._reading.notes[problems.EXPORT_MANIFEST] += 1
        else:
            self._row += 1
            if kind == "Medication":
                self._medication(content, self._row)
            else:
                self._reading.resource(content, self._row)

    def _entries(self, entries: list[Any], step: int = 1) -> Iterator[None]:
        reading = self._reading
        facts = reading.facts
        reading.enter_bundle()
        for entry in entries:
            reading.meet(entry)
        for entry in entries:
            self._row += step
            self._entry(entry)
            if len(facts) >= FACTS_PER_BATCH:
                yield
        reading.leave_bundle()

    def _pieces(self, data: bytes, pieces: bundles.Pieces) -> Iterator[None]:
        """Read a Bundle that has been cut, entry by entry."""
        reading = self._reading
        facts = reading.facts
        reading.enter_bundle(pieces.aliases)
        for begin, end, kind in pieces.places:
            if kind == "Medication":
                with suppress(ValueError):  # said when it is read in its turn
                    for entry in bundles.entries_in(data[begin:end]):
                        reading.meet(entry)
        for begin, end, kind in pieces.places:
            # with one resource in it there is no other entry behind this one
            if kind not in KINDS and data.count(b'"resource"', begin, end) == 1:
                self._row += 1
                reading.pass_over(kind)
                continue
            try:
                entries = bundles.entries_in(data[begin:end])
            except ValueError:
                self._row += 1
                reading.problem(self._row, _why_not_json(data[begin:end], problems.NOT_JSON))
                continue
            for entry in entries:
                self._row += 1
                self._entry(entry)
            if len(facts) >= FACTS_PER_BATCH:
                yield
        reading.leave_bundle()

    def _entry(self, entry: Any) -> None:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if resource is None:
            self._reading.notes[problems.WITHOUT_RESOURCE] += 1
        else:
            self._reading.resource(resource, self._row)

    def _medication(self, resource: Any, row: int) -> None:
        try:
            self._medications.add(resource, self._codes)
        except (AttributeError, TypeError):
            self._reading.problem(row, problems.MALFORMED)
        else:
            self._reading.pass_over("Medication")

    def _all_medications(self) -> Iterator[Any]:
        """Go through all files for Medications."""
        for path in self._files:
            try:
                for name, pieces in source.documents(path):
                    blocks = source.lines(pieces) if name.endswith(source.LINES) else ([b"".join(pieces)],)
                    for block in blocks:
                        for text in block:
                            if b'"Medication"' in text:
                                yield from _medications_in(text)
            except source.DamagedError:
                continue  # the pass that reads the file says it


def _medications_in(text: bytes) -> Iterator[Any]:
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    entries = content.get("entry") if isinstance(content, dict) else None
    resources = [content]
    if isinstance(entries, list):
        resources = [entry.get("resource") for entry in entries if isinstance(entry, dict)]
    yield from (r for r in resources if isinstance(r, dict) and r.get("resourceType") == "Medication")


def _passed_over(line: bytes) -> str | None:
    """Name the type of a line's resource if it is one that is passed over, without parsing the line.

    With more than one `resourceType` in it (contained resources, a Bundle) only parsing tells whose is whose.
    """
    if line.count(b'"resourceType"') != 1 or (found := _TYPE.search(line)) is None:
        return None
    kind = found[1].decode()
    return None if kind in KINDS or kind in ("Bundle", "Medication") else kind


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _why_not_json(data: bytes, otherwise: str) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:
            return otherwise  # cut within a character
        try:
            data.decode("gb18030")
        except UnicodeDecodeError:
            return problems.NOT_UTF8
        return problems.GBK
    return otherwise


@contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Stop the search for reference cycles: parsed JSON has none, and looking for them takes long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
