"""What a released model says of one image, as files for other systems: DICOM SEG and SR, captures, FHIR, pictures."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from medloom.care import risk
from medloom.care.imaging.files import FORMATS, write
from medloom.care.imaging.reading import Reader, read
from medloom.database.audit import Entry
from medloom.foundation.clock import Clock
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import language, speaking
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import SubjectId
from medloom.server.backend import BackendOf
from medloom.server.errors import wanted_language
from medloom.server.image_answers import asked_of
from medloom.server.images import gallery_of
from medloom.server.web.images import HERE, Number
from medloom.server.web.rendering import go_to

router = APIRouter()

# the objects carry on what the file says of its patient
Knowing = Annotated[Person, Depends(may(Permission.SEE_IDENTIFIERS))]

_LEFT_OUT: Final = "left-out.txt"


@router.post(HERE + "/report")
def report(
    request: Request,
    backend: BackendOf,
    person: Knowing,
    subject_id: SubjectId,
    number: Number,
    model: Annotated[str, Form(max_length=200)],
) -> Response:
    """Send what a released model says of an image: a zip of all formats there can be, and why others are left out.

    The advice is kept with who asked: they read its case blinded no longer.
    """
    backend.check_sees(person, subject_id)
    image = gallery_of(backend, person, subject_id).image(number)
    with speaking(wanted_language(request.headers, request)), tempfile.TemporaryDirectory() as folder:
        try:
            served, sample = asked_of(backend, image, model)
            given = risk.advise(served, sample, explain=False)
            backend.database.write(risk.keep(backend.database, given, person.actor, "viewer"))
            made = backend.now().replace(microsecond=0)
            reader = Reader(str(served.name), served.release.package)
            reading = read(served.model, sample, backend.site.record.assets(), reader, made, image.time)
            written = write(reading, Path(folder), FORMATS, Clock(backend.site.settings.time_zone))
        except (InputError, NotFoundError) as error:
            return go_to(image.address, str(error), "bad", request=request)
        why = "".join(
            f"{name}: {told.zh if language() == 'zh' else told.en}\n"
            for name, told in written.left_out.items()
        )
        content = _zipped(written.files, why)
    detail = {"model": model, "formats": [one for one in FORMATS if one not in written.left_out]}
    backend.told(
        Entry(person.login, person.role, "image.exported", subject_id, f"image {number}", detail=detail)
    )
    headers = {
        "content-disposition": f'attachment; filename="image-{number}.zip"',
        "cache-control": "private, no-store",
    }
    return Response(content, 200, headers, "application/zip")


def _zipped(files: tuple[Path, ...], why: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.name)
        if why:
            archive.writestr(_LEFT_OUT, why)
    return made.getvalue()
