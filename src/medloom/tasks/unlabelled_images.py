"""Images as samples, without a label: what a network is pretrained on."""

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

NAME: Final = "images"


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
    rule, wanted = splits or Splits(), resolve(record, codes)
    columns = ["subject_id", "time", "known_time", "known_until", "code", "asset"]
    found = []
    for part in record.parts():
        facts = pl.DataFrame(record.read(columns, part)).with_columns(pl.col("code", "asset").cast(pl.String))
        named = pl.col("asset").is_not_null() & pl.col("known_until").is_null() & pl.col("code").is_in(wanted)
        seen = facts.filter(named).with_columns(prediction_time=visible_time())
        found.append(seen.select("subject_id", "prediction_time", item="asset"))
    frame = pl.concat(found) if found else pl.DataFrame()
    if not frame.height:
        raise InputError(
            "the record has no image of {codes}; import some with: medloom import images FOLDER", codes=codes
        )
    frame = with_splits(rule, record, frame.drop_nulls("prediction_time"))
    question = Question(
        task=NAME, kind="generation", about="image", title=Title(en="What images look like", zh="影像的样子")
    )
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
