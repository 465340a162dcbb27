"""Imports that people ask for: from the file they send to the job that brings it into the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import UploadFile

from medloom.foundation.errors import InputError
from medloom.server.access import ForbiddenError, Permission, Person
from medloom.server.backend import Backend
from medloom.server.jobs import Job
from medloom.server.uploads import formats

_FOLDERS: Final = ("omop", "meds")  # a single file of theirs may be a database, with queries of its own in it


def started(backend: Backend, person: Person, file: object, given: Mapping[str, str]) -> Job:
    """Put an import into the queue: of a file that is sent, or of an upload that waits.

    Args:
        backend: of the site.
        person: who asks.
        file: of the form.
        given: `upload` where there is no file; `format`, `system`, `mapping`.

    Raises:
        NotFoundError: the upload is gone.
        InputError: the file cannot be taken, there is no such format, or a table has no valid mapping.
    """
    if given.get("upload"):
        return asked(backend, person, given["upload"], given)
    upload = taken(backend, file)
    try:
        return asked(backend, person, upload, given)
    except BaseException:
        backend.uploads.remove(upload)
        raise


def taken(backend: Backend, file: object) -> str:
    """Keep the file of a form; gives the number of the upload.

    Raises:
        InputError: there is none, or it cannot be taken.
    """
    if not isinstance(file, UploadFile) or not file.filename:
        raise InputError("send a file")
    return backend.uploads.take(file.file, file.filename)


def drafted(backend: Backend, file: object) -> tuple[str, str]:
    """Keep a table that was sent; gives the number of the upload and a draft of its mapping."""
    upload = taken(backend, file)
    try:
        return upload, backend.uploads.suggested(upload)
    except BaseException:
        backend.uploads.remove(upload)
        raise


def check_may_cancel(person: Person, job: Job) -> None:
    """Refuse who neither asked for a job nor may import; raises ForbiddenError."""
    if job.asked_by != person.login and Permission.IMPORT not in person.permissions:
        raise ForbiddenError("only who asked for this work cancels it")


def asked(backend: Backend, person: Person, upload: str, given: Mapping[str, str]) -> Job:
    """Put the import of an upload into the queue.

    Args:
        backend: of the site.
        person: who asks.
        upload: its number.
        given: `format`, `system`, `mapping`.

    Raises:
        NotFoundError: the upload is gone.
        InputError: there is no such format, or a table has no mapping.
    """
    source = backend.uploads.source(upload)
    chosen = given.get("format", "")
    if chosen not in formats():
        raise InputError(
            "there is no format {format!r}; there are: {formats}",
            format=chosen[:40],
            formats=formats(),
        )
    if chosen in _FOLDERS and source.is_file():
        raise InputError("{format} is a folder of files: send it as a ZIP", format=chosen)
    if chosen == "table" and not given.get("mapping", "").strip():
        raise InputError("a table needs a mapping that says what its columns are")
    arguments = {"upload": upload, "format": chosen, "system": given.get("system", "").strip()}
    if chosen == "table":
        backend.uploads.map(upload, given["mapping"])
        arguments["mapping"] = "own"
    return backend.jobs.ask("import", person.actor, arguments, person.language)


def imports_of(backend: Backend) -> list[dict[str, Any]]:
    """List the record's imports, the newest first."""
    return [
        {
            "number": one["import"],
            "importer": one["importer"],
            "time": one["time"],
            "read": one["facts_read"],
            "written": one["facts_written"],
            "quarantined": one.get("quarantined") or {},
        }
        for one in reversed(backend.site.record.imports)
    ]
