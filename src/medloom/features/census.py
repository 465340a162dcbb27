"""What occurs in the histories of training samples: how often, with values or texts, over how long a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.features.reading import of_histories
from medloom.foundation.durations import hours
from medloom.record.schema import BIRTH
from medloom.tasks.history import MICROSECONDS_PER_HOUR, STATIC, History
from medloom.tasks.samples import Samples

EVER: Final = "ever"
# Facts for each history and code in which it occurs: below this, what a window holds is the one fact or nothing.
_REPEATED: Final = 1.05


@dataclass
class DatedCode:
    """What was seen of a code in facts with a time."""

    samples: int = 0
    subjects: int = 0
    facts: int = 0
    values: int = 0


@dataclass
class StaticCode:
    """What was seen of a code in facts without a time; `texts`: in how many subjects each."""

    subjects: int = 0
    facts: int = 0
    values: int = 0
    texts: dict[str, int] = field(default_factory=dict)


@dataclass
class Census:
    """Counts histories, part by part.

    Attributes:
        samples: how many were counted.
        subjects: of how many subjects they are.
        births: in how many of them the birth is known.
        dated: by code, births left out.
        static: by code.
    """

    samples: int = 0
    subjects: int = 0
    births: int = 0
    dated: dict[str, DatedCode] = field(default_factory=dict)
    static: dict[str, StaticCode] = field(default_factory=dict)
    _spans: list[NDArray[np.float64]] = field(
        default_factory=list
    )  # hours from the oldest fact, of each sample

    @classmethod
    def of(cls, samples: Samples) -> Census:
        """Count the histories of samples."""
        census = cls()
        for part in of_histories(samples, ("text_value",), _of_part):
            census._add(part)
        return census

    def suitable_windows(self) -> tuple[str, ...]:
        """Choose windows for stays of days, courses of months, or lives; one for all where nothing is repeated."""
        facts = sum(seen.facts for seen in self.dated.values())
        if facts <= _REPEATED * sum(seen.samples for seen in self.dated.values()):
            return (EVER,)
        spans = np.concatenate([*self._spans, np.empty(0)])
        span = float(np.median(spans)) if len(spans) else 0.0
        if span < hours("14d"):
            return EVER, "24h", "12h", "6h"
        return (EVER, "30d", "7d") if span < hours("2y") else (EVER, "1y", "30d")

    def _add(self, part: Census) -> None:
        """Add what was counted in a part that has no subject in common with those before."""
        self.samples += part.samples
        self.subjects += part.subjects
        self.births += part.births
        self._spans += part._spans
        for name, seen in part.dated.items():
            of_code = self.dated.setdefault(name, DatedCode())
            of_code.samples += seen.samples
            of_code.subjects += seen.subjects
            of_code.facts += seen.facts
            of_code.values += seen.values
        for name, still in part.static.items():
            known = self.static.setdefault(name, StaticCode())
            known.subjects += still.subjects
            known.facts += still.facts
            known.values += still.values
            for word, those in still.texts.items():
                known.texts[word] = known.texts.get(word, 0) + those

    def _count(self, history: History, ids: NDArray[np.int64]) -> None:
        self.samples += history.n_samples
        # numbers of the subjects, which ascend as samples do
        subject_of = np.cumsum(np.diff(ids, prepend=ids[:1]) != 0)
        self.subjects += int(subject_of[-1]) + 1 if len(ids) else 0
        is_static = history.time == STATIC
        static, dated = np.flatnonzero(is_static), np.flatnonzero(~is_static)
        code, sample = history.code[dated], history.sample[dated]
        size = len(history.vocabulary)
        facts = np.bincount(code, minlength=size)
        values = np.bincount(code[~np.isnan(history.value[dated])], minlength=size)
        # a stable radix sort: histories come sorted by sample
        order = np.argsort(code.astype(np.uint16 if size < 65536 else np.uint32), kind="stable")
        code_in_order, sample_in_order = code[order], sample[order]
        samples = _distinct(code_in_order, sample_in_order, size)
        subjects = _distinct(code_in_order, subject_of[sample_in_order], size)
        for index in np.flatnonzero(facts):
            name = history.vocabulary[index]
            if name == BIRTH:
                self.births += int(samples[index])
                dated = dated[code != index]
                continue
            seen = self.dated.setdefault(name, DatedCode())
            seen.samples += int(samples[index])
            seen.subjects += int(subjects[index])
            seen.facts += int(facts[index])
            seen.values += int(values[index])
        oldest = dated[np.flatnonzero(np.diff(history.sample[dated], prepend=-1))]
        age = history.prediction_time[history.sample[oldest]] - history.time[oldest]
        self._spans.append(age / MICROSECONDS_PER_HOUR)
        self._count_static(history, static, subject_of[history.sample[static]])

    def _count_static(self, history: History, rows: NDArray[np.int64], subjects: NDArray[np.int64]) -> None:
        text = pl.Series(history.columns["text_value"]).gather(rows)
        frame = pl.DataFrame(
            {"code": history.code[rows], "value": history.value[rows], "text": text, "subject": subjects}
        )
        people = pl.col("subject").n_unique()
        counted = frame.group_by("code").agg(people, pl.len(), values=pl.col("value").is_not_nan().sum())
        for index, those, facts, values in counted.iter_rows():
            seen = self.static.setdefault(history.vocabulary[index], StaticCode())
            seen.subjects += those
            seen.facts += facts
            seen.values += values
        for index, word, those in frame.drop_nulls("text").group_by("code", "text").agg(people).iter_rows():
            texts = self.static[history.vocabulary[index]].texts
            texts[word] = texts.get(word, 0) + those


def _of_part(samples: Samples, history: History) -> Census:
    census = Census()
    census._count(history, samples.subject_ids)
    return census


def _distinct(code: NDArray[np.integer], who: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    """Count the different `who` of each code: (size,); both come sorted by code, then by who."""
    met = np.ones(len(code), np.bool_)
    met[1:] = (code[1:] != code[:-1]) | (who[1:] != who[:-1])
    return np.bincount(code[met], minlength=size)
