"""The command `report`: what a model says of one image, as DICOM, FHIR and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.cli.people import PatientOption, SystemOption, subject_of
from medloom.foundation.messages import tr
from medloom.site import Site

_FORMATS = "seg,sr,sc,fhir,png"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", help=tr("Write what a model says of one image: DICOM SEG and SR, FHIR, pictures."))(
        report
    )


def report(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    out: Annotated[Path, typer.Option(help=tr("A folder for the files."))],
    subject: Annotated[str | None, typer.Option(help=tr("The subject's pseudonym (subject_id)."))] = None,
    patient: PatientOption = None,
    system: SystemOption = "",
    image: Annotated[
        int | None, typer.Option(help=tr("Which of the subject's images, from 1 by time; else the last."))
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help=tr("seg, sr, sc, nifti, png, fhir; several with commas."))
    ] = _FORMATS,
    keep: Annotated[
        bool, typer.Option("--keep", help=tr("Keep outlines in the record too, as this model's."))
    ] = False,
    site: SiteOption = None,
    json: JsonOption = False,
) -> None:
    """Report."""
    from medloom import api, reporting
    from medloom.care.imaging.resources import conclusion

    opened = Site.open(site)
    person = subject_of(opened.record, subject, patient, system)
    formats = [one.strip() for one in format.split(",") if one.strip()]
    with screen.showing_progress(json):
        trained = api.trained(opened, model)
        done = reporting.report(opened, trained, person, out, formats, image=image, keep=keep)
    said = conclusion(done.reading)
    if json:
        screen.json(
            {
                "model": str(trained.name),
                "subject_id": person,
                "image": done.image,
                "images": done.images,
                "files": [path.name for path in done.written.files],
                "left_out": {name: why.en for name, why in done.written.left_out.items()},
                "kept": done.kept,
                "conclusion": [one.en for one in said],
            }
        )
        return
    if done.images > 1:
        screen.say(
            tr(
                "image {image} of {n} of this subject; --image chooses another",
                image=done.image,
                n=done.images,
            )
        )
    for one in said:
        screen.say(screen.spoken(one))
    for name, why in done.written.left_out.items():
        screen.warning(f"{name}: {screen.spoken(why)}")
    screen.say()
    for path in done.written.files:
        screen.say(str(path))
    if done.kept:
        screen.say(tr("{n} outlines kept in the record, as this model's.", n=len(done.kept)))
