"""What the server's routes work with: a site, its database, its released models, and who may see whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import polars as pl
from fastapi import Depends, Request

from medloom.care.answering import Answering
from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.loop.serving import Serving
from medloom.server import accounts
from medloom.server.access import ForbiddenError, Person
from medloom.server.chores import Housekeeping, chores
from medloom.server.jobs import Jobs
from medloom.server.sessions import Sessions
from medloom.server.settings import ServerSettings
from medloom.server.uploads import Uploads
from medloom.site import Site

_TEAM_REMEMBERED = 2.0  # seconds
_JOBS_LOCK = ".jobs.lock"


@dataclass
class Backend:
    """Everything behind the routes of one site.

    Attributes:
        site: the site.
        database: its `site.db`.
        serving: its released models.
        settings: of this server.
        clock: the site's wall clock.
        sessions, uploads, jobs: what goes on in it.
        asking: who asks its models.
        answering: requests with an Idempotency-Key that are being worked on, by account and key.
    """

    site: Site
    database: Database
    serving: Serving
    settings: ServerSettings
    clock: Callable[[], datetime]
    sessions: Sessions = field(init=False)
    uploads: Uploads = field(init=False)
    jobs: Jobs = field(init=False)
    asking: Answering = field(init=False)
    answering: dict[tuple[int, str], object] = field(init=False, default_factory=dict)
    _teams: dict[int, tuple[float, frozenset[int]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.database)
        self.uploads = Uploads(self.site.directory)
        self.asking = Answering(self.serving, self.database, self.site.record)
        kinds = chores(self.site, self.database, self.serving, self.uploads, self.clock)
        housekeeping = Housekeeping(self.site, self.database, self.serving, self.uploads, self.clock)
        lock = self.site.directory.root / _JOBS_LOCK

        def meanwhile() -> None:
            housekeeping.see_to(self.jobs)
            self.serving.refresh()  # somebody may have signed at the command line

        self.jobs = Jobs(self.database, lock, kinds, meanwhile)

    @classmethod
    def of(cls, site: Site, settings: ServerSettings | None = None) -> Backend:
        """Open what belongs to a site."""
        settings = settings or ServerSettings()
        database = Database.of(site.directory)
        clock = settings.clock(ZoneInfo(site.settings.time_zone))
        return cls(site, database, Serving(site, database, clock), settings, clock)

    def now(self) -> datetime:
        """Tell the site's wall clock (naive): what was known later is not shown."""
        return self.clock()

    def sees(self, person: Person, subject_id: int) -> bool:
        """Tell whether a patient is one of a person's."""
        return self.sees_everybody(person) or subject_id in self.team(person)

    def sees_everybody(self, person: Person) -> bool:
        """Tell whether a person sees patients beyond a care team; data scientists do, by pseudonym."""
        return person.sees_all or person.role == "data_scientist"

    def knows_it_sees(self, person: Person, subject_id: int) -> bool:
        """Tell whether a person sees a patient as far as that is known without asking the database."""
        known = self._teams.get(person.account_id)
        in_team = known is not None and known[0] >= time.monotonic() and subject_id in known[1]
        return self.sees_everybody(person) or in_team

    def team(self, person: Person) -> frozenset[int]:
        """List the patients of a person's care team, and those they broke glass for."""
        known = self._teams.get(person.account_id)
        now = time.monotonic()
        if known is None or known[0] < now:
            known = (now + _TEAM_REMEMBERED, accounts.team_of(self.database, person.account_id))
            self._teams[person.account_id] = known
        return known[1]

    def board_of(self, person: Person) -> pl.DataFrame:
        """Give the current answers about the patients a person sees: rows of `BOARD_SCHEMA`."""
        board = self.serving.board()
        if self.sees_everybody(person):
            return board
        return board.filter(pl.col("subject_id").is_in(sorted(self.team(person))))

    def check_sees(self, person: Person, subject_id: int) -> None:
        """Refuse who may not see a patient, and note that they tried.

        Raises:
            ForbiddenError: the patient is not of the person's care team, and no glass was broken.
        """
        if not self.sees(person, subject_id):
            self.told(Entry(person.login, person.role, "patient.refused", subject_id, outcome="refused"))
            raise OutsideTeamError(subject_id)

    def break_glass(self, person: Person, subject_id: int, reason: str) -> None:
        """Let a person see a patient of others for some hours; raises as `accounts.break_glass`."""
        accounts.break_glass(self.database, person.account_id, person.actor, subject_id, reason)
        self._teams.pop(person.account_id, None)

    def saw(
        self, person: Person, subject_id: int | None, action: str, target: str = "", reason: str = ""
    ) -> None:
        """Note in the audit log that a person saw something."""
        self.told(Entry(person.login, person.role, action, subject_id, target, reason))

    def saw_list(self, person: Person, action: str, subjects: Iterable[int], target: str = "") -> None:
        """Note in the audit log which patients a person saw in a list."""
        shown = {"patients": sorted(set(subjects))}
        self.told(Entry(person.login, person.role, action, target=target, detail=shown))

    def told(self, *entries: Entry) -> None:
        """Write into the audit log."""
        self.database.write(lambda connection: self.database.audit.append(connection, *entries))

    def accounts_changed(self) -> None:
        """Say that accounts, teams or tokens are not what they were."""
        self.sessions.forget()
        self._teams.clear()

    def close(self) -> None:
        """Stop what is done in the background, and let go of the database."""
        self.jobs.close()
        self.asking.close()
        self.database.close()


class OutsideTeamError(ForbiddenError):
    """The patient is not one of the person's; they may break glass."""

    def __init__(self, subject_id: int) -> None:
        super().__init__("this patient is not of your care team")
        self.subject_id = subject_id


def the_backend(request: Request) -> Backend:
    """Give a route the backend of its application."""
    backend: Backend = request.app.state.backend
    return backend


async def _backend(request: Request) -> Backend:
    # a plain function would be run in another thread, for each request
    return the_backend(request)


BackendOf = Annotated[Backend, Depends(_backend)]
