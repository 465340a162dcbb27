"""Images and notes as samples, without a label: what a network is pretrained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.record.record import Record
from medloom.record.schema import visible_time
from medloom.tasks.history import Visibility
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import SAMPLE_COLUMNS, Samples
from medloom.tasks.splitting import split_rule, with_splits
from medloom.tasks.task import Splits
from medloom.tasks.task_codes import resolve

IMAGES: Final = "images"
NOTES: Final = "notes"


def images(record: Record, codes: Sequence[str] = ("IMAGE//*",), splits: Splits | None = None) -> Samples:
    """Give each image of some codes, asked about when it came to be known.

    Args:
        record: whose.
        codes: as tasks name them; `*` at the end matches any ending.
        splits: who is learned from; the same rule as of the tasks that are to be asked afterwards. None: as the record
            says.

    Raises:
        InputError: the record has no such image.
    """
    question = Question(
        task=IMAGES,
        kind="generation",
        about="image",
        title=Title(en="What images look like", zh="影像的样子"),
    )
    found = _items(record, codes, splits or Splits(), question)
    if found is None:
        raise InputError(
            "the record has no image of {codes}; import some with: medloom import images FOLDER", codes=codes
        )
    return found


def notes(record: Record, codes: Sequence[str] = ("NOTE//*",), splits: Splits | None = None) -> Samples:
    """Give each note of some codes, asked about when it came to be known; arguments as of `images`.

    Raises:
        InputError: the record has no such note.
    """
    question = Question(
        task=NOTES, kind="generation", about="note", title=Title(en="What notes say", zh="病历的内容")
    )
    found = _items(record, codes, splits or Splits(), question)
    if found is None:
        raise InputError(
            "the record has no note of {codes}; import some with: medloom import notes FOLDER", codes=codes
        )
    return found


def _items(record: Record, codes: Sequence[str], rule: Splits, question: Question) -> Samples | None:
    wanted = resolve(record, codes)
    columns = ["subject_id", "time", "known_time", "known_until", "code", "asset"]
    found = []
    for part in record.parts():
        facts = pl.DataFrame(record.read(columns, part)).with_columns(pl.col("code", "asset").cast(pl.String))
        named = pl.col("asset").is_not_null() & pl.col("known_until").is_null() & pl.col("code").is_in(wanted)
        seen = facts.filter(named).with_columns(prediction_time=visible_time())
        found.append(seen.select("subject_id", "prediction_time", item="asset"))
    frame = pl.concat(found) if found else pl.DataFrame()
    if not frame.height:
        return None
    frame = with_splits(rule, record, frame.drop_nulls("prediction_time"))
    frame = (
        frame.sort("subject_id", "prediction_time", "item")
        .with_columns(
            sample_id=pl.int_range(pl.len(), dtype=pl.Int64),
            group=pl.col("subject_id"),
            label=pl.lit(None, LABEL_TYPES["generation"]),
        )
        .select(SAMPLE_COLUMNS)
    )
    hidden = frozenset((*rule.train, *rule.held_out))
    seen_by = Visibility(hidden=hidden, static=record.catalogue.static_codes())
    return Samples(frame, question, record, seen_by, split_rule(rule, record))
