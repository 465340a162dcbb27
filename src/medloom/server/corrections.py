"""What experts say of an image, and draw on it: kept as facts of the record, from which tasks take their labels."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.database.audit import Entry
from medloom.foundation.errors import InputError, MedloomError, NotFoundError
from medloom.loop.choices import Value
from medloom.record.imaging.image import Image
from medloom.record.importing import CodeInfo
from medloom.record.quarantine import in_words
from medloom.server import arrivals
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.images import OUTLINE, PatientImage
from medloom.site import Site
from medloom.tasks import library
from medloom.tasks.task import Task
from medloom.tasks.task_codes import TaskCodes, matching, resolve

NOT: Final = "NOT//"
ANSWERABLE: Final = ("binary", "multiclass", "multilabel")
"""Kinds of question that an expert answers by choosing; outlines are drawn."""

_MOST_STRUCTURES: Final = 255


@dataclass(frozen=True)
class ImageTask:
    """A task of the site that asks about images, with the record's codes behind it."""

    task: Task
    codes: TaskCodes

    def answer(self, said: Sequence[str]) -> Value | tuple[str, ...] | None:
        """Give the answer that the codes people said of an image, oldest first, come to; None: nobody said any."""
        if not said:
            return None
        names = {code: name for name, some in self.codes.predict.items() for code in some}
        last = {names[bare]: code for code in said if (bare := code.removeprefix(NOT)) in names}
        if self.task.kind == "binary":
            return "" in last and not last[""].startswith(NOT)
        held = [
            names[code] for code in said if code in names and not last[names[code]].startswith(NOT)
        ]  # the last one counts
        if self.task.kind == "multilabel":
            return tuple(sorted(set(held)))
        return held[-1] if held else None

    def codes_of(self, site: Site, answer: Value | tuple[str, ...]) -> list[str]:
        """Give the codes that say an answer.

        Raises:
            InputError: it is no answer to the task, or no code of the record says it.
        """
        classes = self.task.predict.classes or {"": self.task.predict.codes}
        if self.task.kind == "binary" and isinstance(answer, bool):
            return [("" if answer else NOT) + self._code(site, classes[""])]
        if self.task.kind == "multilabel" and isinstance(answer, tuple) and set(answer) <= set(classes):
            return [
                ("" if name in answer else NOT) + self._code(site, some) for name, some in classes.items()
            ]
        if self.task.kind == "multiclass" and isinstance(answer, str) and answer in classes:
            return [self._code(site, classes[answer])]
        raise InputError(
            "this is no answer to {task}; there are: {known}",
            task=self.task.name,
            known=", ".join(self.task.question.classes) or "yes, no",
        )

    def _code(self, site: Site, patterns: Sequence[str]) -> str:
        found = resolve(site.record, patterns)
        plain = [one for one in patterns if not one.endswith("*")]
        chosen = next((one for one in plain if one in found), None) or next(iter(sorted(found)), None)
        code = chosen or next(iter(plain), None)
        if code is None:
            raise InputError(
                "no code of the record is meant by {codes}; name one in task {task!r}",
                codes=patterns,
                task=self.task.name,
            )
        return code


def tasks_about(site: Site, code: str) -> list[ImageTask]:
    """List the site's tasks that ask about images of a code, by name; those that cannot be read are left out."""
    return [
        ImageTask(task, TaskCodes.resolve(task, site.record))
        for task in image_tasks(site)
        if code in matching(site.record.catalogue, task.prediction_time.event)
    ]


def image_tasks(site: Site) -> list[Task]:
    """List the site's tasks that ask about images, by name; those that cannot be read are left out."""
    found = []
    for name in library.own(site.directory):
        try:
            task = library.find(name, site.directory)
        except MedloomError:
            continue
        if task.about == "image":
            found.append(task)
    return found


def structures_by_code(tasks: Sequence[ImageTask]) -> dict[str, tuple[str, ...]]:
    """Name the structures of the outlines that tasks ask for, by the outline's code."""
    return {
        code: one.task.predict.structures
        for one in tasks
        for code in one.task.predict.outline or ()
        if code.startswith(OUTLINE) and not code.endswith("*")
    }


def say(
    backend: Backend, person: Person, image: PatientImage, asked: ImageTask, answer: Value | tuple[str, ...]
) -> None:
    """Keep an expert's answer about an image; it counts as a label from now on.

    Raises:
        InputError: it is no answer to the task.
        StorageError: the disk or a database refuses; nothing was kept.
    """
    codes = asked.codes_of(backend.site, answer)
    rows = [{"code": code, "role": "observation"} for code in codes]
    _keep(backend, person, image, rows, "image.labelled", {"task": asked.task.name, "codes": codes})


def draw(backend: Backend, person: Person, image: PatientImage, code: str, asset: str, *, own: bool) -> None:
    """Keep an outline of an image, by its file; it counts as a label from now on.

    Args:
        backend: of the server.
        person: who drew it, or accepts it.
        image: that it is drawn on.
        code: `OUTLINE//…`.
        asset: a label image of the image's size.
        own: whether they drew it; False: it stood there, and they accept it.
    """
    rows = [{"code": code, "role": "image", "asset": asset}]
    _keep(backend, person, image, rows, "image.outlined" if own else "image.accepted", {"codes": [code]})


def labels_of(content: bytes, image: Image, structures: int) -> NDArray[np.uint8]:
    """Unpack the outline that a browser sent: numbers of structures in the image's order, packed by gzip.

    Args:
        content: as it was sent.
        image: that was drawn on.
        structures: how many there are.

    Returns:
        (*space) 0: background.

    Raises:
        InputError: it is damaged, of another size than the image, or has a number that no structure has.
    """
    size = int(np.prod(image.shape))
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(content, size + 1)
    except zlib.error:
        plain = b""
    if len(plain) != size or not unpacking.eof:
        raise InputError("the outline was not sent whole; repeat")
    labels = np.frombuffer(plain, np.uint8).reshape(image.shape)
    if int(labels.max()) > min(structures, _MOST_STRUCTURES):
        raise InputError("the outline has a number that no structure has; load the page again")
    return labels


def outline_file(labels: NDArray[np.uint8], image: Image) -> bytes:
    """Write an outline as a file: NIfTI where its image lies in the patient, of a picture PNG."""
    from medloom.record.imaging.nifti import as_nifti
    from medloom.record.imaging.pictures import as_png

    if image.dimensions == 2:
        return as_png(labels[None])
    affine = image.affine
    if affine is None:
        affine = np.zeros((4, 4))
        for axis, step in enumerate(image.spacing or (1.0, 1.0, 1.0)):
            affine[2 - axis, axis] = step
        affine[3, 3] = 1.0
    return as_nifti(labels, affine)


def _keep(
    backend: Backend,
    person: Person,
    image: PatientImage,
    rows: Sequence[Mapping[str, Any]],
    action: str,
    detail: Mapping[str, Any],
) -> None:
    known = backend.site.record.identifiers([image.subject_id]).get(image.subject_id)
    if not known:
        raise NotFoundError("there is no subject {subject}", subject=image.subject_id)
    system, patient = known[0]
    facts = [
        {
            "asset": None,
            **row,
            "system": system,
            "patient": patient,
            "time": image.time,
            "known_time": max(backend.now(), image.visible),
            "derived_from": image.asset,
            # each is a word of its own, also where it says what was said before
            "key": f"correction:{uuid.uuid4().hex}",
        }
        for row in rows
    ]
    frame = pl.DataFrame(facts, schema=_SCHEMA)
    backend.told(
        Entry(person.login, person.role, action, image.subject_id, f"image {image.number}", detail=detail)
    )
    named: Mapping[str, CodeInfo] = {}
    arrived = arrivals.keep(backend, person, frame, "viewer", codes=named, whole=True)
    for why in arrived.refused.values():
        raise InputError("the record refused it: {why}", why=in_words(why).en)


_SCHEMA: Final[dict[str, Any]] = {
    "system": pl.String,
    "patient": pl.String,
    "code": pl.String,
    "time": pl.Datetime("us"),
    "known_time": pl.Datetime("us"),
    "role": pl.String,
    "asset": pl.String,
    "derived_from": pl.String,
    "key": pl.String,
}
