"""The verb that takes a reading out of Medloom: what a model says of one image, as files that others open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from medloom.api import Trained
from medloom.care.imaging.files import Format, Written, known_formats, write
from medloom.care.imaging.keeping import keep_outlines
from medloom.care.imaging.reading import Reader, Reading, read
from medloom.foundation.clock import Clock
from medloom.foundation.errors import InputError
from medloom.record.imaging.reading import check_imaging
from medloom.site import Site
from medloom.tasks import models
from medloom.tasks.package import package_digest
from medloom.tasks.samples import Samples

USUAL: Final[tuple[Format, ...]] = ("seg", "sr", "sc", "fhir", "png")


@dataclass(frozen=True)
class Report:
    """What was written of one image.

    Attributes:
        reading: what the model said.
        written: the files, and what could not be written and why.
        image: which of the subject's images, from 1.
        images: how many the task asks about.
        kept: outlines in the record, by structure.
    """

    reading: Reading
    written: Written
    image: int
    images: int
    kept: dict[str, str]


def report(
    site: Site,
    trained: Trained,
    subject_id: int,
    folder: str | Path,
    formats: Sequence[str] = USUAL,
    *,
    image: int | None = None,
    keep: bool = False,
    now: datetime | None = None,
) -> Report:
    """Let a model read an image of a subject, and write what it says.

    Args:
        site: of the model.
        trained: the model and its samples.
        subject_id: pseudonym.
        folder: where files go.
        formats: `seg`, `sr`, `sc`, `nifti`, `png`, `fhir`; what cannot be made of the image is told in `written`.
        image: which of those that the task asks about, from 1 by time; None: the last.
        keep: keep outlines in the record too, as this model's.
        now: on the site's wall clock; None: the clock's.

    Raises:
        InputError: the task is about no images, does not ask this subject, has no such image, or there is no such
            format.
    """
    chosen = known_formats(formats)
    check_imaging()
    question = trained.samples.question
    if question.about != "image":
        raise InputError(
            "the samples of task {task!r} are about no file; write `of: image` below predict in the task",
            task=question.task,
        )
    mine = trained.samples.where(pl.col("subject_id") == subject_id)
    if not len(mine):
        raise InputError(
            "task {task!r} does not ask subject {subject}", task=question.task, subject=subject_id
        )
    number = len(mine) if image is None else image
    if not 1 <= number <= len(mine):
        raise InputError(
            "there is no image {image} of this subject; the task asks about {n}", image=number, n=len(mine)
        )
    sample = mine.at(number - 1)
    made = (now or datetime.now()).replace(microsecond=0)
    reading = read(
        trained.model, sample, site.record.assets(), reader_of(site, trained), made, taken_at(site, sample)
    )
    written = write(reading, Path(folder), chosen, Clock(site.settings.time_zone))
    kept = keep_outlines(site.record, reading, made) if keep else {}
    return Report(reading, written, number, len(mine), kept)


def reader_of(site: Site, trained: Trained) -> Reader:
    """Name a model and the digest of its package; of one that is not kept, its learner and the data it learned from."""
    if trained.name is None:
        return Reader(trained.model.origin.learner, trained.model.origin.data_digest)
    return Reader(str(trained.name), package_digest(models.directory(site.directory, trained.name)))


def taken_at(site: Site, sample: Samples) -> datetime | None:
    """Tell when the image of a sample was made; None: the record does not tell."""
    events = site.record.events([int(sample.frame["subject_id"][0])])
    item = sample.frame["item"][0]
    told = events.filter(pl.col("asset").eq_missing(pl.lit(item)), pl.col("time").is_not_null())["time"]
    found = told.min()
    return found if isinstance(found, datetime) else None
