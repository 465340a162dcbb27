"""Made-up clinical notes in English and Chinese whose identifiers are known: templates filled with values, and noise.

A template's slot is `{kind}`, `{p:full}` for a way to write the name of its person p, `{#3-9}` for a number that names
nobody; `?` before the brace closes marks a name that stands without a title, a label or another word that tells it.
Templates and names of held-out notes are others than those of development.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import _identity_chinese as chinese  # type: ignore[import-not-found]  # beside this one
import _identity_english as english  # type: ignore[import-not-found]

_SLOT: Final = re.compile(r"\{(?:#(\d+)-(\d+)|([a-z]+)(?::([a-z]+))?(\?)?)\}")
_WIDE: Final = str.maketrans(string.digits, "".join(chr(ord(one) + 0xFEE0) for one in string.digits))
_LANGUAGES: Final = {"english": english, "chinese": chinese}


@dataclass(frozen=True)
class Known:
    """An identifier that was put into a note; `bare`: a name that nothing beside it tells."""

    start: int
    end: int
    kind: str
    bare: bool


@dataclass(frozen=True)
class Note:
    """A made-up note, from which template and with which noise, and where its identifiers stand."""

    text: str
    known: tuple[Known, ...]
    template: str
    noise: str


def notes(folder: Path, language: str, held_out: bool, each: int, seed: int) -> Iterator[Note]:
    """Fill each template of a language some times, each time with another noise.

    Args:
        folder: of the templates.
        language: `english` or `chinese`.
        held_out: which templates.
        each: notes a template.
        seed: of values and noise.
    """
    made = _LANGUAGES[language]
    part = "held-out" if held_out else "development"
    text = (folder / f"{language}-{part}.txt").read_text(encoding="utf-8")
    noises = _NOISES[language]
    for name, template in re.findall(r"^=== (.+)\n((?:(?!=== ).*\n)+)", text, re.MULTILINE):
        rng = Random(f"{seed}/{language}/{part}/{name}")
        for turn in range(each):
            noise = list(noises)[turn % len(noises)]
            pieces = list(_filled(template, made, rng, held_out))
            yield _joined(noises[noise](pieces, rng), name, noise)


_Piece = tuple[str, str | None, bool]


def _filled(template: str, made: object, rng: Random, held_out: bool) -> Iterator[_Piece]:
    """Give the text of a template in pieces: words, kind of identifier or none, whether it is bare."""
    people: dict[str, dict[str, str]] = {}
    at = 0
    for slot in _SLOT.finditer(template):
        yield template[at : slot.start()], None, False
        at = slot.end()
        low, high, name, way, bare = slot.groups()
        if low:
            yield str(rng.randint(int(low), int(high))), None, False
        elif way:
            if name not in people:
                people[name] = made.person(rng, held_out)  # type: ignore[attr-defined]
            yield people[name][way], "name", bool(bare)
        else:
            kind, draw = made.VALUES[name]  # type: ignore[attr-defined]
            yield (english.drawn(draw, rng) if isinstance(draw, str) else draw(rng, held_out)), kind, False
    yield template[at:], None, False


def _joined(pieces: list[_Piece], template: str, noise: str) -> Note:
    text, known = "", []
    for words, kind, bare in pieces:
        if kind:
            known.append(Known(len(text), len(text) + len(words), kind, bare))
        text += words
    return Note(text, tuple(known), template, noise)


def _each(change: Callable[[str], str]) -> Callable[[list[_Piece], Random], list[_Piece]]:
    return lambda pieces, rng: [(change(words), kind, bare) for words, kind, bare in pieces]


def _wrapped(width: int, between_words: bool) -> Callable[[list[_Piece], Random], list[_Piece]]:
    """Break long lines to fit, also within identifiers."""

    def change(pieces: list[_Piece], rng: Random) -> list[_Piece]:
        text = "".join(words for words, _, _ in pieces)
        breaks, column, blank = set(), 0, -1
        for at, one in enumerate(text):
            column = 0 if one == "\n" else column + 1
            blank = at if one == " " else -1 if one == "\n" else blank
            if column > width and (not between_words or blank >= 0):
                place = blank if between_words else at
                breaks.add(place)
                column, blank = at - place, -1
        made, at = [], 0
        for words, kind, bare in pieces:
            new = "".join(
                ("\n" if between_words else "\n" + one) if at + place in breaks else one
                for place, one in enumerate(words)
            )
            at += len(words)
            made.append((new, kind, bare))
        return made

    return change


def _spaced(pieces: list[_Piece], rng: Random) -> list[_Piece]:
    """Put second spaces and spaces before colons, as reading machines do; not within identifiers."""

    def change(words: str) -> str:
        words = re.sub(r"(?<=\S) (?=\S)", lambda found: "  " if rng.random() < 0.15 else " ", words)
        return re.sub(
            r"([:：])(?! )", lambda found: rng.choice((f" {found[1]}", f"{found[1]} ", found[1])), words
        )

    return [(change(words) if kind is None else words, kind, bare) for words, kind, bare in pieces]


def _lower_labels(pieces: list[_Piece], rng: Random) -> list[_Piece]:
    return [
        (
            re.sub(r"[A-Z][A-Za-z ./']*(?=[:#])", lambda found: found[0].lower(), words)
            if kind is None
            else words,
            kind,
            bare,
        )
        for words, kind, bare in pieces
    ]


def _as_they_are(pieces: list[_Piece], rng: Random) -> list[_Piece]:
    return pieces


_NOISES: Final[dict[str, dict[str, Callable[[list[_Piece], Random], list[_Piece]]]]] = {
    "english": {
        "none": _as_they_are,
        "wrapped": _wrapped(72, True),
        "capitals": _each(str.upper),
        "lower-case": _each(str.lower),
        "labels": _lower_labels,
        "spaces": _spaced,
    },
    "chinese": {
        "none": _as_they_are,
        "wrapped": _wrapped(36, False),
        "full-width": _each(lambda words: words.translate(_WIDE)),
        "spaces": _spaced,
    },
}
