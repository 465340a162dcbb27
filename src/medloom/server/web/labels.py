"""How far experts agree, and what they decided, kept as labels for the next model."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from medloom.care.notes.agreeing import reader_agreement
from medloom.evidence.agreement import meaning
from medloom.evidence.estimate import Estimate
from medloom.evidence.section import Cell, cell
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, speaking, text2, tr
from medloom.loop import readings
from medloom.loop.readings import CLOSED
from medloom.loop.reviewed_labels import agreement, export_labels
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.notes import has_notes
from medloom.server.web.rendering import go_to, page
from medloom.server.web.review import state_names, task_name

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]


@router.get("/labels")
def labels(
    request: Request,
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.READ_MODELS))],
) -> Response:
    """Show of each question how many cases are where, how far readers agree, and the labels."""
    with speaking(wanted_language(request.headers, request)):
        found = []
        for task, states in readings.counts(backend.database).items():
            measured = agreement(backend.database, task)
            found.append(
                {
                    "task": task,
                    "name": task_name(backend, task),
                    "states": states,
                    "cases": sum(states.values()),
                    "agreement": measured,
                    "meaning": meaning(measured.cohen),
                    "percent": _told(measured.percent),
                    "cohen": _told(measured.cohen),
                    "fleiss": _told(measured.fleiss),
                    "closed": sum(states.get(one, 0) for one in CLOSED),
                }
            )
        return page(
            request,
            person,
            "review_labels.html.j2",
            found=found,
            states=state_names(),
            notes=[
                {
                    "pair": one,
                    "meaning": one.meaning,
                    "strict": _told(one.strict),
                    "touching": _told(one.touching),
                    "kappa": _told(one.kappa),
                }
                for one in reader_agreement(backend.site.record, backend.database)
            ],
            has_notes=has_notes(backend.site.record.catalogue),
        )


@router.post("/labels/export")
def export(
    request: Request,
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.EXPORT))],
    task: Annotated[str, Form(max_length=80)],
) -> Response:
    """Keep what was decided as labels of the site."""
    with speaking(wanted_language(request.headers, request)):
        try:
            kept = export_labels(backend.site, backend.database, task, person.actor)
        except InputError as error:
            return go_to("/labels", str(error), "bad", request=request)
        told = (
            tr("These {n} labels were kept before, as {task}.", n=kept.labels, task=kept.task)
            if kept.known
            else tr(
                "{n} labels were kept as {task}. Train on them with: medloom train {task}",
                n=kept.labels,
                task=kept.task,
            )
        )
        return go_to("/labels", told, request=request)


def _told(measured: Estimate) -> Cell:
    """Write a number, and beneath it its interval, or why there is none."""
    told = cell(measured, 2)
    interval = text2("95 % interval")
    if measured.low is None or told.detail is None:
        return replace(told, detail=told.detail or measured.reason)
    both = (f"{name} {ends}" for name, ends in zip(interval, told.detail, strict=True))
    return replace(told, detail=Text2(*both))
