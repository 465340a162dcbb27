"""Samples: who is asked, when, about what, and the answer; with the only door to the inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError, LeakageError, NotFoundError
from medloom.foundation.hashing import sha256_bytes
from medloom.record.catalogue import CodeCatalogue
from medloom.record.imaging.image import Image
from medloom.record.record import Record
from medloom.tasks.history import History, Visibility, read_history
from medloom.tasks.kinds import LABEL_TYPES, SPLITS, Split
from medloom.tasks.question import Question
from medloom.tasks.withheld import WITHHELD_SCHEMA, known_later

SAMPLE_COLUMNS: Final = ("sample_id", "subject_id", "prediction_time", "item", "group", "split", "label")

MODELS_READ: Final = ("text_value",)
"""The further columns of a history that models ask for."""


@dataclass(frozen=True)
class Samples:
    """One row a sample, sorted by subject and prediction time.

    Attributes:
        frame: `sample_id` int64, `subject_id` int64?, `prediction_time` datetime[us]?, `item` string? (an asset and
            its region), `group` int64 (what must not be split), `split` string, `label` typed by the question's kind.
        question: what is asked, as far as a model has to know it.
        split_rule: digest of what decides who is trained on; empty where each sample was given its split.
    """

    frame: pl.DataFrame
    question: Question
    _record: Record
    _visibility: Visibility
    split_rule: str = ""
    _held: _Held | None = None
    _change: Callable[[Image], Image] | None = None

    def __post_init__(self) -> None:
        _check(self.frame, self.question)

    def __len__(self) -> int:
        return self.frame.height

    def in_split(self, *splits: Split) -> Samples:
        """Keep the samples of some splits.

        Raises:
            InputError: there is no such split.
        """
        for split in splits:
            if split not in SPLITS:
                raise InputError(
                    "there is no split {split!r}; there are: {splits}", split=split, splits=SPLITS
                )
        return self.where(pl.col("split").is_in(splits))

    def where(self, condition: pl.Expr) -> Samples:
        """Keep the samples for which an expression over the frame's columns holds."""
        return self._with(frame=self.frame.filter(condition))

    def asking(self, question: Question, labels: pl.Series) -> Samples:
        """Ask something else of the same subjects at the same times: labels (n,) of the question's type."""
        frame = self.frame.with_columns(label=labels)
        _check(frame, question)
        return self._with(frame=frame, question=question)

    def hiding(self, *codes: str) -> Samples:
        """Keep facts with some codes from models too, such as the name of the hospital where others are tested."""
        hidden = self._visibility.hidden | set(codes)
        held = self._held and replace(self._held, history=self._held.history.without(set(codes)))
        return self._with(_visibility=replace(self._visibility, hidden=hidden), _held=held)

    def at(self, place: int) -> Samples:
        """Keep one sample, by its place."""
        return self._with(frame=self.frame.slice(place, 1))

    def among(self, places: Sequence[int]) -> Samples:
        """Keep a few samples, by their places, ascending."""
        # put together from slices: a query takes ten times as long for a few
        slices = [self.frame.slice(place, 1) for place in places]
        return self._with(frame=pl.concat(slices or [self.frame.clear()]))

    def parts(self, most: int = 200_000) -> Iterator[Samples]:
        """Cut into pieces whose histories fit into memory: by the record's own parts, at most `most` samples each."""
        if self._held is not None:
            for first in range(0, len(self), most):
                yield self if len(self) <= most else self._with(frame=self.frame.slice(first, most))
            return
        ids = self.subject_ids
        edges = [0, *(int(np.searchsorted(ids, part[-1], "right")) for part in self._record.parts())]
        for start, stop in zip(edges, [*edges[1:], len(ids)], strict=True):
            for first in range(start, stop, most):
                yield self._with(frame=self.frame.slice(first, min(most, stop - first)))

    def history(self, columns: Sequence[str] = ()) -> History:
        """Give what was known of each sample at its prediction time; nothing else of the record is reachable.

        Args:
            columns: further columns of the record to carry along: `text_value`, `role`, `asset`, …; a history that is
                held has its own.

        Raises:
            InputError: the history that is held lacks a column, or is of other samples.
        """
        if self._held is not None:
            return self._held.of(self, columns)
        return read_history(self._record, self.subject_ids, self.prediction_times, self._visibility, columns)

    def held(self, columns: Sequence[str] = ()) -> Samples:
        """Read the history once, for all that is going to ask for it; it stays in memory with the samples.

        Args:
            columns: carried along; none: those that models ask for, and of images the files.
        """
        wanted = columns or (*MODELS_READ, *(("asset",) if self.question.about == "image" else ()))
        return self if self._held is not None else self.holding(self.history(wanted))

    def holding(self, history: History) -> Samples:
        """Give these samples another history, in their order: one that was kept, or supposed.

        Raises:
            InputError: it is of other prediction times.
        """
        if not np.array_equal(history.prediction_time, self.prediction_times):
            raise InputError("this history is of other samples")
        return self._with(_held=_Held(self.frame, history))

    def supposing(self, changes: Mapping[str, float | None]) -> Samples:
        """Suppose other values of some codes, as `History.with_values` takes them.

        Raises:
            InputError: models may not see one of the codes.
        """
        for code in changes:
            if not self._visibility.shows(code):
                raise InputError(
                    "models of task {task!r} do not see {code}", task=self.question.task, code=code
                )
        held = self.held()
        return held.holding(held.history().with_values(changes, self._visibility.static))

    def assets(self) -> pl.DataFrame:
        """List the visible assets: frame of `sample_id`, `asset`, `code`, `time`."""
        history = self.history(columns=("asset",))
        frame = pl.DataFrame(
            {
                "sample_id": self.frame["sample_id"].gather(history.sample.astype(np.int64)),
                "asset": pl.Series(history.columns["asset"]).cast(pl.String),
                "code": np.array(history.vocabulary, dtype=object)[history.code].astype(str),
                "time": pl.Series(history.time).cast(pl.Datetime("us")),
            }
        )
        return frame.filter(pl.col("asset").is_not_null())

    def open_item(self, place: int) -> BinaryIO:
        """Open the file that a sample, by its place, is about; it is there since its prediction time.

        Raises:
            InputError: the sample is about a patient, not about a file.
            NotFoundError: the file is gone.
        """
        return self._opened("item", place)

    def texts(self) -> list[str]:
        """Give the text that each sample is about, in order: (n,).

        Raises:
            InputError: the samples are not about notes.
            NotFoundError: the text of a note is no longer in the record.
        """
        if self.question.about != "note":
            raise InputError(
                "the samples of task {task!r} are not about notes; write `of: note` below predict in the task",
                task=self.question.task,
            )
        wanted = set(self.frame["item"])
        found: dict[tuple[int, str], str] = {}
        for part in self.parts():
            subjects = np.unique(part.subject_ids)
            facts = pl.DataFrame(self._record.read(["subject_id", "asset", "text_value"], subjects))
            facts = facts.with_columns(pl.col("asset").cast(pl.String)).drop_nulls()
            for subject, asset, text in facts.filter(pl.col("asset").is_in(wanted)).iter_rows():
                found[subject, asset] = text
        keys = zip(self.frame["subject_id"], self.frame["item"], strict=True)
        texts = [found.get(key) for key in keys]
        if None in texts:
            raise NotFoundError("the text of a note is no longer in the record; import it again")
        return [one for one in texts if one is not None]

    def open_label(self, place: int) -> BinaryIO:
        """Open the file that is a sample's answer, such as an outline; raises as `open_item`."""
        return self._opened("label", place)

    def _opened(self, column: str, place: int) -> BinaryIO:
        named = self.frame[column][place]
        if not isinstance(named, str):
            raise InputError(
                "the samples of task {task!r} are about no file; write `of: image` below predict in the task",
                task=self.question.task,
            )
        return self._record.assets().open(named)

    def changing(self, change: Callable[[Image], Image]) -> Samples:
        """Suppose that each image were another: what a model is tried with."""
        return self._with(_change=change)

    def changed(self, image: Image) -> Image:
        """Give an image of these samples as it is supposed to be."""
        return image if self._change is None else self._change(image)

    def withheld(self) -> pl.DataFrame:
        """Count by code the samples whose facts of it came to be known only later: `code`, `description`, `samples`."""
        parts = [known_later(self._record, part.frame, self._visibility) for part in self.parts()]
        found = pl.concat(parts) if parts else pl.DataFrame(schema=WITHHELD_SCHEMA)
        summed = found.group_by("code", "description").agg(pl.col("samples").sum())
        return summed.sort(["samples", "code"], descending=[True, False])

    @property
    def sample_ids(self) -> NDArray[np.int64]:
        """Give each sample's number: (n,) int64."""
        return self.frame["sample_id"].to_numpy()

    @property
    def subject_ids(self) -> NDArray[np.int64]:
        """Give each sample's subject: (n,) int64."""
        return self.frame["subject_id"].to_numpy()

    @property
    def prediction_times(self) -> NDArray[np.int64]:
        """Give each sample's prediction time: (n,) int64, µs."""
        return self.frame["prediction_time"].cast(pl.Int64).to_numpy()

    @property
    def groups(self) -> NDArray[np.int64]:
        """Give what must not be split or resampled apart: (n,) int64."""
        return self.frame["group"].to_numpy()

    @property
    def catalogue(self) -> CodeCatalogue:
        """Give what is known of the record's codes; nothing of a patient."""
        return self._record.catalogue

    @property
    def record_digest(self) -> str:
        """Name the content of the record the samples come from."""
        return self._record.digest()

    def digest(self) -> str:
        """Name these samples, their labels and the record behind them: hex."""
        text = self.frame.select(
            _label_as_text(self.frame["label"].dtype),
            "subject_id",
            "prediction_time",
            "split",
            *([] if self.frame["item"].null_count() == len(self) else ["item"]),
        ).write_csv()
        return sha256_bytes(f"{self.record_digest}\n{text}".encode())

    def _with(self, **changed: object) -> Samples:
        """Give the same samples, or some of them, otherwise; what was checked of all need not be checked again."""
        other = copy(self)
        for name, value in changed.items():
            object.__setattr__(other, name, value)
        return other


@dataclass(frozen=True)
class _Held:
    """The history of some samples, given by their frame."""

    frame: pl.DataFrame
    history: History

    def of(self, samples: Samples, columns: Sequence[str]) -> History:
        """Find the history of samples that are among these."""
        missing = [name for name in columns if name not in self.history.columns]
        if missing:
            raise InputError(
                "the history that is held lacks {columns}; name them: samples.held(columns)",
                columns=missing,
            )
        if samples.frame is self.frame:
            return self.history
        mine = self.frame["sample_id"].to_numpy()
        order = np.argsort(mine, kind="stable")
        if np.isin(samples.sample_ids, mine).all():
            rows = order[np.searchsorted(mine, samples.sample_ids, sorter=order)]
            history = self.history.of(rows)
            if np.array_equal(history.prediction_time, samples.prediction_times) and np.array_equal(
                self.frame["subject_id"].to_numpy()[rows], samples.subject_ids
            ):
                return history
        raise InputError("the history that is held is of other samples")


def _label_as_text(kind: pl.DataType) -> pl.Expr:
    label = pl.col("label")
    if kind == pl.List(pl.String):
        return label.list.join("|")
    return label.struct.json_encode() if isinstance(kind, pl.Struct) else label.cast(pl.String)


def _check(frame: pl.DataFrame, question: Question) -> None:
    missing = [name for name in SAMPLE_COLUMNS if name not in frame.columns]
    if missing:
        raise InputError("samples lack the columns {missing}", missing=missing)
    if frame["label"].dtype != LABEL_TYPES[question.kind]:
        raise InputError(
            "labels of a {kind} question are {expected}, not {found}",
            kind=question.kind,
            expected=str(LABEL_TYPES[question.kind]),
            found=str(frame["label"].dtype),
        )
    if not frame["subject_id"].is_sorted():
        raise InputError("samples must be sorted by subject")
    if (
        frame.height > 1
        and frame.group_by("group").agg(pl.col("split").n_unique().alias("n"))["n"].max() != 1
    ):
        raise LeakageError(
            "a group (patient) has samples in two splits; its outcome would be learned in one and tested in the other: "
            "split by subject"
        )
