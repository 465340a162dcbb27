"""The importers of pictures and of volumes: each file an event on its patient's timeline, with what is said of it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError
from medloom.knowledge.systems import gender
from medloom.record.assets import Assets
from medloom.record.imaging import nifti, pictures
from medloom.record.imaging.image import Image
from medloom.record.imaging.reading import ImageKind, check_imaging, kind_of, read_image
from medloom.record.importers.images import problems
from medloom.record.importers.images.listing import Folder, Listed, listed_by
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.record.schema import BATCH_SCHEMA, ONCE

_AT_ONCE: Final = 200
_UNDATED: Final = datetime(2000, 1, 1)


class ImagesImporter(Importer):
    """Reads pictures (PNG, JPEG, TIFF, BMP, WebP): a folder a class, or a table that names files, patients, labels.

    What a picture says beside its pixels (names, places, times of the camera) is left out; the pixels are kept as they
    are. A folder called `train`, `test`, … is a set: a static fact `SET//train` of its patients.

    Args:
        path: a folder, or a CSV table with a column `file` (see `listed_by`).
        patient: pattern whose groups, found in a file's name from the folder on, name its patient; empty: each picture
            is taken for a patient of its own.
        modality: as DICOM names it: `DX`, `US`, `OP` (eye), `SM` (slide), …; it stands in the code, `IMAGE//DX`.
        body: part of the body, such as `CHEST`; stands behind it.
        date: of pictures without one: 2020-01-31.
        outlines: folder with label images of the same names: the outlines of what `structure` names.
        structure: what is outlined.
        classes: whether folders are classes; None: where no outlines are named.
        system: namespace of the patients' identifiers.
    """

    name: ClassVar[str] = "images"
    _kind: ClassVar[ImageKind] = "picture"

    def __init__(
        self,
        path: str | Path,
        *,
        patient: str = "",
        modality: str = "OT",
        body: str = "",
        date: str = "",
        outlines: str = "",
        structure: str = "",
        classes: bool | str | None = None,
        system: str = "",
    ) -> None:
        self.path = path
        self.patient = patient
        self.modality = modality
        self.body = body
        self.date = date
        self.outlines = outlines
        self.structure = structure
        self.classes = classes
        self.system = system

    def sources(self) -> list[Path]:
        """List the files, by name; of a table the table alone.

        Raises:
            NotFoundError: there is no such folder or table.
            InputError: the folder is empty, or `patient` is no pattern.
        """
        path = Path(self.path)
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise NotFoundError("there is no folder or table {path!r}", path=str(path))
        folder = self._folder()
        files = folder.files()
        if not files:
            raise InputError("there is no file in {path!r}", path=str(path))
        if self.patient and not any(one.patient for one in folder.listed()):
            raise InputError(
                "the pattern patient= is found in no file's name; each file would be taken for a patient of its own"
            )
        return files

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield facts of some 200 files a batch.

        Raises:
            InputError: there is no place to keep files, what reads images is not installed, or `date` is no date.
        """
        check_imaging()
        if context.assets is None:
            raise InputError("images need a site to be kept in; make one with: medloom init FOLDER")
        usual = _moment(self.date) if self.date else None
        if self.date and usual is None:
            raise InputError("date={date!r} is no date; write it as 2020-01-31", date=self.date)
        listed = iter(listed_by(Path(self.path)) if Path(self.path).is_file() else self._folder().listed())
        told: set[str] = set()
        while part := list(islice(listed, _AT_ONCE)):
            yield self._batch(part, context.assets, usual, told)

    def _folder(self) -> Folder:
        return Folder(Path(self.path), self.patient, self.outlines, labelled=self._labelled())

    def _labelled(self) -> bool:
        said = self.classes
        if said is None:
            return not self.outlines
        return said if isinstance(said, bool) else said.lower() in ("true", "yes", "1")

    def _batch(self, part: Iterable[Listed], assets: Assets, usual: datetime | None, told: set[str]) -> Batch:
        facts: list[dict[str, Any]] = []
        passed: Counter[str] = Counter()
        notes: Counter[str] = Counter()
        records = 0
        by_table = Path(self.path).is_file()
        for one in part:
            records += 1
            place = {"file": 0 if by_table else one.row - 1, "row": one.row if by_table else 1}
            who = one.patient or f"image {one.name}"
            row = {"patient": who, "key": f"{self.name}:{one.name}", **place}
            if not one.path.is_file():
                facts.append({**row, "problem": problems.ABSENT})
                continue
            content = one.path.read_bytes()
            if kind_of(io.BytesIO(content)) != self._kind:
                passed[problems.NO_IMAGE] += 1
                continue
            made = self._facts_of(one, content, assets, usual, notes)
            facts += [{**row, "part": number, **fact} for number, fact in enumerate(made)]
            if not one.patient and "problem" not in made[0]:
                notes[problems.ALONE] += 1
            facts += [{**fact, **place} for fact in _of_patient(one, who, told)]
        frame = pl.DataFrame(facts, schema={name: BATCH_SCHEMA[name] for name in _columns(facts)})
        return Batch(frame, records, passed, notes=notes)

    def _facts_of(
        self, one: Listed, content: bytes, assets: Assets, usual: datetime | None, notes: Counter[str]
    ) -> list[dict[str, Any]]:
        """Give what is known of an image: itself, its labels, its outlines."""
        moment = _moment(one.time) if one.time else usual or _UNDATED
        if moment is None:
            return [{"problem": problems.NO_DATE}]
        try:
            image = read_image(io.BytesIO(content))
            kept = self._without_remarks(content)
        except InputError:
            return [{"time": moment, "problem": problems.DAMAGED}]
        if not one.time and usual is None:
            notes[problems.UNDATED] += 1
        if image.channels == 3:
            notes[problems.COLOURED] += 1
        if image.pixels.min() == image.pixels.max():
            notes[problems.BLANK] += 1
        asset = assets.put(kept)
        code = "//".join(filter(None, ("IMAGE", self.modality.upper(), self.body.upper())))
        facts = [{"time": moment, "code": code, "role": "image", "asset": asset}]
        facts += [
            {"time": moment, "code": label, "role": "observation", "derived_from": asset}
            for label in one.codes
        ]
        if one.outline is not None:
            facts.append({"time": moment, **self._outline(one.outline, image, asset, assets)})
        return facts

    def _outline(self, path: Path, image: Image, asset: str, assets: Assets) -> dict[str, Any]:
        try:
            content = path.read_bytes()
            drawn = read_image(io.BytesIO(content))
        except (OSError, InputError):
            return {"problem": problems.DAMAGED if path.is_file() else problems.ABSENT}
        if drawn.shape != image.shape:
            return {"problem": problems.UNLIKE}
        kept = assets.put(self._without_remarks(content))
        code = f"OUTLINE//{self.structure or self.outlines}"
        return {"code": code, "role": "image", "asset": kept, "derived_from": asset}

    def _without_remarks(self, content: bytes) -> bytes:
        return pictures.without_remarks(content)


class NiftiImporter(ImagesImporter):
    """Reads volumes as NIfTI: a folder, with outlines of the same names in another, or a table that names both.

    Descriptions and extensions of the files are left out; the numbers are kept as they are. Arguments as of `images`.
    """

    name: ClassVar[str] = "nifti"
    _kind: ClassVar[ImageKind] = "nifti"

    def _without_remarks(self, content: bytes) -> bytes:
        return nifti.without_remarks(content)


def _of_patient(one: Listed, who: str, told: set[str]) -> Iterator[dict[str, Any]]:
    """Give what is known of a patient as such, once."""
    sex = gender(one.sex) if one.sex else None
    for code in (f"SET//{one.group}" if one.group else "", f"GENDER//{sex}" if sex else ""):
        if code and (known := f"{who}\0{code}") not in told:
            told.add(known)
            yield {"patient": who, "code": code, "static": True, "role": "demographic", "part": ONCE}


def _moment(text: str) -> datetime | None:
    """Read a moment; a day without a time is its noon.

    >>> _moment("2020-01-31"), _moment("soon")
    (datetime.datetime(2020, 1, 31, 12, 0), None)
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.combine(found.date(), time(12)) if len(text) <= 10 else found.replace(tzinfo=None)


def _columns(facts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the columns of some facts, in the order of the schema."""
    found = {name for fact in facts for name in fact}
    return [name for name in BATCH_SCHEMA if name in found]
