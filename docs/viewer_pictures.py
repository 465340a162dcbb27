"""Pictures of the image viewer for `docs/workbench*.md`: `python docs/refresh.py viewer`, where Chromium is installed.

A site with drawn volumes, no patient's, is served, and an expert and a clinician look at them in a real browser.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from playwright.sync_api import Page, sync_playwright
from served import served, signed_in
from workbench_pictures import _chromium, _write

from medloom.database.engine import Database
from medloom.loop.releases import Actor
from medloom.record.imaging.nifti import as_nifti
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.server import accounts
from medloom.site import Site

LARGEST = 300_000  # bytes of a picture

_NOW = datetime(2026, 3, 20, 9)
_PASSWORD = "a drawn body in a box"
_SHAPE, _SPACING = (60, 180, 240), (4.0, 1.6, 1.6)  # slices, rows, columns; mm
_TASKS = {
    "nodule": "kind: binary\ntitle: {en: A nodule in the lung, zh: 肺内有结节}\n"
    "predict: {of: image, event: [FINDING//nodule]}\n",
    "outlines": "kind: segmentation\ntitle: {en: Outlines, zh: 勾画}\n"
    "predict: {of: image, outline: [OUTLINE//chest], structures: [nodule, heart]}\n",
}


def refresh(images: Path) -> None:
    """Make the pictures anew in a folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _served(Path(folder) / "st-mary") as base,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        for language in ("en", "zh"):
            page = signed_in(browser, base, "expert", _PASSWORD, language)
            for name, picture in _walk(page):
                _write(picture, images / f"viewer-{name}-{language}.png", LARGEST)
        browser.close()


def _walk(page: Page) -> Iterator[tuple[str, bytes]]:
    page.goto("/images")
    page.locator(".row-link").first.click()
    page.wait_for_selector("#viewer.is-ready")
    page.locator(".viewer-measure").first.click()
    page.wait_for_timeout(500)
    page.evaluate("scrollTo(0, 0)")
    yield "earlier", page.screenshot()
    page.keyboard.press("b")
    page.keyboard.press("d")
    box = page.locator("[data-order='0'] canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + 0.79 * box["width"], box["y"] + 0.54 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 14, y + 10, steps=8)
    page.mouse.up()
    page.wait_for_timeout(300)
    yield "drawing", page.screenshot()


class _Bodies(Importer):
    """Hands over a drawn chest at two times, the second with the outlines of its nodule and its heart."""

    name = "bodies"
    system = "bodies"

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        assert context.assets is not None
        placed = np.zeros((4, 4))
        placed[2, 0], placed[1, 1], placed[0, 2], placed[3, 3] = *_SPACING, 1.0
        placed[:3, 3] = [-n * step / 2 for n, step in zip(_SHAPE[::-1], _SPACING[::-1], strict=True)]
        rows = []
        for number, (day, radius) in enumerate((((2025, 12, 1), 7.0), ((2026, 3, 15), 11.0))):
            chest, outline = _chest(radius, number)
            asset = context.assets.put(as_nifti(chest, placed))
            fact = {"patient": "P", "time": datetime(*day, 10)}
            rows.append({**fact, "code": "IMAGE//CT//CHEST", "role": "image", "asset": asset})
            rows.append({**fact, "code": "FINDING//nodule", "role": "observation", "derived_from": asset})
            if number:
                drawn = {"asset": context.assets.put(as_nifti(outline, placed)), "derived_from": asset}
                rows.append({**fact, "code": "OUTLINE//chest", "role": "image", **drawn})
        yield Batch(pl.DataFrame(rows, infer_schema_length=None), len(rows))


def _chest(radius: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a chest with a nodule in its left lung, and outline the nodule (1) and the heart (2)."""
    z, y, x = (
        (np.arange(n) - (n - 1) / 2).reshape([-1 if one == axis else 1 for one in range(3)]) * _SPACING[axis]
        for axis, n in enumerate(_SHAPE)
    )
    rng = np.random.default_rng(seed)

    def ball(cz: float, cy: float, cx: float, rz: float, ry: float, rx: float) -> np.ndarray:
        return ((z - cz) / rz) ** 2 + ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1

    chest = np.full(_SHAPE, -1000.0)
    chest[ball(0, 0, 0, 400, 105, 165)] = -90  # fat
    chest[ball(0, 0, 0, 390, 96, 154)] = 45  # muscle
    for side in (-1, 1):
        chest[ball(0, -6, 78 * side, 108, 74, 60)] = -850
        for _ in range(60):  # vessels
            cz, cy, cx = rng.uniform(-80, 80), rng.uniform(-60, 45), side * (78 + rng.uniform(-45, 45))
            chest[ball(cz, cy, cx, 14, 2.6, 3.2) & (chest < -800)] = -100
    heart = ball(-25, -18, 22, 55, 42, 48)
    chest[heart] = 60
    chest[ball(0, 62, 0, 400, 19, 21)] = 420  # spine
    chest[ball(0, 80, 0, 400, 7, 8)] = 20
    chest[ball(0, 28, 14, 400, 12, 12)] = 90  # aorta
    chest[ball(60, 8, 0, 60, 8, 9)] = -1000  # windpipe
    for level in range(-110, 111, 24):  # ribs
        ring = ball(level, 0, 0, 7, 94, 152) & ~ball(level, 0, 0, 9, 87, 144)
        chest[ring] = 380
    nodule = ball(4, 10, 92, radius, radius, radius * 1.15)
    chest[nodule] = 40
    noisy = chest + rng.normal(0, 22, _SHAPE)
    outline = np.where(nodule, 1, np.where(heart & (chest > 50) & (chest < 80), 2, 0)).astype(np.uint8)
    return noisy.astype(np.int16), outline


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Make the site and serve it; give its address."""
    site = Site.create(folder)
    site.record.add(_Bodies())
    for name, content in _TASKS.items():
        asked = "prediction_time: {event: [IMAGE//CT//CHEST], which: every}\n"
        (site.directory.tasks / f"{name}.yaml").write_text(
            f"name: {name}\n{content}{asked}", encoding="utf-8"
        )
    database = Database.of(site.directory)
    operator = Actor("operator", "")
    for name in ("expert", "admin"):  # a site has an administrator
        accounts.create(
            database, operator, name, name, _PASSWORD, display=name.title(), sees_all=True, must_change=False
        )
    database.close()
    with served(folder, _NOW) as base:
        yield base
