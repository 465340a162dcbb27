"""Every text of every page can be read: WCAG 2.2, 1.4.3, level AA, in light and in dark."""

import re
from importlib.resources import files

import pytest

from medloom.foundation.charts import STYLE

PAGES = {
    "report": ("medloom.evidence", "report.css"),
    "patient": ("medloom.explanation", "patient.css"),
    "quality": ("medloom.record.quality", "quality.css"),
}
# Text on ground, by variable: what the style sheets put on what.
PAIRS = [
    *((text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "ground", "tint")),
    ("paper", "accent"),  # the language that is chosen
    ("warn", "warn-ground"),
    ("up", "tint"),
    ("up", "paper"),
]
OWN = {"quality": [("know", "paper"), ("fine", "paper"), ("mend", "paper")]}
DARK = re.compile(r"@media screen and \(prefers-color-scheme:dark\)\{(?::root|\.chart)\{([^}]*)\}\}")


def style(name: str) -> str:
    package, own = PAGES[name]
    shared = (files("medloom.foundation") / "templates" / "page.css").read_text(encoding="utf-8")
    return shared + (files(package) / "templates" / own).read_text(encoding="utf-8")


def colours(css: str, selector: str, dark: bool) -> dict[str, str]:
    light = " ".join(re.findall(re.escape(selector) + r"\{([^}]*)\}", DARK.sub("", css)))
    found = light + ";" + " ".join(DARK.findall(css)) * dark
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})", found))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Give the ratio of WCAG 2.2, from 1 to 21."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_black_on_white_is_21_to_1() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_from_its_ground(name: str, dark: bool) -> None:
    known = colours(style(name), ":root", dark)
    pairs = PAIRS + OWN.get(name, [])
    faint = {pair: contrast(known[pair[0]], known[pair[1]]) for pair in pairs}
    assert not {pair: ratio for pair, ratio in faint.items() if ratio < 4.5}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_charts_stand_out_from_the_page_they_stand_on(name: str, dark: bool) -> None:
    page, chart = colours(style(name), ":root", dark), colours(STYLE, ".chart", dark)
    assert {"ink", "soft", "c1", "c2", "c3", "c4"} <= set(chart)
    faint = {
        (text, ground): contrast(chart[text], page[ground])
        for text in ("ink", "soft")
        for ground in ("paper", "tint")
    }
    assert not {pair: ratio for pair, ratio in faint.items() if ratio < 4.5}
    # Lines and marks: 1.4.11, at least 3.
    marks = {mark: contrast(chart[mark], page["paper"]) for mark in ("c1", "c2", "c3", "c4")}
    assert not {mark: ratio for mark, ratio in marks.items() if ratio < 3}


@pytest.mark.parametrize("name", PAGES)
def test_dark_is_dark(name: str) -> None:
    assert luminance(colours(style(name), ":root", True)["paper"]) < 0.05
    assert luminance(colours(style(name), ":root", False)["paper"]) > 0.9
