"""Outlines of models in the record: files beside the image, told from those of experts by the model that drew them."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from medloom.care.imaging.masks import mask_of
from medloom.care.imaging.reading import Reading
from medloom.foundation.errors import InputError
from medloom.record.record import Record
from medloom.record.schema import BATCH_SCHEMA


def keep_outlines(record: Record, reading: Reading, now: datetime | None = None) -> dict[str, str]:
    """Keep what was outlined: a file and a fact `OUTLINE//structure` each; gives the files by structure.

    The facts are derived from the image, carry the model's name, and are therefore never labels to learn from. What the
    same model drew on the image before is superseded; structures that were not found are kept as empty outlines, for
    they are an answer too.

    Args:
        record: of a site.
        reading: with an outline of an image of this record.
        now: of the append; None: the clock's.

    Raises:
        InputError: nothing was outlined, the record is in memory, or the image is of nobody in it.
        LockedError: an import is running.
    """
    if reading.labels is None:
        raise InputError("nothing was outlined in this image, so that there is no mask to write")
    subject, taken = reading.subject_id, reading.taken
    if subject is None or taken is None:
        raise InputError("this reading is of nobody in the record; its outlines cannot be kept there")
    known = record.identifiers([subject])[subject]
    if not known:
        raise InputError("this reading is of nobody in the record; its outlines cannot be kept there")
    system, patient = known[0]
    assets = record.assets()
    kept = {name: assets.put(mask_of(reading, at)) for at, name in enumerate(reading.structures, 1)}
    rows = [
        {
            "patient": patient,
            "time": taken,
            "known_time": max(taken, reading.made),
            "code": f"OUTLINE//{name}",
            "role": "image",
            "asset": asset,
            "derived_from": reading.source.asset,
            "model": reading.reader.model,
            "key": f"outline:{reading.reader.model}:{reading.source.asset}:{name}",
            "part": 0,
        }
        for name, asset in kept.items()
    ]
    names = list(rows[0]) if rows else ["patient", "time", "code"]
    events = pl.DataFrame(rows, schema={name: BATCH_SCHEMA[name] for name in names})
    record.append(events, system, now)
    return kept
