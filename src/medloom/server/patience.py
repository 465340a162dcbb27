"""How long the server waits for the head of a request, which uvicorn itself would do for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_PATIENCE: Final = 20  # seconds from the connection, or from the first byte of a further request


class PatientProtocol(HttpToolsProtocol):
    """Hangs up on who does not send the whole head of a request in time, however many bytes of it come."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for a request where bytes come that begin none, such as empty lines, and end uvicorn's own wait."""
        if self._limit is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of the head."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """Wait no longer; how fast a body comes is for `gate.py` to judge."""
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        self._limit = self.loop.call_later(_PATIENCE, self._hang_up)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _hang_up(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait()  # the request before is still being answered
        else:
            self.transport.close()
