"""A browser for tests: the system's Chromium, one window a person, which remembers what went wrong in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from tests.server.ward import PASSWORD

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PHONE: Final = {"width": 320, "height": 640}
"""The narrowest that WCAG 2.2 asks for (1.4.10, reflow)."""

_INSPECT: Final = (Path(__file__).parent / "inspect.js").read_text(encoding="utf-8")
_NAMED: Final = frozenset(
    "button link textbox searchbox combobox listbox checkbox radio spinbutton slider switch tab menuitem img region"
    " dialog progressbar DisclosureTriangle Date DateTime InputTime".split()
)
_FOCUS: Final = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const middle = document.elementFromPoint(box.x + Math.min(box.width, 40) / 2, box.y + Math.min(box.height, 30) / 2);
  return {
    said: one.outerHTML.slice(0, 90),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: Boolean(middle) && (one.contains(middle) || middle.contains(one)),
  };
}"""


class Window:
    """A window of its own, with a fresh profile.

    Attributes:
        page: of Playwright.
        wrong: errors in the console (what the security policy stops is one), of scripts, and requests to other hosts.
    """

    def __init__(self, browser: Browser, base: str, language: str = "en", **options: Any) -> None:
        locale = {"en": "en-GB", "zh": "zh-CN"}[language]
        self.base = base
        self.wrong: list[str] = []
        self._context = browser.new_context(base_url=base, locale=locale, **options)
        self._context.set_default_timeout(10_000)
        self._context.on("request", self._asked)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))

    def sign_in(self, login: str) -> Window:
        """Sign in by the form."""
        self.page.goto("/sign-in")
        self.page.fill("input[name=name]", login)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "/sign-in" not in url)
        return self

    def sign_out(self) -> None:
        """Sign out by the menu."""
        self.page.locator("details.menu > summary").click()
        self.page.locator("form[action='/sign-out'] button").click()
        self.page.wait_for_url("**/sign-in")

    def lacks(self) -> list[str]:
        """List what the page as it stands owes its readers: contrast in both color schemes, names, labels, width."""
        found: list[str] = []
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{scheme}: {one}" for one in self.page.evaluate(_INSPECT)]
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found += self._nameless()
        before = self.page.viewport_size
        assert before is not None
        self.page.set_viewport_size(PHONE)
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        if wide > PHONE["width"]:
            found.append(f"{wide} px wide on a phone of {PHONE['width']}: {self.page.evaluate(_WIDEST)}")
        self.page.set_viewport_size(before)
        return sorted(set(found))

    def untranslated(self) -> list[str]:
        """List runs of three English words on a page in Chinese."""
        if self.page.locator("html").get_attribute("lang") == "en":
            return []
        return re.findall(r"[A-Za-z]{2,}(?: [a-z]{2,}){2,}", self.page.locator("main").inner_text())

    def tab_to(self, selector: str, most: int = 60) -> None:
        """Press Tab until an element has the focus, which must be seen wherever it stands on the way."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            at = self.page.evaluate(_FOCUS)
            if at is None:
                continue
            assert at["outlined"] and at["seen"], f"focus not seen: {at['said']}"
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    def first_paint(self) -> float:
        """Tell when the page that was just loaded first showed something, in ms since it was asked for."""
        return float(
            self.page.evaluate(
                """() => new Promise((done) => new PerformanceObserver((list) => {
                  const entry = list.getEntriesByName("first-contentful-paint")[0];
                  if (entry) done(entry.startTime);
                }).observe({type: "paint", buffered: true}))"""
            )
        )

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    def _nameless(self) -> list[str]:
        """List what has a role but no name, as the browser tells it to a screen reader."""
        session = self._context.new_cdp_session(self.page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        session.detach()
        return [
            f"no name: {node['role']['value']}"
            for node in nodes
            if not node["ignored"]
            and node["role"]["value"] in _NAMED
            and not str(node.get("name", {}).get("value", "")).strip()
        ]

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def _told(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")


_WIDEST: Final = """() => [...document.querySelectorAll("main *, header *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .filter((one) => !one.closest(".scroll, .unseen, svg *, .places"))
  .slice(0, 3).map((one) => `<${one.tagName.toLowerCase()} ${one.getAttribute("class") ?? ""}>`).join(", ")"""

Open = Callable[..., Window]
"""Opens a window, as `Window` with the browser and the address."""
