"""A reading: what a model said of one image, with all that the files made of it need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.care.imaging.source import Source, read_source
from medloom.explanation.heat_maps import heat_on
from medloom.features.lesions import Outlined, lesions
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import sha256_bytes
from medloom.loop.advice import Answer
from medloom.record.assets import Assets
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.model import Model
from medloom.tasks.outlining import Outlining, is_approximate
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.wrapping import innermost


@dataclass(frozen=True)
class Reader:
    """Who read: a model, by its name and the digest of its package."""

    model: str
    package: str


@dataclass(frozen=True)
class Reading:
    """What was said of an image.

    Attributes:
        source: the image.
        reader: the model.
        question: what it was asked.
        made: when, on the site's wall clock.
        labels: (*space) numbers of the question's structures, 0: background; None: nothing was outlined.
        outlined: its lesions, measured; None: nothing was outlined.
        answers: values, with their ranges, where the question asks for some.
        output: the answer that stands for all; empty where there is none.
        heat: (*space) what on the image speaks for this answer; None: not told.
        subject_id: pseudonym; None: nobody's.
        taken: when the image was made, on the site's wall clock; None: not known.
        approximate: whether `labels` are ellipses or ellipsoids around what was found, not outlines.

    Raises:
        InputError: outline or map are of another size than the image.
    """

    source: Source
    reader: Reader
    question: Question
    made: datetime
    labels: NDArray[np.uint8] | None = field(default=None, repr=False)
    outlined: Outlined | None = field(default=None, repr=False)
    answers: tuple[Answer, ...] = ()
    output: str = ""
    heat: NDArray[np.float32] | None = field(default=None, repr=False)
    subject_id: int | None = None
    taken: datetime | None = None
    approximate: bool = False

    def __post_init__(self) -> None:
        for one in (self.labels, self.heat):
            if one is not None and one.shape != self.source.image.shape:
                raise InputError(
                    "the outline is of size {outline}, the image of {image}; outline this image, not another one",
                    outline=one.shape,
                    image=self.source.image.shape,
                )

    @property
    def structures(self) -> tuple[str, ...]:
        """Name what is outlined, from number 1 on."""
        return self.question.classes if self.labels is not None else ()

    @property
    def identity(self) -> tuple[str, ...]:
        """Name what this reading is, for UIDs: image, model, moment, and what was said."""
        said = b"" if self.labels is None else np.ascontiguousarray(self.labels).tobytes()
        told = repr(self.answers).encode()
        seen = [str(one.SOPInstanceUID) for one in self.source.instances] or [self.source.asset]
        return (
            *seen,
            self.reader.model,
            self.reader.package,
            self.made.isoformat(),
            sha256_bytes(said + told),
        )


def outlined_reading(
    source: Source,
    labels: NDArray[Any],
    reader: Reader,
    question: Question,
    made: datetime,
    *,
    fewest: int = 1,
    subject_id: int | None = None,
    taken: datetime | None = None,
    approximate: bool = False,
) -> Reading:
    """Make a reading of an outline; its lesions are measured.

    Args:
        source: the image.
        labels: (*space) numbers of the question's structures, 0: background.
        reader: who outlined.
        question: whose `classes` name the structures from 1 on.
        made: when, on the site's wall clock.
        fewest: voxels; smaller lesions are not measured.
        subject_id: pseudonym.
        taken: when the image was made.
        approximate: whether they are ellipses or ellipsoids around what was found, not outlines.

    Raises:
        InputError: the outline is of another size than the image, or has numbers without a structure.
    """
    found = lesions(labels, source.image, fewest=fewest)
    if int(labels.min(initial=0)) < 0 or int(labels.max(initial=0)) > len(question.classes):
        raise InputError(
            "an outline has numbers beside 0 to {structures}, for which there is no structure",
            structures=len(question.classes),
        )
    drawn = labels.astype(np.uint8)
    return Reading(
        source,
        reader,
        question,
        made,
        drawn,
        found,
        subject_id=subject_id,
        taken=taken,
        approximate=approximate,
    )


def read(
    model: Model,
    sample: Samples,
    assets: Assets,
    reader: Reader,
    made: datetime,
    taken: datetime | None = None,
) -> Reading:
    """Let a model read the image of one sample.

    Args:
        model: of a question about images.
        sample: exactly one.
        assets: the record's files.
        reader: the model's name and digest.
        made: now, on the site's wall clock.
        taken: when the image was made.

    Raises:
        InputError: the sample is about no image, or the image is damaged or of another kind than the model reads.
    """
    question = model.origin.question
    item = sample.frame["item"][0]
    if not isinstance(item, str):
        raise InputError(
            "the samples of task {task!r} are about no file; write `of: image` below predict in the task",
            task=question.task,
        )
    source = read_source(assets, item)
    subject = sample.frame["subject_id"][0]
    inner = innermost(model)
    if isinstance(inner, Outlining):
        drawn = inner.outline(source.image)
        return outlined_reading(
            source,
            drawn.labels,
            reader,
            question,
            made,
            subject_id=subject,
            taken=taken,
            approximate=is_approximate(drawn),
        )
    said = model.predict(sample)
    sample_id = int(sample.frame["sample_id"][0])
    output = said.largest(sample_id)
    return Reading(
        source,
        reader,
        question,
        made,
        answers=_answers(said.frame),
        output=output,
        heat=_heat(model, sample, output, source.image.shape),
        subject_id=subject,
        taken=taken,
    )


def is_chance(question: Question) -> bool:
    """Tell whether answers are probabilities."""
    return question.kind in PROBABLE


def _answers(said: pl.DataFrame) -> tuple[Answer, ...]:
    rows = said.select("output", "value", "low", "high", "in_set").iter_rows()
    return tuple(Answer(output, value, low, high, in_set) for output, value, low, high, in_set in rows)


def _heat(model: Model, sample: Samples, output: str, shape: Sequence[int]) -> NDArray[np.float32] | None:
    """Give where a model looked, of the image's size; None: its reasons are not places of an image."""
    framing = getattr(innermost(model), "framing", None)
    if framing is None:
        return None
    rows = model.explain(sample).frame.filter(pl.col("output") == output)
    grid = heat_on(rows)
    if grid is None:
        return None
    heat: NDArray[np.float32] = framing.unframed(grid, tuple(shape))
    return heat
