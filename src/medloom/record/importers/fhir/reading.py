"""What is being read: facts gathered from resources, until they are a batch.

Facts are kept in two levels, what a resource says once (patient, encounter, key)
and what each of its facts says, as plain tuples: a frame is made of them once a batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from medloom.record.importers.fhir import problems
from medloom.record.importers.fhir.codings import Codings
from medloom.record.importers.fhir.medications import Medications
from medloom.record.importers.fhir.references import ANOTHER_TYPE, Identifiers
from medloom.record.importers.fhir.times import wall_clock
from medloom.record.importing import Batch
from medloom.record.schema import BATCH_SCHEMA, BIRTH

Json = dict[str, Any]
Text = str | None

# time, code, numeric_value, text_value, unit, known_time, role, problem; times as FHIR writes them
Fact = tuple[Text, Text, float | None, Text, Text, Text, Text, Text]
# patient, encounter, key, retracted, row, problem, number of facts, when the resource was changed
Origin = tuple[Text, Text, Text, bool, int, Text, int, Text]

FACTS_PER_BATCH: Final = 40_000
# A resource that was entered in error often has nothing left but its id; the retraction still needs a code.
RETRACTED: Final = "RETRACTED"

_FACT_SCHEMA: Final = {
    "time": pl.String,
    "code": pl.String,
    "numeric_value": pl.Float64,
    "text_value": pl.String,
    "unit": pl.String,
    "known_time": pl.String,
    "role": pl.String,
    "problem": pl.String,
}
_ORIGIN_SCHEMA: Final = {
    "patient": pl.String,
    "encounter": pl.String,
    "key": pl.String,
    "retracted": pl.Boolean,
    "row": pl.Int64,
    "problem": pl.String,
    "facts": pl.Int64,
    "updated": pl.String,
}
_REFERENCES_CACHED: Final = 100_000


class Kind(NamedTuple):
    """How one type of resource is read."""

    read: Callable[[Json, Reading], None]
    subject: str | None  # the field that refers to the patient; None: the reader finds out
    encounter: str | None  # the field that refers to the encounter


class Reading:
    """Gathers facts; the readers of the resource types append to `facts` and use the rest."""

    def __init__(
        self, kinds: Mapping[str, Kind], medications: Medications, codes: Codings, zone: str
    ) -> None:
        self.facts: list[Fact] = []
        self.codes = codes
        self.medications = medications
        self.notes: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        # of the resource at hand; its reader may set them
        self.patient: Text = None
        self.encounter: Text = None
        self.retracted = False
        self._kinds = kinds
        self._zone = zone
        self._records = 0
        self._origins: list[Origin] = []
        self._files: list[tuple[int, int]] = []  # (ordinal of a file, facts before it)
        self._aliases: dict[str, str] = {}
        self._patients = Identifiers("Patient", self._aliases)
        self._encounters = Identifiers("Encounter", self._aliases)

    @property
    def empty(self) -> bool:
        """Tell whether nothing has been read since the last batch."""
        return not (self._records or self.facts or self.notes)

    def open_file(self, ordinal: int) -> None:
        """Go on to another file of the source."""
        self._files.append((ordinal, len(self.facts)))

    def problem(self, row: int, text: str) -> None:
        """Note something that cannot be used and of which no more is known."""
        self._records += 1
        self.facts.append((None, None, None, None, None, None, None, text))
        self._origins.append((None, None, None, False, row, None, 1, None))

    def pass_over(self, kind: str) -> None:
        """Count a resource that holds no fact of a patient."""
        self._records += 1
        self.passed_over[kind] += 1

    def enter_bundle(self, aliases: Mapping[str, str] | None = None) -> None:
        """Forget the last Bundle's addresses and Medications; `meet` the next one's entries, or give its aliases."""
        self._aliases.clear()
        self._aliases.update(aliases or {})
        self._patients.clear()
        self._encounters.clear()
        self.medications.enter_bundle()

    leave_bundle = enter_bundle

    def meet(self, entry: Any) -> None:
        """Note what an entry's address stands for, and the Medication it may hold; without an id it gets one."""
        try:
            resource = entry["resource"]
            if address := entry.get("fullUrl"):
                identifier = resource.get("id")
                if not identifier:
                    resource["id"] = address[address.rfind(":" if address.startswith("urn:") else "/") + 1 :]
                elif not address.endswith((":" + identifier, "/" + identifier)):
                    self._aliases[address] = identifier
            if resource["resourceType"] == "Medication":
                self.medications.add_local(resource, self.codes, address)
        except (AttributeError, KeyError, TypeError):
            return  # the entry is read once more, and is a problem then

    def resource(self, resource: Any, row: int) -> None:
        """Read one resource; what is wrong with it becomes a problem of its own, and nothing raises."""
        facts = self.facts
        before = len(facts)
        self.patient = self.encounter = key = problem = None
        self.retracted = False
        try:
            name = resource["resourceType"]
            kind = self._kinds.get(name)
            if kind is None:
                if not isinstance(name, str):
                    raise TypeError(name)
                self.pass_over(name)
                return
            if identifier := resource.get("id"):
                key = f"{name}/{identifier}"
            if kind.subject is not None:
                subject = resource.get(kind.subject)
                if subject and (reference := subject.get("reference")):
                    self.patient = self._patients[reference]
            if kind.encounter is not None:
                encounter = resource.get(kind.encounter)
                if encounter and (reference := encounter.get("reference")):
                    self.encounter = self._encounters[reference] or None
            if resource.get("status") == "entered-in-error":
                self.retracted = True
            kind.read(resource, self)
            if not self.patient:
                problem = problems.NO_PATIENT
                if self.patient == ANOTHER_TYPE:
                    del facts[before:]
                    self.notes[problems.OTHER_SUBJECT] += 1
            updated = (resource.get("meta") or {}).get("lastUpdated")
            if not isinstance(updated, str):
                updated = None
            if self.retracted and self.patient:
                facts[before:] = _retractions(facts[before:], updated, self.encounter is not None)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            del facts[before:]
            typed = isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)
            self.problem(row, problems.MALFORMED if typed else problems.NOT_FHIR)
            return
        count = len(facts) - before
        if count:
            self._records += 1
            self._origins.append(
                (self.patient, self.encounter, key, self.retracted, row, problem, count, updated)
            )
        else:
            self.pass_over(name)

    def encounter_of(self, reference: Json | None) -> None:
        """Set the encounter where it does not stand in the type's own field."""
        if reference and (address := reference.get("reference")):
            self.encounter = self._encounters[address] or None

    def take(self) -> Batch:
        """Give what was gathered as a batch, and begin anew."""
        frame = self._frame()
        codes = self.codes.taken()
        batch = Batch(
            frame,
            records=self._records,
            passed_over=dict(self.passed_over),
            codes=codes,
            notes=dict(self.notes),
        )
        self._records = 0
        self.facts.clear()
        self._origins.clear()
        self._files = [(self._files[-1][0], 0)] if self._files else []
        self.passed_over.clear()
        self.notes.clear()
        if len(self._patients) + len(self._encounters) > _REFERENCES_CACHED:
            self._patients.clear()
            self._encounters.clear()
        return batch

    def _frame(self) -> pl.DataFrame:
        if not self.facts:
            return pl.DataFrame(schema=BATCH_SCHEMA)
        try:
            facts, origins = _columns(self.facts, _FACT_SCHEMA), _columns(self._origins, _ORIGIN_SCHEMA)
        except TypeError:  # a number where FHIR has a string, somewhere
            _mark_mistyped(self.facts, self._origins)
            facts, origins = _columns(self.facts, _FACT_SCHEMA), _columns(self._origins, _ORIGIN_SCHEMA)
        n = facts.height
        counts = origins["facts"].to_numpy()
        places = np.repeat(np.arange(len(counts)), counts)
        part = np.arange(n) - (np.cumsum(counts) - counts)[places]
        ordinals, begins = np.array(self._files).T
        file = np.repeat(ordinals, np.diff(begins, append=n))
        times = wall_clock(pl.concat([facts["time"], facts["known_time"]]), self._zone)
        dates, known = times.head(n), times.tail(n)
        changed = wall_clock(origins["updated"], self._zone).select(pl.coalesce("until", "time"))
        return (
            facts.rename({"time": "raw_time", "known_time": "raw_known", "problem": "own_problem"})
            .hstack(origins.with_columns(updated=changed.to_series())[places])
            .hstack(dates)
            .hstack(known.rename({"time": "known", "until": "known_until"}))
            .with_columns(part=pl.Series(part), file=pl.Series(file))
            .select(
                "patient",
                "time",
                "code",
                "numeric_value",
                "text_value",
                "unit",
                # a date is known when its day is over; a birthday need not be waited for
                pl.max_horizontal(
                    pl.coalesce("known_until", "known"), pl.when(pl.col("code") != BIRTH).then("until")
                ).alias("known_time"),
                "role",
                (pl.col("raw_time").is_null() & (pl.col("role") == "demographic")).alias("static"),
                "encounter",
                "key",
                pl.col("part").cast(pl.Int32),
                "retracted",
                pl.col("file").cast(pl.Int32),
                "row",
                pl.coalesce(
                    "problem",
                    "own_problem",
                    pl.when(pl.col("code").is_null()).then(pl.lit(problems.NO_CODE)),
                    pl.when(
                        (pl.col("raw_time").is_not_null() & pl.col("time").is_null())
                        | (pl.col("raw_known").is_not_null() & pl.col("known").is_null())
                    ).then(pl.lit(problems.UNREADABLE_DATE)),
                ).alias("problem"),
                "updated",
            )
        )


def _columns(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, Any]) -> pl.DataFrame:
    # Twice as fast as `pl.DataFrame(rows, orient="row")`.
    return pl.DataFrame(
        [
            pl.Series(name, column, kind)
            for (name, kind), column in zip(schema.items(), zip(*rows, strict=True), strict=True)
        ]
    )


def _mark_mistyped(facts: list[Fact], origins: list[Origin]) -> None:
    """Put a problem in the place of each fact that has a value of a type FHIR does not have there."""

    def text(value: object) -> bool:
        return value is None or isinstance(value, str)

    for place, (time, code, number, words, unit, known, role, problem) in enumerate(facts):
        sound = all(map(text, (time, code, words, unit, known, role, problem)))
        if not sound or not (number is None or isinstance(number, int | float)):
            facts[place] = (None, None, None, None, None, None, None, problems.MALFORMED)
    for place, (patient, encounter, _key, retracted, row, _problem, count, _) in enumerate(origins):
        if not (text(patient) and text(encounter)):
            origins[place] = (None, None, None, retracted, row, problems.MALFORMED, count, None)


def _retractions(facts: Sequence[Fact], updated: Text, placed: bool) -> list[Fact]:
    """Date the facts of a resource that was entered in error.

    The retraction is known from `meta.lastUpdated`: nowhere else does FHIR say
    when it was made; an undated one without it is known when it is imported.
    `placed`: the resource has an encounter, whose end may date it.
    """
    whole = facts or [(None, None, None, None, None, None, "observation", None)]
    return [
        (
            time or (None if placed else updated),
            code or RETRACTED,
            number,
            text,
            unit,
            updated or known,
            role,
            None,
        )
        for time, code, number, text, unit, known, role, _ in whole
    ]
