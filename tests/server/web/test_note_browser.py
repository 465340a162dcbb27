"""A note in a real browser: read, walked by keys, decided about, and named by selecting words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from medloom.foundation.messages import speaking, tr
from medloom.server.access import ROLES, Person
from medloom.server.backend import Backend
from medloom.server.notes import Said, notebook_of, said_of
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.note_ward import CHINESE, ENGLISH, NOW, note_site, subject
from tests.server.web.browsing import CHROMIUM, Open, Window

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)
LOGINS = {"en": "doctor", "zh": "second"}  # an account remembers its language
DOCTOR = Person(1, "doctor", "Doctor", "clinician", ROLES["clinician"], "en", sees_all=True)


@pytest.fixture(scope="module")
def backend(quick_passwords: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = note_site(tmp_path_factory.mktemp("noted") / "site").directory.root
    folder = tmp_path_factory.mktemp("read") / "site"
    shutil.copytree(made, folder, symlinks=True)
    opened = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


def address(backend: Backend, patient: str, number: int = 1) -> str:
    return f"/patients/{subject(backend.site, patient)}/notes/{number}"


def said(backend: Backend, patient: str) -> Said:
    book = notebook_of(backend, subject(backend.site, patient))
    return said_of(backend, DOCTOR, book, book.note(1))


def signed_in(open_window: Open, language: str) -> Window:
    window = open_window(language=language).sign_in(LOGINS[language])
    if language == "zh":
        window.page.get_by_role("button", name="简体中文").click()
        expect(window.page.locator("html")).to_have_attribute("lang", "zh-CN")
    return window


def select(page: Page, words: str) -> None:
    """Select words of the note as a mouse would, over whatever pieces they lie in."""
    page.evaluate(
        """words => {
          const text = document.getElementById("note-text");
          const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT, (node) =>
            node.parentElement.closest(".said-label") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
          const nodes = []; let whole = "";
          while (walker.nextNode()) {
            nodes.push([walker.currentNode, whole.length]);
            whole += walker.currentNode.data;
          }
          const begin = whole.indexOf(words), end = begin + words.length;
          const at = (place, last) => nodes.find(([node, from]) =>
            last ? from < place && place <= from + node.data.length
                 : from <= place && place < from + node.data.length);
          const [first, from] = at(begin, false), [behind, to] = at(end, true);
          getSelection().setBaseAndExtent(first, begin - from, behind, end - to);
        }""",
        words,
    )


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("patient", ["P0", "P1", "P2"])
def test_notes_owe_their_readers_nothing(
    open_window: Open, backend: Backend, language: str, patient: str
) -> None:
    window = signed_in(open_window, language)
    window.page.goto(address(backend, patient))
    assert window.lacks() == []
    assert not [one for one in window.untranslated() if one not in ENGLISH]
    window.page.goto("/notes")
    assert window.lacks() == [] and window.untranslated() == []


def test_places_are_walked_and_decided_about_by_keys(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    page.goto(address(backend, "P0"))
    page.keyboard.press("j")
    chosen = page.locator(".fact.is-chosen .fact-words")
    expect(chosen).to_have_text("chest pain")
    page.keyboard.press("a")
    expect(chosen).to_have_text("hypertension")  # the next one
    page.keyboard.press("k")
    expect(chosen).to_have_text("chest pain")
    expect(page.locator(".fact.is-chosen")).to_contain_text("said by you")
    page.keyboard.press("j")
    page.keyboard.press("r")
    expect(chosen).to_have_text("type 2 diabetes")
    expect(page.locator("details", has_text="Rejected: 1")).to_be_visible()
    by_words = {one.words: one for one in said(backend, "P0").entities}
    assert by_words["chest pain"].model is None and "hypertension" not in by_words


def test_a_click_on_words_shows_what_they_mean_and_corrects_them(open_window: Open, backend: Backend) -> None:
    page = open_window().sign_in("doctor").page
    page.goto(address(backend, "P0"))
    page.locator("#note-text .said", has_text="pneumonia").click()
    expect(page.locator(".fact.is-chosen")).to_contain_text("ICD10CM J18.9")
    expect(page.locator("#note-form")).to_be_hidden()
    page.keyboard.press("c")
    expect(page.locator("[name=assertion]")).to_have_value("POSSIBLE")
    page.locator("[name=assertion]").select_option("HISTORY")
    page.locator("[name=code]").press("Enter")
    expect(page.locator("#note-text")).to_contain_text("✓ problem · in the past")
    (found,) = [one for one in said(backend, "P0").entities if one.words == "pneumonia"]
    assert found.code == "HISTORY//ICD10CM//J18.9"


def test_selected_words_are_named_with_their_place_in_the_record(open_window: Open, backend: Backend) -> None:
    for patient, words, text in (
        ("P0", "64-year-old man with hypertension and", ENGLISH),
        ("P1", "受凉后出现咳嗽", CHINESE),
    ):
        page = open_window().sign_in("doctor").page
        page.goto(address(backend, patient))
        select(page, words)
        page.locator("#note-add").click()
        expect(page.locator("[name=words]")).to_have_value(words)
        page.locator("[name=code]").fill("LOCAL//said")
        page.keyboard.press("Enter")
        expect(page.locator(".fact", has_text="LOCAL said")).to_have_count(1)
        (found,) = [one for one in said(backend, patient).entities if one.bare == "LOCAL//said"]
        assert found.span == f"{text.index(words)}:{text.index(words) + len(words)}" and found.words == words


def test_it_works_without_a_script(open_window: Open, backend: Backend) -> None:
    page = open_window(java_script_enabled=False).sign_in("doctor").page
    page.goto(address(backend, "P1"))
    page.locator(".fact", has_text="肺炎").get_by_role("button", name="Accept").click()
    expect(page.locator(".fact", has_text="肺炎")).to_contain_text("said by you")
    page.locator(".fact", has_text="胸痛").get_by_role("link", name="Correct").click()
    expect(page.locator("[name=words]")).to_have_value("胸痛")
    page.locator("[name=code]").fill("咳嗽")
    page.locator("#note-form button", has_text="Save").click()
    expect(page.locator(".fact", has_text="胸痛")).to_contain_text("R05")
    assert said(backend, "P1").rejected == ()  # it was corrected


def test_the_legend_names_all_kinds_in_the_readers_language(open_window: Open, backend: Backend) -> None:
    page = signed_in(open_window, "zh").page
    page.goto(address(backend, "P1"))
    with speaking("zh"):
        expected = {tr(one) for one in ("problem", "drug", "measured")}
    assert expected <= {one.strip() for one in page.locator(".legend .said").all_inner_texts()}
