"""A volume of more than 64 MB in a real browser: it comes in pieces, can be stopped and drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Route, expect

from medloom.record.imaging.nifti import as_nifti
from medloom.record.imaging.reading import read_image
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.server.backend import Backend
from medloom.server.image_pixels import WHOLE
from medloom.server.settings import ServerSettings
from tests.server.image_ward import NOW, affine, image_site
from tests.server.web.browsing import CHROMIUM, Open
from tests.server.web.viewing import changed, drag, labels, look_at, seen

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)

SHAPE = (130, 512, 512)


class Large(Importer):
    """Hands over one CT: dark, with a bright box in its middle."""

    name = "large"
    system = "image-ward"

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        assert context.assets is not None
        pixels = np.full(SHAPE, -1000, np.int16)
        pixels[5:125, 192:320, 192:320] = 400
        assert pixels.nbytes > WHOLE
        asset = context.assets.put(as_nifti(pixels, affine()))
        row = {"patient": "large", "time": datetime(2026, 3, 14), "code": "IMAGE//CT//CHEST", "role": "image"}
        yield Batch(pl.DataFrame([{**row, "asset": asset}]), 1)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Iterator[Backend]:
    site = image_site(tmp_path_factory.mktemp("large") / "site")
    site.record.add(Large())
    opened = Backend.of(site, ServerSettings(as_of=NOW))
    yield opened
    opened.close()


def test_a_large_volume_comes_in_pieces_and_can_be_stopped(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("expert").page
    held: list[Route] = []
    page.route("**/pixels/*", lambda one: held.append(one))
    look_at(page, backend, "large", 1)  # it opens while nothing of it has come
    message = page.locator(".viewer-message")
    expect(message).to_contain_text("Loading: 0 %")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".viewer-readout")).to_contain_text("slice 67 of 130")
    expect(page.locator(".viewer-readout")).not_to_contain_text("value")  # it is not known yet
    page.get_by_role("button", name="Stop loading").click()
    expect(message).to_contain_text("Stopped: 0 %")
    assert len(held) == 2
    page.unroute("**/pixels/*")
    page.get_by_role("button", name="Load the rest").click()
    expect(message).to_be_hidden(timeout=30_000)
    for key in ("Home", "End"):  # all of it came
        page.keyboard.press(key)
        expect(page.locator(".viewer-readout")).to_contain_text("value -1000")
    page.wait_for_timeout(100)
    assert seen(page, "[data-order='1'] canvas").max() > 200  # the box, in another plane


def test_an_outline_of_a_large_volume_is_kept(open_window: Open, backend: Backend) -> None:
    before = labels(backend, "ball-outline")
    page = open_window().sign_in("expert").page
    sent: list[int] = []
    page.on(
        "request", lambda one: sent.append(len(one.post_data_buffer or b"")) if one.method == "POST" else None
    )
    look_at(page, backend, "large", 1)
    page.keyboard.press("d")
    drag(page, (0.4, 0.5), (0.6, 0.5))
    page.get_by_role("button", name="Save the outline").click()
    expect(page.get_by_role("status").first).to_contain_text("models will learn", timeout=30_000)
    ((old, new),) = changed(before, labels(backend, "ball-outline"))
    assert old is None
    with backend.site.record.assets().open(str(new)) as file:
        drawn = read_image(file).pixels[0]
    assert drawn.shape == SHAPE and drawn[65].any() and not np.delete(drawn, 65, axis=0).any()
    assert drawn.nbytes == 130 * 512 * 512 and max(sent) < 100_000
    page.wait_for_selector("#viewer.is-ready")
    expect(page.locator(".viewer-measure")).to_have_count(1)
