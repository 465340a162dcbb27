"""A released model outlines in the viewer, in a real browser: what it drew, measured and is unsure of; corrections."""

from __future__ import annotations

import io
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
from medloom.site import Site
from tests.server.image_ward import NEAR, NOW, OUTLINER, ball, image_site
from tests.server.web.browsing import CHROMIUM, Open
from tests.server.web.viewing import changed, drag, labels, look_at, seen

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("outlined") / "site"
    opened = Backend.of(image_site(folder, outlining=True), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


def coloured(pane: np.ndarray) -> np.ndarray:
    """Mark where a pane is not grey: (height, width)."""
    return np.ptp(pane, axis=-1) > 40


def test_a_models_outline_is_shown_measured_and_leads_to_its_slice(
    open_window: Open, backend: Backend
) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "asked", 1)
    assert coloured(seen(page)).mean() < 0.05  # the cross alone
    page.get_by_role("button", name="Ask the model").click()
    told = page.locator(".viewer-told")
    expect(told).to_contain_text("ml")
    said = float(told.locator("dd").inner_text().removesuffix(" ml"))
    assert said == pytest.approx(ball().sum() * 16 / 1000, rel=0.1)  # a voxel is of 16 mm³
    expect(page.locator(".viewer-layer .pill")).to_have_text(f"by {OUTLINER}")
    page.wait_for_timeout(200)
    shown = coloured(seen(page))
    height, width = shown.shape
    scale = min(width / 64, height / 64)  # pixels a mm of its 64 x 64 mm
    # the ball's largest disc has a radius of 12 mm
    assert shown.sum() / scale**2 == pytest.approx(np.pi * 12**2, rel=0.3)
    page.locator(".viewer-stage").focus()
    page.keyboard.press("Home")
    expect(page.locator(".viewer-readout")).to_contain_text("slice 1 of 16")
    page.wait_for_timeout(100)
    assert coloured(seen(page)).mean() < 0.05
    lesion = page.locator(".viewer-measure")
    expect(lesion).to_have_count(1)
    expect(lesion).to_contain_text(re.compile(r"2[2-6]\.\d × 2[2-6]\.\d mm"))
    lesion.click()
    expect(page.locator(".viewer-readout")).to_contain_text("slice 9 of 16")
    page.goto("/images")  # nothing is asked of who may save nothing
    expect(page.get_by_role("heading", name="Images")).to_be_visible()


def test_where_the_model_is_unsure_is_shown_when_asked_for(open_window: Open, backend: Backend) -> None:
    window = open_window().sign_in("doctor")
    page = window.page
    look_at(page, backend, "asked", 1)
    page.get_by_role("button", name="Ask the model").click()
    box = page.get_by_label("Where the model is unsure")
    expect(box).not_to_be_checked()
    page.get_by_label("The ball's outline").uncheck()
    page.wait_for_timeout(100)
    before = seen(page)
    box.check()
    page.wait_for_timeout(100)
    assert (np.abs(seen(page) - before).max(axis=-1) > 40).any()
    assert not window.lacks()


def test_a_corrected_outline_of_a_model_becomes_the_label(open_window: Open, backend: Backend) -> None:
    before = labels(backend, "ball-outline")
    page = open_window().sign_in("expert").page
    look_at(page, backend, "asked", 1)
    page.get_by_role("button", name="Ask the model").click()
    save = page.get_by_role("button", name="Save the outline")
    expect(save).to_be_enabled()
    page.keyboard.press("e")
    drag(page, (0.3, 0.52), (0.7, 0.52))  # through the ball's middle
    expect(page.locator(".viewer-measures")).to_contain_text("sizes before it was drawn upon")
    page.keyboard.press("d")
    drag(page, (0.1, 0.1), (0.2, 0.1))
    save.click()
    expect(page.get_by_role("status").first).to_contain_text("models will learn from your outline")
    ((old, new),) = changed(before, labels(backend, "ball-outline"))
    assert old is None
    with backend.site.record.assets().open(str(new)) as file:
        drawn = read_image(file).pixels[0]
    near = ball()[NEAR]
    assert drawn.shape == near.shape
    assert drawn[8, 1:6].any() and not near[8, 1:6].any()  # drawn, far above the ball
    assert not drawn[8, 16].any() and near[8, 16].any()  # erased
    kept = np.delete(drawn, 8, axis=0) > 0
    truth = np.delete(near, 8, axis=0)
    assert 2 * (kept & truth).sum() / (kept.sum() + truth.sum()) > 0.9  # the model's, elsewhere
    expect(page.locator(".viewer-measures .note")).to_have_count(0)  # measured anew
    expect(page.locator(".viewer-layer .pill")).to_have_count(0)  # a person's now
    events = backend.site.record.events([subject_of(backend)])
    said = events.filter(events["code"] == "OUTLINE//ball")
    assert said["model"].to_list() == [None] and said["asset"].to_list() == [new]


def test_a_models_outline_stands_beside_a_persons(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("expert").page
    look_at(page, backend, "B0", 1)
    expect(page.locator(".viewer-layer")).to_have_count(1)
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".viewer-layer")).to_have_count(2)
    expect(page.locator(".viewer-layer .pill")).to_have_count(1)
    expect(page.locator("#viewer-target option:checked")).to_contain_text(OUTLINER)
    page.get_by_role("button", name="Ask the model").click()  # again: no third one
    page.wait_for_timeout(500)
    expect(page.locator(".viewer-layer")).to_have_count(2)


def subject_of(backend: Backend) -> int:
    return Site.open(backend.site.directory.root).record.find("asked", "image-ward")


def test_what_a_model_says_is_saved_as_files(open_window: Open, backend: Backend) -> None:
    window = open_window().sign_in("doctor")
    page = window.page
    look_at(page, backend, "dicom", 1)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as files").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        names = set(archive.namelist())
        seg = pydicom.dcmread(io.BytesIO(archive.read("seg.dcm")))
        sr = pydicom.dcmread(io.BytesIO(archive.read("sr.dcm")))
    assert seg.Modality == "SEG" and seg.SegmentSequence[0].SegmentLabel == "ball"
    assert sr.Modality == "SR" and {"fhir.json", "outline.nii.gz", "sc-01.dcm"} <= names
    near = ball()[NEAR]
    marked = np.zeros(near.shape, bool)  # frames lie head first or feet first; each tells its place
    for frame, told in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        place = float(told.PlanePositionSequence[0].ImagePositionPatient[2])
        marked[round((place - 116) / 4)] = frame
    assert 2 * (marked & near).sum() / (marked.sum() + near.sum()) > 0.85
    look_at(page, backend, "asked", 1)  # of a file that is no DICOM
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as files").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert "seg.dcm" not in archive.namelist() and "outline.nii.gz" in archive.namelist()
        assert "seg: " in archive.read("left-out.txt").decode()
    assert not window.lacks()
    reader = open_window().sign_in("expert").page
    look_at(reader, backend, "asked", 1)
    assert reader.get_by_role("button", name="Save as files").count() == 0
