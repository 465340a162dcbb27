"""The workbench in a real browser: who works in it, with pointer, keys alone, without scripts, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from medloom.foundation.messages import speaking, tr
from medloom.loop import reviews
from medloom.loop.reviews import reason_name
from medloom.server.backend import Backend
from tests.server.conftest import Visitor
from tests.server.ward import MODEL, OTHER_MODEL, PASSWORD
from tests.server.web.browsing import CHROMIUM, Open, Window

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"
)

QUESTION = {"en": "Kidney failure within 48 hours", "zh": "48小时内肾衰竭"}
ROLES = ("doctor", "nurse", "expert", "scientist", "lead", "admin")


def kept(backend: Backend, page: Page) -> list[tuple[str, str | None, str]]:
    """List what people decided about the advice that a patient's page shows."""
    action = page.locator(".decision form").first.get_attribute("action")
    assert action is not None
    found = reviews.current(backend.database, action.split("/")[-2])
    return [(one.opinion.verdict, one.opinion.reason, one.opinion.comment) for one in found]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_round(open_window: Open, language: str) -> None:
    """Advice is overridden, an expert reads the case blinded, another model is released, used, and rolled back."""
    with speaking(language):  # type: ignore[arg-type]
        doctor = open_window(language=language)
        page = doctor.page
        page.goto("/sign-in")
        page.get_by_label(tr("Name"), exact=True).fill("doctor")
        page.get_by_label(tr("Password"), exact=True).fill(PASSWORD)
        page.get_by_role("button", name=tr("Sign in")).click()
        if language == "zh":
            page.get_by_role("button", name="简体中文").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(tr("Worklist"))
        subject = page.locator(".row-link").nth(("en", "zh").index(language)).inner_text()
        page.get_by_role("link", name=subject, exact=True).click()
        expect(page.get_by_role("heading", level=2, name=QUESTION[language])).to_be_visible()
        assert not doctor.untranslated()
        expect(page.locator(".reasons .why li").first).to_contain_text(re.compile("Creatinine|肌酐"))
        page.get_by_role("radio", name=tr("Override"), exact=True).check()
        page.get_by_label(tr("Why you override it")).select_option(label=_say(reason_name("known"), language))
        page.get_by_label(re.compile("^" + tr("Comment"))).fill(f"dialysis {language}")
        page.get_by_role("button", name=tr("Save"), exact=True).click()
        expect(page.get_by_role("status").first).to_contain_text(
            tr("Kept: you override this advice. Experts will see the case.")
        )
        expect(page.locator(".said")).to_contain_text(f"dialysis {language}")
        doctor.sign_out()
        page.goto("/worklist")
        expect(page).to_have_url(re.compile("/sign-in"))

        expert = open_window(language=language).sign_in("expert")
        page = expert.page
        _speak(expert, language)
        row = page.locator("tbody tr").filter(has=page.get_by_text(subject, exact=True))
        row.get_by_role("button").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION[language])
        assert not expert.untranslated()
        shown = page.locator("main").inner_text()
        assert "logistic" not in shown and "dialysis" not in shown and "%" not in shown
        page.keyboard.press("2")
        expect(page.get_by_role("radio").nth(1)).to_be_checked()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text(
            tr("Kept. Another reader sees the case next.")
        )

        scientist = open_window(language=language).sign_in("scientist")
        page = scientist.page
        _speak(scientist, language)
        page.goto("/models")
        page.get_by_role("link", name="tree@1").click()
        page.get_by_label(tr("Why should it answer?")).fill("simpler")
        page.get_by_label(tr("Alert from a risk of (%)")).fill("40")
        page.get_by_role("button", name=tr("Propose"), exact=True).click()
        expect(page.locator("main")).to_contain_text(
            tr("Two persons release a model. You proposed it, so somebody else of governance signs.")
        )

        lead = open_window(language=language).sign_in("lead")
        page = lead.page
        _speak(lead, language)
        page.goto("/models")
        page.locator(".notice").get_by_role("link", name=OTHER_MODEL).click()
        page.get_by_role("button", name=tr("Sign, so that it answers")).click()
        expect(page.locator("main")).to_contain_text(tr("This version answers for patients."))

        doctor.sign_in("doctor")
        expect(doctor.page.locator(".row-link[id*=outcome-tree]").first).to_be_visible()
        assert not doctor.untranslated()
        doctor.page.goto(f"/patients/{subject}")
        expect(doctor.page.locator(".known")).to_contain_text(OTHER_MODEL)

        page.get_by_text(tr("Roll back to {model}", model=MODEL), exact=True).click()
        page.get_by_label(tr("Why is it rolled back?")).fill("worse at night")
        page.get_by_role("button", name=tr("Roll back"), exact=True).click()
        expect(page.locator("main")).to_contain_text("worse at night")
        assert set(lead.untranslated()) <= {"worse at night"}  # as it was typed
        doctor.page.reload()
        expect(doctor.page.locator(".known")).to_contain_text(MODEL)
        assert doctor.page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
        if language == "zh":
            for window in (doctor, expert, scientist, lead):
                _speak(window, "en")


def test_by_keys_alone(open_window: Open, backend: Backend) -> None:
    window = open_window()
    page = window.page
    page.goto("/sign-in")
    expect(page.locator("input[name=name]")).to_be_focused()
    page.keyboard.type("doctor")
    window.tab_to("input[name=password]", 1)
    page.keyboard.type(PASSWORD)
    window.tab_to("button.primary", 1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/worklist")

    window.tab_to(".skip", 1)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert not page.evaluate("document.querySelector('.top').contains(document.activeElement)")
    window.tab_to(".row-link")
    for _ in range(4):  # to one whom nobody decided about
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients/*")

    window.tab_to("input[name=verdict]")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Override")).to_be_checked()
    window.tab_to("select[name=reason]", 1)
    page.keyboard.press("ArrowDown")
    window.tab_to("textarea", 1)
    page.keyboard.type("by keys")
    window.tab_to("button", 1)
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_contain_text("by keys")
    assert kept(backend, page) == [("override", "known", "by keys")]

    window.tab_to(".menu > summary")
    page.keyboard.press("Enter")
    window.tab_to("form[action='/sign-out'] button", 2)
    page.keyboard.press("Escape")
    expect(page.locator(".menu > summary")).to_be_focused()
    page.keyboard.press("Enter")
    window.tab_to("form[action='/sign-out'] button", 2)
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in")


def test_without_scripts(open_window: Open, backend: Backend) -> None:
    window = open_window(java_script_enabled=False).sign_in("doctor")
    page = window.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Worklist")
    page.get_by_role("link", name=re.compile("Changed since yesterday")).click()
    page.get_by_role("link", name="All", exact=True).click()
    page.get_by_label("Search by").select_option("pseudonym")
    page.get_by_label("Patient", exact=True).fill("5")
    page.get_by_role("button", name="Open").click()
    page.wait_for_url("**/patients/5")
    page.get_by_role("link", name="Closer").click()
    expect(page.locator("#timeline-name")).to_be_visible()
    page.get_by_role("link", name="What became of them").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    page.get_by_role("radio", name="Override").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert [one for one in window.wrong if "422" not in one] == []
    window.wrong.clear()
    for language in ("zh", "en"):  # from what answers a form, too
        _speak(window, language)
    page.wait_for_url("**/patients/5*")
    page.get_by_role("radio", name="Override").check()
    page.get_by_label("Why you override it").select_option("judgement")
    page.get_by_label(re.compile("^Comment")).fill("seen without scripts")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".said")).to_contain_text("seen without scripts")
    assert kept(backend, page) == [("override", "judgement", "seen without scripts")]
    window.sign_out()


@pytest.mark.parametrize("login", ROLES)
def test_every_page_can_be_read_by_everybody(
    open_window: Open, client: Callable[[str], Visitor], login: str
) -> None:
    """Contrast in both color schemes, names of controls, labels, one h1, a language; a phone scrolls one way alone."""
    window = open_window()
    window.page.goto("/sign-in")
    lacks = {f"/sign-in {one}" for one in window.lacks()} if login == "doctor" else set()
    window.sign_in(login)
    places = window.page.locator(".places a").evaluate_all(
        "all => all.map((one) => one.getAttribute('href'))"
    )
    assert places
    for address in [*places, "/account", *_deeper(login, client)]:
        window.page.goto(address)
        lacks |= {f"{address} {one}" for one in window.lacks()}
    expected = [one for one in window.wrong if "status of 403" in one or "status of 404" in one]
    window.wrong = [one for one in window.wrong if one not in expected]
    assert not lacks, "\n".join(sorted(lacks))


@pytest.mark.parametrize("address", ["/worklist", "/patients/7"])
def test_something_is_seen_within_a_second(open_window: Open, address: str) -> None:
    window = open_window().sign_in("doctor")
    paints = []
    for _ in range(3):  # the machine may have other work
        window.page.goto(address)
        paints.append(window.first_paint())
    assert min(paints) < 1000


def test_what_if_and_a_table_is_imported(open_window: Open) -> None:
    window = open_window().sign_in("scientist")
    page = window.page
    page.goto(f"/ask?model={MODEL}&patient=3")
    page.get_by_role("textbox", name="Creatinine").fill("4")
    page.get_by_role("button", name="Ask what it would answer").click()
    expect(page.locator("#supposed")).to_be_visible()
    expect(page.locator("main")).to_contain_text("It does not tell what a treatment would do.")

    page.goto("/data/upload")
    table = "patient,time,creatinine [mg/dL]\nA1,2020-05-01 08:00,1.1\nA2,2020-05-01 09:00,0.9\n"
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "values.csv", "mimeType": "text/csv", "buffer": table.encode()}
    )
    page.locator("[name=format][value=table]").check()
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Import it so").click()
    expect(page.locator("#job .pill.good")).to_be_visible(timeout=20_000)
    expect(page.locator("#job")).to_contain_text("new patients")
    page.goto("/data")
    expect(page.get_by_role("table").first).to_contain_text("table")


def test_what_is_wrong_is_found(open_window: Open) -> None:
    window = open_window()
    window.page.goto("/sign-in")
    window.page.evaluate(
        """() => { document.querySelector("main").innerHTML += `<h1>Again</h1><input name="bare"><button></button>
          <p class="soft"><svg><text y="15" fill="#aaa">pale</text></svg></p><p class="nowrap">${"wide ".repeat(40)}</p>
          <p style="color:red">styled</p>`; fetch("http://elsewhere.example/").catch(() => {}); }"""
    )
    lacks = "\n".join(window.lacks())
    for one in (
        "2 h1",
        "no label: bare",
        "no name: button",
        "no name: textbox",
        "light: contrast 2.",
        "px wide on a phone",
    ):
        assert one in lacks
    wrong = "\n".join(window.wrong)
    assert "inline style" in wrong and "cannot load http://elsewhere.example/" in wrong
    window.wrong.clear()


def _deeper(login: str, client: Callable[[str], Visitor]) -> list[str]:
    """List pages that no link of the navigation leads to."""
    patient, asked = "/patients/3", f"/ask?model={MODEL}&patient=3"
    visitor = client(login)
    visitor.submit("/account/tokens", name="a program", scopes="read-models")
    if login == "expert":
        visitor.submit("/review/draw", task="outcome", audit=5)
        return [visitor.submit("/review/next").headers["location"]]
    if login == "doctor":
        advice = re.search(r"/advice/([0-9a-f]{32})/similar", visitor.get(patient).text)
        assert advice is not None
        return [
            patient,
            f"{patient}{advice[0]}",
            f"{patient}/timeline",
            asked,
            "/patients/999999",
            f"/models/{MODEL}",
        ]
    if login == "scientist":
        job = visitor.submit("/data/jobs", kind="quality").headers["location"]
        return [patient, f"/models/{MODEL}", f"/models/{OTHER_MODEL}", "/data/upload", job]
    return {
        "nurse": ["/patients/50"],  # of others: break the glass
        "lead": [f"/models/{MODEL}", f"/models/{MODEL}/report", f"/models/{MODEL}/card", "/data/quality"],
        "admin": ["/admin/accounts/nurse"],
    }[login]


def _speak(window: Window, language: str) -> None:
    window.page.locator(f"button[name=language][value={language}]").click()
    expect(window.page.locator("html")).to_have_attribute("lang", {"en": "en", "zh": "zh-CN"}[language])


def _say(text: object, language: str) -> str:
    return str(getattr(text, language))
