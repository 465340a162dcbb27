"""Long work in the background, one piece at a time: asked for, watched, cancelled; the queue survives the server.

What ran when a server died is told to have failed, and what waited is done by the next one. While the database cannot
be reached nothing new is begun; what runs goes on, and what came of it is kept when the database is back.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_, update

from medloom.database.audit import Entry
from medloom.database.engine import Database, DatabaseGoneError
from medloom.database.metadata import utc_now
from medloom.database.tables.work import job
from medloom.foundation.errors import InputError, LockedError, MedloomError, NotFoundError
from medloom.foundation.files import locked
from medloom.foundation.messages import Language, Text2, speaking, text2, tr
from medloom.foundation.progress import Advance, listening
from medloom.loop.releases import Actor

_log = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Work = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Does a job: from its arguments to its result, both plain JSON values, nothing of a patient in them."""

OPEN: Final = ("waiting", "running")
_PAUSE: Final = 30.0  # seconds between looks at what else is to be done
_NOTED: Final = 1.0  # seconds between notes of how far a job is
_FAREWELL: Final = 10.0  # seconds that work is given to stop
_PATIENCE: Final = 1.0  # seconds before a database that is gone is asked again


@dataclass(frozen=True)
class Job:
    """A piece of long work.

    Attributes:
        id: 32 hexadecimal digits.
        kind: what is done.
        state: `waiting`, `running`, `done`, `failed` or `cancelled`.
        asked_by: whose account.
        arguments, result: plain JSON values.
        step: what it is doing, in words.
        done: how much of this step, of 1.
        error: why it failed.
        created, started, ended: when (UTC).
    """

    id: str
    kind: str
    state: State
    asked_by: str
    arguments: Mapping[str, Any]
    step: str
    done: float
    result: Mapping[str, Any]
    error: str
    created: str
    started: str | None
    ended: str | None

    @property
    def is_open(self) -> bool:
        """Tell whether it has not ended yet."""
        return self.state in OPEN


@dataclass
class _Running:
    """The job that is being done, and how far it is."""

    id: str
    step: str = ""
    done: float = 0.0
    noted: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """The queue of a site's jobs, and the one thread that does them.

    Args:
        database: where they are kept.
        lock: a file that is held by whichever server of the site does the work.
        kinds: what can be asked for.
        meanwhile: done between jobs, every half minute.
    """

    def __init__(
        self,
        database: Database,
        lock: Path,
        kinds: Mapping[str, Work],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._lock_file = lock
        self._kinds = kinds
        self._meanwhile = meanwhile
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._running: _Running | None = None

    def start(self) -> None:
        """Begin to work, unless begun."""
        with self._lock:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._work, name="medloom-jobs", daemon=True)
                self._thread.start()

    def ask(
        self, kind: str, by: Actor, arguments: Mapping[str, Any] | None = None, language: Language = "en"
    ) -> Job:
        """Put a job at the end of the queue.

        Args:
            kind: what is to be done.
            by: who asks for it.
            arguments: of this kind.
            language: of what is said of its progress and errors.

        Raises:
            InputError: there is no such kind.
        """
        if kind not in self._kinds:
            raise InputError(
                "there is no work {kind!r}; there are: {kinds}", kind=kind, kinds=list(self._kinds)
            )
        values = {
            "id": secrets.token_hex(16),
            "kind": kind,
            "state": "waiting",
            "asked_by": by.name,
            "arguments": json.dumps({**(arguments or {}), "language": language}),
            "step": "",
            "done": 0.0,
            "result": "{}",
            "error": "",
            "created": utc_now(),
        }

        def work(connection: Connection) -> None:
            connection.execute(insert(job), values)
            self._tell(connection, by, f"{kind}.asked", str(values["id"]))

        self._database.write(work)
        self.start()
        self._wake.set()
        return self.find(str(values["id"]))

    def cancel(self, id: str, by: Actor) -> Job:
        """Take a job out of the queue, or stop it at its next step; what it has changed so far is undone.

        Raises:
            NotFoundError: there is no such job.
            InputError: it has ended.
        """

        def work(connection: Connection) -> None:
            state = connection.execute(select(job.c.state).where(job.c.id == id)).scalar()
            if state is None:
                raise NotFoundError("there is no work {id!r}", id=id)
            if state not in OPEN:
                raise InputError("this work has ended already")
            waiting = (job.c.id == id, job.c.state == "waiting")
            connection.execute(update(job).where(*waiting).values(state="cancelled", ended=utc_now()))
            self._tell(connection, by, "job.cancelled", id)

        self._database.write(work)
        running = self._running
        if running is not None and running.id == id:
            running.stop.set()
        return self.find(id)

    def find(self, id: str) -> Job:
        """Find a job, as far as it is now.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(job).where(job.c.id == id)).first()
        if row is None:
            raise NotFoundError("there is no work {id!r}", id=id)
        return self._told(row)

    def listed(self, limit: int = 50, before: tuple[str, str] | None = None) -> list[Job]:
        """List jobs, the newest first; `before`: those asked for before this one (`created`, `id`)."""
        query = select(job).order_by(job.c.created.desc(), job.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(tuple_(job.c.created, job.c.id) < before)
        with self._database.reading() as connection:
            return [self._told(row) for row in connection.execute(query)]

    def open(self, kind: str | None = None) -> list[Job]:
        """List what waits or runs, first come first."""
        query = select(job).where(job.c.state.in_(OPEN)).order_by(job.c.created, job.c.id)
        if kind is not None:
            query = query.where(job.c.kind == kind)
        with self._database.reading() as connection:
            return [self._told(row) for row in connection.execute(query)]

    def latest(self, kind: str) -> Job | None:
        """Find the last job of a kind that was done."""
        query = select(job).where(job.c.kind == kind, job.c.state == "done")
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(job.c.ended.desc()).limit(1)).first()
        return None if row is None else self._told(row)

    def purge(self, before: str) -> int:
        """Forget jobs that ended before a moment (UTC), but the last of each kind that was done; gives how many.

        The audit log goes on telling that they were asked for and how they ended.
        """
        newest = select(func.max(job.c.ended)).where(job.c.state == "done").group_by(job.c.kind)
        old = delete(job).where(
            job.c.state.not_in(OPEN), job.c.ended < before, job.c.ended.not_in(newest.scalar_subquery())
        )
        return self._database.write(lambda connection: connection.execute(old).rowcount)

    def wake(self) -> None:
        """Look at once whether something is to be done."""
        self._wake.set()

    def close(self) -> None:
        """Stop; what runs fails, what waits is done by the next server."""
        self._closing = True
        self._wake.set()
        running = self._running
        if running is not None:
            running.stop.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL)

    def _work(self) -> None:
        """Do jobs, if no other server of this site does."""
        while not self._closing:
            try:
                with locked(self._lock_file, "jobs"):
                    self._work_alone()
            except LockedError:
                self._pause(_PAUSE)

    def _work_alone(self) -> None:
        buried = False
        while not self._closing:
            try:
                if not buried:
                    self._bury()
                    buried = True
                following = self._next()
                if following is None:
                    self._meanwhile()
                    self._pause(_PAUSE)
                else:
                    self._do(following)
            except DatabaseGoneError:
                self._pause(_PATIENCE)
            except Exception as error:  # noqa: BLE001 - the thread must live
                _log.error("jobs kind=%s", type(error).__name__)
                self._pause(_PATIENCE)

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        if not self._closing:
            self._wake.clear()

    def _bury(self) -> None:
        """Say of what ran when a server died that it failed."""
        with self._database.reading() as connection:
            found = connection.execute(select(job).where(job.c.state == "running")).all()
        for row in found:
            self._end(row.id, "failed", error=_in(json.loads(row.arguments), _died()))

    def _next(self) -> Job | None:
        query = select(job).where(job.c.state == "waiting").order_by(job.c.created, job.c.id).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._told(row)

    def _do(self, one: Job) -> None:
        def begin(connection: Connection) -> int:
            waiting = (job.c.id == one.id, job.c.state == "waiting")  # it may have been cancelled meanwhile
            begun = update(job).where(*waiting).values(state="running", started=utc_now())
            return connection.execute(begun).rowcount

        self._running = running = _Running(one.id)
        try:
            if not self._database.write(begin):
                return
            state: State = "done"
            result: Mapping[str, Any] = {}
            error = ""
            try:
                with speaking(one.arguments.get("language")), listening(self._listener(running)):
                    result = self._kinds[one.kind]({**one.arguments, "job": one.id})
            except _StoppedError:
                state = "failed" if self._closing else "cancelled"
                error = _in(one.arguments, _died()) if self._closing else ""
            except MedloomError as failure:
                with speaking(one.arguments.get("language")):
                    state, error = "failed", str(failure)
            except Exception as failure:  # noqa: BLE001 - told to whoever asked
                number = secrets.token_hex(6)
                _log.error("job number=%s kind=%s error=%s", number, one.kind, type(failure).__name__)
                with speaking(one.arguments.get("language")):
                    state = "failed"
                    error = tr(
                        "something went wrong; tell your administrator this number: {number}", number=number
                    )
            self._end(one.id, state, result, error)
        finally:
            self._running = None

    def _end(self, id: str, state: State, result: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Keep how a job ended, as soon as the database can be reached."""
        values = {
            "state": state,
            "result": json.dumps(result or {}, default=str),
            "error": error,
            "ended": utc_now(),
            "step": "",
            "done": 1.0 if state == "done" else 0.0,
        }

        def work(connection: Connection) -> None:
            one = connection.execute(select(job.c.kind, job.c.asked_by).where(job.c.id == id)).one()
            connection.execute(update(job).where(job.c.id == id).values(**values))
            self._tell(connection, Actor(one.asked_by, ""), f"{one.kind}.{state}", id)

        while True:
            try:
                self._database.write(work)
                return
            except DatabaseGoneError:
                if self._closing:
                    return  # the next server finds it running, and dead
                time.sleep(_PATIENCE)

    def _listener(self, running: _Running) -> Any:
        @contextmanager
        def listen(description: str, total: float | None) -> Iterator[Advance]:
            made = 0.0
            running.step, running.done = description, 0.0

            def advance(units: float) -> None:
                nonlocal made
                made += units
                if running.stop.is_set():
                    raise _StoppedError
                running.step = description if total else f"{description}: {made:,.0f}"
                running.done = min(made / total, 1.0) if total else 0.0
                self._note(running)

            advance(0)
            yield advance

        return listen

    def _note(self, running: _Running) -> None:
        now = time.monotonic()
        if now - running.noted < _NOTED:
            return
        running.noted = now
        values = {"step": running.step, "done": running.done}
        try:
            self._database.write(
                lambda connection: connection.execute(
                    update(job).where(job.c.id == running.id).values(**values)
                )
            )
        except MedloomError:
            return  # the next note tells

    def _told(self, row: Row[Any]) -> Job:
        told = dict(row._mapping)
        running = self._running
        if running is not None and running.id == row.id and row.state == "running":
            told |= {"step": running.step, "done": running.done}
        return Job(**{**told, "arguments": json.loads(row.arguments), "result": json.loads(row.result)})

    def _tell(self, connection: Connection, by: Actor, action: str, id: str) -> None:
        self._database.audit.append(connection, Entry(by.name, by.role, action, target=id))


class _StoppedError(BaseException):
    """The work was cancelled; no `except Exception` on its way out may keep it."""


def _died() -> Text2:
    return text2("the server stopped while this ran; start it again")


def _in(arguments: Mapping[str, Any], text: Text2) -> str:
    return text.zh if arguments.get("language") == "zh" else text.en
