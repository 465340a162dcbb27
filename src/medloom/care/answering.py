"""Asking released models: who asks at the same time is answered together, and what is said is stored at once.

Reading histories, asking a model and writing to the database cost little more for thirty patients than for one.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from medloom.care import risk
from medloom.care.risk import Given
from medloom.database.engine import Database, DatabaseGoneError
from medloom.foundation.errors import MedloomError, StorageError
from medloom.foundation.together import ClosedError, Together
from medloom.loop.releases import Actor
from medloom.loop.serving import Serving
from medloom.record.record import Record

_MOST: Final = 64  # answered together


@dataclass(frozen=True)
class Inquiry:
    """What somebody asks.

    Attributes:
        model: a released model's name, or its task's.
        subject_id: about whom.
        by: who asks.
        via: by which way.
        at: a moment to ask as of, on the site's wall clock; None: the latest at which the task asks.
    """

    model: str
    subject_id: int
    by: Actor
    via: str
    at: datetime | None = None


class Answering:
    """Lets released models answer; each answer is stored with its input, and told of in the audit log.

    Args:
        serving: the released models.
        database: where advice is stored.
        record: that is asked.
    """

    def __init__(self, serving: Serving, database: Database, record: Record) -> None:
        self._serving = serving
        self._database = database
        self._record = record
        self._together: dict[
            str, Together[Inquiry, Given]
        ] = {}  # by model: a slow one keeps no other waiting
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, inquiry: Inquiry) -> Future[Given]:
        """Ask, without reasons, together with whoever asks at the same time; the answer is to come.

        Raises, when the answer is awaited, what stands in its place in `answer`, or DatabaseGoneError where nothing is
        answered any more.
        """
        try:
            return self._those_who_ask(str(self._serving.find(inquiry.model).name)).ask(inquiry)
        except ClosedError:
            return _failed(
                DatabaseGoneError("the database of the site cannot be reached now; repeat in a moment")
            )
        except MedloomError as error:
            return _failed(error)

    def _those_who_ask(self, model: str) -> Together[Inquiry, Given]:
        """Give those who ask a model at the same time; models that were retired since are let go."""
        with self._lock:
            if self._closed:
                raise ClosedError
            if model not in self._together:
                released = {str(one.name) for one in self._serving.served}
                for retired in set(self._together) - released:
                    self._together.pop(retired).close()
                self._together[model] = Together(self.answer, _MOST, f"medloom-{model}")
            return self._together[model]

    def answer(self, inquiries: Sequence[Inquiry], *, explain: bool = False) -> list[Given | MedloomError]:
        """Answer inquiries, in order; in place of an answer what stands against it.

        It is a NotFoundError where there is no such model or patient, an InputError where the task does not ask this
        patient or the moment is to come, a StorageError where the answer could not be stored.
        """
        digest = self._record.digest()
        found: dict[int, Given | MedloomError] = {}
        for (model, at, _), places in _rounds(inquiries).items():
            of_subject = {inquiries[place].subject_id: place for place in places}
            try:
                served = self._serving.find(model)
                asked, refused = self._serving.ask_each(served, of_subject, at)
            except MedloomError as error:
                found |= dict.fromkeys(places, error)
                continue
            found |= {of_subject[subject]: error for subject, error in refused.items()}
            for one in asked:
                made = risk.advise_each(
                    served, one.sample, one.against, explain=explain, record_digest=digest
                )
                found |= {of_subject[given.advice.subject_id]: given for given in made}
        answers = [found[place] for place in range(len(inquiries))]
        kept = [
            (answer, inquiry.by, inquiry.via)
            for inquiry, answer in zip(inquiries, answers, strict=True)
            if isinstance(answer, Given)
        ]
        if kept:
            try:
                self._database.write(risk.keep_each(self._database, kept))
            except StorageError as error:
                return [error if isinstance(answer, Given) else answer for answer in answers]
        return answers

    def close(self) -> None:
        """Answer what was asked, and let go."""
        with self._lock:
            self._closed = True
            for one in self._together.values():
                one.close()


def _failed(error: MedloomError) -> Future[Given]:
    future: Future[Given] = Future()
    future.set_exception(error)
    return future


def _rounds(inquiries: Sequence[Inquiry]) -> dict[tuple[str, datetime | None, int], list[int]]:
    """Group inquiries, by their places, of which a model is asked at once: of each patient one."""
    met: Counter[tuple[str, datetime | None, int]] = Counter()
    rounds: defaultdict[tuple[str, datetime | None, int], list[int]] = defaultdict(list)
    for place, one in enumerate(inquiries):
        key = (one.model, one.at, one.subject_id)
        rounds[one.model, one.at, met[key]].append(place)
        met[key] += 1
    return dict(rounds)
