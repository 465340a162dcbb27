"""The steps from one form of `site.db` to the next (Alembic); opening a site takes those that are missing."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from medloom.foundation.errors import IntegrityError


def upgrade(connection: Connection) -> None:
    """Take the steps that are missing, inside the caller's transaction.

    Raises:
        IntegrityError: a newer Medloom has written this database.
    """
    config = Config()
    config.set_main_option("script_location", str(files(__name__)))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    if MigrationContext.configure(connection).get_current_revision() == script.get_current_head():
        return
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise IntegrityError(
            "site.db was written by a newer Medloom; install that one: {reason}", reason=str(error)
        ) from error
