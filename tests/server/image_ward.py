"""A site with images for tests of the viewer: CT volumes with a bright ball; pictures, some with a disc."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom import api
from medloom.database.engine import Database
from medloom.foundation.files import write_json
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.record.imaging.nifti import as_nifti
from medloom.record.imaging.pictures import as_png
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.server import accounts
from medloom.site import Site
from medloom.tasks import models
from tests.care.imaging.readings import packed
from tests.record.imaging.dicom_files import ct_slice, with_pixels
from tests.server.ward import ACCOUNTS, PASSWORD

NOW: Final = datetime(2026, 3, 20, 9)
SHAPE: Final = (24, 64, 80)  # slices, rows, columns
SPACING: Final = (4.0, 2.0, 2.0)  # mm
MIDDLE: Final = (12, 30, 44)
RADIUS: Final = 12.0  # mm, of the ball
NEAR: Final = (slice(4, 20), slice(14, 46), slice(28, 60))  # slices, rows, columns around it
PICTURE: Final = (96, 128)
TASKS: Final = {
    "ball": "kind: binary\ntitle: {en: A ball in the chest, zh: 胸部有球}\n"
    "prediction_time: {event: [IMAGE//CT//CHEST], which: every}\n"
    "predict: {of: image, event: [FINDING//ball]}\n",
    "ball-outline": "kind: segmentation\ntitle: {en: The ball's outline, zh: 球的轮廓}\n"
    "prediction_time: {event: [IMAGE//CT//CHEST], which: every}\n"
    "predict: {of: image, outline: [OUTLINE//ball], structures: [ball]}\n",
    "ball-found": "kind: detection\ntitle: {en: Balls found, zh: 找到的球}\n"
    "prediction_time: {event: [IMAGE//CT//CHEST], which: every}\n"
    "predict: {of: image, outline: [OUTLINE//ball], structures: [ball]}\n",
    "disc-seen": "kind: binary\ntitle: {en: A disc on the picture, zh: 图中有圆盘}\n"
    "prediction_time: {event: [IMAGE//DX], which: every}\n"
    "predict: {of: image, event: [FINDING//disc]}\n",
    "disc": "kind: multiclass\ntitle: {en: What is on the picture, zh: 图中所见}\n"
    "prediction_time: {event: [IMAGE//DX], which: every}\n"
    "predict: {of: image, classes: {disc: [FINDING//disc], plain: [FINDING//plain]}}\n",
}
"""What the site asks about images."""


def affine() -> NDArray[np.float64]:
    """Place (slice, row, column) in the patient: slices towards the head, rows to the back, columns to the left."""
    placed = np.zeros((4, 4))
    placed[2, 0], placed[1, 1], placed[0, 2] = SPACING
    placed[:3, 3] = (-80.0, -64.0, 100.0)
    placed[3, 3] = 1.0
    return placed


def ball(radius: float = RADIUS) -> NDArray[np.bool_]:
    """Mark the ball: (24, 64, 80)."""
    places = np.indices(SHAPE).astype(float)
    away = sum(((places[axis] - MIDDLE[axis]) * SPACING[axis]) ** 2 for axis in range(3))
    return np.asarray(away <= radius**2)


def volume(seed: int, radius: float = RADIUS) -> NDArray[np.int16]:
    """Draw noise with a bright ball: (24, 64, 80)."""
    grey = np.random.default_rng(seed).normal(-50, 40, SHAPE)
    grey[ball(radius)] += 350
    return grey.astype(np.int16)


def as_series(pixels: NDArray[np.int16], placed: NDArray[np.float64]) -> bytes:
    """Write a volume (depth, height, width) as a zip of DICOM slices."""
    made = []
    for number, one in enumerate(pixels):
        slice_ = ct_slice(number)
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        slice_.FrameOfReferenceUID = "1.2.3.9"
        slice_.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        slice_.ImagePositionPatient = (placed @ [number, 0, 0, 1])[:3].tolist()
        slice_.PixelSpacing, slice_.SliceThickness = list(SPACING[1:]), SPACING[0]
        slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
        made.append(with_pixels(slice_, (one + 1024).astype(np.uint16), bits=12))
    return packed(made)


def disc_at(seed: int) -> tuple[int, int]:
    """Tell where the disc of a picture is: row and column."""
    row, column = np.random.default_rng(1000 + seed).integers(20, (76, 108))
    return int(row), int(column)


def picture(seed: int, disc: bool) -> NDArray[np.uint8]:
    """Draw a picture (1, 96, 128) of noise, with a bright disc on it or not."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(90, 18, PICTURE)
    rows, columns = np.indices(PICTURE)
    middle = disc_at(seed)
    if disc:
        grey[(rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= 18**2] += 90
    return np.clip(grey, 0, 255).astype(np.uint8)[None]


class Images(Importer):
    """Hands over images: P0 and P1 have two volumes each, P2 and on a picture, `torn` a torn file.

    Args:
        pictures: how many.
        outlined: patients B0 and on have a small volume each whose ball somebody outlined; then `asked` has one, of
            whose ball nobody did, and `dicom` one that is a series of DICOM.
    """

    name = "image-ward"
    system = "image-ward"

    def __init__(self, pictures: int = 4, outlined: int = 0) -> None:
        self.pictures = pictures
        self.outlined = outlined

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        assert context.assets is not None
        rows = []
        for number in range(2):
            for place, (day, radius) in enumerate(((1, 8.0), (15, RADIUS))):
                time = datetime(2026, 3, day, 8 + number)
                asset = context.assets.put(as_nifti(volume(10 * number + place, radius), affine()))
                image = {"patient": f"P{number}", "time": time}
                rows.append({**image, "code": "IMAGE//CT//CHEST", "role": "image", "asset": asset})
                said = "FINDING//ball" if number == 0 else "FINDING//other"
                rows.append({**image, "code": said, "role": "observation", "derived_from": asset})
                if place == 1 and number == 0:
                    drawn = context.assets.put(as_nifti(ball(radius).astype(np.uint8), affine()))
                    outline = {
                        "code": "OUTLINE//ball",
                        "role": "image",
                        "asset": drawn,
                        "derived_from": asset,
                    }
                    rows.append({**image, **outline})
        for number in range(2, 2 + self.pictures):
            time = datetime(2026, 3, 10) + timedelta(minutes=90 * number)
            asset = context.assets.put(as_png(picture(number, disc=number % 2 == 0)))
            image = {"patient": f"P{number}", "time": time}
            rows.append({**image, "code": "IMAGE//DX", "role": "image", "asset": asset})
            said = "FINDING//disc" if number % 2 == 0 else "FINDING//plain"
            rows.append({**image, "code": said, "role": "observation", "derived_from": asset})
        near = affine()
        near[:3, 3] += near[:3, :3] @ [part.start for part in NEAR]
        for number in range(self.outlined):
            radius = 10.0 + number % 3
            asset = context.assets.put(as_nifti(volume(100 + number, radius)[NEAR], near))
            drawn = context.assets.put(as_nifti(ball(radius)[NEAR].astype(np.uint8), near))
            image = {"patient": f"B{number}", "time": datetime(2026, 3, 2) + timedelta(hours=number)}
            rows.append({**image, "code": "IMAGE//CT//CHEST", "role": "image", "asset": asset})
            outline = {"code": "OUTLINE//ball", "role": "image", "asset": drawn, "derived_from": asset}
            rows.append({**image, **outline})
        if self.outlined:
            asset = context.assets.put(as_nifti(volume(99)[NEAR], near))
            series = context.assets.put(as_series(volume(98)[NEAR], near))
            for patient, file in (("asked", asset), ("dicom", series)):
                image = {"patient": patient, "time": datetime(2026, 3, 12)}
                rows.append({**image, "code": "IMAGE//CT//CHEST", "role": "image", "asset": file})
        torn = context.assets.put(as_png(picture(9, disc=False))[:200])
        rows.append(
            {
                "patient": "torn",
                "time": datetime(2026, 3, 9),
                "code": "IMAGE//XC",
                "role": "image",
                "asset": torn,
            }
        )
        yield Batch(pl.DataFrame(rows, infer_schema_length=None), len(rows))


MODEL: Final = "disc-seen.cnn@1"
"""Released, where there is a model."""
OUTLINER: Final = "ball-outline.unet@1"
"""Released, where there is a model that outlines."""
FINDER: Final = "ball-found.centernet@1"
"""Released, where there is a model that finds."""
FINDING: Final = {"epochs": 8, "batch": 2, "precision": "32", "augmentation": 0.0, "average": 0.0}
"""How it learns."""
OUTLINING: Final = {"epochs": 6, "batch": 1, "learning_rate": 0.005, "augmentation": 0.0, "average": 0.0}
"""How it learns."""


def image_site(
    folder: Path, *, released: bool = False, outlining: bool = False, finding: bool = False
) -> Site:
    """Make the site, with its tasks and accounts of all roles; `doctor`, `expert` and `scientist` see everybody.

    Args:
        folder: a new one.
        released: whether there are sixty pictures, and a model that learned from them answers.
        outlining: whether there are twenty outlined volumes, and a model that learned from them outlines.
        finding: whether there are as many, and a model that learned from them finds.
    """
    site = Site.create(folder)
    site.record.add(Images(60 if released else 4, 20 if outlining or finding else 0))
    for name, content in TASKS.items():
        (site.directory.tasks / f"{name}.yaml").write_text(f"name: {name}\n{content}", encoding="utf-8")
    database = Database.of(site.directory)
    try:
        for name, role in ACCOUNTS.items():
            accounts.create(
                database,
                Actor("operator", ""),
                name,
                role,
                PASSWORD,
                display=name.title(),
                sees_all=name in ("doctor", "expert"),
                must_change=False,
            )
        if released:
            # small steps, many of them: with few images a model of any site's split tells discs from none
            learning = {"size": 48, "epochs": 12, "batch": 8, "learning_rate": 0.005, "average": 0.0}
            made = api.train(site.task("disc-seen"), "cnn", ranges=False, augment=0.5, **learning)
            _release(site, database, MODEL, made, 0.5)
        if outlining:
            made = api.train(site.task("ball-outline"), "unet", ranges=False, **OUTLINING)
            _release(site, database, OUTLINER, made, None)
        if finding:
            made = api.train(site.task("ball-found"), "centernet", ranges=False, **FINDING)
            _release(site, database, FINDER, made, None)
    finally:
        database.close()
    return site


def _release(site: Site, database: Database, model: str, made: api.Trained, threshold: float | None) -> None:
    evidence = models.evidence_directory(site.directory, site.model_name(model))
    write_json(evidence / "held_out" / "evaluation.json", api.evaluate(made).to_json())
    proposer = Actor("scientist", "data_scientist")
    proposal = releases.propose(site, database, model, proposer, "first of its kind", threshold)
    releases.sign(database, proposal.id, Actor("lead", "governance"))


def subject(site: Site, patient: str) -> int:
    """Give the pseudonym of a patient of `Images`."""
    return site.record.find(patient, "image-ward")
