"""The worklist of images: the most urgent first, by what a released model answered; the latest first where none did."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import polars as pl
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medloom import api
from medloom.explanation.numbers import moment
from medloom.explanation.unlike import unlike_in_words
from medloom.foundation.messages import Text2, speaking, tr
from medloom.loop.serving import Served
from medloom.record.record import Record
from medloom.record.schema import visible_time
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, BackendOf
from medloom.server.corrections import image_tasks
from medloom.server.errors import wanted_language
from medloom.server.image_sizes import size_in_words
from medloom.server.images import IMAGE, PatientImage
from medloom.server.web.rendering import page
from medloom.stressing import tells_unusual, unusual
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.task_codes import matching
from medloom.training.wrapping import innermost

router = APIRouter()

Reader = Annotated[Person, Depends(may(Permission.SEE_IMAGES))]

_ROWS: Final = 20
_COLUMNS: Final = ("subject_id", "time", "known_time", "known_until", "code", "asset")
_FAR: Final = 95.0  # of 100 training images are more usual: from there a reader is told
_ORDER: Final = ("alert", "value", "visible")


@dataclass(frozen=True)
class Row:
    """An image in the list, and what a model answered about it; None: nothing, or it is not for this reader."""

    image: PatientImage
    made: str
    answered: bool
    said: str
    value: float | None
    low: float | None
    high: float | None
    rank: float | None
    alert: bool
    unlike: Text2 | None


class ImageLists:
    """All images of a record, read once until it changes; and how unusual the images are that were looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digest = ""
        self._images: pl.DataFrame | None = None
        self._unusual: dict[tuple[str, int, str], float] = {}

    def images(self, record: Record) -> pl.DataFrame:
        """Give all images of a record with files, numbered as `gallery_in` does: a row each."""
        digest = record.digest()
        with self._lock:
            if self._images is None or digest != self._digest:
                parts = [_images_in(record, part) for part in record.parts()]
                self._images = pl.concat(parts) if parts else _images_in(record, [])
                self._digest = digest
            return self._images

    def unusual(self, backend: Backend, served: Served, rows: pl.DataFrame) -> dict[int, float]:
        """Tell of the patients in rows how many of 100 images the model learned from are more usual than theirs."""
        if not tells_unusual(served.model):
            return {}
        name = f"{served.name} {served.release.id}"
        wanted = dict(rows.select("subject_id", "asset").iter_rows())
        new = [one for one, asset in wanted.items() if (name, one, asset) not in self._unusual]
        asked, _ = backend.serving.ask_each(served, new)
        for one in asked:
            samples = one.sample
            told = unusual(api.Trained(served.model, samples, served.name), samples)
            about = samples.frame.select("sample_id", "subject_id", "item").join(told, on="sample_id")
            for subject, item, far in about.select("subject_id", "item", "percentile").iter_rows():
                self._unusual[name, subject, item] = far
        known = ((one, self._unusual.get((name, one, asset))) for one, asset in wanted.items())
        return {one: far for one, far in known if far is not None}


@router.get("/images")
def worklist(
    request: Request,
    backend: BackendOf,
    person: Reader,
    task: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """List the images of the patients a person sees: what a model finds most urgent first, then the latest.

    With `task`, those alone that this task asks about, in the order of its model.
    """
    lists: ImageLists = request.app.state.image_lists
    serving = [one for one in backend.serving.served if one.asker.task.about == "image"]
    tasks = {one.name: one for one in image_tasks(backend.site)}
    tasks |= {one.asker.task.name: one.asker.task for one in serving}
    if task not in tasks:
        task = ""
    served = next((one for one in serving if task in ("", one.asker.task.name)), None)
    everything = _shown(backend, person, lists.images(backend.site.record))
    if task:
        about = matching(backend.site.record.catalogue, tasks[task].prediction_time.event)
        everything = everything.filter(pl.col("code").is_in(sorted(about)))
    ordered = _ordered(backend, person, everything, served)
    start = min(start, max(ordered.height - 1, 0) // _ROWS * _ROWS)
    shown = ordered[start : start + _ROWS]
    # who reads cases for themselves is not led by the model's answers
    tells = Permission.READ_PATIENTS in person.permissions
    far = {} if served is None or not tells else lists.unusual(backend, served, _answered(shown))
    backend.saw_list(person, "images.seen", shown["subject_id"])

    def address(begin: int) -> str:
        return f"/images?{urlencode({'task': task, 'start': begin})}"

    with speaking(wanted_language(request.headers, request)):
        return page(
            request,
            person,
            "images.html.j2",
            rows=[_row(one, served, far, tells) for one in shown.iter_rows(named=True)],
            tasks=[(name, Text2(one.title.en, one.title.zh)) for name, one in sorted(tasks.items())],
            task=task,
            urgent=None if served is None else Text2(*_titles(served)),
            tells=tells,
            numbers=None
            if not ordered.height
            else tr(
                "{first:,}–{last:,} of {n:,}", first=start + 1, last=start + shown.height, n=ordered.height
            ),
            previous=address(max(start - _ROWS, 0)) if start else None,
            following=address(start + _ROWS) if start + _ROWS < ordered.height else None,
            no_team=not backend.sees_everybody(person) and not backend.team(person),
        )


def _images_in(record: Record, subjects: Any) -> pl.DataFrame:
    rows = pl.DataFrame(record.read(list(_COLUMNS), subjects)).with_columns(pl.col("code").cast(pl.String))
    return rows.filter(
        pl.col("code").str.starts_with(IMAGE), pl.col("asset").is_not_null(), pl.col("time").is_not_null()
    ).with_columns(visible=visible_time())


def _shown(backend: Backend, person: Person, images: pl.DataFrame) -> pl.DataFrame:
    """Keep the images that are known now, of patients a person sees, with their numbers."""
    now = backend.now()
    known = images.filter(pl.col("visible") <= now, (pl.col("known_until") > now).fill_null(value=True))
    if not backend.sees_everybody(person):
        known = known.filter(pl.col("subject_id").is_in(sorted(backend.team(person))))
    known = known.sort("subject_id", "time", "visible", "code", "asset")
    return known.with_columns(number=pl.int_range(1, pl.len() + 1).over("subject_id"))


def _ordered(backend: Backend, person: Person, images: pl.DataFrame, served: Served | None) -> pl.DataFrame:
    """Put answers beside the images they are about: alerts first, then by the answer, then the latest."""
    nothing = {
        "output": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "rank": pl.Float64,
        "alert": pl.Boolean,
    }  # fmt: skip
    if served is None:
        empty = [pl.lit(None, kind).alias(name) for name, kind in nothing.items()]
        return images.with_columns(empty).sort("visible", descending=True, maintain_order=True)
    codes = matching(backend.site.record.catalogue, served.asker.task.prediction_time.event)
    answers = backend.board_of(person).filter(pl.col("model") == str(served.name))
    answers = answers.select("subject_id", "prediction_time", *nothing)
    asked = images.filter(pl.col("code").is_in(sorted(codes))).unique(
        ["subject_id", "visible"], keep="last", maintain_order=True
    )
    told = asked.select("subject_id", "number", "visible").join(
        answers, left_on=["subject_id", "visible"], right_on=["subject_id", "prediction_time"]
    )
    joined = images.join(told.drop("visible"), on=["subject_id", "number"], how="left", maintain_order="left")
    return joined.sort(*_ORDER, descending=True, nulls_last=True, maintain_order=True)


def _answered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("value").is_not_null())


def _row(one: dict[str, Any], served: Served | None, far: dict[int, float], tells: bool) -> Row:
    image = PatientImage(
        one["subject_id"], one["number"], one["code"], one["time"], one["visible"], one["asset"]
    )
    row = Row(image, moment(image.time), one["value"] is not None, "", None, None, None, None, False, None)
    if one["value"] is None or served is None or not tells:
        return row
    question = served.model.origin.question
    probable = question.kind in PROBABLE
    unit = f" {question.unit}" if question.unit and not probable else ""
    several = len(question.outputs) > 1
    if probable:
        said = one["output"] if several else ""
    elif question.kind == "segmentation":
        said = (f"{one['output']}: " if several else "") + size_in_words(one["value"], *_space(served))
    else:
        said = f"{one['value']:.3g}{unit}"
    percentile = far.get(image.subject_id)
    return replace(
        row,
        said=said,
        value=one["value"] if probable else None,
        low=one["low"],
        high=one["high"],
        rank=one["rank"],
        alert=bool(one["alert"]),
        unlike=None if percentile is None or percentile < _FAR else unlike_in_words(percentile, []).said,
    )


def _space(served: Served) -> tuple[int, bool]:
    """Tell how many dimensions the images have that a model outlines, and whether it measures them in mm."""
    recipe = getattr(getattr(innermost(served.model), "taught", None), "recipe", None)
    dimensions = len(getattr(recipe, "spacing", (1.0, 1.0)))
    return dimensions, dimensions == 3  # a volume's pixels have a known size, a picture's seldom


def _titles(served: Served) -> tuple[str, str]:
    title = served.model.origin.question.title
    return title.en, title.zh
