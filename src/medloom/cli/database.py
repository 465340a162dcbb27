"""The database of a site, opened for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from medloom.database.engine import Database
from medloom.loop.releases import Actor
from medloom.site import Site

OPERATOR: Final = Actor("operator", "")
"""Who works at the command line: whoever may read the site's files."""


@contextmanager
def operating(site: Site) -> Iterator[Database]:
    """Open the database of a site, and close it."""
    database = Database.of(site.directory)
    try:
        yield database
    finally:
        database.close()
