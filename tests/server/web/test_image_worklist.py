"""The worklist of images in a real browser: by keys, by question, and where there is nothing to list."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from medloom.foundation.messages import speaking, tr
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.image_ward import NOW
from tests.server.web.browsing import CHROMIUM, Open

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def backend(imaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("listed") / "site"
    shutil.copytree(imaged, folder, symlinks=True)
    opened = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


def test_rows_are_walked_by_keys(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    page.goto("/images")
    rows = page.locator(".row-link")
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
        page.keyboard.press(key)
        expect(rows.nth(row)).to_be_focused()
    address = rows.nth(1).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer.is-ready")
    assert page.url.endswith(str(address))
    page.goto("/images")
    page.locator("#task").focus()
    page.keyboard.press("j")  # here it chooses among questions
    expect(page.locator("#task")).to_be_focused()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_one_question_lists_its_images_alone(open_window: Open, backend: Backend, language: str) -> None:
    window = open_window(language=language).sign_in({"en": "doctor", "zh": "scientist"}[language])
    page = window.page
    with speaking(language):  # type: ignore[arg-type]
        page.goto("/images")
        if language == "zh":
            page.get_by_role("button", name="简体中文").click()
        titles = {
            "en": ["A ball in the chest", "A disc on the picture"],
            "zh": ["胸部有球", "图中有圆盘"],
        }[language]
        menu, show = page.get_by_label(tr("Question")), page.get_by_role("button", name=tr("Show"))
        menu.select_option(label=titles[0])
        show.click()
        expect(page.locator(".row-link")).to_have_text(["CT CHEST"] * 4)  # of two patients two each
        latest = tr("No model that answers this question is released, so that the latest images come first.")
        expect(page.locator(".notice")).to_have_text(latest)
        times = page.locator("td:last-child").all_inner_texts()
        assert times == sorted(times, reverse=True)  # the latest first
        menu.select_option(label=titles[1])
        show.click()
        expect(page.locator(".row-link")).to_have_text(["DX"] * 20)
        expect(page.locator(".notice")).to_have_count(0)  # its model orders them
        assert page.locator(".risk").count() == 20
        page.locator("a[rel=next]").click()  # and goes on so
        expect(menu.locator("option:checked")).to_have_text(titles[1])
        assert not window.lacks()
        assert not window.untranslated()


def test_what_nobody_is_asked_and_who_sees_nobody_is_said_in_words(
    open_window: Open, backend: Backend
) -> None:
    folder = backend.site.directory.tasks
    task = (folder / "disc-seen.yaml").read_text(encoding="utf-8")
    (folder / "none.yaml").write_text(
        task.replace("name: disc-seen", "name: none").replace("IMAGE//DX", "IMAGE//MR"), encoding="utf-8"
    )
    window = open_window().sign_in("doctor")
    window.page.goto("/images?task=none")
    expect(window.page.get_by_role("heading", name="No image is asked this")).to_be_visible()
    assert not window.lacks()
    window.page.goto("/images?task=unknown")  # one that was removed meanwhile
    expect(window.page.locator(".row-link")).to_have_count(20)
    alone = open_window().sign_in("nurse")
    alone.page.goto("/images")
    expect(alone.page.get_by_role("heading", name="You have no patients yet")).to_be_visible()
    assert not alone.lacks()
