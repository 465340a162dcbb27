"""The importer of DICOM: each series an event on its patient's timeline, its files de-identified and kept."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.knowledge.systems import gender
from medloom.record.assets import Assets
from medloom.record.imaging.dicom import Deidentifier
from medloom.record.imaging.dicom.deidentification import Piece
from medloom.record.imaging.dicom.layout import laid_open
from medloom.record.imaging.dicom.profile import Action, Dates
from medloom.record.importers.dicom import problems
from medloom.record.importers.dicom.origins import Origin, opened, origins_of, sources_of
from medloom.record.importers.dicom.scanning import Found, Scan, in_order
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.record.schema import BATCH_SCHEMA, BIRTH, ONCE

_FILES_PER_BATCH: Final = 500
_NEVER: Final = (1980, 1, 1, 0, 0, 0)  # the earliest moment that a zip can hold
_NOTES: Final[Mapping[Action, str]] = {
    "remove": problems.REMOVED,
    "empty": problems.EMPTIED,
    "dummy": problems.DUMMIED,
    "uid": problems.RENAMED,
    "clean": problems.CLEANED,
    "shift": problems.SHIFTED,
    "pseudonym": problems.PSEUDONYMS,
}


class DicomImporter(Importer):
    """Reads DICOM: a folder, a DICOMDIR, a zip or one file; the files kept are de-identified (PS3.15 Annex E).

    A series is one event, `IMAGE//CT//CHEST`; its file is the series' only one, or a zip of them in the order of
    slices. Pixels are kept byte for byte, unless text is to be blanked.

    Args:
        path: of what to read.
        clean_pixels: find text burned into pictures and blank it.
        clean_descriptors: keep texts on how an image was made, in known words only; otherwise they are removed.
        dates: what becomes of dates inside the files: `remove`, `shift` by the patient's own number of days, `keep`.
        system: namespace of the patients' identifiers.
    """

    name: ClassVar[str] = "dicom"

    def __init__(
        self,
        path: str | Path,
        *,
        clean_pixels: bool | str = False,
        clean_descriptors: bool | str = True,
        dates: Dates = "remove",
        system: str = "",
    ) -> None:
        self.path = path
        self.clean_pixels = clean_pixels
        self.clean_descriptors = clean_descriptors
        self.dates = dates
        self.system = system

    def sources(self) -> list[Path]:
        """List the files, by name; of a DICOMDIR those it names.

        Raises:
            NotFoundError: there is no such file or folder.
            InputError: the folder is empty.
        """
        return sources_of(Path(self.path))

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield the facts of some 500 files a batch; the files of a series stay together.

        Raises:
            InputError: there is no place to keep files, what reads them is not installed, or an option is none.
        """
        if any(find_spec(name) is None for name in ("dicomanonymizer", "pydicom")):
            raise InputError(
                'DICOM files need more packages; install them with: pip install "medloom[imaging]"'
            )
        if context.assets is None or not context.secret:
            raise InputError("DICOM files need a site to be kept in; make one with: medloom init FOLDER")
        deidentifier = Deidentifier(
            context.secret,
            clean_pixels=_yes("clean_pixels", self.clean_pixels),
            clean_descriptors=_yes("clean_descriptors", self.clean_descriptors),
            dates=self.dates,
        )
        scan = Scan()
        scan.look(origins_of(self.sources()), context.time_zone)
        waiting = _Waiting()
        for origin, problem, patient in scan.unusable:
            waiting.add([_unusable(origin, problem, patient)], 1)
            if waiting.records >= _FILES_PER_BATCH:
                yield waiting.batch()
        waiting.passed_over.update(scan.passed_over)
        waiting.records += scan.passed_over.total()
        told: set[tuple[str, str]] = set()
        for files in scan.series.values():
            waiting.add(_series(files, deidentifier, context.assets, waiting.notes, told), len(files))
            if waiting.records >= _FILES_PER_BATCH:
                yield waiting.batch()
        for (_, action), n in deidentifier.report.items():
            waiting.notes[_NOTES[action]] += n
        waiting.notes += Counter({problems.BLANKED: deidentifier.blanked})
        yield waiting.batch()


def _yes(name: str, value: bool | str) -> bool:
    """Read an option that is yes or no; from the command line it is a text."""
    if isinstance(value, bool):
        return value
    if value.strip().lower() in ("true", "yes", "1"):
        return True
    if value.strip().lower() in ("false", "no", "0"):
        return False
    raise InputError("{name}={value!r} is neither yes nor no", name=name, value=value)


@dataclass
class _Waiting:
    """Facts on their way to a batch."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    records: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, facts: Iterable[dict[str, Any]], records: int) -> None:
        self.facts += facts
        self.records += records

    def batch(self) -> Batch:
        """Give a batch; none of it waits any more."""
        names = {name for fact in self.facts for name in fact}
        schema = {name: kind for name, kind in BATCH_SCHEMA.items() if name in names}
        made = Batch(
            pl.DataFrame(self.facts, schema=schema), self.records, self.passed_over, notes=self.notes
        )
        self.facts, self.records, self.passed_over, self.notes = [], 0, Counter(), Counter()
        return made


def _series(
    files: list[Found],
    deidentifier: Deidentifier,
    assets: Assets,
    notes: Counter[str],
    told: set[tuple[str, str]],
) -> list[dict[str, Any]]:
    """Keep a series; gives its event, what is known of its patient, and the files that cannot be used."""
    ordered, odd = in_order(files)
    first = ordered[0]
    place = {"file": first.origin.file, "row": first.origin.row}
    moments = [one.moment for one in ordered if one.moment is not None]
    if not moments:
        return [_unusable(one.origin, problems.NO_DATE, one.patient) for one in ordered]
    asset, kept, bad = _kept(ordered, deidentifier, assets)
    facts = [_unusable(one.origin, problem, one.patient) for one, problem in bad]
    if asset is None:
        return facts
    moment, timed = min(moments)
    event = {"patient": first.patient, "code": first.code, "role": "image", "asset": asset, "time": moment}
    event |= {"key": first.series, "part": 0, **place}
    if not timed:
        notes[problems.DATE_ONLY] += 1
        event["known_time"] = moment.replace(hour=23, minute=59, second=59, microsecond=999999)
    notes.update(odd)
    if any(one.may_show_text for one in kept) and not deidentifier.clean_pixels:
        notes[problems.BURNED_IN] += 1
    return [*facts, event, *({**fact, **place} for fact in _of_patient(first, told))]


def _kept(
    files: list[Found], deidentifier: Deidentifier, assets: Assets
) -> tuple[str | None, list[Found], list[tuple[Found, str]]]:
    """De-identify and keep files; gives the asset, which of them are in it, and which could not be used."""
    kept: list[Found] = []
    bad: list[tuple[Found, str]] = []

    def written() -> Iterator[list[Piece]]:
        for one in files:
            try:
                with opened(one.origin) as buffer:
                    pieces = deidentifier.pieces(laid_open(buffer))
            except InputError as error:
                bad.append((one, error.template))
                continue
            kept.append(one)
            yield pieces

    def pack(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for number, pieces in enumerate(chain(begun, following), 1):
                entry = zipfile.ZipInfo(f"{number:06d}.dcm", _NEVER)
                entry.file_size = sum(len(piece) for piece in pieces)
                entry.create_system = 3  # the same bytes on every system
                with archive.open(entry, "w") as member:
                    for piece in pieces:
                        member.write(piece)

    following = written()
    begun = list(islice(following, 2))
    if not begun:
        return None, kept, bad
    if len(begun) == 1:
        return assets.put(b"".join(begun[0])), kept, bad
    return assets.put_written(pack), kept, bad


def _of_patient(one: Found, told: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Give what is known of a patient as such, once."""
    sex = gender(one.sex) if one.sex else None
    if sex and (known := (one.patient, f"GENDER//{sex}")) not in told:
        told.add(known)
        yield {"patient": one.patient, "code": known[1], "static": True, "role": "demographic", "part": ONCE}
    if one.birth and (known := (one.patient, one.birth.isoformat())) not in told:
        told.add(known)
        yield {"patient": one.patient, "code": BIRTH, "time": one.birth, "role": "demographic", "part": ONCE}


def _unusable(origin: Origin, problem: str, patient: str | None) -> dict[str, Any]:
    return {"patient": patient, "problem": problem, "file": origin.file, "row": origin.row}
