"""Pictures of the workbench for `docs/workbench*.md`: `python docs/refresh.py workbench`, where Chromium is installed.

`medloom demo --serve` is run, and people of all roles work in it in a real browser, in English and in Chinese. All
patients in the pictures are synthetic.
"""

import io
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
LARGEST = 150_000  # bytes of a picture

_ROLES = ("clinician", "scientist", "governance", "expert", "admin")
_WIDE = {"width": 1280, "height": 800}
_PHONE = {"width": 390, "height": 844}
_LAUNCH = 600  # seconds that the demo may take
_REASONS = {"en": "On a proton pump inhibitor since yesterday.", "zh": "昨日起已使用质子泵抑制剂。"}


def refresh(images: Path) -> None:
    """Make the pictures anew in a folder."""
    with tempfile.TemporaryDirectory() as folder, _demonstration(Path(folder)) as (base, passwords):
        take(images, base, passwords)


def take(images: Path, base: str, passwords: dict[str, str]) -> None:
    """Work in a demonstration that is served, and make pictures of it.

    Args:
        images: folder of the pictures.
        base: address of the server.
        passwords: of its accounts.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        people = {name: _signed_in(browser, base, name, passwords[name], "en") for name in _ROLES}
        model = _release(people["scientist"], people["governance"])
        _judge_the_record(people["scientist"])
        for place, language in enumerate(LANGUAGES):
            people = {name: _signed_in(browser, base, name, passwords[name], language) for name in _ROLES}
            for name, picture in _walk(people, language, place, model):
                _write(picture, images / f"workbench-{name}-{language}.png")
        browser.close()


def _walk(people: dict[str, Page], language: str, place: int, model: str) -> Iterator[tuple[str, bytes]]:
    """Go the round in one language, with the patient at a place of the worklist."""
    clinician, expert = people["clinician"], people["expert"]
    clinician.goto("/worklist")
    yield "worklist", clinician.screenshot()
    patient = clinician.locator(".row-link").nth(place).inner_text()
    clinician.goto(f"/patients/{patient}")
    yield "patient", _upto(clinician, ".known")
    clinician.emulate_media(color_scheme="dark")
    yield "dark", clinician.screenshot()
    clinician.emulate_media(color_scheme="light")
    clinician.set_viewport_size(_PHONE)
    yield "phone", clinician.screenshot()
    clinician.set_viewport_size(_WIDE)
    yield "timeline", _of(clinician, "#timeline")
    clinician.check(".decision [name=verdict][value=override]")
    clinician.select_option(".decision [name=reason]", "known")
    clinician.fill(".decision [name=comment]", _REASONS[language])
    yield "override", _of(clinician, ".decision")
    _press(clinician, ".decision .button.primary")
    clinician.goto(f"/ask?model={model}&patient={patient}")
    clinician.locator("[name=without]").first.check()
    _press(clinician, "form[method=post][action='/ask'] .button.primary")
    yield "ask", _upto(clinician, ".pair .answer")

    expert.goto("/review")
    _row_of(expert, patient).locator("button, .row-link").click()
    expert.wait_for_url("**/review/cases/*")
    yield "review", expert.screenshot()

    people["governance"].goto(f"/models/{model}")
    yield "model", _upto(people["governance"], ".pair > :first-child")
    people["scientist"].goto("/data")
    yield "data", _upto(people["scientist"], "main")
    people["admin"].goto("/admin")
    yield "accounts", _upto(people["admin"], ".card.flush")
    people["governance"].goto("/audit")
    yield "audit", people["governance"].screenshot()


def _release(scientist: Page, governance: Page) -> str:
    """Let the demo's boosted trees answer: proposed by one, signed by another; give the model's name."""
    scientist.goto("/models")
    address = scientist.locator(".row-link[href*=gbdt]").get_attribute("href")
    assert address is not None
    scientist.goto(address)
    scientist.fill("[name=note]", "Better than the logistic model on held-out patients.")
    scientist.fill("[name=threshold]", "20")
    _press(scientist, "form[action$='/propose'] .button.primary")
    governance.goto(address)
    _press(governance, "form[action$='/sign'] .button.primary")
    return address.rsplit("/", 1)[1]


def _judge_the_record(scientist: Page) -> None:
    """Have the quality report made."""
    scientist.goto("/data")
    scientist.locator("button[name=kind][value=quality]").click()
    scientist.locator("a[href='/data/quality']").wait_for(timeout=_LAUNCH * 1000)


def _row_of(page: Page, patient: str) -> Locator:
    return page.locator("tbody tr").filter(has=page.get_by_text(patient, exact=True)).first


def _press(page: Page, button: str) -> None:
    """Press a button and wait for the page it leads to."""
    with page.expect_navigation():
        page.locator(button).first.click()


def _upto(page: Page, selector: str) -> bytes:
    """Picture a page from its top to the end of an element."""
    bottom = page.locator(selector).first.evaluate("one => one.getBoundingClientRect().bottom + scrollY")
    clip = {"x": 0, "y": 0, "width": _WIDE["width"], "height": bottom + 12}
    return page.screenshot(full_page=True, clip=clip)


def _of(page: Page, selector: str) -> bytes:
    """Picture an element alone, without what stays in sight as a page scrolls."""
    page.evaluate("scrollTo(0, 0)")
    clip = page.locator(selector).first.bounding_box()
    return page.screenshot(full_page=True, clip=clip)


def _write(picture: bytes, path: Path, largest: int = LARGEST) -> None:
    """Keep a picture with 256 colors."""
    few = (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    few.save(path, optimize=True)
    if path.stat().st_size > largest:
        raise RuntimeError(f"{path.name} is larger than {largest:,} bytes")


def _signed_in(browser: Browser, base: str, name: str, password: str, language: str) -> Page:
    page = browser.new_context(
        base_url=base, viewport=_WIDE, reduced_motion="reduce", locale=LANGUAGES[language]
    ).new_page()
    page.goto("/sign-in")
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    _press(page, f"button[name=language][value={language}]")
    return page


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("no Chromium is installed (Debian: apt install chromium)")
    return found


@contextmanager
def _demonstration(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run `medloom demo --serve`; give its address and the passwords that it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).parent / "medloom"),
        "--lang",
        "en",
        "demo",
        "--serve",
        "--port",
        str(port),
    ]
    printed = folder / "printed"
    with printed.open("w") as stream:
        running = subprocess.Popen([*command, "--into", "st-mary"], cwd=folder, stdout=stream, stderr=stream)
    try:
        ends = time.monotonic() + _LAUNCH
        while f":{port}/" not in printed.read_text() or not _answers(port):
            if running.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"medloom demo --serve did not come up:\n{printed.read_text()[-2000:]}")
            time.sleep(0.2)
        rows = re.findall(rf"^\W*({'|'.join(_ROLES)})\s+(\S+)", printed.read_text(), re.MULTILINE)
        yield f"http://127.0.0.1:{port}", dict(rows)
    finally:
        running.terminate()
        running.wait()


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
