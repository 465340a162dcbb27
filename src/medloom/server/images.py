"""The images of one patient: which there are, what was said of each, and what was drawn on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.hashing import sha256_bytes
from medloom.record.catalogue import CodeCatalogue
from medloom.record.schema import visible_time
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.showing import facts_shown

IMAGE: Final = "IMAGE//"
OUTLINE: Final = "OUTLINE//"

_SAID: Final = ("code", "asset", "derived_from", "model", "visible")


@dataclass(frozen=True)
class PatientImage:
    """An image of a patient.

    Attributes:
        subject_id: of whom.
        number: its place among the patient's images, by time, from 1.
        code: `IMAGE//MODALITY`, or with a part of the body behind it.
        time: when it was made; `visible`: when it came to be known.
        asset: its file.
    """

    subject_id: int
    number: int
    code: str
    time: datetime
    visible: datetime
    asset: str = field(repr=False)

    @property
    def address(self) -> str:
        """Give where its page is."""
        return f"/patients/{self.subject_id}/images/{self.number}"

    @property
    def kind(self) -> str:
        """Name its modality and part of the body, as they are coded.

        >>> PatientImage(1, 1, "IMAGE//CT//CHEST", datetime(2020, 1, 1), datetime(2020, 1, 1), "").kind
        'CT CHEST'
        """
        return " ".join(self.code.removeprefix(IMAGE).split("//"))

    @property
    def mark(self) -> str:
        """Give a short word of its content: a form carries it back, so that what is said is said of this image."""
        return sha256_bytes(self.asset.encode())[:16]


@dataclass(frozen=True)
class Drawn:
    """An outline of an image: the latest by people, or where none drew any, the latest by a model.

    Attributes:
        code: `OUTLINE//…`.
        asset: a label image.
        model: who drew it; None: people.
        visible: when it came to be known.
    """

    code: str
    asset: str = field(repr=False)
    model: str | None
    visible: datetime


@dataclass(frozen=True)
class Gallery:
    """The images of a patient that a person may see, by number, and what was said of them, oldest first."""

    images: tuple[PatientImage, ...]
    facts: pl.DataFrame = field(repr=False)

    def image(self, number: int) -> PatientImage:
        """Find an image by its number.

        Raises:
            NotFoundError: there is none.
        """
        for image in self.images:
            if image.number == number:
                return image
        raise NotFoundError("this patient has no image {number}", number=number)

    def prior_of(self, image: PatientImage) -> PatientImage | None:
        """Find the image of the same kind that was made last before one."""
        before = [one for one in self.images if one.code == image.code and one.number < image.number]
        return before[-1] if before else None

    def said_of(self, image: PatientImage) -> list[str]:
        """List the codes that people said of an image, oldest first, outlines left out."""
        said = self.facts.filter(
            pl.col("derived_from") == image.asset,
            pl.col("model").is_null(),
            ~pl.col("code").str.starts_with(OUTLINE),
        )
        return said["code"].to_list()

    def drawn_on(self, image: PatientImage) -> list[Drawn]:
        """List the outlines of an image, by code."""
        rows = self.facts.filter(
            pl.col("derived_from") == image.asset,
            pl.col("code").str.starts_with(OUTLINE),
            pl.col("asset").is_not_null(),
        ).select("code", "asset", "model", "visible")
        latest: dict[str, Drawn] = {}
        for code, asset, model, visible in rows.iter_rows():
            known = latest.get(code)
            if known is None or model is None or known.model is not None:
                latest[code] = Drawn(code, asset, model, visible)
        return [latest[code] for code in sorted(latest)]


def gallery_of(backend: Backend, person: Person, subject_id: int) -> Gallery:
    """Give the images of a patient that are known now.

    Raises:
        NotFoundError: there is no such patient.
    """
    events = backend.site.record.events([subject_id])
    if not events.height:
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    return gallery_in(backend, person, events)


def gallery_in(backend: Backend, person: Person, events: pl.DataFrame) -> Gallery:
    """Give the images among one patient's events that are known now, as far as a person may see them."""
    now = backend.now()
    known = events.with_columns(visible=visible_time()).filter(
        pl.col("visible") <= now, (pl.col("known_until") > now).fill_null(value=True)
    )
    images = known.filter(
        pl.col("code").str.starts_with(IMAGE), pl.col("asset").is_not_null(), pl.col("time").is_not_null()
    )
    images = images.sort("time", "visible", "code", "asset").with_row_index("number", 1)
    shown = facts_shown(person, images)
    made = tuple(
        PatientImage(*row)
        for row in shown.select("subject_id", "number", "code", "time", "visible", "asset").iter_rows()
        if None not in row
    )
    said = known.filter(pl.col("derived_from").is_not_null()).sort("visible", maintain_order=True)
    return Gallery(made, said.select(_SAID))


def has_images(catalogue: CodeCatalogue) -> bool:
    """Tell whether a record knows of images."""
    return bool(catalogue.frame["code"].str.starts_with(IMAGE).any())


def check_mark(image: PatientImage, mark: str) -> None:
    """Refuse what was said of another image: numbers change where earlier images come in.

    Raises:
        InputError: the mark is not this image's.
    """
    if mark != image.mark:
        raise InputError("the images of this patient changed meanwhile; load the page again and repeat")


def structure_names(code: str, named: Mapping[str, tuple[str, ...]], highest: int) -> list[str]:
    """Name the structures 1, 2, … of an outline.

    Args:
        code: of the outline.
        named: the structures that tasks name, by code.
        highest: number that occurs in it.

    >>> structure_names("OUTLINE//heart", {}, 1), structure_names("OUTLINE//brain", {"OUTLINE//brain": ("a", "b")}, 1)
    (['heart'], ['a', 'b'])
    """
    known = list(named.get(code, ()))
    own = code.removeprefix(OUTLINE).replace("//", " ")
    if not known and highest <= 1:
        return [own]
    return known + [f"{own} {number}" for number in range(len(known) + 1, highest + 1)]
