"""What a model has to know of the task it answers: small enough to travel in its package."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from medloom.tasks.kinds import Kind


class Title(BaseModel):
    """A name for people, in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Question(BaseModel):
    """The name, kind and possible answers of a task.

    >>> Question(task="aki-48h", kind="binary", title=Title(en="AKI", zh="急性肾损伤")).outputs
    ('true',)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    kind: Kind
    title: Title
    about: Literal["patient", "image", "note"] = "patient"
    # of a multiclass or multilabel question; the competing events of survival; the structures of outlines,
    # the names of spans
    classes: tuple[str, ...] = ()
    # each with the names of spans it is from and to
    relations: tuple[tuple[str, str, str], ...] = ()
    entities: Literal["place", "code"] = "place"  # what relations are between
    unit: str | None = None  # of a regression's value, or of the times of survival
    horizon: str | None = None  # as written: `48h`
    horizons: tuple[float, ...] = ()  # of survival: times of interest, in `unit`
    definition: str | None = None  # digest of who is asked, when, and what; None: not by a task file

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name what a model gives for each sample: values of `Predictions.frame["output"]`."""
        if self.kind == "binary":
            return ("true",)
        if self.kind == "relations":
            return (*self.classes, *(name for name, _, _ in self.relations))
        named = ("multiclass", "multilabel", "survival", "segmentation", "detection", "tagging")
        return self.classes if self.kind in named else ("value",)
