"""A released model finds objects in the viewer, in a real browser: its marks, their scores and slices; corrections."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from playwright.sync_api import expect

from medloom.record.imaging.reading import read_image
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from tests.server.image_ward import FINDER, MIDDLE, NEAR, NOW, image_site
from tests.server.web.browsing import CHROMIUM, Open
from tests.server.web.viewing import changed, drag, labels, look_at, seen

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("found") / "site"
    opened = Backend.of(image_site(folder, finding=True), ServerSettings(as_of=NOW))
    opened.serving.board()  # answers about everybody: who signs in first would wait for them
    yield opened
    opened.close()


def coloured(pane: np.ndarray) -> np.ndarray:
    """Mark where a pane is not grey: (height, width)."""
    return np.ptp(pane, axis=-1) > 40


def test_each_mark_tells_its_score_and_leads_to_its_slice(open_window: Open, backend: Backend) -> None:
    window = open_window().sign_in("doctor")
    page = window.page
    look_at(page, backend, "asked", 1)
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".viewer-layer .pill")).to_have_text(f"by {FINDER}")
    expect(page.locator(".viewer-layer")).to_contain_text("approximate ellipses")
    marks = page.locator(".viewer-measure")
    expect(marks.first).to_contain_text(re.compile(r"ball 1.*score [01]\.\d\d · about [\d.]+ × [\d.]+ mm"))
    scores = [float(re.findall(r"score ([\d.]+)", one)[0]) for one in marks.all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    told = page.locator(".viewer-told dd").inner_text()
    assert float(told) == pytest.approx(scores[0], abs=0.006)  # the surest object is the answer
    page.locator(".viewer-stage").focus()
    page.keyboard.press("Home")
    expect(page.locator(".viewer-readout")).to_contain_text("slice 1 of 16")
    marks.first.click()
    expect(marks.first).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".viewer-readout")).not_to_contain_text("slice 1 of 16")
    page.wait_for_timeout(200)
    readout = page.locator(".viewer-readout").inner_text()
    number = int(re.findall(r"slice (\d+) of 16", readout)[0])
    assert abs(number - 1 - (MIDDLE[0] - NEAR[0].start)) <= 2
    assert coloured(seen(page)).mean() > 0.03
    assert not window.lacks()
    page.goto("/images")


def test_a_corrected_mark_becomes_the_label(open_window: Open, backend: Backend) -> None:
    before = labels(backend, "ball-found")
    page = open_window().sign_in("expert").page
    look_at(page, backend, "asked", 1)
    page.get_by_role("button", name="Ask the model").click()
    save = page.get_by_role("button", name="Save the outline")
    expect(save).to_be_enabled()
    page.keyboard.press("d")
    drag(page, (0.1, 0.1), (0.2, 0.1))
    save.click()
    expect(page.get_by_role("status").first).to_contain_text("models will learn from your outline")
    ((old, new),) = changed(before, labels(backend, "ball-found"))
    assert old is None
    with backend.site.record.assets().open(str(new)) as file:
        drawn = read_image(file).pixels[0]
    assert drawn[8, 1:6].any()  # drawn, far above the ball
    assert drawn[8, 14:18, 14:18].any()  # the model's
    expect(page.locator(".viewer-layer .pill")).to_have_count(0)  # a person's now
    expect(page.locator(".viewer-layer")).not_to_contain_text("approximate")
    expect(page.locator(".viewer-measures")).to_contain_text("ml")  # measured as an outline


def test_files_say_that_marks_are_approximate(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "dicom", 1)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as files").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        seg = pydicom.dcmread(io.BytesIO(archive.read("seg.dcm")))
        sr = pydicom.dcmread(io.BytesIO(archive.read("sr.dcm")))
        report = json.loads(archive.read("fhir.json"))["entry"][0]["resource"]
    assert seg.SegmentSequence[0].SegmentDescription.startswith("Approximate ellipsoid")
    assert "Approximate ellipsoid around what was found" in str(sr)
    assert "not outlines" in report["conclusion"]
