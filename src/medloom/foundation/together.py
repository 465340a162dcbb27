"""Answering together those who wait at the same time: what costs as much for many as for one is paid once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class ClosedError(RuntimeError):
    """Nothing is answered any more."""


class Together(Generic[Q, A]):
    """One thread that answers; who comes while it does queues up, and is answered with all who did.

    Who comes alone is answered at once: nobody waits for company.

    >>> doubling = Together[int, int](lambda numbers: [2 * one for one in numbers], most=10, name="doubling")
    >>> asked = [doubling.ask(number) for number in (1, 2, 3)]
    >>> doubling.close()
    >>> [one.result() for one in asked]
    [2, 4, 6]

    Args:
        answer: answers questions, in order, or gives the error of one in its place. Where it raises, each is asked
            again by itself: who asked what cannot be answered harms nobody else.
        most: questions answered together.
        name: of the thread.
    """

    def __init__(
        self, answer: Callable[[Sequence[Q]], Sequence[A | BaseException]], most: int, name: str
    ) -> None:
        self._answer = answer
        self._most = most
        self._waiting: SimpleQueue[tuple[Q, Future[A]] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._answer_all, name=name, daemon=True)
        self._thread.start()

    def ask(self, question: Q) -> Future[A]:
        """Queue up; the answer is to come.

        Raises:
            ClosedError: it was closed.
        """
        future: Future[A] = Future()
        with self._gate:
            if self._closed:
                raise ClosedError
            self._waiting.put((question, future))
        return future

    def close(self) -> None:
        """Answer what was asked, and nothing more."""
        with self._gate:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _answer_all(self) -> None:
        while (first := self._waiting.get()) is not None:
            asked = [first]
            last = False
            while len(asked) < self._most and not self._waiting.empty() and not last:
                more = self._waiting.get()
                if more is None:
                    last = True
                else:
                    asked.append(more)
            self._answer_these(asked)
            if last:
                return

    def _answer_these(self, asked: list[tuple[Q, Future[A]]]) -> None:
        wanted = [one for one in asked if one[1].set_running_or_notify_cancel()]
        answers = self._answers([question for question, _ in wanted])
        for (_, future), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _answers(self, questions: Sequence[Q]) -> Sequence[A | BaseException]:
        try:
            answers = self._answer(questions) if questions else []
            if len(answers) != len(questions):
                raise ValueError(f"{len(answers)} answers to {len(questions)} questions")
            return answers
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            if len(questions) == 1:
                return [error]
            return [answer for question in questions for answer in self._answers([question])]
