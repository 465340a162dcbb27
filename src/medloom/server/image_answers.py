"""What released models say of one image, when somebody asks: the answer, and where in the image it comes from."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.care import risk
from medloom.explanation.numbers import percent
from medloom.features.boxes import boxes_of
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, language, tr
from medloom.loop.serving import Served
from medloom.record.imaging.image import Image
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.image_pixels import ImageShelf
from medloom.server.image_sizes import marks_of, size_in_words, sizes_of
from medloom.server.images import PatientImage
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.outlining import is_approximate
from medloom.tasks.samples import Samples
from medloom.tasks.task_codes import matching
from medloom.training.wrapping import innermost

_PLACE: Final = re.compile(r"(?:slice \d+ of (\d+), )?row \d+ of (\d+), column \d+ of (\d+)")


def asked_about(backend: Backend, image: PatientImage) -> list[Served]:
    """List the released models that answer about images of this kind, by task."""
    catalogue = backend.site.record.catalogue
    return [
        one
        for one in backend.serving.served
        if one.asker.task.about == "image"
        and image.code in matching(catalogue, one.asker.task.prediction_time.event)
    ]


def asked_of(backend: Backend, image: PatientImage, model: str) -> tuple[Served, Samples]:
    """Give a released model by its name, and the image as it is asked about it.

    Raises:
        InputError: no such model is released, or it does not answer about this image.
    """
    served = next((one for one in asked_about(backend, image) if str(one.name) == model), None)
    if served is None:
        raise InputError("no released model {model!r} answers about this image", model=model)
    return served, _sample(served, image)


def answering(
    backend: Backend, person: Person, image: PatientImage, model: str, shelf: ImageShelf
) -> dict[str, Any]:
    """Let a model answer about an image; who asked is kept with the advice, and reads its case blinded no longer.

    Returns:
        JSON: `title`, `said`, `range`, `cautions`, and `heat` (`shape`, `values`, and of each axis `scale` and
        `offset` from pixels to places of the map) or `outline` (`code`, `names`, numbers packed by gzip in base64,
        `sizes` as `image_sizes.sizes_of`, of objects as `marks_of`, `approximate`: whether it is ellipses around what
        was found, and `unsure`: how unsure the model is of each pixel, from 0 to 255, packed
        alike; None: it does not tell).

    Raises:
        NotFoundError: no such model is released.
        InputError: it does not answer about this image.
    """
    served, sample = asked_of(backend, image, model)
    unit = f" {sample.question.unit}" if sample.question.unit else ""
    # why, and how unusual the image is: of outlines neither is told
    outlines = sample.question.kind in ("segmentation", "detection")
    given = risk.advise(served, sample, explain=not outlines)
    backend.database.write(risk.keep(backend.database, given, person.actor, "viewer"))
    advice, question = given.advice, sample.question
    pictured = shelf.image(backend.site.record.assets(), image.asset)

    def in_words(value: float) -> str:
        if question.kind in PROBABLE:
            return percent(value)
        if question.kind == "segmentation":
            return size_in_words(value, pictured.dimensions, pictured.spacing is not None)
        return f"{value:.3g}{unit}"

    told: dict[str, Any] = {
        "model": model,
        "title": _here(Text2(question.title.en, question.title.zh)),
        "answers": [
            {
                "output": tr("yes") if question.kind == "binary" else answer.output,
                "value": in_words(answer.value),
                "range": ""
                if answer.low is None or answer.high is None
                else f"{in_words(answer.low)} – {in_words(answer.high)}",
            }
            for answer in advice.answers
        ],
        "cautions": [_here(one) for one in advice.cautions],
    }
    if outlines:
        return {**told, "outline": _outline(served, pictured)}
    return {**told, "heat": _heat(served, sample, advice.output, pictured)}


def _sample(served: Served, image: PatientImage) -> Samples:
    sample, _ = served.asker.at(image.visible, image.subject_id)
    if not len(sample):
        raise InputError("no released model {model!r} answers about this image", model=str(served.name))
    # several may have come at one moment
    return replace(sample, frame=sample.frame.with_columns(item=pl.lit(image.asset)))


def _outline(served: Served, pictured: Image) -> dict[str, Any] | None:
    outline = getattr(innermost(served.model), "outline", None)
    codes = served.asker.task.predict.outline
    if outline is None or not codes:
        return None
    drawn = outline(pictured)
    unsure = getattr(drawn, "uncertainty", None)
    approximate = is_approximate(drawn)
    if served.asker.task.kind == "detection":
        boxes = drawn.boxes if approximate else boxes_of(drawn.labels, None if unsure is None else 1 - unsure)
        sizes = marks_of(boxes, pictured)
    else:
        sizes = sizes_of(drawn.labels, pictured)
    return {
        "code": codes[0],
        "names": list(served.asker.task.predict.structures),
        "labels": _packed(drawn.labels),
        "sizes": sizes,
        "approximate": approximate,
        "unsure": None if unsure is None else _packed(_in_steps(unsure)),
    }


def _in_steps(unsure: NDArray[Any]) -> NDArray[np.uint8]:
    """Give shares as numbers from 0 to 255 in steps of 17: what nobody sees apart is not sent.

    >>> _in_steps(np.array([0.0, 0.02, 0.5, 1.0], np.float16)).tolist()
    [0, 0, 136, 255]
    """
    return (np.rint(unsure * np.float16(15)).astype(np.uint8) * 17).astype(np.uint8)


def _packed(numbers: NDArray[np.uint8]) -> str:
    return base64.b64encode(gzip.compress(np.ascontiguousarray(numbers).tobytes(), 1, mtime=0)).decode()


def _heat(served: Served, sample: Samples, output: str, pictured: Image) -> dict[str, Any] | None:
    """Give the map of an answer's reasons over the image; None: its reasons are no places."""
    rows = served.model.explain(sample).frame.filter(pl.col("output") == output).sort("start")
    grid = _grid(rows["input"])
    if grid is None or rows.height != grid[0] * grid[1] * grid[2]:
        return None
    shape = (1, *pictured.shape) if pictured.dimensions == 2 else pictured.shape
    axes = _axes(served, grid, shape)
    contributions = rows["contribution"].to_list()
    return {
        "shape": list(grid),
        "values": [round(one, 6) for one in contributions],
        "axes": axes,
        "says": _says(contributions),
    }


def _grid(inputs: Iterable[str]) -> tuple[int, int, int] | None:
    for name in inputs:
        found = _PLACE.fullmatch(name)
        return None if found is None else (int(found[1] or 1), int(found[2]), int(found[3]))
    return None


def _axes(served: Served, grid: tuple[int, ...], shape: tuple[int, ...]) -> list[list[float]]:
    """Give of each axis what turns the middle of a pixel into a place of the map: scale and offset.

    The map divides what the model was shown: where that keeps the image's shape, it is filled up with black.
    """
    framing = getattr(innermost(served.model), "framing", None)
    size = tuple(getattr(framing, "size", ()))
    if framing is None:
        return [[g / n, 0.5 * g / n - 0.5] for g, n in zip(grid, shape, strict=True)]
    spacing = getattr(innermost(served.model), "spacing", None)
    size = (1,) * (3 - len(size)) + size
    own = shape[-len(framing.size) :]
    share = min(want / there for want, there in zip(framing.size, own, strict=True))
    axes = []
    for place, (g, n, want) in enumerate(zip(grid, shape, size, strict=True)):
        kept = framing.keep_shape and place >= 3 - len(own)
        inner = min(want, max(1, round(n * share))) if kept else want
        begins, pixel = (want - inner) // 2, inner / n
        middle = begins + 0.5 * pixel - 0.5  # of the first pixel, on what the model was shown
        if spacing is None or place < 3 - len(own):
            axes.append([pixel * g / want, (middle + 0.5) * g / want - 0.5])
        else:
            axes.append([pixel / spacing.step, spacing.place(middle)])
    return axes


def _says(contributions: list[float]) -> str:
    if not any(one > 0 for one in contributions):
        return tr("No single place of the image speaks for this answer.")
    return tr("Bright places speak for this answer.")


def _here(text: Text2) -> str:
    return text.zh if language() == "zh" else text.en
