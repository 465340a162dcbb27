"""A real browser and the address of the site that a test module serves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

from tests.server.image_ward import image_site
from tests.server.web.browsing import CHROMIUM, Open, Window


@pytest.fixture(scope="session")
def imaged(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Path:
    """A site with images and a released model that reads pictures (`tests/server/image_ward.py`); not to be changed."""
    return image_site(tmp_path_factory.mktemp("imaged") / "site", released=True).directory.root


@pytest.fixture(scope="module")
def base(app: FastAPI) -> Iterator[str]:
    """Where the module's site is served on this machine."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; it finds no other host than this one."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield opened
        opened.close()


@pytest.fixture
def open_window(browser: Browser, base: str) -> Iterator[Open]:
    """Give windows; at the end nothing went wrong in any of them."""
    windows: list[Window] = []

    def opened(**options: object) -> Window:
        windows.append(Window(browser, base, **options))  # type: ignore[arg-type]
        return windows[-1]

    yield opened
    wrong = [one for window in windows for one in window.wrong]
    for window in windows:
        window.close()
    assert not wrong
