"""A first look at every file: whose it is, of which series, where its slice lies; what cannot be used is told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.geometry import Plane, plane, stacked
from medloom.record.imaging.dicom.layout import Layout, check_pixels, is_dicom, laid_open
from medloom.record.importers.dicom import problems
from medloom.record.importers.dicom.moments import moment_of, read_moment
from medloom.record.importers.dicom.origins import Origin, opened

SeriesKey: TypeAlias = tuple[str, str]
"""Patient and SeriesInstanceUID."""

_NAMED_SO: Final = (".dcm", ".dicom", ".ima")
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_SHOWING_TEXT: Final = frozenset({"US", "ES", "XC", "OT", "SC", "IVUS", "GM", "OP"})
_WORD: Final = re.compile(r"[A-Z0-9_ ]{1,16}")


@dataclass(frozen=True, slots=True)
class Found:
    """One usable file.

    Attributes:
        origin: where it is.
        patient: whose, as the source names them.
        series: its SeriesInstanceUID.
        instance: its SOPInstanceUID.
        code: of the event it belongs to.
        order: by which the scanner counts files.
        plane: where its slice lies; None: not told, or it holds several.
        moment: when it was taken, and whether the time of day is told; None: not told.
        sex: as told.
        birth: of the patient; None: not told.
        may_show_text: whether text may be burned in.
    """

    origin: Origin
    patient: str
    series: str
    instance: str
    code: str
    order: tuple[float, float]
    plane: Plane | None
    moment: tuple[datetime, bool] | None
    sex: str
    birth: datetime | None
    may_show_text: bool


@dataclass
class Scan:
    """What a first look found.

    Attributes:
        series: usable files of each series, in the order they were met.
        unusable: the others, with what is wrong with them.
        passed_over: kinds of file that hold no image, counted.
    """

    series: dict[SeriesKey, list[Found]] = field(default_factory=dict)
    unusable: list[tuple[Origin, str, str | None]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    _known: dict[str, Origin] = field(default_factory=dict, repr=False)

    def look(self, origins: Iterable[Origin], zone: str) -> None:
        """Look at files."""
        for origin in origins:
            if not origin.member and not origin.path.is_file():
                self.unusable.append((origin, problems.ABSENT, None))
                continue
            try:
                with opened(origin) as buffer:
                    if not is_dicom(bytes(buffer[:132])) and not origin.name.lower().endswith(_NAMED_SO):
                        self.passed_over[problems.NO_DICOM] += 1
                        continue
                    layout = laid_open(buffer)
                    self._take(origin, layout, zone)
            except InputError as error:
                self.unusable.append((origin, error.template, None))

    def _take(self, origin: Origin, layout: Layout, zone: str) -> None:
        if layout.text(0x00080016) == _DIRECTORY or 0x00041220 in layout.by_tag:
            self.passed_over[problems.DIRECTORY] += 1
            return
        if layout.pixels is None:
            self.passed_over[problems.NO_IMAGE] += 1
            return
        patient = _patient(layout)
        problem = None
        series, instance = layout.text(0x0020000E), layout.text(0x00080018)
        try:
            check_pixels(layout)
        except InputError as error:
            problem = error.template
        if not (series and instance):
            problem = problems.NO_IDENTITY
        if not patient:
            problem = problems.NO_PATIENT
        if problem is None and (first := self._known.setdefault(instance, origin)) != origin:
            if _same(first, origin):
                self.passed_over[problems.TWICE] += 1
                return
            problem = problems.SAME_UID
        if problem is not None:
            self.unusable.append((origin, problem, patient or None))
            return
        found = _found(origin, layout, patient, series, instance, zone)
        self.series.setdefault((patient, series), []).append(found)


def in_order(files: list[Found]) -> tuple[list[Found], tuple[str, ...]]:
    """Put the files of a series in the order of their slices; tell what is odd about them."""
    counted = sorted(files, key=lambda one: (one.order, one.instance))
    if len(counted) < 2:
        return counted, ()
    stack = stacked([one.plane for one in counted])
    within = set(stack.order)
    rest = [number for number in range(len(counted)) if number not in within]
    return [counted[number] for number in [*stack.order, *rest]], stack.notes


def _found(origin: Origin, layout: Layout, patient: str, series: str, instance: str, zone: str) -> Found:
    modality, body = layout.text(0x00080060).upper(), layout.text(0x00180015).upper()
    modality = modality if _WORD.fullmatch(modality) else "OT"
    code = f"IMAGE//{modality}" + (f"//{body}" if _WORD.fullmatch(body) else "")
    counted = [next(iter(layout.numbers(tag)), 0.0) for tag in (0x00200012, 0x00200013)]
    birth = read_moment(layout.text(0x00100030), zone)
    return Found(
        origin,
        patient,
        series,
        instance,
        code,
        (counted[0], counted[1]),
        plane(layout.numbers(0x00200032), layout.numbers(0x00200037)),
        moment_of(layout, zone),
        layout.text(0x00100040),
        birth[0] if birth else None,
        layout.text(0x00280301) == "YES" or (modality in _SHOWING_TEXT and layout.text(0x00280301) != "NO"),
    )


def _patient(layout: Layout) -> str:
    """Name the patient: the identifier, and who gave it where that is told."""
    identifier, issuer = (_decoded(layout.raw(tag)) for tag in (0x00100020, 0x00100021))
    return f"{identifier}^^^{issuer}" if identifier and issuer else identifier


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(" \0")  # whatever the letters are: the same ones again next time


def _same(one: Origin, other: Origin) -> bool:
    with opened(one) as first, opened(other) as second:
        return len(first) == len(second) and memoryview(first) == memoryview(second)
