"""What all tables of `site.db` share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import MetaData

# Names of constraints, so that a migration can name what it changes.
metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def utc_now() -> str:
    """Tell the moment as the tables keep it: UTC, ISO 8601 with microseconds; sorts as text.

    >>> len(utc_now()), utc_now()[-1]
    (27, 'Z')
    """
    return as_utc_text(datetime.now(UTC))


def as_utc_text(moment: datetime) -> str:
    """Write a moment with a time zone as the tables keep it.

    >>> as_utc_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05.000000Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_utc_text(text: str) -> datetime:
    """Read back what `as_utc_text` wrote.

    >>> from_utc_text("2026-01-02T03:04:05.000000Z").hour
    3
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
