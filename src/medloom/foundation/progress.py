"""Progress of long work: said by the one who works, shown by whoever listens.

Work calls `progress(...)`; only the command line (or a server) installs a
listener, so a library user sees nothing unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")
Advance = Callable[[float], None]


class Listener(Protocol):
    """Shows one piece of long work; the context yields a function that advances it."""

    def __call__(self, description: str, total: float | None) -> AbstractContextManager[Advance]: ...


_listener: ContextVar[Listener | None] = ContextVar("medloom_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Show the progress of all work inside the block through `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def progress(description: str, total: float | None = None) -> AbstractContextManager[Advance]:
    """Report work of `total` units (None: unknown); call what it yields with the units done.

    >>> with progress("Reading", total=2) as advance:
    ...     advance(1)
    """
    listener = _listener.get()
    return nullcontext(_ignore) if listener is None else listener(description, total)


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Yield `items`, reporting each as one unit of work."""
    with progress(description, total) as advance:
        for item in items:
            yield item
            advance(1)


def _ignore(_units: float) -> None:
    return None
