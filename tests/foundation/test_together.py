"""Who waits at the same time is answered together; what one asked harms nobody else."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from medloom.foundation.together import ClosedError, Together


class Slow:
    """Halves numbers; the first question is answered when the others have come."""

    def __init__(self) -> None:
        self.begun, self.others_came = threading.Event(), threading.Event()
        self.met: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[float | BaseException]:
        self.met.append(list(numbers))
        self.begun.set()
        assert self.others_came.wait(10)
        return [12 / number if number != 5 else ValueError("five") for number in numbers]


def test_those_who_wait_are_answered_together_and_errors_are_ones_own() -> None:
    slow = Slow()
    together = Together[int, float](slow, most=3, name="test")
    first = together.ask(1)
    assert slow.begun.wait(10)
    waiting = {number: together.ask(number) for number in (2, 0, 5, 4)}
    given_up = together.ask(6)
    assert given_up.cancel()
    slow.others_came.set()
    assert (first.result(10), waiting[2].result(10), waiting[4].result(10)) == (12, 6, 3)
    with pytest.raises(ZeroDivisionError):
        waiting[0].result(10)
    with pytest.raises(ValueError, match="five"):
        waiting[5].result(10)
    together.close()
    # the second batch failed as a whole, so each was asked again by itself
    assert slow.met == [[1], [2, 0, 5], [2], [0], [5], [4]]
    with pytest.raises(ClosedError):
        together.ask(7)
