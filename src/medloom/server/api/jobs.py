"""Long work: imports, the quality report, compaction, evaluations; how far they are."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medloom.foundation.errors import InputError
from medloom.server.access import ForbiddenError, Permission, Person, may
from medloom.server.api import cursors
from medloom.server.api.needs import BackendOf, CursorOf, Limit, Sent, answer, tagged
from medloom.server.api.repeats import OnceOf
from medloom.server.imports import check_may_cancel, drafted, imports_of, started
from medloom.server.jobs import Job

router = APIRouter(tags=["data"])

Reader = Annotated[Person, Depends(may(Permission.READ_DATA))]
Importing = Annotated[Person, Depends(may(Permission.IMPORT))]
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_JOB: Final[dict[str, Any]] = {
    "id": "8c1f0a5be2d94c7f9f0b6b7e4ad1c203",
    "kind": "import",
    "state": "running",
    "asked_by": "scientist",
    "step": "Reading table: 12,000",
    "done": 0.0,
    "result": {},
    "error": "",
    "created": "2026-03-01T08:00:00.000000Z",
    "started": "2026-03-01T08:00:01.000000Z",
    "ended": None,
}


class JobSaid(BaseModel):
    """A piece of long work; `done`: how much of this step, of 1."""

    model_config = ConfigDict(json_schema_extra={"example": _JOB})

    id: str
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    asked_by: str
    step: str
    done: float
    result: dict[str, Any]
    error: str
    created: str
    started: str | None
    ended: str | None


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"jobs": [_JOB], "next": None}})

    jobs: list[JobSaid]
    next: str | None


class JobSent(Sent):
    """Work to be done in the background; `model`: of an evaluation."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"kind": "evaluate", "model": "aki-48h.gbdt@2"}}
    )

    kind: Literal["quality", "compact", "evaluate"]
    model: str | None = Field(None, max_length=160)


class ImportSaid(BaseModel):
    """An import that is in the record."""

    number: int
    importer: str
    time: str
    read: int
    written: int
    quarantined: dict[str, int] = Field(description="How many facts, by the reason.")


class ImportList(BaseModel):
    """All imports, the newest first, and what waits to be taken into the record."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "imports": [
                    {
                        "number": 2,
                        "importer": "fhir",
                        "time": "2026-02-01T09:00:00",
                        "read": 120400,
                        "written": 120012,
                        "quarantined": {"no time": 388},
                    }
                ],
                "waiting": 12,
            }
        }
    )

    imports: list[ImportSaid]
    waiting: int = Field(description="Facts that arrived live since.")


class MappingSaid(BaseModel):
    """A draft of a table's mapping; comments in it say what was guessed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"upload": "5d…", "mapping": "tables:\n  - files: [{glob: 'lab.csv'}]\n"}
        }
    )

    upload: str = Field(description="Names the file at the import that follows.")
    mapping: str


_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A file, or a ZIP of many.",
                        },
                        "upload": {
                            "type": "string",
                            "description": "Instead of a file: one that is there already.",
                        },
                        "format": {"type": "string", "example": "table"},
                        "system": {"type": "string", "description": "Namespace of the identifiers."},
                        "mapping": {"type": "string", "description": "Of a table: its mapping, as YAML."},
                    },
                }
            }
        },
    }
}


@router.get("/imports", response_model=ImportList)
def list_imports(backend: BackendOf, person: Reader) -> Response:
    """List the imports, with what could not be used."""
    return answer({"imports": imports_of(backend), "waiting": backend.site.record.waiting().facts})


@router.post("/imports", status_code=202, response_model=JobSaid, openapi_extra=_UPLOAD)
async def start_import(request: Request, backend: BackendOf, person: Importing) -> Response:
    """Import a file in the background."""
    form = await request.form(max_files=1, max_fields=10)
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    job = await run_in_threadpool(started, backend, person, form.get("file"), given)
    return answer(job_said(job), 202, {"location": f"/api/v1/jobs/{job.id}"})


@router.post("/imports/suggest", response_model=MappingSaid, openapi_extra=_UPLOAD)
async def suggest_mapping(request: Request, backend: BackendOf, person: Importing) -> Response:
    """Draft the mapping of a table that is to be imported; the file waits for an hour."""
    form = await request.form(max_files=1, max_fields=10)
    upload, mapping = await run_in_threadpool(drafted, backend, form.get("file"))
    return answer({"upload": upload, "mapping": mapping})


@router.get("/jobs", response_model=JobList)
def list_jobs(backend: BackendOf, person: Reader, limit: Limit = 50, cursor: CursorOf = None) -> Response:
    """List long work, the newest first."""
    last = cursors.after(cursor, ["jobs"], str, str)
    found = backend.jobs.listed(limit + 1, None if last is None else (last[0], last[1]))
    shown = found[:limit]
    following = None
    if len(found) > limit:
        following = cursors.written(["jobs"], [shown[-1].created, shown[-1].id])
    return answer({"jobs": [job_said(one) for one in shown], "next": following})


@router.post("/jobs", status_code=202, response_model=JobSaid)
def start_job(backend: BackendOf, person: Reader, sent: JobSent, once: OnceOf) -> Response:
    """Begin work in the background; to compact needs the permission to import, an evaluation that to propose."""
    needed = {"compact": Permission.IMPORT, "evaluate": Permission.PROPOSE_RELEASE}.get(sent.kind)
    if needed is not None and needed not in person.permissions:
        raise ForbiddenError("your role does not permit this ({permission})", permission=needed.value)
    arguments = {}
    if sent.kind == "evaluate":
        if sent.model is None:
            raise InputError("name the model that is to be evaluated")
        arguments["model"] = str(backend.site.model_name(sent.model))

    def work() -> Response:
        job = backend.jobs.ask(sent.kind, person.actor, arguments, person.language)
        return answer(job_said(job), 202, {"location": f"/api/v1/jobs/{job.id}"})

    return once.first(work)


@router.get("/jobs/{job_id}", response_model=JobSaid)
def read_job(request: Request, backend: BackendOf, person: Reader, job_id: JobId) -> Response:
    """Tell how far a job is."""
    return tagged(request, job_said(backend.jobs.find(job_id)))


@router.post("/jobs/{job_id}/cancel", response_model=JobSaid)
def cancel_job(backend: BackendOf, person: Reader, job_id: JobId) -> Response:
    """Cancel one's own job, or any where one may import; it stops at its next step."""
    check_may_cancel(person, backend.jobs.find(job_id))
    return answer(job_said(backend.jobs.cancel(job_id, person.actor)))


def job_said(job: Job) -> dict[str, Any]:
    """Say a job as `JobSaid`; its arguments are the server's own."""
    return {name: getattr(job, name) for name in JobSaid.model_fields}
