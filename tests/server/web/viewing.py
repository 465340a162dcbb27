"""What tests of the image viewer do with a page, and read from it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow
from playwright.sync_api import Page

from medloom.server.backend import Backend
from medloom.site import Site
from tests.server.image_ward import subject


def look_at(page: Page, backend: Backend, patient: str, number: int) -> None:
    page.goto(f"/patients/{subject(backend.site, patient)}/images/{number}")
    page.wait_for_selector("#viewer.is-ready")
    page.wait_for_function("document.querySelector('.viewer-readout').textContent")


def seen(page: Page, pane: str = "[data-order='0'] canvas") -> np.ndarray:
    """Picture a pane: (height, width, 3)."""
    picture = page.locator(pane).first.screenshot()
    return np.asarray(Pillow.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def drag(page: Page, begin: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
    """Drag over the large pane, from one share of its width and height to another."""
    box = page.locator("[data-order='0'] canvas").bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
    page.mouse.move(*points[0])
    page.mouse.down(button=button)  # type: ignore[arg-type]
    page.mouse.move(*points[1], steps=5)
    page.mouse.up(button=button)  # type: ignore[arg-type]


def labels(backend: Backend, task: str) -> dict[str, object]:
    """Give the labels of a task by image, asked anew."""
    frame = Site.open(backend.site.directory.root).task(task).samples.frame
    return dict(zip(frame["item"], frame["label"].to_list(), strict=True))


def changed(before: dict[str, object], after: dict[str, object]) -> list[tuple[object, object]]:
    return [(before.get(item), after[item]) for item in after if before.get(item) != after[item]]
