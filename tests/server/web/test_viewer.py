"""The image viewer in a real browser: what it shows is true, and what an expert corrects becomes a label."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from medloom.foundation.messages import speaking, tr
from medloom.record.imaging.reading import read_image
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.image_ward import MIDDLE, NOW, SHAPE, ball, disc_at, subject, volume
from tests.server.web.browsing import CHROMIUM, Open
from tests.server.web.viewing import changed, drag, labels, look_at, seen

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def backend(imaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("served") / "site"
    shutil.copytree(imaged, folder, symlinks=True)
    opened = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


def everything_listed(page: Page) -> list[tuple[str | None, bool]]:
    """Read the worklist of images to its end: of each row the answer, and whether it is an alert."""
    listed: list[tuple[str | None, bool]] = []
    while True:
        for row in page.locator("tbody tr").all():
            said = row.locator(".risk b").all_inner_texts()
            alert = "alert" in row.locator(".pill").all_inner_texts()
            listed.append((said[0] if said else None, alert))
        following = page.locator("a[rel=next]")
        if not following.count():
            return listed
        page.goto(following.get_attribute("href") or "")


def ends_of(said: str) -> tuple[float, float]:
    """Tell between which percentages lies what is written as one, rounded or as more or less than.

    >>> ends_of("> 99 %"), ends_of("< 0.1 %"), ends_of("4.3 %"), ends_of("41 %")
    ((99.5, 100.0), (0.0, 0.1), (4.25, 4.35), (40.5, 41.5))
    """
    found = re.fullmatch(r"([<>]?) ?(\d+(\.\d+)?) %", said)
    assert found is not None, said
    number, half = float(found[2]), 0.05 if found[3] else 0.5
    if found[1]:
        return (0.0, number) if found[1] == "<" else (number + 0.5, 100.0)
    return round(number - half, 3), round(number + half, 3)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_volume_is_read_by_keys(open_window: Open, backend: Backend, language: str) -> None:
    window = open_window(language=language).sign_in({"en": "doctor", "zh": "scientist"}[language])
    page = window.page
    with speaking(language):  # type: ignore[arg-type]
        if language == "zh":
            page.get_by_role("button", name="简体中文").click()
        look_at(page, backend, "P0", 1)
        readout = page.locator(".viewer-readout")
        expect(readout).to_contain_text(tr("slice {n} of {all}", n=13, all=24))
        page.locator(".viewer-stage").focus()
        page.keyboard.press("ArrowDown")
        expect(readout).to_contain_text(tr("slice {n} of {all}", n=14, all=24))
        page.keyboard.press("2")  # rows: the coronal plane
        expect(page.get_by_role("button", name=tr("coronal"))).to_have_attribute("aria-pressed", "true")
        expect(readout).to_contain_text(tr("slice {n} of {all}", n=33, all=64))
        page.keyboard.press("+")
        expect(readout).to_contain_text(tr("zoom {n} %", n=125))
        page.keyboard.press("r")
        expect(readout).to_contain_text(tr("zoom {n} %", n=100))
        page.keyboard.press("m")
        expect(page.get_by_role("button", name=tr("Measure"))).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("application")).to_have_attribute(
            "aria-label",
            tr(
                "Image: {said}. Keys are listed below.",
                said=f"{tr('coronal')}, {tr('slice {n} of {all}', n=33, all=64)}",
            ),
        )
        assert not window.lacks()
        assert not window.untranslated()


def test_the_right_of_the_patient_is_on_the_left(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "P0", 1)
    pane = seen(page)
    bright = np.argwhere(pane.min(axis=-1) > 250)
    height, width = pane.shape[:2]
    # columns run to the patient's left, rows to the back: the ball, right of the middle column, stands there
    across = (bright[:, 1].mean() - width / 2) / (0.5 * width)
    scale = min(width / SHAPE[2], height / SHAPE[1])
    assert across == pytest.approx((MIDDLE[2] + 0.5 - SHAPE[2] / 2) * scale / (0.5 * width), abs=0.02)
    found = page.evaluate("location.pathname")
    assert "sha256" not in found


def test_brightness_follows_the_right_button(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "P2", 1)
    before = seen(page).mean()
    drag(page, (0.5, 0.7), (0.5, 0.3), "right")
    page.wait_for_timeout(100)
    assert seen(page).mean() > before + 20
    page.keyboard.press("r")
    page.wait_for_timeout(100)
    assert seen(page).mean() == pytest.approx(before, abs=2)


def test_lengths_are_in_mm_and_lesions_lead_to_their_slice(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "P0", 2)
    page.keyboard.press("b")  # alone
    lesion = page.locator(".viewer-measure").first
    expect(lesion).to_contain_text("7.28 ml")  # of a ball of 12 mm: 4/3 π 1.2³ = 7.24
    expect(lesion).to_contain_text("left")
    for _ in range(4):
        page.locator(".viewer-stage").focus()
        page.keyboard.press("ArrowDown")
    lesion.click()
    expect(page.locator(".viewer-readout")).to_contain_text("slice 13 of 24")
    page.keyboard.press("m")
    stage = page.locator("[data-order='0'] canvas").bounding_box()
    assert stage is not None
    shown = min(stage["width"] / 160, stage["height"] / 128)  # pixels a mm
    for share in (-20.0, 20.0):
        page.mouse.click(stage["x"] + stage["width"] / 2 + share * shown, stage["y"] + stage["height"] / 2)
    expect(page.locator(".viewer-ruler")).to_contain_text("40.0 mm")
    page.get_by_role("button", name="Remove: Ruler 1").click()
    expect(page.locator(".viewer-ruler")).to_have_count(0)


def test_the_earlier_image_scrolls_along(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "P0", 2)
    expect(page.locator(".viewer-pane.prior")).to_be_visible()
    bright = int((seen(page, "[data-pane=prior]").min(axis=-1) > 250).sum())
    page.locator(".viewer-stage").focus()
    for _ in range(5):  # 20 mm away from its ball of 8 mm
        page.keyboard.press("ArrowUp")
    page.wait_for_timeout(100)
    assert int((seen(page, "[data-pane=prior]").min(axis=-1) > 250).sum()) < bright / 4
    page.keyboard.press("4")  # lung: both in one window, where noise of soft tissue is bright
    page.wait_for_timeout(100)
    assert np.median(seen(page, "[data-pane=prior]")) == pytest.approx(np.median(seen(page)), abs=6)
    assert np.median(seen(page)) > 200
    page.get_by_role("button", name="Earlier image").click()
    expect(page.locator(".viewer-pane.prior")).to_be_hidden()


def test_a_corrected_answer_becomes_the_label(open_window: Open, backend: Backend) -> None:
    before = labels(backend, "ball")
    page = open_window().sign_in("expert").page
    look_at(page, backend, "P0", 1)
    form = page.locator("form.card").filter(has=page.get_by_role("heading", name="A ball in the chest"))
    expect(form.get_by_label("yes")).to_be_checked()
    form.get_by_label("no", exact=True).check()
    form.get_by_role("button", name="Keep this answer").click()
    expect(page.get_by_role("status").first).to_contain_text("models will learn from your answer")
    expect(form.get_by_label("no", exact=True)).to_be_checked()
    assert changed(before, labels(backend, "ball")) == [(True, False)]
    form.get_by_label("yes").check()  # and back: the last word counts
    form.get_by_role("button", name="Keep this answer").click()
    expect(form.get_by_label("yes")).to_be_checked()
    assert labels(backend, "ball") == before


def test_a_drawn_outline_becomes_the_label(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("expert").page
    look_at(page, backend, "P1", 2)  # where nobody drew
    before = labels(backend, "ball-outline")
    page.keyboard.press("d")
    drag(page, (0.3, 0.4), (0.6, 0.4))
    page.keyboard.press("e")
    drag(page, (0.5, 0.2), (0.5, 0.6))
    drag(page, (0.35, 0.2), (0.35, 0.6))
    page.get_by_role("button", name="Undo").click()  # the last stroke alone
    page.get_by_role("button", name="Save the outline").click()
    expect(page.get_by_role("status").first).to_contain_text("models will learn from your outline")
    ((old, new),) = changed(before, labels(backend, "ball-outline"))
    assert old is None
    with backend.site.record.assets().open(str(new)) as file:
        drawn = read_image(file)
    assert drawn.shape == SHAPE
    assert drawn.affine is not None and drawn.affine[2, 0] == 4.0  # the image's place in the patient
    marked = np.argwhere(drawn.pixels[0])
    assert set(marked[:, 0].tolist()) == {12}  # the slice that was drawn on
    columns = np.flatnonzero(drawn.pixels[0][12].any(axis=0))
    assert len(columns) < columns.max() - columns.min() + 1  # a gap, where it was erased
    expect(page.locator(".viewer-measure")).to_have_count(2)
    page.get_by_role("button", name="Accept it as it is").click()
    expect(page.get_by_role("status").first).to_contain_text("counts as yours")


def test_who_may_not_review_is_offered_no_brush(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "P0", 2)
    assert page.locator("[data-tool=draw], .viewer-drawing, form[action$='/label'] button").count() == 0


def test_a_model_tells_where_its_answer_comes_from(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    look_at(page, backend, "P2", 1)
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".viewer-told")).to_contain_text("%")
    page.wait_for_timeout(200)
    pane = seen(page)
    coloured = np.argwhere(pane.max(axis=-1) - pane.min(axis=-1) > 60)
    height, width = pane.shape[:2]
    scale = min(width / 128, height / 96)
    row, column = disc_at(2)
    middle = coloured.mean(axis=0)
    # the disc's radius is 18
    assert abs((middle[0] - height / 2) / scale + 48 - row) < 18
    assert abs((middle[1] - width / 2) / scale + 64 - column) < 18
    page.get_by_label("Where the answer comes from").uncheck()
    page.wait_for_timeout(100)
    assert not (np.ptp(seen(page), axis=-1) > 60).any()


def test_the_most_urgent_image_comes_first(open_window: Open, backend: Backend) -> None:
    window = open_window().sign_in("doctor")
    page = window.page
    page.goto("/images")
    assert not window.lacks()
    first = page.locator("tbody tr .row-link").first.get_attribute("href")
    listed = everything_listed(page)
    answered = [one for one in listed if one[0] is not None]
    assert listed[: len(answered)] == answered and len(answered) == 60  # who was asked comes first
    between = [ends_of(said) for said, _ in answered]
    assert all(before[1] >= after[0] for before, after in pairwise(between))  # the most urgent first
    alerts = [alert for _, alert in answered]
    assert alerts == sorted(alerts, reverse=True) and set(alerts) == {True, False}
    for (low, high), alert in zip(between, alerts, strict=True):  # the threshold is 0.5
        assert high >= 50 if alert else low < 50
    page.goto(first)
    page.wait_for_selector("#viewer.is-ready")
    reader = open_window().sign_in("expert").page
    reader.goto("/images")
    assert reader.locator("tbody tr").count() == 20
    assert reader.locator(".risk, .pill").count() == 0  # they read for themselves


def test_a_damaged_file_is_said_in_words(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    page.goto(f"/patients/{subject(backend.site, 'torn')}/images/1")
    expect(page.get_by_role("heading", name="This image cannot be shown")).to_be_visible()
    expect(page.locator(".empty")).to_contain_text("damaged or cut short")


def test_the_viewer_fits_a_phone(open_window: Open, backend: Backend) -> None:
    window = open_window(viewport={"width": 390, "height": 800}).sign_in("expert")
    look_at(window.page, backend, "P0", 2)
    assert not window.lacks()
    box = window.page.locator(".viewer-stage").bounding_box()
    assert box is not None and box["width"] > 330 and box["height"] > 300


def test_the_ball_that_is_outlined_is_the_one_that_was_drawn() -> None:
    assert ball().sum() * 16 == 7280  # mm³, as the viewer says


@pytest.mark.parametrize("language", ["en", "zh"])
def test_windows_of_a_ct_are_chosen_by_key_and_menu(
    open_window: Open, backend: Backend, language: str
) -> None:
    window = open_window(language=language).sign_in({"en": "doctor", "zh": "scientist"}[language])
    page = window.page
    with speaking(language):  # type: ignore[arg-type]
        if language == "zh":
            page.get_by_role("button", name="简体中文").click()
        look_at(page, backend, "P0", 1)
        menu = page.locator("#viewer-preset")
        readout = page.locator(".viewer-readout")
        names = [
            tr("Lung"),
            tr("Soft tissue"),
            tr("Bone"),
            tr("Brain"),
            tr("Liver"),
            tr("Vessels with contrast"),
        ]
        windows = [(-600, 750), (40, 200), (400, 900), (40, 40), (60, 80), (200, 300)]
        page.locator(".viewer-stage").focus()
        for key, (name, (centre, half)) in enumerate(zip(names, windows, strict=True), 4):
            page.keyboard.press(str(key))
            expect(readout).to_contain_text(tr("window {centre} ± {half}", centre=centre, half=half))
            expect(menu.locator("option:checked")).to_have_text(f"{name} ({key})")
        menu.select_option(label=f"{tr('Bone')} (6)")
        expect(readout).to_contain_text(tr("window {centre} ± {half}", centre=400, half=900))
        page.locator(".viewer-stage").focus()
        page.keyboard.press("0")
        low, high = int(volume(0, 8.0).min()), int(volume(0, 8.0).max())
        half = f"{(high - low) / 2:.0f}"
        expect(readout).to_contain_text(f"± {half}")
        drag(page, (0.5, 0.7), (0.6, 0.6), "right")
        expect(menu).to_have_value("")
        page.keyboard.press("r")
        expect(menu).to_have_value("own")
        look_at(page, backend, "P2", 1)  # a picture
        expect(menu.locator("option:not([hidden])")).to_have_text(
            [tr("As recorded (R)"), tr("Full range (0)")]
        )
        page.keyboard.press("4")  # no window of a CT
        expect(menu).to_have_value("own")
        page.keyboard.press("0")
        expect(menu).to_have_value("full")
        assert not window.lacks()
        assert not window.untranslated()
