"""HTML to plain text."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final


def plain_text(html: str) -> str:
    """Strip HTML to its text, a line a block.

    >>> plain_text("<div><p>Chest&nbsp;pain<br/>since 3 h</p><script>x()</script></div>")
    'Chest pain\\nsince 3 h'
    """
    stripper = _Stripper()
    said, _, unclosed = _COMMENT.sub("", html).rpartition(">")
    stripper.feed(f"{said}>" if said else "")
    stripper.close()
    stripper.handle_data(unescape(unclosed))  # a tag that never ends is none; the parser would look for hours
    lines = (" ".join(line.split()) for line in "".join(stripper.pieces).split("\n"))
    return "\n".join(line for line in lines if line)


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._silent = 0  # a head need not be closed
        elif tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKS:
            self.pieces.append("\n")

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        try:
            return super().parse_marked_section(i, report)
        except (
            AssertionError
        ):  # how the parser refuses `<![any[`: what word processors write there is no text
            return self.rawdata.find(">", i) + 1 or len(self.rawdata)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


_COMMENT: Final = re.compile(r"<!--(?:-?>|.*?(?:--!?>|\Z))", re.DOTALL)
_BREAKS: Final = frozenset(
    (
        *("address", "article", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"),
    )
)
_SILENT: Final = frozenset(("head", "script", "style", "title"))
