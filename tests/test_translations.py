"""Every text a person reads exists in both languages, and nothing else does.

The English template is the key. Templates are collected from the source: the first argument of `tr(...)`,
`text2(...)` and of every error raised, and from the pages: `{{ tr("...") }}` and `{{ "..." | tr }}`.
"""

import ast
import builtins
import json
import re
import string
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import jinja2
import pytest

from medloom.foundation import registry
from medloom.foundation.messages import speaking

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "medloom"
LOCALE = PACKAGE / "foundation" / "locales" / "zh"
SPEAKING = {"tr", "text2"}


class Template(NamedTuple):
    """One English template and the place where it stands; no text if it is not a plain literal."""

    text: str | None
    place: str


def test_every_template_is_a_plain_literal() -> None:
    spoiled = [template.place for template in _templates() if template.text is None]
    assert not spoiled, f"write the template as one literal and hand its values as keywords: {spoiled}"


def test_every_template_has_a_translation() -> None:
    translations = _translations()
    missing = [
        f"{t.place}: {t.text!r}" for t in _templates() if t.text is not None and t.text not in translations
    ]
    assert not missing, "add to src/medloom/foundation/locales/zh/AREA.json:\n" + "\n".join(
        sorted(set(missing))
    )


def test_every_plug_in_of_ours_is_summarised_in_both_languages() -> None:
    groups: tuple[registry.Group, ...] = ("medloom.learners", "medloom.importers")
    with speaking("zh"):
        english = [
            name
            for group in groups
            for name, entry in registry.registered(group).items()
            if entry.value.startswith("medloom.")
            if registry.summary(registry.load(group, name)).isascii()
        ]
    assert not english


def test_a_translation_has_the_placeholders_of_its_template() -> None:
    different = [
        f"{path.name}: {key!r} -> {value!r}"
        for path in _locale_files()
        for key, value in _entries(path)
        if _placeholders(key) != _placeholders(value)
    ]
    assert not different, "\n".join(different)


def test_every_translation_says_something() -> None:
    empty = [
        f"{path.name}: {key!r}"
        for path in _locale_files()
        for key, value in _entries(path)
        if not value.strip()
    ]
    assert not empty


def test_no_template_is_translated_twice() -> None:
    seen: dict[str, str] = {}
    twice = []
    for path in _locale_files():
        for key, _ in _entries(path):
            if key in seen:
                twice.append(f"{key!r} in {seen[key]} and {path.name}")
            seen[key] = path.name
    assert not twice, "keep one of them:\n" + "\n".join(twice)


def test_no_translation_is_left_over() -> None:
    # Any literal counts, not only the arguments of `tr`: names of metrics, reasons of quarantine.
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    said = {template.text for template in _templates() if template.text is not None}
    patterns: set[str] = set()
    for source in sources:
        said.update(_literals(source))
        patterns.update(_composed(source))
    composed = re.compile("|".join(patterns) or "(?!)")
    left_over = [
        f"{path.name}: {key!r}"
        for path in _locale_files()
        for key, _ in _entries(path)
        if key not in said and not composed.fullmatch(key)
    ]
    assert not left_over, "no source says this any more:\n" + "\n".join(left_over)


def test_a_composed_text_is_recognised() -> None:
    (pattern,) = _composed('reason = f"{table}: number not unique"')
    assert re.fullmatch(pattern, "person: number not unique")
    assert not re.fullmatch(pattern, "person: number is missing")
    assert not list(_composed('f"{a}: {b}"')), "this would excuse every text"


@pytest.mark.parametrize(
    ("source", "templates"),
    [
        ('tr("a {n}", n=1)', ["a {n}"]),
        ('messages.text2("a")', ["a"]),
        ('raise InputError("a " "b {x}", x=1)', ["a b {x}"]),
        ('raise errors.LeakageError("a")', ["a"]),
        ("raise InputError(f'a {n}')", [None]),
        ("tr('a {}'.format(n))", [None]),
        ("tr('a %s' % n)", [None]),
        ("tr(label)", []),
        ("raise ValueError('for programmers')", []),
        ("raise error", []),
    ],
)
def test_templates_are_found_in_source(source: str, templates: list[str | None]) -> None:
    assert [template.text for template in _in_source(source, "x.py")] == templates


@pytest.mark.parametrize(
    ("page", "templates"),
    [
        ('<h1>{{ tr("How good") }}</h1>', ["How good"]),
        ('{{ "For whom" | tr }}', ["For whom"]),
        ('{% if n %}{{ text2("a {n}", n=n).zh }}{% endif %}', ["a {n}"]),
        ("{{ name }}", []),
    ],
)
def test_templates_are_found_in_pages(page: str, templates: list[str]) -> None:
    assert [template.text for template in _in_page(page, "x.html")] == templates


@cache
def _templates() -> tuple[Template, ...]:
    found: list[Template] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        found += _in_source(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    for path in sorted([*PACKAGE.rglob("*.j2"), *PACKAGE.rglob("*.html")]):
        found += _in_page(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    return tuple(found)


@lru_cache(maxsize=1)
def _nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(source)))


def _in_source(source: str, place: str) -> Iterator[Template]:
    for node in _nodes(source):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in SPEAKING or (name.endswith("Error") and not hasattr(builtins, name)):
            match node.args[0]:
                case ast.Constant(value=str(text)):
                    yield Template(text, f"{place}:{node.lineno}")
                case ast.JoinedStr() | ast.BinOp() | ast.Call(func=ast.Attribute(attr="format")):
                    yield Template(None, f"{place}:{node.lineno}")


def _in_page(page: str, place: str) -> Iterator[Template]:
    parsed = jinja2.Environment(
        autoescape=True, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]
    ).parse(page)
    for call in parsed.find_all(jinja2.nodes.Call):
        if isinstance(call.node, jinja2.nodes.Name) and call.node.name in SPEAKING and call.args:
            yield from _in_expression(call.args[0], place)
    for filtered in parsed.find_all(jinja2.nodes.Filter):
        if filtered.name in SPEAKING and filtered.node is not None:
            yield from _in_expression(filtered.node, place)


def _in_expression(node: jinja2.nodes.Expr, place: str) -> Iterator[Template]:
    if isinstance(node, jinja2.nodes.Const) and isinstance(node.value, str):
        yield Template(node.value, f"{place}:{node.lineno}")


def _literals(source: str) -> Iterator[str]:
    for node in _nodes(source):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
            yield node.value.split("\n", 1)[0]  # a docstring's first line is what a list of plug-ins shows


def _composed(source: str) -> Iterator[str]:
    """Give a pattern for every f-string that has words of its own."""
    for node in _nodes(source):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
            if re.search(r"\w{3}", " ".join(part for part in parts if part)):
                yield "".join(".+" if part is None else re.escape(part) for part in parts)


def _locale_files() -> list[Path]:
    return sorted(LOCALE.glob("*.json"))


def _entries(path: Path) -> list[tuple[str, str]]:
    """Read the pairs of one file as they stand, a key that stands twice included."""
    pairs: list[tuple[str, str]] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    return pairs


def _translations() -> dict[str, str]:
    return {key: value for path in _locale_files() for key, value in _entries(path)}


def _placeholders(text: str) -> set[str]:
    """Name the values a text asks for; how each is written (`!r`, `:.2f`) may differ between languages."""
    return {
        field.split(".")[0].split("[")[0]
        for _, field, _, _ in string.Formatter().parse(text)
        if field is not None
    }
