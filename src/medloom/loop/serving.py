"""Released models answering: loaded once, asked of one patient or of all, as of the site's present moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
from medloom.loop.releases import Release
from medloom.site import Site
from medloom.tasks import library, models
from medloom.tasks.asking import Asker, Current
from medloom.tasks.model import Model
from medloom.tasks.models import ModelName
from medloom.tasks.package import package_digest
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, read_curves

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

BOARD_SCHEMA: Final = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "model": pl.String(),
        "task": pl.String(),
        "prediction_time": pl.Datetime("us"),
        "until": pl.Datetime("us"),  # null: with an event that has not happened yet
        "output": pl.String(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "rank": pl.Float64(),  # how many of 100 of those asked have a lower answer
        "alert": pl.Boolean(),
        "before": pl.Float64(),  # the answer a day earlier; null: there was none
    }
)
_DAY: Final = timedelta(days=1)


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
    """One sample of one patient, and what stands against asking it."""

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
        self._boards: dict[str, _Board] = {}
        self._renewing: set[str] = set()
        self._lock = threading.RLock()
        self.refused: dict[str, MedloomError] = {}
        self.refresh()

    def refresh(self) -> None:
        """Load what was released since, drop what was retired; one that cannot be trusted stands in `refused`."""
        with self._lock:
            active = {one.model: one for one in releases.active(self._database)}
            for gone in set(self._served) - set(active):
                del self._served[gone]
                self._boards.pop(gone, None)
            self.refused = {}
            for model, release in active.items():
                if model in self._served and self._served[model].release.id == release.id:
                    continue
                try:
                    self._served[model] = self._load(release)
                except (IntegrityError, InputError, NotFoundError) as error:
                    self._served.pop(model, None)
                    self.refused[model] = error
                    _log.error("refused model=%s because=%s", model, type(error).__name__)

    def warm(self) -> None:
        """Make the boards in the background, so that the first to ask need not wait."""
        for one in self.served:
            self._renew(one)

    @property
    def served(self) -> list[Served]:
        """List what answers, by task."""
        return [self._served[name] for name in sorted(self._served)]

    def find(self, model: str) -> Served:
        """Find a released model by its name, or by its task.

        Raises:
            NotFoundError: none of that name is released.
        """
        for name, one in self._served.items():
            if model in (name, one.name.task, f"{one.name.task}.{one.name.learner}"):
                return one
        if model in self.refused:
            raise self.refused[model]
        raise NotFoundError("no model {model!r} is released", model=model)

    def ask(self, served: Served, subject_id: int, at: datetime | None = None) -> Asked:
        """Give the sample of one patient: the task's latest moment up to now, or a moment that is named.

        Raises:
            NotFoundError: there is no such patient.
            InputError: the task does not ask this patient, or the moment is to come.
        """
        now = self._clock()
        if at is not None:
            if at > now:
                raise InputError("a moment that is to come cannot be asked about")
            sample, against = served.asker.at(at, subject_id)
            return Asked(sample, tuple(against))
        sample_of = self._current(served, subject_id, now)
        if sample_of is None:
            self._check_known(subject_id)
            raise InputError(
                "task {task!r} does not ask this patient now; name a moment to ask anyway",
                task=served.name.task,
            )
        return Asked(sample_of)

    def board(self) -> pl.DataFrame:
        """Give the current answers about all patients: rows of `BOARD_SCHEMA`."""
        frames = [self._board(one).frame for one in self.served]
        return pl.concat(frames) if frames else pl.DataFrame(schema=BOARD_SCHEMA)

    def changed(self, subjects: Iterable[int] | None = None) -> None:
        """Say that facts came: of these patients, or of any."""
        touched = None if subjects is None else np.unique(np.fromiter(subjects, np.int64))
        with self._lock:
            for name, board in self._boards.items():
                self._boards[name] = board.stale(touched)

    def _current(self, served: Served, subject_id: int, now: datetime) -> Samples | None:
        """Give the latest sample of one patient: from the board where that knows it, else asked for alone."""
        board = self._boards.get(str(served.name))
        if board is None:
            board = self._board(served)
        if board.holds_of(subject_id, now):
            return board.sample(subject_id)
        self._renew(served)
        found = served.asker.current(now, [subject_id]).samples
        return found if len(found) else None

    def _renew(self, served: Served) -> None:
        """Make a board anew in the background, that who asks for one patient need not wait for all."""
        name = str(served.name)
        with self._lock:
            if name in self._renewing:
                return
            self._renewing.add(name)

        def work() -> None:
            try:
                self._board(served)
            finally:
                self._renewing.discard(name)

        threading.Thread(target=work, name=f"medloom-board-{name}", daemon=True).start()

    def _board(self, served: Served) -> _Board:
        name = str(served.name)
        board = self._boards.get(name)
        now = self._clock()
        if board is not None and board.holds(now):
            return board
        with served._lock:
            board = self._boards.get(name)
            if board is None or not board.holds(now):
                if self._site.record.keep_up():
                    board = None
                fresh = _made(served, now, board)
                with self._lock:
                    # what changed while it was being made stays to be asked again
                    later = self._boards.get(name)
                    if board is None or later is board:
                        self._boards[name] = fresh
                    board = fresh
        return board

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

    def _check_known(self, subject_id: int) -> None:
        ids = self._site.record.subject_ids
        place = int(np.searchsorted(ids, subject_id))
        if place >= len(ids) or ids[place] != subject_id:
            raise NotFoundError("there is no subject {subject}", subject=subject_id)


@dataclass(frozen=True)
class _Board:
    """Current answers of one model: its samples, and rows of `BOARD_SCHEMA` beside them."""

    made: datetime
    samples: Samples
    frame: pl.DataFrame
    rows: dict[int, int]  # subject → row of the samples
    touched: frozenset[int] = frozenset()
    whole: bool = True  # False: anybody's facts may have changed

    def holds(self, now: datetime) -> bool:
        return not self.touched and self._is_fresh(now)

    def holds_of(self, subject_id: int, now: datetime) -> bool:
        return subject_id not in self.touched and self._is_fresh(now)

    def _is_fresh(self, now: datetime) -> bool:
        # a new minute may bring a new moment of prediction
        return self.whole and timedelta(0) <= now - self.made < timedelta(minutes=1)

    def stale(self, subjects: np.ndarray | None) -> _Board:
        if subjects is None:
            return replace(self, whole=False)
        return replace(self, touched=self.touched | frozenset(subjects.tolist()))

    def sample(self, subject_id: int) -> Samples | None:
        row = self.rows.get(subject_id)
        return None if row is None else self.samples.at(row)


def _made(served: Served, now: datetime, before: _Board | None) -> _Board:
    """Ask about everybody; where only some have new facts, about those alone."""
    if before is not None and before.whole and before.touched and before.made + timedelta(minutes=1) > now:
        some = np.array(sorted(before.touched), dtype=np.int64)
        rows = _answered(served, now, some)
        kept = before.frame.filter(~pl.col("subject_id").is_in(some.tolist()))
        current = served.asker.current(now, some).samples
        others = before.samples.frame.filter(~pl.col("subject_id").is_in(some.tolist()))
        frame = pl.concat([others, current.frame]).sort("subject_id")
        frame = frame.with_columns(sample_id=pl.int_range(pl.len(), dtype=pl.Int64))
        return _board(before.made, replace(current, frame=frame), _ranked(pl.concat([kept, rows])))
    current = served.asker.current(now).samples
    return _board(now, current, _ranked(_answered(served, now, None)))


def _board(made: datetime, samples: Samples, frame: pl.DataFrame) -> _Board:
    rows = {subject: row for row, subject in enumerate(samples.frame["subject_id"])}
    return _Board(made, samples, frame, rows)


def _answered(served: Served, now: datetime, subjects: np.ndarray | None) -> pl.DataFrame:
    rows = _answers(served, served.asker.current(now, subjects))
    earlier = _answers(served, served.asker.current(now - _DAY, subjects))
    before = earlier.select("subject_id", before="value")
    return rows.drop("before").join(before, on="subject_id", how="left").select(BOARD_SCHEMA.names())


def _answers(served: Served, current: Current) -> pl.DataFrame:
    samples = current.samples
    if not len(samples):
        return pl.DataFrame(schema=BOARD_SCHEMA)
    main = main_answers(served.model.predict(samples), samples)
    threshold = served.release.threshold
    frame = samples.frame.select("sample_id", "subject_id", "prediction_time")
    frame = frame.join(main, on="sample_id", how="left").join(current.until, on="sample_id", how="left")
    return (
        frame.with_columns(
            model=pl.lit(str(served.name)),
            task=pl.lit(served.name.task),
            rank=pl.lit(None, pl.Float64),
            alert=pl.lit(None, pl.Boolean) if threshold is None else pl.col("value") >= threshold,
            before=pl.lit(None, pl.Float64),
        )
        .select(BOARD_SCHEMA.names())
        .cast(BOARD_SCHEMA)
    )


def _ranked(frame: pl.DataFrame) -> pl.DataFrame:
    lower = 100 * (pl.col("value").rank("min") - 1) / pl.len()
    return frame.sort("subject_id").with_columns(rank=lower)


def main_answers(predictions: Predictions, samples: Samples) -> pl.DataFrame:
    """Give the one answer that stands for each sample: `sample_id`, `output`, `value`, `low`, `high`.

    It is the only one; of several classes the likeliest; of prognosis the first event's risk by the last horizon.
    """
    question = samples.question
    rows = predictions.frame
    if question.kind == "survival":
        curves = read_curves(rows, question.outputs)
        reached = [time for time in question.horizons if time <= curves.times[-1]] or [curves.times[-1]]
        ends = {"value": curves.incidence, "low": curves.low, "high": curves.high}
        at_last = {
            name: None if of is None else Curves(curves.times, of).at(reached[-1:])[:, 0, 0]
            for name, of in ends.items()
        }
        frame = pl.DataFrame(
            {
                "sample_id": samples.frame["sample_id"],
                "output": [question.outputs[0]] * len(samples),
                **at_last,
            }
        )
        return frame.cast({"low": pl.Float64, "high": pl.Float64})
    rows = rows.select("sample_id", "output", "value", "low", "high")
    if len(question.outputs) == 1:
        return rows
    return rows.sort("value", descending=True, maintain_order=True).unique(
        "sample_id", keep="first", maintain_order=True
    )
