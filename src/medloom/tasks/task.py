"""A task: a question put to a record, written as YAML and validated here.

The JSON Schema of the file is `tasks/task.schema.json` (`medloom task --schema` prints it).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from medloom.foundation.durations import hours
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.spelling import nearest
from medloom.knowledge import units
from medloom.knowledge.systems import vocabulary
from medloom.knowledge.vocabularies import by_name
from medloom.tasks.kinds import Kind
from medloom.tasks.question import Question, Title

TASK_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")
# The kinds that a file can ask, and what each predicts, one of these; questions of other kinds come with their data.
PREDICTED: Final[dict[Kind, tuple[str, ...]]] = {
    "binary": ("event",),
    "regression": ("value", "time_to"),
    "multiclass": ("classes",),
    "multilabel": ("classes",),
    "survival": ("event", "classes"),
    "segmentation": ("outline",),
    "detection": ("outline",),
    "tagging": ("spans",),
    "relations": ("relations",),
}
_TIMES: Final = ("min", "h", "d", "w", "y")


def _name(text: str) -> str:
    if not TASK_NAME.fullmatch(text):
        raise ValueError(
            tr("{name!r} is not a task's name: lower-case letters, digits and hyphens", name=text)
        )
    return text


def _kind(given: object) -> object:
    if given in PREDICTED:
        return given
    known, near = list(PREDICTED), nearest(str(given), PREDICTED, most=1)
    if near:
        raise ValueError(
            tr("{given!r} is none of {known}; did you mean {near}?", given=given, known=known, near=near[0])
        )
    raise ValueError(tr("{given!r} is none of {known}", given=given, known=known))


def _length(text: str) -> str:
    try:
        hours(text)
    except InputError as error:
        raise ValueError(str(error)) from error
    return text


def _positive(text: str) -> str:
    if hours(text) <= 0:
        raise ValueError(tr("{text!r} must be longer than nothing", text=text))
    return text


def _as_text(value: object) -> object:
    """Let a bare number reach the message that asks for its unit."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Length = Annotated[
    str, BeforeValidator(_as_text), AfterValidator(_length), Field(examples=["48h", "30d", "1y"])
]
PositiveLength = Annotated[Length, AfterValidator(_positive)]


def _listed(given: object) -> object:
    """Let one code stand for a list of one."""
    if not isinstance(given, str):
        return given
    if ", " in given:
        raise ValueError(tr("several codes stand in brackets: write [{given}]", given=given))
    return (given,)


def _code(text: str) -> str:
    """Refuse a code of a well-known system that is written with one slash; what others call theirs is up to them."""
    system, slash, rest = text.partition("/")
    if not slash or "//" in text:
        return text
    if system.upper() in ("ENCOUNTER", "GENDER"):
        meant = f"{system.upper()}//{rest.replace('/', '//')}"
    elif system and vocabulary(system) in by_name().values():
        meant = f"{vocabulary(system)}//{rest}"
    else:
        return text
    raise ValueError(
        tr("code {code!r} has one slash after its system; write {meant}", code=text, meant=meant)
    )


Codes = Annotated[
    tuple[Annotated[str, AfterValidator(_code)], ...],
    Field(
        min_length=1,
        description="Codes, each with all codes below it in its ontology; `*` at the end matches any ending.",
    ),
    BeforeValidator(_listed),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PredictionTime(_Part):
    """When the question is put."""

    event: Codes
    which: Literal["first", "last", "every"] = Field("first", description="Which of a subject's events.")
    offset: Length = Field("0h", description="So long after the event.")
    every: PositiveLength | None = Field(None, description="Again and again at this distance, until `until`.")
    until: Codes | None = Field(
        None, description="The event of the same encounter (or the next one) that ends repetition."
    )
    at_most: int = Field(1000, ge=1, description="Repetitions an event.")

    @model_validator(mode="after")
    def _both_or_none(self) -> PredictionTime:
        if (self.every is None) != (self.until is None):
            raise ValueError("every and until belong together")
        return self


class Population(_Part):
    """Who is asked; judged by what is visible at the prediction time."""

    min_age: float | None = Field(None, ge=0, description="Years at the prediction time.")
    max_age: float | None = Field(None, ge=0, description="Years at the prediction time.")
    sex: Literal["F", "M"] | None = None
    has: Codes | None = Field(None, description="At least one such fact before the prediction time.")
    history: PositiveLength | None = Field(
        None, description="Known to the record at least so long before the prediction time."
    )


class Observe(_Part):
    """What models may look at."""

    window: PositiveLength | None = Field(None, description="So far back; all when absent.")
    only: Codes | None = Field(None, description="These codes alone (demographics always).")
    without: Codes | None = Field(None, description="All but these codes.")
    label_history: bool = Field(
        False, description="Let models see earlier events of what is predicted; hidden by default."
    )


def _unit(unit: str) -> str:
    if unit in ("min", "h", "d", "w", "y") or units.canonical(unit) is not None:
        return unit
    near = units.similar(unit)
    if near:
        raise ValueError(tr("{unit!r} is no unit of UCUM; did you mean {near}?", unit=unit, near=near))
    raise ValueError(
        tr("{unit!r} is no unit of UCUM; write one such as mg/dL, mmol/L, /min, % or {{score}}", unit=unit)
    )


class Related(_Part):
    """A relation that may hold between what two places name."""

    head: str = Field(description="Name of spans: from whom.")
    tail: str = Field(description="Name of spans: to whom.")
    codes: Codes


class Predict(_Part):
    """What is predicted, from the moment after the prediction time."""

    event: Codes | None = Field(None, description="binary: does it happen? survival: when?")
    value: Codes | None = Field(None, description="regression: the number it will have.")
    time_to: Codes | None = Field(None, description="regression: how long until it happens.")
    classes: dict[str, Codes] | None = Field(
        None, description="multiclass, survival: which comes first; multilabel: which happen."
    )
    within: PositiveLength | None = Field(None, description="The horizon.")
    horizons: tuple[PositiveLength, ...] = Field(
        (),
        description="survival: times of interest; follow-up goes on after the last, unless within is given.",
    )
    until: Codes | None = Field(
        None, description="Or until this event of the same encounter (the next one where facts know none)."
    )
    take: Literal["first", "last", "min", "max", "mean"] = Field("first", description="Of several values.")
    unit: Annotated[str, AfterValidator(_unit)] | None = Field(
        None, description="Of the value; for time_to and survival one of min, h, d, w, y."
    )
    of: Literal["patient", "image", "note"] = Field(
        "patient",
        description="image, note: what was said, whenever, of each of the events; without a horizon.",
    )
    outline: Codes | None = Field(
        None, description="segmentation, detection: label images drawn on the image; the last one counts."
    )
    structures: tuple[str, ...] = Field(
        (), description="What the labels 1, 2, … of an outline mean, in their order."
    )
    spans: dict[str, Codes] | None = Field(
        None,
        description="tagging, relations: the names of places in notes, each with the codes of facts that people took "
        "there.",
    )
    relations: dict[str, Related] | None = Field(
        None,
        description="relations: their names, each with the names of spans it is between, and the codes of facts that "
        "people took there, whose place is two places: 12:24>30:35.",
    )
    entities: Literal["place", "code"] = Field(
        "place",
        description="relations: what they are between: places, or all places of a note with the same code.",
    )

    @model_validator(mode="after")
    def _has_one_horizon(self) -> Predict:
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError("classes needs at least two")
        if self.within is not None and self.until is not None:
            raise ValueError("give either within or until, not both")
        if (self.outline is None) != (not self.structures):
            raise ValueError("outline and structures belong together")
        has_horizon = bool(self.within or self.until or self.time_to or self.horizons)
        if self.of == "image" and has_horizon:
            raise ValueError("of an image is predicted what is on it: leave the horizon out")
        if self.of == "note" and has_horizon:
            raise ValueError("of a note is predicted what it says: leave the horizon out")
        if self.of != "image" and self.outline is not None:
            raise ValueError("outlines are drawn on images: write of: image")
        if self.of != "note" and self.spans is not None:
            raise ValueError("spans are places in notes: write of: note")
        if self.spans is not None and not self.spans:
            raise ValueError("spans needs at least one name with its codes")
        self._check_relations()
        if self.of == "patient" and not has_horizon:
            raise ValueError("the horizon is missing: give within (48h) or until (an event)")
        if self.time_to is not None and self.unit not in _TIMES:
            raise ValueError("time_to needs a unit: min, h, d, w or y")
        return self

    def _check_relations(self) -> None:
        if self.relations is None:
            if self.entities != "place":
                raise ValueError("entities belongs to relations")
            return
        if not (self.relations and self.spans):
            raise ValueError("relations needs at least one name, and spans that it is between")
        for name, one in self.relations.items():
            if name in self.spans:
                raise ValueError(f"{name!r} names spans already: call the relation otherwise")
            for end in (one.head, one.tail):
                if end not in self.spans:
                    raise ValueError(f"relation {name!r}: {end!r} is no name of spans")

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """Give the codes behind each named answer: classes, or names of spans and relations; of others none."""
        related = {name: one.codes for name, one in (self.relations or {}).items()}
        return self.classes if self.classes is not None else {**(self.spans or {}), **related}

    @property
    def codes(self) -> tuple[str, ...]:
        """List the codes whose occurrence is the answer."""
        if self.named:
            return tuple(code for codes in self.named.values() for code in codes)
        return self.event or self.value or self.time_to or self.outline or ()


class Exclude(_Part):
    """Whom not to ask: those with such a fact before the prediction time."""

    event: Codes
    within: PositiveLength | None = Field(None, description="In this time before; ever when absent.")
    reason: Title | None = None


class Censor(_Part):
    """Whose answer cannot be known."""

    follow_up: Codes | None = Field(
        None,
        description="Events that end follow-up, the last one counts; absent: the subject's last fact of any kind.",
    )


class Splits(_Part):
    """Who is trained on and who is tested on."""

    by: Literal["record", "hash", "fact", "time"] = Field(
        "record", description="record: as subject_splits.parquet, by hash unless the source fixed them."
    )
    train: tuple[str, ...] = Field((), description="by fact: codes of a subject's static facts.")
    held_out: tuple[str, ...] = Field((), description="by fact: codes of a subject's static facts.")
    held_out_from: date | None = Field(
        None, description="by time: subjects whose first prediction is on or after this day."
    )
    tuning: float = Field(
        0.15, gt=0, lt=1, description="by fact, by time: share of the training subjects set aside for tuning."
    )

    @model_validator(mode="after")
    def _complete(self) -> Splits:
        if self.by == "fact" and not (self.train and self.held_out):
            raise ValueError("splits by fact need the codes for train and held_out")
        if self.by == "time" and self.held_out_from is None:
            raise ValueError("splits by time need held_out_from, a day such as 2019-01-01")
        return self


class Task(_Part):
    """A task.

    >>> task = Task.model_validate({
    ...     "name": "aki-48h", "kind": "binary", "title": {"en": "AKI within 48 h", "zh": "48小时内急性肾损伤"},
    ...     "prediction_time": {"event": ["ENCOUNTER//inpatient//START"], "offset": "24h"},
    ...     "predict": {"event": ["SNOMED//14669001"], "within": "48h"}})
    >>> task.question.horizon
    '48h'
    """

    name: Annotated[str, AfterValidator(_name)] = Field(
        json_schema_extra={"pattern": TASK_NAME.pattern},
        description="Lower-case letters, digits and hyphens.",
    )
    title: Title
    description: Title | None = None
    kind: Annotated[Kind, BeforeValidator(_kind)] = Field(json_schema_extra={"enum": [*PREDICTED]})
    population: Population = Population()
    prediction_time: PredictionTime
    observe: Observe = Observe()
    predict: Predict
    exclude: tuple[Exclude, ...] = ()
    censor: Censor | None = Field(None, description="Absent: no answer within the horizon means no.")
    split: Splits = Splits()

    @model_validator(mode="after")
    def _fits_kind(self) -> Task:
        given = [
            name
            for name in ("event", "value", "time_to", "classes", "outline", "spans", "relations")
            if getattr(self.predict, name) is not None and not (name == "spans" and self.predict.relations)
        ]
        if len(given) != 1 or given[0] not in PREDICTED[self.kind]:
            raise ValueError(f"a {self.kind} task predicts exactly one of: {', '.join(PREDICTED[self.kind])}")
        if self.of_items and self.prediction_time.every is not None:
            raise ValueError("an image or a note is asked about once: without every and until")
        if self.kind != "survival" and self.predict.horizons:
            raise ValueError(f"horizons are of survival tasks; a {self.kind} task has one horizon: within")
        if self.kind == "survival" and (not self.predict.horizons or self.predict.unit not in _TIMES):
            raise ValueError(
                "a survival task needs horizons, such as [30d, 1y], and a unit: min, h, d, w or y"
            )
        return self

    @property
    def about(self) -> Literal["patient", "image", "note"]:
        """Tell what each sample is about."""
        return self.predict.of

    @property
    def of_items(self) -> bool:
        """Tell whether each sample is about something of a patient's, an image or a note."""
        return self.predict.of != "patient"

    @property
    def events(self) -> dict[str, Codes]:
        """Name the competing events of a survival task, with their codes; one without a name is `event`."""
        return self.predict.classes or {"event": self.predict.codes}

    @property
    def question(self) -> Question:
        """Give what models need to know of the task."""
        return Question(
            task=self.name,
            kind=self.kind,
            title=self.title,
            classes=tuple(self.events if self.kind == "survival" else self.predict.classes or ())
            or self.predict.structures
            or tuple(self.predict.spans or ()),
            relations=tuple(
                (name, one.head, one.tail) for name, one in (self.predict.relations or {}).items()
            ),
            entities=self.predict.entities,
            about=self.about,
            unit=self.predict.unit,
            horizon=self.predict.within,
            horizons=tuple(
                hours(one) / hours(f"1{self.predict.unit}")
                for one in sorted(self.predict.horizons, key=hours)
            ),
            definition=self._definition(),
        )

    def _definition(self) -> str:
        """Digest what is asked; titles, reasons and the split may change without another question."""
        asked = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={
                "name": True,
                "title": True,
                "description": True,
                "split": True,
                "exclude": {"__all__": {"reason"}},
            },
        )
        return digest(asked)


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of task files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Task.model_json_schema()}
