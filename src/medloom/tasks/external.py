"""Samples that were made elsewhere: MEDS labels (as ACES writes them), and rows of one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import meds
import numpy as np
import polars as pl
import pyarrow.parquet as pq

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import hash64_all
from medloom.foundation.seeds import derive
from medloom.record.commit import SPLIT_RESOLUTION
from medloom.record.record import Record
from medloom.tasks.history import Visibility
from medloom.tasks.kinds import LABEL_TYPES, Kind
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import SAMPLE_COLUMNS, Samples
from medloom.tasks.splitting import split_rule, with_splits
from medloom.tasks.task import Splits
from medloom.tasks.timed_rows import timed_labels

_VALUES: Final[dict[str, Kind]] = {
    "boolean_value": "binary",
    "categorical_value": "multiclass",
    "integer_value": "regression",
    "float_value": "regression",
}
# One row of a table is one patient at one moment; which moment does not matter.
_MOMENT: Final = datetime(2000, 1, 1)
# Texts of which more than this share occur once are names, not categories; asked where there are some rows at all.
_NAMING: Final = 0.5
_FEWEST_NAMED: Final = 30
_NUMBERING: Final = re.compile(r"(^|[_ ])(id|ids|mrn|no|nr|nbr|num|number|key|index|row)$|编号|号$|序号")


def from_meds_labels(path: Path, record: Record, name: str) -> Samples:
    """Read MEDS labels of subjects of this record; splits are the record's.

    Args:
        path: a Parquet file, or a folder of them, in `meds.LabelSchema`.
        record: whose subjects they are.
        name: of the task, for models learned from them.

    Raises:
        InputError: no label file, no column of values or several, or none of the subjects is in the record.
    """
    frame, given = _labels_in(path)
    kind = _VALUES[given]
    frame = frame.select(
        pl.col("subject_id").cast(pl.Int64),
        pl.col("prediction_time").cast(pl.Datetime("us")),
        label=pl.col(given).cast(LABEL_TYPES[kind]),
    ).drop_nulls()
    frame = with_splits(Splits(), record, frame).sort("subject_id", "prediction_time", maintain_order=True)
    if not frame.height:
        raise InputError(
            "none of the labelled subjects is in the record; were the labels made from this record?"
        )
    classes = tuple(sorted(frame["label"].unique())) if kind == "multiclass" else ()
    question = Question(task=name, kind=kind, title=Title(en=name, zh=name), classes=classes)
    visibility = Visibility(static=record.catalogue.static_codes())
    return Samples(_numbered(frame), question, record, visibility, split_rule(Splits(), record))


def kind_of_labels(path: Path) -> Kind:
    """Tell what kind of answers MEDS labels hold.

    Raises:
        InputError: no label file, no column of values or several.
    """
    return _VALUES[_labels_in(path)[1]]


def to_meds_labels(samples: Samples, path: Path) -> None:
    """Write samples as MEDS labels: subject, time and value only; numbers in single precision, as MEDS has them.

    Raises:
        InputError: MEDS has no labels of this kind.
    """
    column = {"binary": "boolean_value", "multiclass": "categorical_value", "regression": "float_value"}.get(
        samples.question.kind
    )
    if column is None:
        raise InputError("MEDS labels hold no {kind} answers", kind=samples.question.kind)
    frame = samples.frame.select("subject_id", "prediction_time", pl.col("label").alias(column))
    pq.write_table(meds.LabelSchema.align(frame.to_arrow()), path)


def from_frame(
    frame: pl.DataFrame,
    label: str | None = None,
    *,
    time: str | None = None,
    event: str | None = None,
    unit: str | None = None,
    horizons: Sequence[float] = (),
    kind: Kind | None = None,
    group: str | None = None,
    drop: Sequence[str] = (),
    name: str = "frame",
    seed: int = 0,
) -> Samples:
    """Take one table, a row a sample: each row becomes a history of static facts, the label stays outside.

    Args:
        frame: numbers, booleans, texts; a null is missing.
        label: the column to predict; or, for a survival question, `time` and `event`.
        time: the column of times to the event, or to the end of follow-up without one.
        event: the column that says which; see `tasks.timed_rows.timed_labels`.
        unit: of the times: `d`, `week`, ….
        horizons: times of interest, in that unit.
        kind: None: regression for fractional or many-valued numbers, binary for two values, multiclass otherwise.
        group: a column whose equal values must not be split (the patient); None: every row is its own.
        drop: columns to leave out.
        name: of the task.
        seed: of the split by hash: 70 % train, 10 % tuning, 20 % held out.

    Raises:
        InputError: there is no such column, its values do not fit the kind, a column holds lists or lengths of time,
            dates or what names a row, or a row's group is missing.
    """
    asked = _asked(label, time, event, kind)
    for column in (*asked, *([group] if group else []), *drop):
        if column not in frame.columns:
            raise InputError(
                "there is no column {column!r}; there are: {columns}",
                column=column,
                columns=frame.columns,
            )
    first = asked[0]
    drop = [column for column in drop if column != group]  # the patient is no input anyway
    frame = frame.drop(drop).filter(pl.col(first).is_not_null() & ~_is_nan(frame, first))
    if not frame.height:
        raise InputError("column {column!r} holds no value to learn from", column=first)
    _check_columns(frame, first, group)
    _check_nothing_names_a_row(frame.drop([*asked, *([group] if group else [])]))
    if len(asked) == 2:
        kind = "survival"
        labels, classes = timed_labels(frame[asked[0]], frame[asked[1]])
    else:
        kind = kind or _kind_of(frame[first])
        labels, classes = _labels(frame[first], kind)
    n = frame.height
    names = frame[group].cast(pl.String).to_list() if group else [str(row) for row in range(n)]
    groups = hash64_all(names)
    place = (
        hash64_all(f"{derive(seed, 'split')}\x1f{text}" for text in names) % np.uint64(SPLIT_RESOLUTION)
    ) / SPLIT_RESOLUTION
    split = np.where(place < 0.7, "train", np.where(place < 0.8, "tuning", "held_out"))
    about = asked[-1]
    question = Question(
        task=name,
        kind=kind,
        title=Title(en=about, zh=about),
        classes=classes,
        unit=unit,
        horizons=tuple(float(one) for one in horizons),
    )
    group_ids = pl.Series((groups >> np.uint64(1)).astype(np.int64))
    return _samples_of_rows(
        frame.drop([*asked, *([group] if group else [])]),
        question,
        group_ids,
        pl.Series(split.tolist()),
        labels,
    )


def _asked(label: str | None, time: str | None, event: str | None, kind: Kind | None) -> tuple[str, ...]:
    """Name the columns that hold the answer: the label, or time and event."""
    if label is not None and time is None and event is None and kind != "survival":
        return (label,)
    if label is None and time is not None and event is not None and kind in (None, "survival"):
        return (time, event)
    raise InputError(
        "say which columns hold the answer: label=... alone, or for a survival question time=... and event=..."
    )


def rows_to_answer(frame: pl.DataFrame, question: Question) -> Samples:
    """Take rows of a table like the one a model was learned from, to be answered: samples without labels.

    Raises:
        InputError: a column holds lists or lengths of time, or there is none.
    """
    _check_columns(frame, "", None)
    nothing = pl.Series([None] * frame.height, dtype=LABEL_TYPES[question.kind])
    rows = pl.Series(np.arange(1, frame.height + 1))
    held_out = pl.Series(["held_out"] * frame.height, dtype=pl.String)
    return _samples_of_rows(frame, question, rows, held_out, nothing)


def _samples_of_rows(
    inputs: pl.DataFrame, question: Question, group: pl.Series, split: pl.Series, labels: pl.Series
) -> Samples:
    ids = pl.Series("subject_id", np.arange(1, len(labels) + 1), dtype=pl.Int64)
    samples = pl.DataFrame(
        {"sample_id": ids - 1, "subject_id": ids, "group": group, "split": split, "label": labels}
    ).with_columns(prediction_time=pl.lit(_MOMENT), item=pl.lit(None, pl.String))
    record = Record.from_events(_as_events(inputs, ids))
    static = frozenset(inputs.columns)
    return Samples(samples.select(SAMPLE_COLUMNS), question, record, Visibility(static=static))


def _labels_in(path: Path) -> tuple[pl.DataFrame, str]:
    """Read label files, and find their column of values."""
    paths = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not paths or not paths[0].is_file():
        raise InputError("no MEDS label file (.parquet) in {path!r}", path=str(path))
    frame = pl.concat([pl.read_parquet(one) for one in paths], how="diagonal_relaxed")
    missing = [column for column in ("subject_id", "prediction_time") if column not in frame.columns]
    given = [
        column for column in _VALUES if column in frame.columns and frame[column].null_count() < frame.height
    ]
    if missing or len(given) != 1:
        raise InputError(
            "MEDS labels need subject_id, prediction_time and exactly one of {values}; see {schema}",
            values=list(_VALUES),
            schema=meds.LabelSchema.__name__,
        )
    return frame, given[0]


def _check_columns(frame: pl.DataFrame, label: str, group: str | None) -> None:
    """Refuse columns that are neither numbers nor texts, and samples of which the patient is not known."""
    for column, kind in frame.schema.items():
        if column != label and (kind.is_nested() or kind in (pl.Duration, pl.Object, pl.Binary)):
            raise InputError(
                "column {column!r} holds {type}; make numbers or texts of it, or leave it out",
                column=column,
                type=str(kind),
            )
    if group is not None and frame[group].null_count():
        raise InputError(
            "column {column!r} does not say which patient {n} rows are of; fill it in, or leave these rows out",
            column=group,
            n=frame[group].null_count(),
        )


def _check_nothing_names_a_row(inputs: pl.DataFrame) -> None:
    """Refuse what names a row or dates it: a model that learns it by heart is of no use to the next patient."""
    dates = [name for name, kind in inputs.schema.items() if kind.is_temporal()]
    if dates:
        raise InputError(
            "columns with dates are no inputs: {columns}; make ages or lengths of time of them, or leave them out "
            "with drop=[...]",
            columns=dates,
        )
    names = [name for name in inputs.columns if _names_rows(inputs[name])]
    if names:
        raise InputError(
            "nearly every row has its own value in: {columns}; give the column that names the patient as group=..., "
            "and leave others out with drop=[...]",
            columns=names,
        )


def _names_rows(values: pl.Series) -> bool:
    known = values.drop_nulls()
    if len(known) < _FEWEST_NAMED or not (values.dtype == pl.String or values.dtype.is_integer()):
        return False
    distinct = known.n_unique() / len(known)
    if values.dtype == pl.String:
        return distinct > _NAMING
    return distinct == 1 and _NUMBERING.search(values.name.lower()) is not None


def _as_events(inputs: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Turn each cell that is not missing into a static fact whose code is the column's name."""
    pieces = []
    for column in inputs.columns:
        values = inputs[column]
        cell = pl.DataFrame({"subject_id": ids, "code": pl.Series([column] * len(ids), dtype=pl.String)})
        if values.dtype.is_numeric() or values.dtype == pl.Boolean:
            cell = cell.with_columns(numeric_value=values.cast(pl.Float32)).filter(
                pl.col("numeric_value").is_not_nan()
            )
            pieces.append(cell.drop_nulls("numeric_value").with_columns(text_value=pl.lit(None, pl.String)))
        else:
            cell = cell.with_columns(
                numeric_value=pl.lit(None, pl.Float32), text_value=values.cast(pl.String)
            )
            pieces.append(cell.drop_nulls("text_value"))
    if not pieces:
        raise InputError("the table has no column beside the label; there is nothing to learn from")
    return pl.concat(pieces).with_columns(time=pl.lit(None, pl.Datetime("us")))


def _kind_of(values: pl.Series) -> Kind:
    if values.dtype.is_nested() or values.dtype in (pl.Duration, pl.Object):
        return "multiclass"  # which is refused
    distinct = values.n_unique()
    if distinct == 2:
        return "binary"
    if values.dtype.is_float() and not (values == values.round()).all():
        return "regression"
    return "regression" if values.dtype.is_numeric() and distinct > 10 else "multiclass"


def _labels(values: pl.Series, kind: Kind) -> tuple[pl.Series, tuple[str, ...]]:
    if kind == "binary":
        distinct = sorted(values.unique().to_list())
        if len(distinct) > 2:
            raise InputError("a binary label has two values; this one has {n}", n=len(distinct))
        positive = distinct[-1] if len(distinct) == 2 else True
        return values == positive, ()
    if kind == "multiclass" and not values.dtype.is_nested() and values.dtype not in (pl.Duration, pl.Object):
        texts = values.cast(pl.String)
        return texts, tuple(sorted(texts.unique().to_list()))
    if kind == "regression" and values.dtype.is_numeric():
        return values.cast(pl.Float64), ()
    raise InputError(
        "a column of {type} cannot be the answer of a {kind} question", type=str(values.dtype), kind=kind
    )


def _is_nan(frame: pl.DataFrame, column: str) -> pl.Expr:
    return pl.col(column).is_nan() if frame[column].dtype.is_float() else pl.lit(False)


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        sample_id=pl.int_range(pl.len(), dtype=pl.Int64),
        item=pl.lit(None, pl.String),
        group=pl.col("subject_id"),
    ).select(SAMPLE_COLUMNS)
