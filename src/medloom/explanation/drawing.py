"""What every drawing of an explanation is made of: texts in two languages, lines of a name, the frame."""

from collections.abc import Sequence
from html import escape
from unicodedata import east_asian_width

from medloom.foundation.hashing import hash64
from medloom.foundation.messages import Text2


def framed(
    title: Text2,
    description: Text2,
    width: float,
    height: float,
    parts: Sequence[str],
    classes: str = "",
    room: float = 0.0,
) -> str:
    """Make a drawing of its parts, named for those who cannot see it; `room` is left free at either side."""
    body = "".join(parts)
    # The content names the element, so that two drawings on one page do not share ids.
    name = f"p{hash64(body + title.en + description.en):016x}"
    return (
        f'<svg class="{f"chart {classes}".strip()}" role="img" aria-labelledby="{name}t {name}d"'
        f' viewBox="{0 - room:g} 0 {width + 2 * room:g} {height:g}">'
        f'<title id="{name}t">{both(title)}</title><desc id="{name}d">{both(description)}</desc>'
        f"{body}</svg>"
    )


def written(x: float, y: float, text: Text2, anchor: str, classes: str = "") -> str:
    """Write a text in both languages, of which the page shows one; `anchor`: start, middle, end."""
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    if text.en == text.zh:
        return f'<text class="{classes}" {at}>{escape(text.en)}</text>' if text.en else ""
    return "".join(
        f'<text class="{f"{language} {classes}".strip()}" lang="{language}" {at}>{escape(said)}</text>'
        for language, said in (("en", text.en), ("zh", text.zh))
        if said
    )


def written_inside(x: float, y: float, text: Text2, left: float, right: float, classes: str) -> str:
    """Write a text centred at x, or flush with an edge it would cross."""
    half = max(width_of(said) for said in text) / 2
    if x - half < left - 8:
        return written(max(left - 8, 0), y, text, "start", classes)
    if x + half > right + 8:
        return written(right + 8, y, text, "end", classes)
    return written(x, y, text, "middle", classes)


def both(text: Text2) -> str:
    """Say both languages at once, where a page cannot choose: titles."""
    return escape(text.en if text.en == text.zh else f"{text.en} / {text.zh}")


def width_of(text: str) -> float:
    """Reckon how wide a text is, in px."""
    return sum(12.0 if east_asian_width(character) in "WF" else 6.5 for character in text)


def in_lines(text: Text2, room: float) -> list[Text2]:
    """Set a name in as many lines as it needs, at most three, the same number in both languages.

    Any white space counts as one space, as `wording.clean` leaves it.

    >>> [line.en for line in in_lines(Text2("Penicillin V Potassium 500 MG Oral Tablet", "青霉素"), 150)]
    ['Penicillin V Potassium', '500 MG Oral Tablet']
    """
    broken = [_broken(said, room) for said in text]
    return [
        Text2(*("".join(lines[at : at + 1]) for lines in broken))
        for at in range(max(len(lines) for lines in broken))
    ]


def _broken(text: str, room: float) -> list[str]:
    lines: list[str] = []
    text = " ".join(text.split())
    while text and len(lines) < 2 and width_of(text) > room:
        most = next(n for n in range(len(text), 0, -1) if n == 1 or width_of(text[:n]) <= room)
        # At a space, unless that leaves most of the line empty or the text is one word.
        at = text.rfind(" ", most // 2, most + 1)
        lines.append(text[: at if at > 0 else most].rstrip())
        text = text[at if at > 0 else most :].lstrip()
    return [*lines, _fitted(text, room)]


def _fitted(text: str, room: float) -> str:
    if width_of(text) <= room:
        return text
    while text and width_of(text) + 8 > room:
        text = text[:-1]
    return text.rstrip() + "…"
