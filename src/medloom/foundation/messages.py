"""Every text a person reads, in English and 简体中文.

The English template stands where it is used and is the key of its
translation, so that code reads like prose and nothing has to be numbered.
Translations are `locales/zh/*.json`, one file an area; a test keeps them complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_chosen: ContextVar[Language | None] = ContextVar("medloom_language", default=None)


class Text2(NamedTuple):
    """One text in both languages, for pages that carry both."""

    en: str
    zh: str


def tr(template: str, /, **values: object) -> str:
    """Say `template` in the current language, filled with `values`; lists and tuples as that language joins them.

    >>> tr("{n} subjects", n=3)
    '3 subjects'
    """
    return _filled(template, language(), values)


def text2(template: str, /, **values: object) -> Text2:
    """Say `template` in both languages.

    >>> text2("{names}", names=["a", "b"])
    Text2(en='a, b', zh='a、b')
    """
    return Text2(_filled(template, "en", values), _filled(template, "zh", values))


def here(text: Text2) -> str:
    """Say a text in the language that is spoken now.

    >>> here(Text2("yes", "是"))
    'yes'
    """
    return text.zh if language() == "zh" else text.en


def language() -> Language:
    """Tell the current language: chosen by `speaking`, else MEDLOOM_LANG, else the locale."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    for name in ("MEDLOOM_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@contextmanager
def speaking(chosen: Language | None) -> Iterator[None]:
    """Speak `chosen` inside the block (None: as the environment says).

    >>> with speaking("zh"):
    ...     language()
    'zh'
    """
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


@cache
def catalogue(chosen: Language) -> Mapping[str, str]:
    """Read all translations of one language: English template → text."""
    if chosen == "en":
        return {}
    merged: dict[str, str] = {}
    for entry in sorted((files("medloom.foundation") / "locales" / chosen).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".json"):
            merged.update(json.loads(entry.read_text(encoding="utf-8")))
    return merged


def _filled(template: str, chosen: Language, values: Mapping[str, object]) -> str:
    text = catalogue(chosen).get(template, template)
    if not values:
        return text
    return text.format(**{name: _as_written(value, chosen) for name, value in values.items()})


def _as_written(value: object, chosen: Language) -> object:
    if isinstance(value, list | tuple) and not isinstance(value, Text2):
        return _Listed(value, "、" if chosen == "zh" else ", ")
    return value


class _Listed:
    """A list as people write it; asked for with `!r`, as programs do."""

    def __init__(self, values: Sequence[object], between: str) -> None:
        self._values, self._between = values, between

    def __str__(self) -> str:
        return self._between.join(map(str, self._values))

    def __repr__(self) -> str:
        return repr(self._values)
