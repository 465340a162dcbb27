"""A generation with the waiting facts merged in: what every reader sees.

Reading merges exactly as the next import would: what a model sees now is what it will see after `compact`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medloom.foundation.hashing import digest, sha256_bytes
from medloom.record.catalogue import CodeCatalogue
from medloom.record.generation import Manifest
from medloom.record.live_tail import LiveTail, Waiting
from medloom.record.merging import merge
from medloom.record.schema import RECORD_SCHEMA
from medloom.record.store import GenerationStore, Store, as_array, dictionary_encoded


@dataclass(frozen=True)
class _Learned:
    """A generation's codes and subjects, with those that waiting facts brought."""

    state: tuple[int, int]  # of the tail: generation and last fact
    base: Store
    codes: pl.DataFrame  # that waiting facts brought
    catalogue: CodeCatalogue
    subjects: pl.DataFrame


class LiveStore:
    """A generation with the waiting facts merged in; it moves on when those are taken into a newer one.

    Threads may share it.
    """

    def __init__(self, open_base: Callable[[], Store], tail: LiveTail) -> None:
        self._open_base = open_base
        self._base = open_base()
        self._tail = tail
        self._lock = threading.Lock()
        self._learned: _Learned | None = None
        self._digest: tuple[Store, tuple[int, int], str] | None = None

    @property
    def catalogue(self) -> CodeCatalogue:
        """The codes; the same object until there are others."""
        return self._with_learned().catalogue

    @property
    def subjects(self) -> pl.DataFrame:
        return self._with_learned().subjects

    @property
    def imports(self) -> list[dict[str, object]]:
        return self._base.imports

    def read(self, columns: Sequence[str], subjects: NDArray[np.int64] | None = None) -> pa.Table:
        waiting, base = self._now(subjects)
        facts = waiting.facts
        if not facts.height:
            return base.read(columns, subjects)
        names = list(dict.fromkeys([*columns, "subject_id", "time"]))
        if _are_plainly_new(facts, base):
            stored = base.read(names, subjects)
            arrived = dictionary_encoded(facts[names].to_arrow())
        else:
            touched = facts["subject_id"].unique().sort().to_numpy()
            old = pl.DataFrame(base.read(RECORD_SCHEMA.names(), touched)).cast(RECORD_SCHEMA)
            arrived = dictionary_encoded(merge(old, facts).rows.select(names).to_arrow())
            everybody = base.subjects["subject_id"].to_numpy() if subjects is None else subjects
            stored = base.read(names, np.setdiff1d(everybody, touched, assume_unique=True))
        return _together(stored, arrived).select(list(columns))

    def is_behind(self, newest: Path | None) -> bool:
        """Tell whether another generation than this is the newest."""
        return newest is not None and Manifest.read(newest).number > _number(self._base)

    def parts(self) -> list[NDArray[np.int64]]:
        learned = self._with_learned()
        ids = learned.subjects["subject_id"].to_numpy()
        edges = np.searchsorted(ids, [part[0] for part in learned.base.parts()][1:])
        return [part for part in np.split(ids, edges) if len(part)]

    def digest(self) -> str:
        glance, base = self._now(np.empty(0, np.int64))
        state, known = (glance.generation, glance.last), self._digest
        if known is not None and known[0] is base and known[1] == state:
            return known[2]
        facts = self._tail.waiting().facts
        name = base.digest()
        if facts.height:
            name = digest([name, sha256_bytes(facts.write_csv().encode())])
        self._digest = base, state, name
        return name

    def _now(self, subjects: NDArray[np.int64] | None) -> tuple[Waiting, Store]:
        """Give what waits, and a generation that holds what does not wait any more."""
        waiting = self._tail.waiting(subjects)
        base = self._base
        if waiting.generation > _number(base):
            with self._lock:
                if waiting.generation > _number(self._base):
                    self._base = self._open_base()
                base = self._base
        return waiting, base

    def _with_learned(self) -> _Learned:
        waiting, base = self._now(np.empty(0, np.int64))
        state, known = (waiting.generation, waiting.last), self._learned
        if known is not None and known.base is base and known.state == state:
            return known
        codes, catalogue, subjects = self._tail.codes(), base.catalogue, base.subjects
        if known is not None and known.base is base and known.codes.equals(codes):
            catalogue = known.catalogue
        elif codes.height:
            catalogue = catalogue.updated(self._tail.infos(), *units_and_static(codes), codes["code"])
        new = self._tail.subjects().join(subjects, on="subject_id", how="anti")
        if new.height:
            subjects = pl.concat([subjects, new]).sort("subject_id")
        self._learned = made = _Learned(state, base, codes, catalogue, subjects)
        return made


def _number(store: Store) -> int:
    return store.number if isinstance(store, GenerationStore) else 0


def _are_plainly_new(facts: pl.DataFrame, base: Store) -> bool:
    """Tell whether nothing needs merging (no undated fact, version or duplicate): the usual, fast case."""
    keys, undated = facts["key"].to_numpy(), facts["time"].is_null() & ~facts["static"]
    if (undated | facts["retracted"]).any() or len(np.unique(keys)) < len(keys):
        return False
    touched = np.unique(facts["subject_id"].to_numpy())
    return not np.isin(keys, as_array(base.read(["key"], touched)["key"])).any()


def units_and_static(codes: pl.DataFrame) -> tuple[dict[str, str], set[str]]:
    """Give the units of codes, and which of them are static."""
    named = codes.drop_nulls("unit")
    return dict(zip(named["code"], named["unit"], strict=True)), set(codes.filter("static")["code"])


def _together(stored: pa.Table, waiting: pa.Table) -> pa.Table:
    """Put rows of two stores together, sorted by subject and time, static facts first, stored ones before waiting."""
    table = waiting
    if stored.num_rows:
        # two stores may have different string types
        stored = stored.select(waiting.schema.names).cast(waiting.schema)
        table = pa.concat_tables([stored, waiting]).unify_dictionaries()
    times = pc.fill_null(pc.cast(table["time"], pa.int64()), np.iinfo(np.int64).min).to_numpy()
    order = np.lexsort((times, table["subject_id"].to_numpy()))
    return table.take(pa.array(order)).combine_chunks()
