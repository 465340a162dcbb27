"""Whom and when a command means: a pseudonym or a hospital's identifier, and one of the prediction times."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated

import polars as pl
import typer

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.record.record import Record
from medloom.tasks.samples import Samples

PatientOption = Annotated[
    str | None,
    typer.Option("--patient", help=tr("The hospital's identifier of the patient, instead of the pseudonym.")),
]
SystemOption = Annotated[
    str, typer.Option("--system", help=tr("Namespace of --patient, if the import was given one."))
]
TimeOption = Annotated[
    str | None,
    typer.Option(
        "--time",
        help=tr("2020-03-01 or 2020-03-01T12:00: the latest prediction at or before it; else the last."),
    ),
]


def subject_of(record: Record, subject: str | None, patient: str | None, system: str = "") -> int:
    """Give the pseudonym of whom a command means; no error repeats what was typed, as it may name a patient.

    Raises:
        InputError: neither or both are given, or the pseudonym is none.
        NotFoundError: nobody has this identifier.
    """
    if subject is not None and patient is not None:
        raise InputError("give either a pseudonym or --patient, not both")
    if patient is not None:
        return record.find(patient, system)
    if subject is None:
        raise InputError(
            "say whom: by the pseudonym (subject_id), or by the hospital's identifier with --patient"
        )
    return pseudonym(subject)


def pseudonym(text: str) -> int:
    """Read a pseudonym; what begins with 0 or has letters is a hospital's identifier and no pseudonym.

    >>> pseudonym("5")
    5
    """
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise InputError(
            "a pseudonym (subject_id) is a whole number that does not begin with 0; "
            "to name a patient by the hospital's identifier use --patient"
        )
    return int(text)


def at_time(samples: Samples, time: str | None) -> Samples:
    """Choose one of a subject's samples: the last, or the latest at or before a day (its end) or a moment.

    Raises:
        InputError: `time` is no day and no moment, or all samples are later.
    """
    frame = samples.frame.sort("prediction_time", "sample_id")
    if time is not None:
        frame = frame.filter(pl.col("prediction_time") <= _moment(time))
        if not frame.height:
            raise InputError(
                "this subject is not asked until {time}; its prediction times, {n} in all, are later: "
                "leave --time out for the last",
                time=time,
                n=len(samples),
            )
    return samples.where(pl.col("sample_id") == int(frame["sample_id"][-1]))


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise InputError(
            "{text!r} is no day and no moment of the record's clock; write 2020-03-01 or 2020-03-01T12:00",
            text=text,
        )
    return found if "T" in text or " " in text else found + timedelta(days=1, microseconds=-1)
