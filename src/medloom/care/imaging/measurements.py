"""What is measured of a reading, structure by structure and lesion by lesion, each with its unit and code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.care.imaging import coded
from medloom.care.imaging.coded import Structure, Term
from medloom.care.imaging.identity import uid
from medloom.care.imaging.reading import Reading
from medloom.features.lesion_shape import Diameter
from medloom.features.lesions import Lesion, in_patient
from medloom.foundation.messages import Text2, text2

MOST: Final = 50
"""Lesions of a structure that are listed one by one, the largest."""

_UNITS: Final = {"HU": "[hnsf'U]"}


@dataclass(frozen=True)
class Measure:
    """One number.

    Attributes:
        term: what was measured.
        value: of it.
        unit: UCUM.
        derivation: how it stands for many, such as their mean; None: it is one.
        line: (2, 3) mm in the patient, from where to where it was measured; None: not along a line, or not known where.
    """

    term: Term
    value: float
    unit: str
    derivation: Term | None = None
    line: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Group:
    """What was measured of one thing.

    Attributes:
        structure: what it is.
        segment: number of the structure.
        lesion: number of the lesion in its structure; None: the whole structure.
        alone: whether the whole structure is this one.
        side: of the patient.
        measures: numbers.
        tracking: UID by which it is followed.
    """

    structure: Structure
    segment: int
    lesion: int | None
    alone: bool
    side: str | None
    measures: tuple[Measure, ...]
    tracking: str

    @property
    def name(self) -> str:
        """Call it, such as `tumour 2`."""
        return self.structure.name if self.lesion is None else f"{self.structure.name} {self.lesion}"


def groups(reading: Reading) -> list[Group]:
    """List what is measured: each structure that was found, and where it is in several pieces each of them.

    Of one lesion alone its structure says everything. At most `MOST` lesions of a structure are listed.
    """
    if reading.outlined is None or reading.labels is None:
        return []
    made: list[Group] = []
    for number, name in enumerate(reading.structures, 1):
        known = coded.structure(name)
        mine = [one for one in reading.outlined.lesions if one.structure == number]
        if not mine:
            continue
        if len(mine) == 1:
            made.append(_group(reading, known, mine[0], alone=True))
            continue
        whole = _whole(reading, number)
        tracking = uid("structure", *reading.identity, name)
        made.append(Group(known, number, None, True, known.side, whole, tracking))
        made += [_group(reading, known, one, alone=False) for one in mine[:MOST]]
    return made


def unit_of(reading: Reading) -> str:
    """Give the UCUM unit of the image's pixels."""
    return _UNITS.get(reading.source.image.unit, "1")


def left_out(reading: Reading) -> list[Text2]:
    """Say which lesions are not listed one by one, and which structures were not found."""
    if reading.outlined is None:
        return []
    said = []
    for number, name in enumerate(reading.structures, 1):
        n = sum(one.structure == number for one in reading.outlined.lesions)
        if n > MOST:
            said.append(
                text2(
                    "Of {n:,} pieces of {structure} the {most} largest are listed.",
                    n=n,
                    structure=name,
                    most=MOST,
                )
            )
        if not n:
            said.append(text2("{structure}: none was found.", structure=name))
    return said


def _group(reading: Reading, known: Structure, one: Lesion, *, alone: bool) -> Group:
    affine = None if reading.outlined is None else reading.outlined.affine

    def length(term: Term, found: Diameter | None) -> list[Measure]:
        if found is None:
            return []
        line = None if affine is None else in_patient(np.array(found.ends, np.float64), affine)
        return [Measure(term, found.length, "mm", line=line)]

    measures = _size(one.volume, one.area)
    measures += length(coded.LONG_AXIS, one.long_axis) + length(coded.SHORT_AXIS, one.short_axis)
    if one.intensity is not None:
        measures.append(_brightness(reading, one.intensity.mean))
    return Group(
        known,
        one.structure,
        None if alone else one.number,
        alone,
        known.side or one.side,
        tuple(measures),
        uid("lesion", *reading.identity, known.name, one.number),
    )


def _whole(reading: Reading, number: int) -> tuple[Measure, ...]:
    assert reading.labels is not None
    image = reading.source.image
    mask = reading.labels == number
    size = None if image.spacing is None else float(mask.sum() * np.prod(image.spacing))
    flat = mask.ndim == 2
    measures = _size(None if flat else size, size)
    return (*measures, _brightness(reading, float(image.pixels[0][mask].mean(dtype=np.float64))))


def _size(volume: float | None, area: float | None) -> list[Measure]:
    """Give the volume, or of a picture the area."""
    if volume is not None:
        return [Measure(coded.VOLUME, volume, "mm3")]
    return [] if area is None else [Measure(coded.AREA, area, "mm2")]


def _brightness(reading: Reading, mean: float) -> Measure:
    return Measure(coded.intensity(reading.source.image.modality), mean, unit_of(reading), coded.MEAN)
