"""Releases: which version of a model answers, decided by two persons, and taken back by one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, insert, select, update

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import utc_now
from medloom.database.tables.serving import release
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import read_json
from medloom.site import Site
from medloom.tasks import models
from medloom.tasks.kinds import PROBABLE, Kind
from medloom.tasks.models import ModelName
from medloom.tasks.package import origin_in, package_digest

State = Literal["proposed", "active", "refused", "retired"]

_EVALUATION: Final = "held_out/evaluation.json"


@dataclass(frozen=True)
class Actor:
    """Who does something, for the audit log."""

    name: str
    role: str


@dataclass(frozen=True)
class Release:
    """A version of a model on its way to patients, or back.

    Attributes:
        id: its number.
        task, model: of which question, and `TASK.LEARNER@N`.
        package: digest of the package that was looked at; another one is never served.
        state: `proposed`, `active`, `refused` or `retired`.
        threshold: the answer from which on somebody is alerted; None: nobody is.
        note: why it was proposed.
        evidence: metrics of the held-out patients then.
        proposed_by, proposed, signed_by, signed, ended_by, ended, end_reason: who did what when (UTC).
    """

    id: int
    task: str
    model: str
    package: str
    state: State
    threshold: float | None
    note: str
    evidence: dict[str, Any]
    proposed_by: str
    proposed: str
    signed_by: str | None
    signed: str | None
    ended_by: str | None
    ended: str | None
    end_reason: str | None


def propose(
    site: Site,
    database: Database,
    model: str,
    by: Actor,
    note: str = "",
    threshold: float | None = None,
) -> Release:
    """Propose that a model answers for patients.

    Raises:
        NotFoundError: there is no such model.
        InputError: it was not evaluated on held-out patients, this version is proposed or active already, no answer
            could reach the threshold, or its question is about notes and it names no places in them.
    """
    name = site.model_name(model)
    evidence = _evidence(site, name)
    package = models.directory(site.directory, name)
    digest = package_digest(package)
    question = origin_in(package).question
    if question.about == "note" and question.kind != "tagging":
        raise InputError(
            "of models about notes those answer in the workbench that name places (tagging), and {kind} does not;"
            " ask this one with: medloom predict",
            kind=question.kind,
        )
    _check_threshold(threshold, question.kind)

    def work(connection: Connection) -> int:
        known = connection.execute(
            select(release.c.state).where(
                release.c.model == str(name), release.c.state.in_(("proposed", "active"))
            )
        ).scalar()
        if known:
            raise InputError("{model} is released or proposed already", model=str(name))
        values = {
            "task": name.task,
            "model": str(name),
            "package": digest,
            "state": "proposed",
            "threshold": threshold,
            "note": note,
            "evidence": json.dumps(evidence),
            "proposed_by": by.name,
            "proposed": utc_now(),
        }
        (number,) = connection.execute(insert(release), values).inserted_primary_key or (0,)
        database.audit.append(
            connection, Entry(by.name, by.role, "release.proposed", target=str(name), reason=note)
        )
        return int(number)

    return find(database, database.write(work))


def sign(database: Database, number: int, by: Actor) -> Release:
    """Let a proposed model answer; the one that answered this question until now retires.

    Raises:
        NotFoundError: there is no such release.
        InputError: it is not proposed, or it was proposed by the same person.
    """

    def work(connection: Connection) -> None:
        one = _locked(connection, number)
        if one.state != "proposed":
            raise InputError(
                "release {number} of {model} is not waiting for a signature", number=number, model=one.model
            )
        if one.proposed_by == by.name:
            raise InputError("two persons release a model: somebody else than who proposed it signs")
        now = utc_now()
        connection.execute(
            update(release)
            .where(release.c.task == one.task, release.c.state == "active")
            .values(state="retired", ended_by=by.name, ended=now, end_reason=f"replaced by {one.model}")
        )
        connection.execute(
            update(release)
            .where(release.c.id == number)
            .values(state="active", signed_by=by.name, signed=now)
        )
        database.audit.append(connection, Entry(by.name, by.role, "release.signed", target=one.model))

    database.write(work)
    return find(database, number)


def refuse(database: Database, number: int, by: Actor, reason: str) -> Release:
    """Refuse a proposed model, or take one's own proposal back.

    Raises:
        NotFoundError: there is no such release.
        InputError: it is not proposed, or no reason is given.
    """
    return _end(database, number, by, reason, "proposed", "refused")


def retire(database: Database, number: int, by: Actor, reason: str) -> Release:
    """Stop a model from answering, at once and by one person.

    Raises:
        NotFoundError: there is no such release.
        InputError: it is not active, or no reason is given.
    """
    return _end(database, number, by, reason, "active", "retired")


def roll_back(database: Database, number: int, by: Actor, reason: str) -> Release:
    """Let the model answer again that answered before this one; it was signed by two persons then.

    Raises:
        NotFoundError: there is no such release, or none before it.
        InputError: it is not active, or no reason is given.
    """
    _check_reason(reason)

    def work(connection: Connection) -> int:
        one = _locked(connection, number)
        if one.state != "active":
            raise InputError("release {number} of {model} is not active", number=number, model=one.model)
        before = connection.execute(
            select(release)
            .where(
                release.c.task == one.task,
                release.c.state == "retired",
                release.c.signed.is_not(None),
                release.c.id != number,
            )
            .order_by(release.c.ended.desc())
            .limit(1)
        ).first()
        if before is None:
            raise NotFoundError("no model answered this question before {model}", model=one.model)
        now = utc_now()
        connection.execute(
            update(release)
            .where(release.c.id == number)
            .values(state="retired", ended_by=by.name, ended=now, end_reason=reason)
        )
        connection.execute(
            update(release)
            .where(release.c.id == before.id)
            .values(state="active", ended_by=None, ended=None, end_reason=None)
        )
        database.audit.append(
            connection,
            Entry(
                by.name,
                by.role,
                "release.rolled_back",
                target=one.model,
                reason=reason,
                detail={"to": before.model},
            ),
        )
        return int(before.id)

    return find(database, database.write(work))


def find(database: Database, number: int) -> Release:
    """Find a release by its number.

    Raises:
        NotFoundError: there is none.
    """
    with database.reading() as connection:
        row = connection.execute(select(release).where(release.c.id == number)).first()
    if row is None:
        raise NotFoundError("there is no release {number}", number=number)
    return _release(row)


def every(database: Database) -> list[Release]:
    """List all releases, the newest first."""
    with database.reading() as connection:
        rows = connection.execute(select(release).order_by(release.c.id.desc())).all()
    return [_release(row) for row in rows]


def active(database: Database) -> list[Release]:
    """List what answers now, by task."""
    with database.reading() as connection:
        query = select(release).where(release.c.state == "active").order_by(release.c.task)
        rows = connection.execute(query).all()
    return [_release(row) for row in rows]


def _end(database: Database, number: int, by: Actor, reason: str, expected: State, becomes: State) -> Release:
    _check_reason(reason)

    def work(connection: Connection) -> None:
        one = _locked(connection, number)
        if one.state != expected:
            raise InputError(
                "release {number} of {model} is {state} already",
                number=number,
                model=one.model,
                state=one.state,
            )
        connection.execute(
            update(release)
            .where(release.c.id == number)
            .values(state=becomes, ended_by=by.name, ended=utc_now(), end_reason=reason)
        )
        database.audit.append(
            connection, Entry(by.name, by.role, f"release.{becomes}", target=one.model, reason=reason)
        )

    database.write(work)
    return find(database, number)


def _check_threshold(threshold: float | None, kind: Kind) -> None:
    if threshold is None:
        return
    if kind == "tagging":
        raise InputError("nobody is alerted by places in notes: leave the threshold out")
    if kind in PROBABLE and not 0 < threshold < 1:
        raise InputError("a threshold is a risk between 0 and 1, such as 0.2")
    if not math.isfinite(threshold):
        raise InputError("a threshold is a number, such as 1.5")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InputError("say why: the reason is kept with the release")


def _locked(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(select(release).where(release.c.id == number).with_for_update()).first()
    if row is None:
        raise NotFoundError("there is no release {number}", number=number)
    return row


def _release(row: Row[Any]) -> Release:
    return Release(**{**row._mapping, "evidence": json.loads(row.evidence)})


def _evidence(site: Site, name: ModelName) -> dict[str, Any]:
    path = models.evidence_directory(site.directory, name) / _EVALUATION
    if not path.is_file():
        raise InputError(
            "{model} was not evaluated on held-out patients yet; do so with: medloom evaluate {model}",
            model=str(name),
        )
    found = read_json(path)
    return {key: found[key] for key in ("n", "n_subjects", "prevalence", "metrics") if key in found}
