"""From an importer's batch to rows of the record: pseudonyms, canonical units, plausible dates, keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.hashing import hash64_all, mix64
from medloom.knowledge import units
from medloom.record.importing import Batch, CodeInfo, as_batch_frame
from medloom.record.schema import EARLIEST, LATEST, ONCE
from medloom.record.vault import ERASED

# Facts waiting to be merged: the record's columns and what merging needs beside them.
# `keyed`: the source named the fact; otherwise its content does and `part` is counted later.
PENDING_EXTRA = {
    "static": pl.Boolean(),
    "retracted": pl.Boolean(),
    "keyed": pl.Boolean(),
    "file": pl.Int32(),
    "row": pl.Int64(),
    "updated": pl.Datetime("us"),  # last: facts that wait in a live tail are stored in this order
}

_CONTENT = (
    "time",
    "code",
    "numeric_value",
    "text_value",
    "unit",
    "known_time",
    "role",
    "static",
    "encounter",
    "asset",
)
# Identifiers of the source do not leave it: quarantine holds pseudonyms and the place in the source.
_QUARANTINED = ("subject_id", "time", "code", "numeric_value", "text_value", "unit", "known_time", "role")


class Identities(Protocol):
    """Who the patients are: the vault, or whoever stands in for it."""

    def derived(self, purpose: str) -> bytes:
        """Derive a 256-bit key for one purpose."""

    def assign(self, system: str, identifiers: Sequence[str]) -> NDArray[np.int64]:
        """Give each identifier its `subject_id`: (n,) int64, `ERASED` for the erased."""


@dataclass
class Normaliser:
    """Turns batches into pending rows; remembers, over one import, identifiers, units and descriptions."""

    identities: Identities
    system: str
    number: int
    units: dict[str, str]  # code → canonical unit, as the record has it so far
    zone: str  # of the site: moments that name one are turned to its wall clock
    now: datetime  # of the import: when a retraction was made that does not say it
    subjects: dict[str, int] = field(default_factory=dict)
    codes: dict[str, CodeInfo] = field(default_factory=dict)
    static_codes: set[str] = field(default_factory=set)
    splits: dict[int, str] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    _factors: dict[tuple[str, str], tuple[float, float] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pepper = self.identities.derived("keys")

    def normalise(self, batch: Batch) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Split a batch into pending rows and facts for quarantine (with `problem`)."""
        self._remember(batch.codes)
        facts = as_batch_frame(batch.facts, self.zone)
        facts = with_problems(facts).with_columns(
            known_time=pl.when(_is_undated_retraction())
            .then(pl.coalesce("known_time", "updated", pl.lit(self.now)))
            .otherwise("known_time")
        )
        facts = facts.with_columns(subject_id=self._subjects(facts["patient"]))
        for patient, split in batch.splits.items():
            if (subject := self.subjects.get(patient, ERASED)) != ERASED:
                self.splits[subject] = split
        of_erased = pl.col("subject_id").eq_missing(ERASED)
        usable = pl.col("problem").is_null() & ~of_erased
        rejected = facts.filter(~usable).select(
            # nothing of an erased person is kept, not even in quarantine
            *(pl.when(~of_erased).then(name).alias(name) for name in _QUARANTINED),
            *("file", "row"),
            problem=pl.when(of_erased)
            .then(pl.lit("the subject was erased from this site"))
            .otherwise("problem"),
        )
        if rejected.height:
            facts = facts.filter(usable)
        facts = self._with_keys(facts)
        facts = self._in_canonical_units(facts)
        self.static_codes.update(facts.filter(pl.col("static") & pl.col("time").is_null())["code"].unique())
        pending = facts.select(
            "subject_id",
            "time",
            "code",
            pl.col("numeric_value").cast(pl.Float32),
            "text_value",
            "known_time",
            pl.lit(None, dtype=pl.Datetime("us")).alias("known_until"),
            "role",
            pl.when(pl.col("encounter").is_not_null())
            .then(pl.Series(_string_hashes(facts["encounter"], self._pepper).view(np.int64)))
            .alias("encounter"),
            "asset",
            "derived_from",
            "span",
            "confidence",
            "model",
            pl.format(
                f"{self.number}:{{}}:{{}}", pl.col("file").fill_null(0), pl.col("row").fill_null(0)
            ).alias("source"),
            "key",
            "part",
            "static",
            pl.col("retracted").fill_null(False),
            "keyed",
            pl.col("file").fill_null(0),
            pl.col("row").fill_null(0),
            "updated",
        )
        return pending, rejected

    def _subjects(self, patients: pl.Series) -> pl.Series:
        met = patients.unique(maintain_order=True).drop_nulls()
        unknown = [patient for patient in met if patient and patient not in self.subjects]
        self.subjects.update(zip(unknown, self.identities.assign(self.system, unknown).tolist(), strict=True))
        table = pl.DataFrame(
            {"patient": met, "id": [self.subjects.get(patient) for patient in met]},
            schema_overrides={"id": pl.Int64},
        )
        return patients.to_frame("patient").join(table, on="patient", how="left", maintain_order="left")["id"]

    def _remember(self, codes: Mapping[str, CodeInfo]) -> None:
        for code, info in codes.items():
            known = self.codes.get(code)
            if known is None or (known.description is None and info.description is not None):
                self.codes[code] = info

    def _with_keys(self, facts: pl.DataFrame) -> pl.DataFrame:
        """Add `key` (int64; lowest bit: the source named it), `keyed`, `part` (null: equal ones yet to be counted)."""
        keyed = facts["key"].is_not_null()
        hashes = np.zeros(facts.height, np.uint64)
        if not keyed.all():
            hashes = self._content(facts)
        if keyed.any():
            named = keyed.to_numpy()
            hashes[named] = hash64_all(facts["key"].filter(keyed).to_list(), self._pepper)
        hashes = (hashes & ~np.uint64(1)) | keyed.to_numpy().astype(np.uint64)
        return facts.with_columns(
            key=pl.Series(hashes.view(np.int64)),
            keyed=keyed,
            part=pl.when(keyed).then(pl.col("part").fill_null(0)).when(pl.col("part") == ONCE).then(0),
        )

    def _content(self, facts: pl.DataFrame) -> NDArray[np.uint64]:
        """Hash what each fact says: (n,) uint64; a null says nothing, whatever stands in the rows around it."""
        result = np.zeros(facts.height, np.uint64)
        for name, salt in zip(_CONTENT, hash64_all(_CONTENT), strict=True):
            column = facts[name]
            if column.null_count() == len(column):
                continue
            mixed = mix64(result, self._column_hash(column) ^ salt)
            result = (
                mixed if not column.null_count() else np.where(column.is_null().to_numpy(), result, mixed)
            )
        return result

    def _column_hash(self, column: pl.Series) -> NDArray[np.uint64]:
        if column.dtype == pl.String:
            return _string_hashes(column, self._pepper)
        if column.dtype == pl.Float64:
            return (column.to_numpy() + 0.0).view(np.uint64)  # one zero
        return column.to_physical().cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)

    def _in_canonical_units(self, facts: pl.DataFrame) -> pl.DataFrame:
        measured = facts.filter(pl.col("unit").is_not_null() & pl.col("numeric_value").is_not_null())
        pairs = measured.select("code", "unit").unique(maintain_order=True)
        changed: list[tuple[str, str, float | None, float | None]] = []
        for code, unit in pairs.iter_rows():
            factor = self._factor(code, unit)
            if factor != (1.0, 0.0):
                changed.append((code, unit, *(factor or (None, None))))
        if not changed:
            return facts
        schema = {"code": pl.String, "unit": pl.String, "scale": pl.Float64, "offset": pl.Float64}
        table = pl.DataFrame(changed, schema=schema, orient="row").with_columns(changed=pl.lit(True))
        joined = facts.join(table, on=["code", "unit"], how="left", maintain_order="left")
        converted = pl.col("numeric_value") * pl.col("scale") + pl.col("offset")
        # beyond what a value may be: as good as not converted
        unfit = pl.col("scale").is_null() | ~converted.cast(pl.Float32).is_finite()
        lost = pl.col("changed").is_not_null() & unfit & pl.col("numeric_value").is_not_null()
        count = int(joined.select(lost.sum()).item())
        if count:
            self.notes["value kept as text: its unit does not convert to the unit of its code"] += count
        return joined.with_columns(
            # a value that cannot be converted is kept as text, with its unit: nothing is lost
            text_value=pl.when(lost & pl.col("text_value").is_null())
            .then(pl.format("{} {}", "numeric_value", "unit"))
            .when(lost)
            .then(pl.format("{} {}", "text_value", "unit"))
            .otherwise("text_value"),
            numeric_value=pl.when(pl.col("changed").is_null())
            .then("numeric_value")
            .when(~unfit)
            .then(converted),
        )

    def _factor(self, code: str, unit: str) -> tuple[float, float] | None:
        if (code, unit) not in self._factors:
            canonical = units.canonical(unit) or unit
            # an odd unit that comes first does not settle what a code is measured in
            target = self.units.setdefault(code, units.preferred(code) or canonical)
            factor = (1.0, 0.0) if canonical == target else units.factor(canonical, target, code)
            self._factors[code, unit] = factor
        return self._factors[code, unit]


def _string_hashes(column: pl.Series, key: bytes) -> NDArray[np.uint64]:
    """Hash a string column, each distinct string once: (n,) uint64; 0 for null."""
    encoded = column.to_arrow().dictionary_encode()
    table = np.append(hash64_all(encoded.dictionary.to_pylist(), key), np.uint64(0))
    indices = encoded.indices.fill_null(len(table) - 1)
    hashes: NDArray[np.uint64] = table[indices.to_numpy(zero_copy_only=False)]
    return hashes


def _is_undated_retraction() -> pl.Expr:
    """Tell the retractions without a date: they hold from when they are known."""
    undated = pl.col("time").is_null() & ~pl.col("static").fill_null(False)
    return undated & pl.col("retracted").fill_null(False) & pl.col("key").is_not_null()


def with_problems(facts: pl.DataFrame) -> pl.DataFrame:
    """Name what makes a fact unusable, unless the importer already has."""

    def outside(column: str) -> pl.Expr:
        return pl.col(column).is_not_null() & ~pl.col(column).is_between(EARLIEST, LATEST)

    return facts.with_columns(
        pl.col("static").fill_null(False),
        problem=pl.coalesce(
            "problem",
            pl.when(pl.col("patient").is_null() | (pl.col("patient") == "")).then(pl.lit("no patient")),
            pl.when(pl.col("code").is_null() | (pl.col("code") == "")).then(pl.lit("no code")),
            pl.when(~pl.col("numeric_value").cast(pl.Float32).is_finite()).then(
                pl.lit("the value is not a finite number")
            ),
            pl.when(outside("time")).then(pl.lit("time is not between 1850 and 2300")),
            pl.when(outside("known_time")).then(pl.lit("known time is not between 1850 and 2300")),
            pl.when(
                pl.col("time").is_null()
                & ~pl.col("static").fill_null(False)
                & pl.col("encounter").is_null()
                & ~_is_undated_retraction()
            ).then(pl.lit("no date and no encounter")),
        ),
    )
