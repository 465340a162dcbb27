"""The verbs that make up patients: rows of a table, or timelines; judged for privacy and for what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from medloom.api import ask, train
from medloom.evidence.estimate import Estimate
from medloom.evidence.synthetic import SyntheticEvidence, auroc_between, judge_synthetic, same_rows
from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.learners.synthetic.tables import TableGenerator
from medloom.pretraining import encoder_of
from medloom.record.record import Record
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from medloom.tasks.timelines import timelines
from medloom.training.descent import check_torch

if TYPE_CHECKING:
    import pandas as pd

    from medloom.learners.timeline.pretraining import Encoder

_HELD_OUT: Final = 0.3
_ROUNDS: Final = 5  # in which rows are made until there are enough that are no copies
_COLUMNS: Final = 24  # of timelines, by which patients are compared
_LEAST: Final = 20


@dataclass(frozen=True)
class Synthesized:
    """Made-up patients, and what was found out about them.

    Attributes:
        rows: of a table; of timelines, their events.
        evidence: privacy and utility; `evidence.doubts` says what speaks against giving them away.
        generator: of tables; None: of timelines, an encoder.
    """

    rows: pl.DataFrame
    evidence: SyntheticEvidence
    generator: TableGenerator | None = None

    @property
    def record(self) -> Record:
        """Give the events of timelines as a record in memory."""
        return Record.from_events(self.rows)


def synthesize(
    table: pl.DataFrame | pd.DataFrame,
    label: str | None = None,
    *,
    n: int | None = None,
    drop: tuple[str, ...] = (),
    learner: str = "gbdt",
    epochs: int = 300,
    seed: int = 0,
) -> Synthesized:
    """Make up rows like those of a table, a row a patient; seven tenths of it are learned from, the others judge.

    Args:
        table: numbers, texts, and yes or no.
        label: a column of yes or no: a model of made-up rows is compared with one of real rows in telling it.
        n: rows to make; None: as many as are learned from.
        drop: columns to leave out, such as what names a patient.
        learner: of these two models.
        epochs: passes over the rows.
        seed: of everything random.

    Raises:
        InputError: PyTorch is not installed, the table is too small, a column does not fit, or nearly all rows that
            are made stand in the table just so.
    """
    frame = (table if isinstance(table, pl.DataFrame) else pl.from_pandas(table)).drop(drop)
    order = generator(seed, "held out").permutation(frame.height)
    n_out = round(_HELD_OUT * frame.height)
    held_out, learned = frame[order[:n_out]], frame[order[n_out:]]
    made = TableGenerator.fit(learned, epochs=epochs, seed=seed)
    rows, copies = _fresh(made, frame, n or learned.height, seed)
    utility = {} if label is None else _utility(learned, rows, held_out, label, learner, seed)
    evidence = judge_synthetic(learned, held_out, rows, copies=copies, utility=utility, seed=seed)
    return Synthesized(rows, evidence, made)


def synthesize_timelines(
    encoder: str | Path | Encoder,
    record: Record,
    task: Task | None = None,
    *,
    n: int | None = None,
    learner: str = "gbdt",
    temperature: float = 1.0,
    seed: int = 0,
) -> Synthesized:
    """Make up timelines like those that an encoder was pretrained on, with subject numbers of their own.

    Args:
        encoder: pretrained by next-event, fact by fact, on the record's timelines.
        record: whose patients they are.
        task: whose split the encoder was pretrained under; a binary one is learned from made-up patients and from
            real ones, and the two models are compared on patients held out. None: the record's split.
        n: timelines; None: as many as are learned from.
        learner: of these two models.
        temperature: 1: as likely as the encoder says.
        seed: of everything random.

    Raises:
        InputError: the encoder does not foresee fact after fact, or there are too few patients.
        LeakageError: the encoder was pretrained under another split.
    """
    check_torch("timeline")
    from medloom.learners.timeline.inventing import invent

    every = timelines(record, None if task is None else task.split)
    learned, held_out = every.in_split("train"), every.in_split("held_out")
    first = int(record.subject_ids.max(initial=0)) + 1
    loaded = encoder_of(encoder)
    made = invent(loaded, learned, n or len(learned), first_subject=first, temperature=temperature, seed=seed)
    invented = Record.from_events(made.events)
    utility = {}
    if task is not None and task.kind == "binary":
        utility = _utility_of_task(task, record, invented, learner, seed)
    tables = _described(learned, held_out, timelines(invented))
    return Synthesized(made.events, judge_synthetic(*tables, copies=made.copies, utility=utility, seed=seed))


def _fresh(made: TableGenerator, original: pl.DataFrame, n: int, seed: int) -> tuple[pl.DataFrame, int]:
    """Make rows of which none stands in the original; with the number of those that did."""
    found: list[pl.DataFrame] = []
    copies = 0
    for place in range(_ROUNDS):
        rows = made.rows(n - sum(one.height for one in found), seed + place)
        same = same_rows(rows, original)
        copies += int(same.sum())
        found.append(rows.filter(~same))
        if sum(one.height for one in found) == n:
            return pl.concat(found), copies
    if sum(one.height for one in found) < _LEAST:
        raise InputError(
            "nearly all rows that were made stand in the table just so; it has too few columns or values to make up "
            "patients from"
        )
    return pl.concat(found), copies


def _utility(
    learned: pl.DataFrame, rows: pl.DataFrame, held_out: pl.DataFrame, label: str, learner: str, seed: int
) -> dict[str, Estimate]:
    """Learn from real rows and from made-up ones, and test both on real ones that neither saw."""
    held_out = held_out.drop_nulls(label)
    values = sorted(learned[label].drop_nulls().unique().to_list())
    if len(values) != 2:
        raise InputError("column {column!r} does not hold two answers, yes and no", column=label)
    truth = (held_out[label] == values[1]).to_numpy()
    found = {}
    for name, frame in (("real", learned), ("synthetic", rows)):
        told = frame.drop_nulls(label).with_columns((pl.col(label) == values[1]).alias(label))
        if told[label].n_unique() < 2:
            found[name] = Estimate(0.5)
            continue
        model = train(told, learner, label=label, kind="binary", ranges=False, seed=seed)
        found[name] = auroc_between(truth, _scores(model.predict(held_out.drop(label)).frame), seed)
    return found


def _utility_of_task(
    task: Task, record: Record, invented: Record, learner: str, seed: int
) -> dict[str, Estimate]:
    real = ask(record, task)
    made = ask(invented, task.model_copy(update={"split": type(task.split)()}))
    held_out = real.in_split("held_out")
    truth = held_out.frame["label"].to_numpy()
    found = {}
    for name, samples in (("real", real), ("synthetic", made)):
        known = samples if name == "real" else _all_to_learn_from(samples)
        model = train(known, learner, ranges=False, seed=seed).model
        found[name] = auroc_between(truth, _scores(model.predict(held_out).frame), seed)
    return found


def _all_to_learn_from(samples: Samples) -> Samples:
    """Let a model learn from all invented patients; a sixth of them settle it."""
    tuning = pl.col("subject_id") % 6 == 0
    split = pl.when(tuning).then(pl.lit("tuning")).otherwise(pl.lit("train"))
    return replace(samples, frame=samples.frame.with_columns(split=split))


def _scores(answers: pl.DataFrame) -> Any:
    return answers["value"].to_numpy()


def _described(*several: Samples) -> list[pl.DataFrame]:
    """Describe timelines by what is commonest in the first: a row a patient, missing where nothing is known."""
    features = WindowFeatures.fit(several[0], ["ever"])
    matrices = [features.transform(samples) for samples in several]
    known = np.isfinite(matrices[0].dense).mean(0)
    varied = np.nan_to_num(np.nanstd(matrices[0].dense, axis=0)) > 0
    chosen = np.sort(np.argsort(-(known * varied), kind="stable")[:_COLUMNS])
    names = [matrices[0].names[place] for place in chosen]
    return [pl.DataFrame(one.dense[:, chosen], schema=names).fill_nan(None) for one in matrices]
