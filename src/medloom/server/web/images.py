"""The image viewer: a page that shows an image of a patient, and what it asks for; experts correct what was said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medloom.explanation.numbers import moment
from medloom.foundation.errors import InputError, IntegrityError, MedloomError, NotFoundError
from medloom.foundation.messages import Text2, language, speaking, text2, tr
from medloom.loop.choices import Value
from medloom.record.imaging.reading import check_imaging
from medloom.server import corrections
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import SubjectId, json_of
from medloom.server.backend import Backend, the_backend
from medloom.server.corrections import ANSWERABLE, ImageTask
from medloom.server.errors import wanted_language
from medloom.server.image_answers import answering, asked_about
from medloom.server.image_pixels import ImageShelf
from medloom.server.image_sizes import sizes_of
from medloom.server.images import (
    Drawn,
    Gallery,
    PatientImage,
    check_mark,
    gallery_of,
    structure_names,
)
from medloom.server.web.rendering import go_to, page
from medloom.server.web.viewer_words import viewer_words

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.SEE_IMAGES))]
Expert = Annotated[Person, Depends(may(Permission.REVIEW))]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Place = Annotated[int, Path(ge=0, le=2**31 - 1)]
Mark = Annotated[str, Form(max_length=40)]

PRESETS: Final = (
    ("lung", text2("Lung"), "4"),
    ("soft", text2("Soft tissue"), "5"),
    ("bone", text2("Bone"), "6"),
    ("brain", text2("Brain"), "7"),
    ("liver", text2("Liver"), "8"),
    ("vessels", text2("Vessels with contrast"), "9"),
)
"""Brightness for parts of the body in a CT, with their keys; windows stand in the viewer's script."""

_PRIVATE: Final = {"cache-control": "private, no-store"}
_NO_PICTURE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    '<path d="M8 8h48v48H8zM8 8l48 48M56 8L8 56" fill="none" stroke="#8895a1" stroke-width="2"/></svg>'
)
_BINARY: Final = "application/octet-stream"
HERE: Final = "/patients/{subject_id}/images/{number}"
"""Where the page of an image is."""


@router.get(HERE)
def viewer(
    request: Request,
    backend: BackendOf,
    person: Reader,
    subject_id: SubjectId,
    number: Number,
    prior: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """Show an image with its controls, beside an earlier one where there is one; `prior=0`: alone."""
    backend.check_sees(person, subject_id)
    gallery = gallery_of(backend, person, subject_id)
    image = gallery.image(number)
    tasks = corrections.tasks_about(backend.site, image.code)
    with speaking(wanted_language(request.headers, request)):
        problem = _problem(request, backend, image)
        before = gallery.prior_of(image) if prior is None else gallery.image(prior) if prior else None
        corrects = Permission.REVIEW in person.permissions
        layers = [] if problem else _layers(request, backend, gallery, image, tasks, corrects)
        asked = [] if problem else asked_about(backend, image)
        settings = {
            "image": image.address,
            "mark": image.mark,
            "ct": image.kind.split(" ")[0] == "CT",
            "layers": layers,
            "prior": None if before is None or problem else before.address,
            "prior_time": "" if before is None else moment(before.time),
            "words": viewer_words(),
        }
        backend.saw(person, subject_id, "image.seen", f"image {number}")
        return page(
            request,
            person,
            "image.html.j2",
            image=image,
            images=gallery.images,
            problem=problem,
            priors=[one for one in gallery.images if one.code == image.code and one.number < image.number],
            before=before,
            presets=PRESETS,
            settings=json.dumps(settings, ensure_ascii=False),
            layers=layers,
            asked=[(str(one.name), one.asker.task.title) for one in asked],
            questions=[_question(one, gallery, image) for one in tasks if one.task.kind in ANSWERABLE],
            corrects=corrects,
            time=moment(image.time),
        )


@router.get(HERE + "/pixels")
def pixels(
    request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId, number: Number
) -> Response:
    """Send an image: a header and, unless it is too large, its pixels."""
    image = _seen(backend, person, subject_id, number)
    backend.saw(person, subject_id, "image.read", f"image {number}")
    wire = shelf_of(request).wire(backend.site.record.assets(), image.asset)
    return Response(wire.content(), 200, _PRIVATE, _BINARY)


@router.get(HERE + "/pixels/{place}")
def piece_of(
    request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId, number: Number, place: Place
) -> Response:
    """Send some slices of a large volume."""
    image = _seen(backend, person, subject_id, number)
    if place == 0:  # once a volume; the header was noted too
        backend.saw(person, subject_id, "image.read", f"image {number}")
    wire = shelf_of(request).wire(backend.site.record.assets(), image.asset)
    return Response(wire.piece(place), 200, _PRIVATE, _BINARY)


@router.get(HERE + "/thumbnail")
def thumbnail(
    request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId, number: Number
) -> Response:
    """Send a small picture of an image."""
    image = _seen(backend, person, subject_id, number)
    try:
        content = shelf_of(request).thumbnail(backend.site.record.assets(), image.asset)
    except (InputError, NotFoundError, IntegrityError):
        return Response(_NO_PICTURE, 200, _PRIVATE, "image/svg+xml")  # the viewer says why
    backend.saw(person, subject_id, "image.read", f"image {number}, small")
    return Response(content, 200, _PRIVATE, "image/png")


@router.get(HERE + "/outlines/{place}")
def outline(
    request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId, number: Number, place: Place
) -> Response:
    """Send an outline of an image, by its place in the list of the page."""
    _, drawn = _drawn(backend, person, subject_id, number, place)
    content = shelf_of(request).outline(backend.site.record.assets(), drawn.asset)
    backend.saw(person, subject_id, "image.read", f"image {number}, outline")
    return Response(content, 200, {**_PRIVATE, "content-encoding": "gzip"}, _BINARY)


@router.get(HERE + "/outlines/{place}/lesions")
def measured(
    request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId, number: Number, place: Place
) -> Response:
    """Measure what hangs together in an outline: JSON, by structure, the largest first."""
    image, drawn = _drawn(backend, person, subject_id, number, place)
    assets, shelf = backend.site.record.assets(), shelf_of(request)
    pictured = shelf.image(assets, image.asset)
    labels = shelf.image(assets, drawn.asset).pixels[0]
    if labels.shape != pictured.shape and labels.size == pictured.pixels[0].size:
        labels = labels.reshape(pictured.shape)
    backend.saw(person, subject_id, "image.read", f"image {number}, outline")
    return Response(json_of(sizes_of(labels, pictured)), 200, _PRIVATE, "application/json")


@router.post(HERE + "/ask")
def ask(
    request: Request,
    backend: BackendOf,
    person: Reader,
    subject_id: SubjectId,
    number: Number,
    model: Annotated[str, Form(max_length=200)],
) -> Response:
    """Let a released model answer about an image: its answer, and where in the image that comes from."""
    image = _seen(backend, person, subject_id, number)
    with speaking(wanted_language(request.headers, request)):
        try:
            told = answering(backend, person, image, model, shelf_of(request))
        except (InputError, NotFoundError) as error:
            return _said({"error": str(error)}, 422)
    return _said(told)


@router.post(HERE + "/label")
async def label(
    request: Request, backend: BackendOf, person: Expert, subject_id: SubjectId, number: Number
) -> Response:
    """Keep an expert's answer about an image."""
    form = await request.form()
    sent = _Labelled(
        str(form.get("task", "")),
        str(form.get("mark", "")),
        tuple(str(one) for one in form.getlist("answer")),
    )
    return await run_in_threadpool(_label, request, backend, person, subject_id, number, sent)


@router.post(HERE + "/outlines/{place}/accept")
def accept(
    request: Request,
    backend: BackendOf,
    person: Expert,
    subject_id: SubjectId,
    number: Number,
    place: Place,
    mark: Mark = "",
) -> Response:
    """Take an outline as it stands: from now on it is an expert's."""
    image, drawn = _drawn(backend, person, subject_id, number, place)
    with speaking(wanted_language(request.headers, request)):
        check_mark(image, mark)
        corrections.draw(backend, person, image, drawn.code, drawn.asset, own=False)
        return go_to(image.address, tr("Kept: the outline counts as yours."), request=request)


@router.post(HERE + "/outlines")
async def draw(
    request: Request,
    backend: BackendOf,
    person: Expert,
    subject_id: SubjectId,
    number: Number,
    code: Annotated[str, Query(max_length=300)],
    mark: Annotated[str, Query(max_length=40)],
) -> Response:
    """Keep an outline as it was drawn: numbers of structures, packed by gzip."""
    content = await request.body()
    return await run_in_threadpool(_draw, request, backend, person, subject_id, number, code, mark, content)


@dataclass(frozen=True)
class _Labelled:
    """An answer as its form was sent."""

    task: str
    mark: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A question about an image as its form shows it: the possible answers and those given."""

    task: str
    title: Text2
    several: bool
    choices: tuple[tuple[str, Text2], ...]
    given: tuple[str, ...]


def shelf_of(request: Request) -> ImageShelf:
    """Give the images that this server has read lately."""
    shelf: ImageShelf = request.app.state.images
    return shelf


def _label(
    request: Request, backend: Backend, person: Person, subject_id: int, number: int, sent: _Labelled
) -> Response:
    image = _seen(backend, person, subject_id, number)
    tasks = corrections.tasks_about(backend.site, image.code)
    with speaking(wanted_language(request.headers, request)):
        asked = next((one for one in tasks if one.task.name == sent.task), None)
        if asked is None:
            raise NotFoundError("no task {task!r} asks about this image", task=sent.task)
        answer: Value | tuple[str, ...]
        answer = sent.answers if asked.task.kind == "multilabel" else next(iter(sent.answers), "")
        if asked.task.kind == "binary" and answer in ("yes", "no"):
            answer = answer == "yes"
        try:
            check_mark(image, sent.mark)
            corrections.say(backend, person, image, asked, answer)
        except InputError as error:
            return go_to(image.address, str(error), "bad", request=request)
        return go_to(image.address, tr("Kept: models will learn from your answer."), request=request)


def _draw(
    request: Request,
    backend: Backend,
    person: Person,
    subject_id: int,
    number: int,
    code: str,
    mark: str,
    content: bytes,
) -> Response:
    image = _seen(backend, person, subject_id, number)
    gallery = gallery_of(backend, person, subject_id)
    tasks = corrections.tasks_about(backend.site, image.code)
    with speaking(wanted_language(request.headers, request)):
        try:
            check_mark(image, mark)
            named = corrections.structures_by_code(tasks)
            if code not in {*named, *(one.code for one in gallery.drawn_on(image))}:
                raise InputError("no task asks for such an outline; load the page again")
            assets = backend.site.record.assets()
            pictured = shelf_of(request).image(assets, image.asset)
            most = len(named.get(code, ())) or 255
            labels = corrections.labels_of(content, pictured, most)
            asset = assets.put(corrections.outline_file(labels, pictured))
            corrections.draw(backend, person, image, code, asset, own=True)
        except InputError as error:
            return _said({"error": str(error)}, 422)
        return go_to(image.address, tr("Kept: models will learn from your outline."), request=request)


def _seen(backend: Backend, person: Person, subject_id: int, number: int) -> PatientImage:
    backend.check_sees(person, subject_id)
    return gallery_of(backend, person, subject_id).image(number)


def _drawn(
    backend: Backend, person: Person, subject_id: int, number: int, place: int
) -> tuple[PatientImage, Drawn]:
    backend.check_sees(person, subject_id)
    gallery = gallery_of(backend, person, subject_id)
    image = gallery.image(number)
    drawn = gallery.drawn_on(image)
    if place >= len(drawn):
        raise NotFoundError("this image has no outline {number}", number=place)
    return image, drawn[place]


def _problem(request: Request, backend: Backend, image: PatientImage) -> str | None:
    """Say why an image cannot be shown; None: it can."""
    try:
        check_imaging()
        shelf_of(request).image(backend.site.record.assets(), image.asset)
    except (InputError, NotFoundError, IntegrityError) as error:
        return str(error)
    return None


def _layers(
    request: Request,
    backend: Backend,
    gallery: Gallery,
    image: PatientImage,
    tasks: list[ImageTask],
    corrects: bool,
) -> list[dict[str, Any]]:
    """List the outlines of an image, and for who may draw those that tasks ask for and nobody drew."""
    named = corrections.structures_by_code(tasks)
    titles = {code: Text2(*_both(one)) for one in tasks for code in one.task.predict.outline or ()}
    assets, shelf = backend.site.record.assets(), shelf_of(request)
    pictured = shelf.image(assets, image.asset)
    layers = []
    for place, drawn in enumerate(gallery.drawn_on(image)):
        told: dict[str, Any] = {"code": drawn.code, "place": place, "model": drawn.model}
        try:
            labels = shelf.image(assets, drawn.asset).pixels[0]
            if labels.size != pictured.pixels[0].size:
                raise InputError("an outline has another shape than its image")
            highest = int(labels.max())
        except MedloomError as error:
            layers.append({**told, "names": [], "title": drawn.code, "error": str(error)})
            continue
        names = structure_names(drawn.code, named, highest)
        layers.append({**told, "names": names, "title": _title(drawn.code, titles), "error": ""})
    if corrects:
        known = {one["code"] for one in layers}
        layers += [
            {
                "code": code,
                "place": None,
                "model": None,
                "names": list(names),
                "title": _title(code, titles),
                "error": "",
            }
            for code, names in named.items()
            if code not in known
        ]
    return layers


def _both(one: ImageTask) -> tuple[str, str]:
    return one.task.title.en, one.task.title.zh


def _title(code: str, titles: dict[str, Text2]) -> str:
    if code not in titles:
        return code.removeprefix("OUTLINE//").replace("//", " ")
    return titles[code].zh if language() == "zh" else titles[code].en


def _question(one: ImageTask, gallery: Gallery, image: PatientImage) -> Asked:
    task = one.task
    title = Text2(*_both(one))
    answer = one.answer(gallery.said_of(image))
    given: tuple[str, ...]
    if task.kind == "binary":
        given = () if answer is None else ("yes" if answer else "no",)
        return Asked(task.name, title, False, (("yes", text2("yes")), ("no", text2("no"))), given)
    choices = tuple((name, Text2(name, name)) for name in task.question.classes)
    given = answer if isinstance(answer, tuple) else () if answer is None else (str(answer),)
    return Asked(task.name, title, task.kind == "multilabel", choices, given)


def _said(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json_of(content), status, _PRIVATE, "application/json")
