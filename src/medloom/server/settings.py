"""How this server runs, as the command line says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class ServerSettings:
    """Settings of one running server.

    Attributes:
        hosts: names under which it is reached; a request for another one is refused.
        secure: whether it speaks TLS, or stands behind something that does.
        as_of: for demonstrations: the moment that is now when the server starts; time goes on from there, and pages
            say so.
        most_body: bytes of a request at most.
        most_outline: bytes of an outline as it is sent, packed.
        most_upload: bytes of an uploaded file at most.
    """

    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]", "testserver")
    secure: bool = False
    as_of: datetime | None = None
    most_body: int = 2 * _MEGABYTE
    most_outline: int = 32 * _MEGABYTE
    most_upload: int = 2048 * _MEGABYTE

    def clock(self, zone: ZoneInfo) -> Callable[[], datetime]:
        """Give the wall clock of a time zone, shifted where another moment is to be now."""
        shift = timedelta(0) if self.as_of is None else self.as_of - _wall(zone)
        return lambda: _wall(zone) + shift


def _wall(zone: ZoneInfo) -> datetime:
    return datetime.now(zone).replace(tzinfo=None)
