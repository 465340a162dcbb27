"""Long work in the background: watched, cancelled, one at a time; the queue survives the server and the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from medloom.database.audit import AuditLog
from medloom.database.engine import Database
from medloom.database.tables.work import job
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress, track
from medloom.loop.releases import Actor
from medloom.server import jobs as module
from medloom.server.jobs import Job, Jobs

ANNA = Actor("anna", "data_scientist")


class Kitchen:
    """Kinds of work whose pace a test sets."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.order: list[str] = []

    def boil(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self.order.append(arguments.get("name", ""))
        self.begun.set()
        assert self.go.wait(10)
        return {"boiled": 1}

    def stir(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        with progress("Stirring", total=1000) as advance:
            for _ in range(1000):
                advance(1)
                self.begun.set()
                time.sleep(0.01)
        return {}

    def burn(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if arguments.get("plainly"):
            raise InputError(
                "the disk that holds {name!r} is full; free some space and repeat: nothing was changed",
                name="x",
            )
        raise ValueError("Jane Roe")

    def count(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in track(range(3), tr("Reading {what}", what="x")):
            pass
        return {}

    @property
    def kinds(self) -> dict[str, module.Work]:
        return {"boil": self.boil, "stir": self.stir, "burn": self.burn, "count": self.count}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "db").mkdir()
    made = Database(f"sqlite:///{tmp_path / 'db' / 'site.db'}", AuditLog(b"k" * 32))
    yield made
    made.close()


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


@pytest.fixture
def queue(
    database: Database, kitchen: Kitchen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Jobs]:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    made = Jobs(database, tmp_path / "lock", kitchen.kinds)
    yield made
    kitchen.go.set()
    made.close()


def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def ended(queue: Jobs, one: Job) -> Job:
    until(lambda: not queue.find(one.id).is_open)
    return queue.find(one.id)


def test_old_jobs_are_forgotten_but_the_last_of_a_kind_that_was_done(queue: Jobs, database: Database) -> None:
    first, second, failed = (queue.ask(kind, ANNA) for kind in ("count", "count", "burn"))
    ended(queue, failed)
    queue.purge("2000-01-01")
    assert len(queue.listed()) == 3
    assert queue.purge("9999-01-01") == 2
    assert [one.id for one in queue.listed()] == [second.id]
    assert ended(queue, queue.ask("count", ANNA)).state == "done" and first.id != second.id


def test_jobs_are_done_one_after_the_other_in_the_order_they_came(queue: Jobs, kitchen: Kitchen) -> None:
    first, second = (queue.ask("boil", ANNA, {"name": name}) for name in ("a", "b"))
    assert kitchen.begun.wait(5)
    until(lambda: queue.find(first.id).state == "running")
    assert queue.find(second.id).state == "waiting"
    assert [one.id for one in queue.open()] == [first.id, second.id]
    kitchen.go.set()
    assert ended(queue, first).result == {"boiled": 1}
    assert ended(queue, second).state == "done"
    assert kitchen.order == ["a", "b"]
    assert [one.id for one in queue.listed()] == [second.id, first.id]
    newest = queue.listed(limit=1)[0]
    assert [one.id for one in queue.listed(before=(newest.created, newest.id))] == [first.id]


def test_progress_is_seen_and_work_is_stopped_at_its_next_step(queue: Jobs, kitchen: Kitchen) -> None:
    one = queue.ask("stir", ANNA)
    until(lambda: queue.find(one.id).done > 0.002)
    assert queue.find(one.id).step == "Stirring"
    queue.cancel(one.id, ANNA)
    assert ended(queue, one).state == "cancelled"
    with pytest.raises(InputError):
        queue.cancel(one.id, ANNA)


def test_what_waits_is_cancelled_at_once(queue: Jobs, kitchen: Kitchen) -> None:
    first, second = queue.ask("boil", ANNA), queue.ask("boil", ANNA, {"name": "never"})
    assert kitchen.begun.wait(5)
    assert queue.cancel(second.id, ANNA).state == "cancelled"
    kitchen.go.set()
    assert ended(queue, first).state == "done"
    assert kitchen.order == [""]


def test_errors_are_told_in_the_askers_language_and_surprises_without_what_they_quote(queue: Jobs) -> None:
    plain = ended(queue, queue.ask("burn", ANNA, {"plainly": True}, "zh"))
    assert plain.state == "failed" and "磁盘" in plain.error
    surprise = ended(queue, queue.ask("burn", ANNA))
    assert surprise.state == "failed" and "Jane" not in surprise.error and "number" in surprise.error
    assert ended(queue, queue.ask("count", ANNA)).state == "done"  # the next one is done all the same


def test_unknown_work_is_refused(queue: Jobs) -> None:
    with pytest.raises(InputError, match="boil"):
        queue.ask("dance", ANNA)
    with pytest.raises(NotFoundError):
        queue.find("0" * 32)


def test_what_ran_when_a_server_died_has_failed_and_what_waited_is_done(
    database: Database, kitchen: Kitchen, tmp_path: Path
) -> None:
    dead = Jobs(database, tmp_path / "lock", kitchen.kinds)
    dead.start = lambda: None  # type: ignore[method-assign]
    running, waiting = dead.ask("boil", ANNA, language="zh"), dead.ask("count", ANNA)
    database.write(
        lambda connection: connection.execute(
            update(job).where(job.c.id == running.id).values(state="running", started=running.created)
        )
    )
    after = Jobs(database, tmp_path / "lock", kitchen.kinds)
    after.start()
    try:
        assert ended(after, waiting).state == "done"
        assert after.find(running.id).state == "failed" and "服务器" in after.find(running.id).error
    finally:
        after.close()


def test_two_servers_of_a_site_do_not_both_work(database: Database, kitchen: Kitchen, tmp_path: Path) -> None:
    first, second = (Jobs(database, tmp_path / "lock", kitchen.kinds) for _ in range(2))
    one = first.ask("boil", ANNA, {"name": "one"})
    assert kitchen.begun.wait(5)
    other = second.ask("boil", ANNA, {"name": "other"})
    time.sleep(0.1)
    assert kitchen.order == ["one"]
    kitchen.go.set()
    assert ended(first, one).state == ended(first, other).state == "done"
    first.close()
    second.close()


def test_a_database_that_goes_away_keeps_the_queue_and_what_came_of_it(
    queue: Jobs, kitchen: Kitchen, tmp_path: Path
) -> None:
    first, second = queue.ask("boil", ANNA), queue.ask("count", ANNA)
    assert kitchen.begun.wait(5)
    until(lambda: queue.find(first.id).state == "running")
    (tmp_path / "db").rename(tmp_path / "gone")
    kitchen.go.set()
    time.sleep(0.2)
    (tmp_path / "gone").rename(tmp_path / "db")
    assert ended(queue, first).result == {"boiled": 1}
    assert ended(queue, second).state == "done"
