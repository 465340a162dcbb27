"""Released models answering: loaded once, asked of one patient or of all, as of the site's present moment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from medloom import api, dossier
from medloom.database.engine import Database
from medloom.dossier import Tested
from medloom.foundation.errors import InputError, IntegrityError, MedloomError, NotFoundError
from medloom.foundation.messages import Text2
from medloom.loop import releases
from medloom.loop.board import BOARD_SCHEMA, Board, News, made
from medloom.loop.releases import Release
from medloom.site import Site
from medloom.tasks import library, models
from medloom.tasks.asking import Asker
from medloom.tasks.model import Model
from medloom.tasks.models import ModelName
from medloom.tasks.package import package_digest
from medloom.tasks.samples import Samples

_log = logging.getLogger(__name__)

_BREATH: Final = 30.0  # seconds, after a board could not be made

Clock = Callable[[], datetime]


@dataclass
class Served:
    """A released model, ready to answer."""

    release: Release
    name: ModelName
    model: Model
    asker: Asker
    tested: Tested | None
    site: Site
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answers(self) -> bool:
        """Tell whether it answers by values; what names places in notes is asked on a note's page."""
        return self.model.origin.question.kind != "tagging"

    @cached_property
    def evidence(self) -> Text2 | None:
        """Say in one line how good it was on patients it had not seen; None: nobody looked."""
        return None if self.tested is None else self.tested.line()

    @cached_property
    def trained(self) -> api.Trained:
        """Give the model with the labelled samples of its task, for what compares patients; takes a while at first."""
        return api.with_samples(self.site, self.name, self.site.task(self.name.task).samples)


@dataclass(frozen=True)
class Asked:
    """A sample of each patient who is asked about, and what stands against asking."""

    sample: Samples
    against: tuple[Text2, ...] = ()


class Serving:
    """The released models of a site.

    `refresh` takes up what was released or taken back; the board of all patients' current answers is made anew when
    the record has changed, for the patients whose facts are new alone where that is known.

    Attributes:
        refused: released models that do not answer, and why: their package or task is not what was signed.

    Args:
        site: whose models.
        database: where releases stand.
        clock: the site's wall clock.
    """

    def __init__(self, site: Site, database: Database, clock: Clock) -> None:
        self._site = site
        self._database = database
        self._clock = clock
        self._served: dict[str, Served] = {}
        self._boards: dict[str, Board] = {}
        self._whole: tuple[tuple[Board, ...], pl.DataFrame] | None = None  # boards and all their rows
        self._making: dict[int, News] = {}  # by `id` of what is asked for a board now
        self._renewing: set[str] = set()
        self._not_before: dict[str, float] = {}  # boards that could not be made, and when to try again
        self._lock = threading.RLock()
        self.refused: dict[str, MedloomError] = {}
        self.refresh()

    def refresh(self) -> None:
        """Load what was released since, drop what was retired; one that cannot be trusted stands in `refused`."""
        with self._lock:
            before, served, refused = self._served, dict[str, Served](), dict[str, MedloomError]()
            for release in releases.active(self._database):
                model = release.model
                if model in before and before[model].release.id == release.id:
                    served[model] = before[model]
                    continue
                try:
                    served[model] = self._load(release)
                except MedloomError as error:
                    refused[model] = error
                    if model not in self.refused:
                        _log.error("refused model=%s because=%s", model, type(error).__name__)
            # another release of a model has another threshold
            kept = {name for name, one in served.items() if one is before.get(name)}
            self._boards = {name: board for name, board in self._boards.items() if name in kept}
            # put in place whole: who asks meanwhile holds no lock
            self._served, self.refused = served, refused

    def warm(self) -> None:
        """Make the boards in the background, so that the first to ask need not wait."""
        for one in self.served:
            self._renew(one)

    @property
    def served(self) -> list[Served]:
        """List what answers about patients and images, by task."""
        return [one for _, one in sorted(self._served.items()) if one.answers]

    @property
    def taggers(self) -> list[Served]:
        """List what names places in notes, by task."""
        return [one for _, one in sorted(self._served.items()) if not one.answers]

    def find(self, model: str) -> Served:
        """Find a released model by its name, or by its task.

        Raises:
            NotFoundError: none of that name is released.
            InputError: it names places in notes, and gives no answers.
        """
        for name, one in self._served.items():
            if model in (name, one.name.task, f"{one.name.task}.{one.name.learner}"):
                if not one.answers:
                    raise InputError(
                        "model {model} names places in notes; ask it on the page of a note", model=name
                    )
                return one
        if model in self.refused:
            raise self.refused[model].with_traceback(None)  # else it would remember who asked before
        raise NotFoundError("no model {model!r} is released", model=model)

    def ask(self, served: Served, subject_id: int, at: datetime | None = None) -> Asked:
        """Give the sample of one patient: the task's latest moment up to now, or a moment that is named.

        Raises:
            NotFoundError: there is no such patient.
            InputError: the task does not ask this patient, or the moment is to come.
        """
        asked, refused = self.ask_each(served, [subject_id], at)
        for error in refused.values():
            raise error
        return asked[0]

    def ask_each(
        self, served: Served, subjects: Iterable[int], at: datetime | None = None
    ) -> tuple[list[Asked], dict[int, MedloomError]]:
        """Give the samples of some patients, in as few pieces as there are ways to them, and why others have none.

        Args:
            served: the model.
            subjects: some patients.
            at: a moment to ask as of; None: the task's latest up to now.
        """
        now, wanted = self._clock(), sorted(set(subjects))
        if at is None:
            asked = [Asked(samples) for samples in self._current(served, wanted, now)]
            met = {subject for one in asked for subject in one.sample.frame["subject_id"]}
            return asked, {one: self._not_asked(served, one) for one in wanted if one not in met}
        asked, refused = [], dict[int, MedloomError]()
        for subject in wanted:
            try:
                asked.append(_asked_at(served, subject, at, now))
            except MedloomError as error:
                refused[subject] = error
        return asked, refused

    def board(self) -> pl.DataFrame:
        """Give the current answers about all patients, one frame until there are others: rows of `BOARD_SCHEMA`."""
        boards = tuple(self._board(one) for one in self.served)
        known = self._whole
        if known is None or [id(one) for one in known[0]] != [id(one) for one in boards]:
            frames = [one.frame for one in boards]
            known = boards, pl.concat(frames) if frames else pl.DataFrame(schema=BOARD_SCHEMA)
            self._whole = known
        return known[1]

    def changed(self, subjects: Iterable[int] | None = None) -> None:
        """Say that facts came: of these patients, or of any."""
        touched = None if subjects is None else np.unique(np.fromiter(subjects, np.int64))
        with self._lock:
            for name, board in self._boards.items():
                self._boards[name] = replace(board, news=board.news.and_of(touched))
            for number, news in self._making.items():
                self._making[number] = news.and_of(touched)

    def _current(self, served: Served, subjects: Sequence[int], now: datetime) -> list[Samples]:
        """Give the latest samples of some patients: from the board where that knows them, else asked for alone."""
        board = self._boards.get(str(served.name))
        if board is None or not board.holds(now):
            self._renew(served)
        known = [one for one in subjects if board is not None and board.will_do(now, one)]
        others = [one for one in subjects if one not in set(known)]
        found = [board.samples_of(known)] if board is not None and known else []
        if others:
            found.append(served.asker.current(now, others).samples)
        return [samples for samples in found if len(samples)]

    def _not_asked(self, served: Served, subject_id: int) -> MedloomError:
        ids = self._site.record.subject_ids
        place = int(np.searchsorted(ids, subject_id))
        if place >= len(ids) or ids[place] != subject_id:
            return NotFoundError("there is no subject {subject}", subject=subject_id)
        return InputError(
            "task {task!r} does not ask this patient now; name a moment to ask anyway", task=served.name.task
        )

    def _renew(self, served: Served) -> None:
        """Make a board anew in the background, that who asks for one patient need not wait for all."""
        name = str(served.name)
        with self._lock:
            if name in self._renewing or time.monotonic() < self._not_before.get(name, 0.0):
                return
            self._renewing.add(name)
            self._not_before[name] = time.monotonic() + _BREATH  # until it has come about

        def work() -> None:
            try:
                self._fresh(served)
                self._not_before.pop(name, None)
            finally:
                self._renewing.discard(name)

        threading.Thread(target=work, name=f"medloom-board-{name}", daemon=True).start()

    def _board(self, served: Served) -> Board:
        """Give a board; one that is merely a few minutes old at once, while it is being made anew."""
        known = self._boards.get(str(served.name))
        now = self._clock()
        if known is None or not known.will_do(now):
            return self._fresh(served)
        if not known.holds(now):
            self._renew(served)
        return known

    def _fresh(self, served: Served) -> Board:
        now = self._clock()
        with served._lock:
            known = self._boards.get(str(served.name))
            return known if known is not None and known.holds(now) else self._remade(served, now, known)

    def _remade(self, served: Served, now: datetime, before: Board | None) -> Board:
        """Make a board, and keep it; of whom facts come while it is being made stays to be asked again."""
        with self._lock:
            self._making[id(served)] = News()
        try:
            if self._site.record.keep_up():
                before = None
                self.changed()
            fresh = made(
                served.model,
                served.asker,
                (str(served.name), served.name.task),
                served.release.threshold,
                self._site.record,
                now,
                before,
            )
            with self._lock:
                fresh = replace(fresh, news=self._making[id(served)])
                if self._served.get(str(served.name)) is served:
                    self._boards[str(served.name)] = fresh
        finally:
            with self._lock:
                del self._making[id(served)]
        return fresh

    def _load(self, release: Release) -> Served:
        name = self._site.model_name(release.model)
        digest = package_digest(models.directory(self._site.directory, name))
        if digest != release.package:
            raise IntegrityError(
                "the package of {model} is not the one that was signed; retire the release and look into it",
                model=release.model,
            )
        model = models.load(self._site.directory, name)
        task = library.find(name.task, self._site.directory)
        if task.question.definition != model.origin.question.definition:
            raise IntegrityError(
                "task {task!r} was changed after {model} was released; restore it or retire the release",
                task=name.task,
                model=release.model,
            )
        return Served(
            release,
            name,
            model,
            Asker(task, self._site.record),
            dossier.kept_evaluation(self._site, name),
            self._site,
        )


def _asked_at(served: Served, subject_id: int, at: datetime, now: datetime) -> Asked:
    if at > now:
        raise InputError("a moment that is to come cannot be asked about")
    sample, against = served.asker.at(at, subject_id)
    return Asked(sample, tuple(against))
