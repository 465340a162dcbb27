"""`live.db`: the database of facts that arrived since the last generation.

A fact is kept as it waits to be merged.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from medloom.foundation.errors import IntegrityError
from medloom.foundation.site import SiteDirectory
from medloom.record.commit import SUBJECTS_SCHEMA
from medloom.record.database import connect, database_errors, transaction
from medloom.record.importing import CodeInfo
from medloom.record.normalising import PENDING_EXTRA
from medloom.record.schema import RECORD_SCHEMA
from medloom.record.vault import Vault

PENDING_SCHEMA: Final = pl.Schema({**RECORD_SCHEMA, **PENDING_EXTRA})
# `source` and `file` follow from where a fact stands in the tail
_PAYLOAD: Final = [n for n in PENDING_SCHEMA if n not in ("subject_id", "known_until", "source", "file")]
# An arrival is one call of `append`: its number stands for the file in `source`, its time is there to be looked up;
# when a fact was known its `known_time` says.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS arrival (id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fact (id INTEGER PRIMARY KEY AUTOINCREMENT, subject_id INTEGER NOT NULL,
  arrival INTEGER NOT NULL, sealed INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS fact_subject ON fact (subject_id);
CREATE TABLE IF NOT EXISTS rejected (id INTEGER PRIMARY KEY AUTOINCREMENT, subject_id INTEGER,
  sealed INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subject (subject_id INTEGER PRIMARY KEY, split_position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS code (code TEXT PRIMARY KEY, unit TEXT, static INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS described (code TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_LIVE: Final = "live"
_REMEMBERED: Final = 10_000  # subjects of whom is known what waits
_FEW: Final = 500  # subjects asked for by name; of more, all that waits is read and sifted


@dataclass(frozen=True)
class Waiting:
    """What waits in the tail, as one moment had it."""

    generation: int  # readers of an older one move on to it: it holds what left the tail
    last: int  # number of the last fact
    facts: pl.DataFrame  # PENDING_SCHEMA
    ids: Sequence[int] = ()  # of the facts, in their order


@dataclass
class _Glance:
    """What is known of the tail as long as nobody has written into it."""

    version: int
    generation: int
    last: int
    waiting: dict[int, Waiting] = field(default_factory=dict)  # of the subjects that were asked about since


@dataclass(frozen=True)
class Extent:
    """How much waits in the tail: facts, their subjects, what could not be used, since when (wall clock)."""

    facts: int = 0
    subjects: int = 0
    rejected: int = 0
    last: int = 0  # number of the last fact
    since: datetime | None = None


class LiveTail:
    """The database of waiting facts; threads and processes may share it.

    One connection stays open for questions about one subject, which are answered from memory until SQLite says that
    somebody has written; for all else the file is opened anew.

    `key` gives the key that seals; it is asked for when a sealed fact is written or read.
    """

    def __init__(self, path: Path, key: Callable[[], bytes], encrypt: bool) -> None:
        self.path = path
        self._key = key
        self._encrypt = encrypt
        self._cipher: AESGCM | None = None
        self._writer: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        self._watched: tuple[int, int, int] | None = None  # process and file of the watcher
        self._glance: _Glance | None = None

    @classmethod
    def of(cls, site: SiteDirectory, vault: Vault) -> LiveTail:
        """Take the tail of a site whose vault is open."""
        key = vault.derived(_LIVE)
        return cls(site.live, lambda: key, site.settings().encrypt_at_rest)

    def exists(self) -> bool:
        """Tell whether anything has ever been appended."""
        return self.path.exists()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer; what is written in the block is kept whole or not at all."""
        with database_errors(self.path), closing(connect(self.path)) as connection:
            connection.executescript(_SCHEMA)
            with transaction(connection):
                self._writer = connection
                try:
                    yield
                finally:
                    self._writer = None

    def waiting(self, subjects: NDArray[np.int64] | None = None, number: int = 0) -> Waiting:
        """Read what waits, of all or of some (sorted) subjects; `number` is that of the import it would be."""
        if subjects is not None and len(subjects) <= 1 and not number and self._writer is None:
            return self._glanced(int(subjects[0]) if len(subjects) else None)
        with self._reading() as connection:
            if connection is None:
                return _NOTHING
            generation, last = _state(connection)
            query = _FACTS
            if subjects is not None and len(subjects) <= _FEW:
                marks = ",".join("?" * len(subjects))
                query += f" WHERE subject_id IN ({marks})"
                rows = connection.execute(f"{query} ORDER BY id", subjects.tolist()).fetchall()
            else:
                rows = connection.execute(f"{query} ORDER BY id").fetchall()
                if subjects is not None:
                    wanted = set(subjects.tolist())
                    rows = [row for row in rows if row[0] in wanted]
        return Waiting(generation, last, self._frame(rows, number), [row[4] for row in rows])

    def extent(self) -> Extent:
        """Tell how much waits."""
        with self._reading() as connection:
            if connection is None:
                return Extent()
            query = "SELECT count(*), count(DISTINCT subject_id), max(id), min(arrival) FROM fact"
            facts, subjects, last, first = connection.execute(query).fetchone()
            rejected = connection.execute("SELECT count(*) FROM rejected").fetchone()[0]
            since = connection.execute("SELECT time FROM arrival WHERE id = ?", (first,)).fetchone()
        moment = None if since is None else datetime.fromisoformat(since[0])
        return Extent(facts, subjects, rejected, last or 0, moment)

    def later(self, now: datetime) -> int:
        """Count the waiting facts that are not known yet at a moment (wall clock)."""
        facts = self.waiting().facts
        return facts.filter(pl.max_horizontal("time", "known_time") > now).height

    def append(self, facts: pl.DataFrame, rejected: pl.DataFrame, now: datetime) -> None:
        """Keep pending facts, and what could not be used; inside `writing`."""
        writer = self._writing()
        time = now.isoformat(timespec="seconds")
        arrival = writer.execute("INSERT INTO arrival (time) VALUES (?)", (time,)).lastrowid
        plain = facts.with_columns(pl.col(pl.Datetime).to_physical())
        payloads = zip(facts["subject_id"], plain.select(_PAYLOAD).iter_rows(), strict=True)
        writer.executemany(
            "INSERT INTO fact (subject_id, arrival, sealed, payload) VALUES (?, ?, ?, ?)",
            ((subject, arrival, self._encrypt, self._closed(orjson.dumps(row))) for subject, row in payloads),
        )
        for row in rejected.with_columns(file=pl.lit(arrival, pl.Int32)).iter_rows(named=True):
            kept = (row["subject_id"], self._encrypt, self._closed(orjson.dumps(row)))
            writer.execute("INSERT INTO rejected (subject_id, sealed, payload) VALUES (?, ?, ?)", kept)

    def learn(self, subjects: pl.DataFrame, codes: pl.DataFrame, infos: Mapping[str, CodeInfo]) -> None:
        """Note subjects (SUBJECTS_SCHEMA) and codes (`code`, `unit`, `static`) that waiting facts brought."""
        writer = self._writing()
        places = subjects.select("subject_id", "split_position").iter_rows()
        writer.executemany("INSERT OR IGNORE INTO subject VALUES (?, ?)", places)
        writer.executemany(
            "INSERT INTO code VALUES (?, ?, ?) ON CONFLICT (code) DO UPDATE"
            " SET unit = coalesce(unit, excluded.unit), static = max(static, excluded.static)",
            codes.select("code", "unit", "static").iter_rows(),
        )
        described = ((code, info.description) for code in codes["code"] if (info := infos.get(code)))
        writer.executemany(
            "INSERT OR IGNORE INTO described VALUES (?, ?)", ((c, words) for c, words in described if words)
        )

    def subjects(self) -> pl.DataFrame:
        """List the subjects that waiting facts are of, in SUBJECTS_SCHEMA."""
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute("SELECT * FROM subject").fetchall()
        schema = dict(zip(("subject_id", "split_position"), SUBJECTS_SCHEMA.dtypes(), strict=False))
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns(fixed_split=pl.lit(None, pl.String)).cast(SUBJECTS_SCHEMA)

    def codes(self) -> pl.DataFrame:
        """List the codes that waiting facts brought: `code`, `unit`, `static`."""
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute("SELECT * FROM code").fetchall()
        schema = {"code": pl.String, "unit": pl.String, "static": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("static").cast(pl.Boolean))

    def infos(self) -> dict[str, CodeInfo]:
        """Give what was said of those codes."""
        with self._reading() as connection:
            known = "SELECT 1 FROM sqlite_schema WHERE name = 'described'"  # an older Medloom kept none
            if connection is None or connection.execute(known).fetchone() is None:
                return {}
            return {code: CodeInfo(words) for code, words in connection.execute("SELECT * FROM described")}

    def rejected(self) -> tuple[int, pl.DataFrame]:
        """Read what could not be used, and the number of the last of it."""
        with self._reading() as connection:
            query = "SELECT id, subject_id, sealed, payload FROM rejected ORDER BY id"
            rows = [] if connection is None else connection.execute(query).fetchall()
        facts = [
            orjson.loads(self._opened(sealed, data)) | {"subject_id": who} for _, who, sealed, data in rows
        ]
        schema = {**REJECTED, "problem": pl.String()}
        plain = {name: pl.Utf8 if kind == pl.Datetime("us") else kind for name, kind in schema.items()}
        frame = pl.DataFrame(facts, schema=plain).with_columns(
            pl.col(name).str.to_datetime(time_unit="us", strict=False)
            for name, kind in schema.items()
            if kind == pl.Datetime("us")
        )
        return (rows[-1][0] if rows else 0), frame

    def clear(self, last: int, last_rejected: int, generation: int, but: Sequence[int] = ()) -> None:
        """Drop what generation `generation` holds now: all up to fact `last` `but` some; readers move on to it."""
        with self.writing():
            writer = self._writing()
            kept = orjson.dumps(list(but)).decode()
            query = "DELETE FROM fact WHERE id <= ? AND id NOT IN (SELECT value FROM json_each(?))"
            writer.execute(query, (last, kept))
            writer.execute("DELETE FROM rejected WHERE id <= ?", (last_rejected,))
            if writer.execute("SELECT 1 FROM fact LIMIT 1").fetchone() is None:
                writer.execute("DELETE FROM subject")
                writer.execute("DELETE FROM code")
                writer.execute("DELETE FROM described")
            self.move_on(generation)

    def drop(self, ids: Sequence[int]) -> None:
        """Drop single facts."""
        with self.writing():
            self._writing().executemany("DELETE FROM fact WHERE id = ?", ((number,) for number in ids))

    def move_on(self, generation: int) -> None:
        """Let readers of older generations move on to this one; inside `writing`."""
        self._writing().execute("INSERT OR REPLACE INTO state VALUES ('generation', ?)", (generation,))

    def forget(self, subject_id: int) -> None:
        """Drop all of a subject; inside `writing`."""
        for table in ("fact", "rejected", "subject"):
            self._writing().execute(f"DELETE FROM {table} WHERE subject_id = ?", (subject_id,))

    def rename(self, subject_id: int, to: int) -> None:
        """Give all of a subject to another; inside `writing`."""
        writer = self._writing()
        for table in ("fact", "rejected"):
            writer.execute(f"UPDATE {table} SET subject_id = ? WHERE subject_id = ?", (to, subject_id))
        writer.execute("UPDATE OR IGNORE subject SET subject_id = ? WHERE subject_id = ?", (to, subject_id))
        writer.execute("DELETE FROM subject WHERE subject_id = ?", (subject_id,))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Give a connection that sees one moment, inside `writing` the writer's own; None: no file."""
        if self._writer is not None:
            yield self._writer
        elif not self.path.exists():
            yield None
        else:
            with database_errors(self.path), closing(connect(self.path)) as connection:
                if not _is_complete(connection):
                    yield None
                    return
                connection.execute("BEGIN")
                yield connection

    def _glanced(self, subject: int | None) -> Waiting:
        """Read what waits of one subject; of none: only in which state the tail is."""
        with self._lock, database_errors(self.path):
            watcher = self._watching()
            if watcher is None:
                return _NOTHING
            known = self._glance
            if known is not None and known.version == _version(watcher):
                if subject is None:
                    return Waiting(known.generation, known.last, _NOTHING.facts)
                if subject in known.waiting:
                    return known.waiting[subject]
            watcher.execute("BEGIN")
            try:
                version = _version(watcher)
                if known is None or known.version != version:
                    if not _is_complete(watcher):
                        return _NOTHING
                    known = self._glance = _Glance(version, *_state(watcher))
                query = f"{_FACTS} WHERE subject_id = ? ORDER BY id"
                rows = [] if subject is None else watcher.execute(query, (subject,)).fetchall()
            finally:
                if watcher.in_transaction:
                    watcher.execute("ROLLBACK")
            ids = [row[4] for row in rows]
            waiting = Waiting(known.generation, known.last, self._frame(rows, 0), ids)
            if subject is not None:
                if len(known.waiting) >= _REMEMBERED:
                    known.waiting.clear()
                known.waiting[subject] = waiting
            return waiting

    def _watching(self) -> sqlite3.Connection | None:
        """Give the connection that stays open, to the file that is there now; None: no file."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        which = (os.getpid(), found.st_dev, found.st_ino)
        if which != self._watched:
            self._watcher, self._watched, self._glance = connect(self.path, shared=True), which, None
        return self._watcher

    def _writing(self) -> sqlite3.Connection:
        assert self._writer is not None, "inside `writing` only"
        return self._writer

    def _frame(self, rows: Sequence[tuple[int, int, int, bytes, int]], number: int) -> pl.DataFrame:
        if not rows:
            return _NOTHING.facts
        values = [orjson.loads(self._opened(sealed, payload)) for _, _, sealed, payload, _ in rows]
        stored = {
            n: pl.Int64() if PENDING_SCHEMA[n] == pl.Datetime("us") else PENDING_SCHEMA[n] for n in _PAYLOAD
        }
        # a fact that an older Medloom let wait lacks the last columns
        values = [value + [None] * (len(_PAYLOAD) - len(value)) for value in values]
        frame = pl.DataFrame(values, schema=stored, orient="row").with_columns(
            pl.Series("subject_id", [row[0] for row in rows], pl.Int64),
            pl.Series("file", [row[1] for row in rows], pl.Int32),
            pl.lit(None, pl.Datetime("us")).alias("known_until"),
        )
        frame = frame.with_columns(source=pl.format(f"{number}:{{}}:{{}}", "file", "row"))
        return frame.select(pl.col(name).cast(kind) for name, kind in PENDING_SCHEMA.items())

    def _closed(self, payload: bytes) -> bytes:
        if not self._encrypt:
            return payload
        nonce = os.urandom(12)
        return nonce + self._sealer().encrypt(nonce, payload, _LIVE.encode())

    def _opened(self, sealed: int, payload: bytes) -> bytes:
        if not sealed:
            return payload
        try:
            return self._sealer().decrypt(payload[:12], payload[12:], _LIVE.encode())
        except InvalidTag:
            raise IntegrityError(
                "live.db was altered, or sealed with another key; restore the site and its key from a copy"
            ) from None

    def _sealer(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(self._key())
        return self._cipher


_FACTS: Final = "SELECT subject_id, arrival, sealed, payload, id FROM fact"
_NOTHING: Final = Waiting(0, 0, pl.DataFrame(schema=PENDING_SCHEMA))


def _is_complete(connection: sqlite3.Connection) -> bool:
    """Tell whether the tables are there: the first writer may have been killed."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'state'").fetchone() is not None


def _state(connection: sqlite3.Connection) -> tuple[int, int]:
    """Give the generation that readers move on to, and the number of the last fact."""
    state = connection.execute("SELECT value FROM state WHERE name = 'generation'").fetchone()
    last = connection.execute("SELECT max(id) FROM fact").fetchone()[0]
    return (state[0] if state else 0), last or 0


def _version(connection: sqlite3.Connection) -> int:
    """Give a number that is another one once any other connection has written."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


REJECTED: Final[Mapping[str, pl.DataType]] = {
    "subject_id": pl.Int64(),
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float64(),
    "text_value": pl.String(),
    "unit": pl.String(),
    "known_time": pl.Datetime("us"),
    "role": pl.String(),
    "file": pl.Int32(),
    "row": pl.Int64(),
}
