"""Data: what is in the record and what waits, imports with their progress, the quality report, exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, Response, StreamingResponse

from medloom.foundation import registry
from medloom.foundation.errors import InputError, MedloomError, NotFoundError
from medloom.foundation.messages import Text2, speaking, text2, tr
from medloom.foundation.pages import opened_in, with_way_back
from medloom.record.quarantine import in_words
from medloom.server.access import ForbiddenError, Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.chores import quality_page
from medloom.server.errors import wanted_language
from medloom.server.gate import DOCUMENT_POLICY
from medloom.server.imports import check_may_cancel, drafted, imports_of, started
from medloom.server.spreadsheet import MARK, line
from medloom.server.uploads import formats
from medloom.server.web.rendering import go_to, page

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.READ_DATA))]
Importing = Annotated[Person, Depends(may(Permission.IMPORT))]
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_ENDED: Final = 10  # jobs that have ended, on the page
_COLUMNS: Final = (
    *("subject_id", "task", "model", "prediction_time", "until"),
    *("output", "value", "low", "high", "rank", "alert", "before"),
)


@router.get("/data")
def overview(request: Request, backend: BackendOf, person: Reader) -> Response:
    """Show what is in the record, what waits, and what is being done."""
    jobs = backend.jobs
    record = backend.site.record
    waiting = record.waiting()
    open_ones = jobs.open()
    return page(
        request,
        person,
        "data.html.j2",
        imports=imports_of(backend),
        waiting=waiting,
        later=record.waiting_later(backend.now()) if waiting.facts else 0,
        n_subjects=record.n_subjects,
        n_codes=record.catalogue.frame.height,
        open=open_ones,
        ended=[one for one in jobs.listed(_ENDED + len(open_ones)) if not one.is_open][:_ENDED],
        quality=jobs.latest("quality"),
        has_quality=quality_page(backend.site).is_file(),
        making_quality=any(one.kind == "quality" for one in open_ones),
        kind_name=kind_name,
        reason=in_words,
    )


@router.get("/data/upload")
def upload_form(request: Request, backend: BackendOf, person: Importing) -> Response:
    """Show the form for a file to import."""
    return _upload(request, backend, person, {})


@router.post("/data/upload")
async def upload(request: Request, backend: BackendOf, person: Importing) -> Response:
    """Take a file: a table's mapping is drafted and shown, anything else is imported."""
    async with request.form() as form:
        given = _texts(form)
        return await run_in_threadpool(_uploaded, request, backend, person, form.get("file"), given)


@router.post("/data/upload/confirm")
def confirm(
    request: Request,
    backend: BackendOf,
    person: Importing,
    upload: Annotated[str, Form(max_length=32)],
    mapping: Annotated[str, Form(max_length=1_000_000)],
    system: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Import a table with the mapping as it was confirmed."""
    given = {"upload": upload, "format": "table", "mapping": mapping, "system": system}
    with speaking(wanted_language(request.headers, request)):
        try:
            job = started(backend, person, None, given)
        except InputError as error:
            return _mapping(request, person, upload, mapping, system, str(error))
    return go_to(f"/data/jobs/{job.id}")


@router.post("/data/jobs")
def begin(
    request: Request, backend: BackendOf, person: Reader, kind: Annotated[str, Form(max_length=40)]
) -> Response:
    """Make the quality report, or take what waits into the record."""
    if kind not in ("quality", "compact"):
        raise InputError("there is no work {kind!r}; there are: {kinds}", kind=kind, kinds="quality, compact")
    if kind == "compact" and Permission.IMPORT not in person.permissions:
        raise ForbiddenError(
            "your role does not permit this ({permission})", permission=Permission.IMPORT.value
        )
    job = backend.jobs.ask(kind, person.actor, language=person.language)
    return go_to(f"/data/jobs/{job.id}")


@router.get("/data/jobs/{job_id}")
def progress(request: Request, backend: BackendOf, person: Reader, job_id: JobId) -> Response:
    """Show how far a job is."""
    job = backend.jobs.find(job_id)
    return page(
        request,
        person,
        "data_job.html.j2",
        job=job,
        name=kind_name(job.kind),
        ahead=sum(one.created < job.created for one in backend.jobs.open()),
        reason=in_words,
    )


@router.post("/data/jobs/{job_id}/cancel")
def cancel(request: Request, backend: BackendOf, person: Reader, job_id: JobId) -> Response:
    """Cancel a job."""
    check_may_cancel(person, backend.jobs.find(job_id))
    with speaking(wanted_language(request.headers, request)):
        try:
            backend.jobs.cancel(job_id, person.actor)
        except InputError as error:
            return go_to(f"/data/jobs/{job_id}", str(error), "warn", request=request)
        return go_to(f"/data/jobs/{job_id}", tr("It is being stopped."), "warn", request=request)


@router.get("/data/quality")
def quality(request: Request, backend: BackendOf, person: Reader) -> Response:
    """Show the quality report that was made last; it carries its styles with it and runs nothing."""
    path = quality_page(backend.site)
    if not path.is_file():
        raise NotFoundError("there is no quality report yet; make one on the page Data")
    backend.saw(person, None, "quality.seen")
    kept = opened_in(path.read_text(encoding="utf-8"), wanted_language(request.headers, request))
    kept = with_way_back(kept, "/data", text2("Back to the data"))
    return HTMLResponse(kept, headers={"content-security-policy": DOCUMENT_POLICY})


@router.get("/data/worklist.csv")
def worklist_table(
    backend: BackendOf, person: Annotated[Person, Depends(may(Permission.EXPORT))]
) -> Response:
    """Hand out the current answers about the patients one may see, as a table."""
    board = backend.board_of(person)
    backend.saw_list(person, "worklist.exported", board["subject_id"])
    return StreamingResponse(
        _lines(board.select(_COLUMNS)),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="worklist.csv"'},
    )


def kind_name(kind: str) -> Text2:
    """Name a kind of job."""
    names = {
        "import": text2("Import"),
        "quality": text2("Quality report"),
        "compact": text2("Live facts into the record"),
        "evaluate": text2("Evaluation of a model"),
        "ask-notes": text2("Models read notes"),
    }
    return names.get(kind, Text2(kind, kind))


def _uploaded(
    request: Request, backend: Backend, person: Person, file: Any, given: Mapping[str, str]
) -> Response:
    with speaking(wanted_language(request.headers, request)):
        try:
            if given.get("format") == "table":
                number, draft = drafted(backend, file)
                return _mapping(request, person, number, draft, given.get("system", ""))
            job = started(backend, person, file, {**given, "upload": ""})
        except MedloomError as error:
            return _upload(request, backend, person, given, str(error))
    return go_to(f"/data/jobs/{job.id}")


def _upload(
    request: Request, backend: Backend, person: Person, typed: Mapping[str, str], error: str | None = None
) -> Response:
    with speaking(wanted_language(request.headers, request)):
        known = [
            (name, f"{name}: {registry.summary(registry.load('medloom.importers', name))}")
            for name in formats()
        ]
    return page(
        request,
        person,
        "data_upload.html.j2",
        status=200 if error is None else 422,
        formats=known,
        chosen=typed.get("format") or known[0][0],
        system=typed.get("system", ""),
        most=backend.settings.most_upload,
        error=error,
    )


def _mapping(
    request: Request, person: Person, upload: str, mapping: str, system: str, error: str | None = None
) -> Response:
    return page(
        request,
        person,
        "data_mapping.html.j2",
        status=200 if error is None else 422,
        upload=upload,
        mapping=mapping,
        system=system,
        doubts=mapping.count("(?)"),
        error=error,
    )


def _texts(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _lines(rows: pl.DataFrame) -> Iterator[str]:
    yield MARK + line(rows.columns)
    for row in rows.iter_rows():
        yield line(cell.isoformat(" ") if isinstance(cell, datetime) else cell for cell in row)
