"""Histories read part by part, each of them used while the next one is being read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from medloom.tasks.history import History
from medloom.tasks.samples import Samples

T = TypeVar("T")


def use_histories(samples: Samples, columns: Sequence[str], use: Callable[[int, History], T]) -> list[T]:
    """Call `use` with the position of the first sample and the history of each part of the samples.

    With several parts it runs in a second thread, one part at a time and in order; reading stays in this one.
    Both spend most of their time outside Python's lock.
    """
    parts = list(samples.parts())
    if len(parts) == 1:
        return [use(0, parts[0].history(columns))]
    waiting: list[Future[T]] = []
    found: list[T] = []
    position = 0
    with ThreadPoolExecutor(1) as second:
        for part in parts:
            history = part.history(columns)
            found += [future.result() for future in waiting]  # no more than one ahead: memory
            waiting = [second.submit(use, position, history)]
            position += len(part)
        found += [future.result() for future in waiting]
    return found
