"""Requests that may be sent again: one that carries an `Idempotency-Key` is done once, and answered the same.

After draft-ietf-httpapi-idempotency-key-header-07: the same key with another request is refused (422), and while the
first is being worked on (409). Keys are kept for a day, for each account its own. What failed may be tried again.

A key is noted before the work begins, and its answer after it: where the server was killed between, nobody knows
whether the work was done, and it is not done again under this key (409), unless that does no harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update
from starlette.responses import Response

from medloom.database.metadata import as_utc_text, utc_now
from medloom.database.tables.work import idempotency
from medloom.foundation.errors import InputError, LockedError
from medloom.server.access import signed_in
from medloom.server.backend import Backend, the_backend

HEADER: Final = "idempotency-key"
LONGEST: Final = 200
REPLAYED: Final = "idempotency-replayed"
_KEPT: Final = timedelta(days=1)
_BEGUN: Final = 0  # in place of the status of an answer


@dataclass(frozen=True)
class Once:
    """A request and its key; `first` answers it, once."""

    backend: Backend
    account_id: int
    key: str | None
    request: str

    def first(self, work: Callable[[], Response], *, harmless: bool = False) -> Response:
        """Do some work unless it was done before under this key; then give the answer it had.

        Args:
            work: what is to be done.
            harmless: whether it may be done again where it is not known to have been done.

        Raises:
            InputError: the key came with another request before.
            LockedError: the first request with this key is being worked on, or was cut off.
        """
        if self.key is None:
            return work()
        place, mine = (self.account_id, self.key), object()
        if self.backend.answering.setdefault(place, mine) is not mine:
            raise LockedError("a request with this Idempotency-Key is being worked on")
        try:
            return self._begun(harmless) or self._done(work)
        finally:
            del self.backend.answering[place]

    def _begun(self, harmless: bool) -> Response | None:
        """Note that work under this key begins, or give the answer it had."""

        def work(connection: Connection) -> Row[Any] | None:
            connection.execute(delete(idempotency).where(idempotency.c.time < _oldest()))
            row = connection.execute(select(idempotency).where(*self._mine)).first()
            if row is None:
                values = {"account_id": self.account_id, "key": self.key, "request": self.request}
                connection.execute(
                    insert(idempotency), {**values, "status": _BEGUN, "body": "", "time": utc_now()}
                )
            return row

        row = self.backend.database.write(work)
        if row is None:
            return None
        if row.request != self.request:
            raise InputError("this Idempotency-Key came with another request before; take a new one")
        if row.status == _BEGUN:
            if harmless:
                return None
            raise LockedError(
                "the first request with this Idempotency-Key was cut off: look whether it was done, and if not, send it"
                " with a new one"
            )
        location, _, body = row.body.partition("\n")
        headers = {REPLAYED: "true"} | ({"location": location} if location else {})
        return Response(body, row.status, headers, "application/json")

    def _done(self, work: Callable[[], Response]) -> Response:
        try:
            answer = work()
        except BaseException:
            self.backend.database.write(lambda known: known.execute(delete(idempotency).where(*self._mine)))
            raise
        body = f"{answer.headers.get('location', '')}\n{bytes(answer.body).decode()}"
        values = {"status": answer.status_code, "body": body}
        self.backend.database.write(
            lambda known: known.execute(update(idempotency).where(*self._mine).values(**values))
        )
        return answer

    @property
    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return idempotency.c.account_id == self.account_id, idempotency.c.key == self.key


async def once(request: Request) -> Once:
    """Read the key of a request; the OpenAPI document tells of it where a route depends on this.

    Raises:
        InputError: the key is none.
    """
    backend, sent = the_backend(request), request.headers.get(HEADER)
    if sent is None:
        return Once(backend, 0, None, "")
    if not 0 < len(sent) <= LONGEST:
        raise InputError("an Idempotency-Key has 1 to {n} characters", n=LONGEST)
    said = b"\n".join((request.method.encode(), request.url.path.encode(), await request.body()))
    key = hashlib.sha256(sent.encode()).hexdigest()
    return Once(backend, signed_in(request).account_id, key, hashlib.sha256(said).hexdigest())


OnceOf = Annotated[Once, Depends(once)]


def _oldest() -> str:
    return as_utc_text(datetime.now(UTC) - _KEPT)
