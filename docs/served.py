"""A site that is served on this machine and looked at in a browser: what the scripts of pictures share."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page

from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site

WINDOW = {"width": 1280, "height": 860}


@contextmanager
def served(folder: Path, now: datetime) -> Iterator[str]:
    """Serve a site as of a moment; give its address."""
    backend = Backend.of(Site.open(folder), ServerSettings(as_of=now))
    server = uvicorn.Server(
        uvicorn.Config(create_app(backend), host="127.0.0.1", port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def signed_in(browser: Browser, base: str, login: str, password: str, language: str) -> Page:
    """Sign in, and choose a language."""
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    page = browser.new_context(
        base_url=base, viewport=WINDOW, locale=locale, reduced_motion="reduce"
    ).new_page()
    page.goto("/sign-in")
    page.fill("[name=name]", login)
    page.fill("[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.wait_for_load_state()
    page.goto("/account")
    page.locator(f"button[name=language][value={language}]").click()
    page.wait_for_selector(f"html[lang^={language}]")
    return page
