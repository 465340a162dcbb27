"""Pages that need nothing else: one HTML file in both languages, light and dark, on screen and on paper.

Languages are switched by two radio buttons and CSS; there is no script and nothing from elsewhere. A room brings
a template that extends `page.html.j2` (blocks `kind` and `main`) and its own styles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from medloom.foundation.charts import STYLE
from medloom.foundation.messages import Language, Text2, language, text2

Fact = tuple[Text2, Text2]
_BACK: Final = (
    ".back{margin:0 0 8px;font-size:14px}.back a{color:var(--accent)}@media print{.back{display:none}}"
)
_SWITCH: Final = re.compile(r'(id="speak-(en|zh)" aria-label="[^"]+")( checked)?>')


def render_page(
    package: str, template: str, styles: str, *, title: Text2, facts: Sequence[Fact] = (), **values: object
) -> str:
    """Render a page.

    Args:
        package: the room whose `templates/` holds `template` and `styles`.
        template: extends `page.html.j2`.
        styles: the room's own, after the shared ones.
        title: heading and name of the page.
        facts: name and value, in the line under the heading.
        values: what the template says.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(package, "templates"), PackageLoader("medloom.foundation", "templates")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    style = "".join(environment.get_template(name).render() for name in ("page.css", styles)) + STYLE
    return environment.get_template(template).render(
        style=style, language=language(), title=title, facts=list(facts), notice=intended_use(), **values
    )


def opened_in(page: str, chosen: Language) -> str:
    """Let a page that was kept show another language first.

    >>> opened_in('<html lang="en"> id="speak-en" aria-label="English" checked> id="speak-zh" aria-label="中文">', "zh")
    '<html lang="zh"> id="speak-en" aria-label="English"> id="speak-zh" aria-label="中文" checked>'
    """
    page = re.sub('<html lang="(en|zh)">', f'<html lang="{chosen}">', page, count=1)
    return _SWITCH.sub(lambda found: f"{found[1]}{' checked' if found[2] == chosen else ''}>", page, count=2)


def with_way_back(page: str, address: str, said: Text2) -> str:
    """Let a page that was kept begin with a link, for whoever opens it inside of something larger.

    >>> with_way_back("<head></head><header><h1>", "/models/a", Text2("Back", "返回")).partition("<header>")[2]
    '<p class="back"><a href="/models/a">← <span class="en">Back</span><span class="zh">返回</span></a></p><h1>'
    """
    link = (
        f'<p class="back"><a href="{escape(address)}">← '
        f'<span class="en">{escape(said.en)}</span><span class="zh">{escape(said.zh)}</span></a></p>'
    )
    page = page.replace("</head>", f"<style>{_BACK}</style></head>", 1)
    return page.replace("<header>", f"<header>{link}", 1)


def unbroken(text: str) -> str:
    """Keep an interval on one line: browsers break after an en dash, unless a word joiner follows.

    >>> unbroken("0.75 (0.69–0.80)")
    '0.75 (0.69–\\u20600.80)'
    """
    return re.sub(r"(?<=\d)–(?=[\d−])", "–\u2060", text)


def intended_use() -> Text2:
    """Say what every page and report says."""
    return text2(
        "For research and evaluation, not cleared as a medical device;"
        " whether a use is one is decided by its intended use."
    )
