"""What a person answers: a file of the hospital's own, `models/TASK.LEARNER/card.yaml`, by the names of items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Final

from medloom.evidence.card.checklist import NAMES, all_items, checklist
from medloom.foundation.documents import nearest_line, read_document
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, language, tr
from medloom.foundation.spelling import nearest

FILE: Final = "card.yaml"


def read_answers(path: Path) -> dict[str, Text2]:
    """Read a person's answers; an empty one is none, and where there is no file there are none.

    Raises:
        InputError: it is no YAML, or a key is no item's name; the message says line and the nearest names.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise InputError(
            "{what} {name!r} is not UTF-8 text; save it as UTF-8", what="card", name=path.name
        ) from None
    return parse_answers(text, path.name)


def parse_answers(text: str, name: str = FILE) -> dict[str, Text2]:
    """Read a person's answers from YAML text: item → text, or `{en: …, zh: …}`; raises as `read_answers`.

    >>> parse_answers("hti-1.1.ii: the hospital's own means")["hti-1.1.ii"].en
    "the hospital's own means"
    """
    document, lines = read_document(text, name)
    if document in (None, ""):
        return {}
    if not isinstance(document, dict):
        raise InputError(
            "{name!r} line {line}: write the name of an item, a colon and the answer", name=name, line=1
        )
    found = {}
    for key, said in document.items():
        line = nearest_line(lines, (key,))
        if key not in all_items():
            raise _unknown(name, line, key)
        answer = _answer(name, line, key, said)
        if answer is not None:
            found[key] = answer
    return found


def blank_file(open_items: Mapping[str, Text2], kept: str = "") -> str:
    """Write the file that a person fills in: what is asked as comments, in the current language, and empty answers.

    Args:
        open_items: item → what a person must say.
        kept: what the file holds already; it stays as it is, and what it does not ask yet comes behind.

    Raises:
        InputError: what is kept is no such file.
    """
    if kept.strip():
        document, _ = read_document(kept, FILE)
        asked_before = set(document) if isinstance(document, dict) else set()
        rest = {name: must for name, must in open_items.items() if name not in asked_before}
        return kept.rstrip("\n") + "\n" + (f"\n{blank_file(rest)}" if rest else "")
    at = 0 if language() == "en" else 1
    lines = [
        f"# {line}"
        for line in _folded(tr("Answer what you know, as text or as {en: …, zh: …}; leave the rest empty."))
    ]
    for key in NAMES:
        listed = checklist(key)
        mine = [name for name in listed.items if name in open_items]
        if mine:
            lines += ["", f"# {listed.title.text[at]}"]
        for name in mine:
            item = listed.items[name]
            asked = item.asks.text[at]
            must = open_items[name][at]
            said = asked if must == asked else tr("{item} – still to say: {what}", item=asked, what=must)
            lines += [*(f"# {line}" for line in _folded(said)), f"{name}:"]
    return "\n".join(lines) + "\n"


def _folded(text: str) -> list[str]:
    return wrap(text, 100, break_long_words=False) or [""]


def _answer(name: str, line: int, key: str, said: object) -> Text2 | None:
    if isinstance(said, dict) and said and set(said) <= {"en", "zh"}:
        texts = {spoken: text for spoken, text in said.items() if isinstance(text, str) and text.strip()}
        if len(texts) < len(said):
            raise InputError(
                "{name!r} line {line}: {key}: en and zh are texts", name=name, line=line, key=key
            )
        only = next(iter(texts.values()))
        return Text2(texts.get("en", only).strip(), texts.get("zh", only).strip())
    if isinstance(said, str):
        return Text2(said.strip(), said.strip()) if said.strip() else None
    raise InputError(
        "{name!r} line {line}: {key}: an answer is a text, or en and zh with a text each",
        name=name,
        line=line,
        key=key,
    )


def _unknown(name: str, line: int, key: str) -> InputError:
    near = nearest(key, all_items())
    if not near:
        ending = [one for one in all_items() if one.endswith(f".{key}")]
        near = ending[:3]
    if near:
        return InputError(
            "{name!r} line {line}: no item is called {key!r}; nearest: {near}",
            name=name,
            line=line,
            key=key,
            near=near,
        )
    return InputError(
        "{name!r} line {line}: no item is called {key!r}; medloom card MODEL --blank lists them",
        name=name,
        line=line,
        key=key,
    )
