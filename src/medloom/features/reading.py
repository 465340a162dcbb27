"""Histories read part by part, each of them used while the next one is being read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from medloom.foundation.engines import each, is_shared
from medloom.tasks.history import History
from medloom.tasks.samples import Samples

T = TypeVar("T")


def of_histories(
    samples: Samples,
    columns: Sequence[str],
    make: Callable[[Samples, History], T],
    most: int = 200_000,
) -> Iterator[T]:
    """Give what `make` makes of each part of the samples and its history, in order.

    An engine's workers read and make, part by part; here, one part is read while something is made of the one before.
    `make` changes nothing.
    """
    parts = list(samples.parts(most))
    if is_shared() or len(parts) < 2:
        yield from each(partial(_made, tuple(columns), make), parts)
        return
    waiting = deque[Future[T]]()
    with ThreadPoolExecutor(1) as second:
        for part in parts:
            waiting.append(second.submit(make, part, part.history(columns)))
            if len(waiting) > 1:  # no more than one ahead: memory
                yield waiting.popleft().result()
        yield waiting.popleft().result()


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


def _made(columns: Sequence[str], make: Callable[[Samples, History], T], part: Samples) -> T:
    return make(part, part.history(columns))
