"""A site made ready to be shown: an account of every role, and a clinician with a care team."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

import polars as pl

from medloom.database.engine import Database
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.access import Role
from medloom.site import Site
from medloom.tasks import library
from medloom.tasks.asking import Asker

_ACCOUNTS: Final[tuple[tuple[str, Role], ...]] = (
    ("clinician", "clinician"),
    ("scientist", "data_scientist"),
    ("governance", "governance"),
    ("expert", "expert"),
    ("second", "expert"),
    ("third", "expert"),
    ("admin", "admin"),
)
_OTHERS: Final = 5  # every fifth patient is somebody else's, so that breaking the glass can be tried


def prepare(site: Site, task: str, now: datetime) -> list[tuple[str, Role, str]]:
    """Make the accounts, with passwords drawn anew: name, role, password.

    Args:
        site: without accounts yet.
        task: whose patients at `now` are the clinician's.
        now: the moment that is shown as the present.
    """
    database = Database.of(site.directory)
    operator = Actor("demo", "")
    made = []
    try:
        for name, role in _ACCOUNTS:
            password = "-".join(secrets.token_hex(2) for _ in range(4))
            accounts.create(database, operator, name, role, password, must_change=False)
            made.append((name, role, password))
        current = Asker(library.find(task, site.directory), site.record).current(now)
        open_now = current.until.filter(pl.col("until").is_null() | (pl.col("until") > now))["sample_id"]
        frame = current.samples.frame.filter(pl.col("sample_id").is_in(open_now.implode()))
        team = [one for place, one in enumerate(frame["subject_id"]) if place % _OTHERS]
        accounts.set_team(database, operator, "clinician", team)
    finally:
        database.close()
    return made
