"""A decision tree, drawn: questions from left to right, answers at the right end, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Final
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Floats
from medloom.explanation.drawing import framed, written
from medloom.explanation.numbers import percent
from medloom.explanation.shapley import TreeArrays
from medloom.explanation.threshold_words import sides
from medloom.explanation.wording import amount, clean, same
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.tasks.question import Question

_BOX: Final = 176.0  # width of a question
_EDGE: Final = 122.0  # between a question and the next
_LEAF: Final = 150.0
_BOLD: Final = 1.12  # how much wider strong letters are
_ROW: Final = 46.0  # height of an answer
_LINE: Final = 15.0
_FEWEST: Final = 10  # samples that are counted; fewer are said to be fewer
_MOST: Final = 64  # answers that can be drawn


@dataclass(frozen=True)
class TreeWords:
    """How a tree's inputs and answers are said.

    Attributes:
        inputs: p names, as `features.names`.
        question: what is answered.
        name: says an input: `wording.input_name`.
        unit: gives the UCUM unit of an input: `windowed.unit_of`.
        flags: inputs that are 0 or 1.
        may_be_missing: (p,) inputs for which a side for missing values is said; None: all.
    """

    inputs: Sequence[str]
    question: Question
    name: Callable[[str], Text2]
    unit: Callable[[str], str | None] = lambda input: None
    flags: Set[str] = frozenset()
    may_be_missing: NDArray[np.bool_] | None = None


def tree_drawing(tree: TreeArrays, words: TreeWords) -> str:
    """Draw a tree as SVG, which follows its page into dark mode and onto paper.

    Each question stands in a box, with the average answer of the samples that reach it; at or below its threshold goes
    up. Widths are real: a tree of depth 4 fills a page.

    Args:
        tree: (m, k) answers: probabilities, or a value in the question's unit.
        words: how its inputs and answers are said.

    Raises:
        InputError: it has more than 64 answers, which nobody reads.

    >>> from medloom.tasks.question import Title
    >>> leaf, asked = np.array([1, -1, -1]), Question(task="t", kind="binary", title=Title(en="ill", zh="病"))
    >>> tree = TreeArrays(leaf, leaf + 1, np.array([0, -2, -2]), np.array([64.5, 0, 0]), leaf > 0,
    ...                   np.array([[0.2], [0.1], [0.3]]), np.array([100.0, 50, 50]))
    >>> drawn = tree_drawing(tree, TreeWords(["age"], asked, lambda input: Text2("Age", "年龄"), lambda input: "a"))
    >>> "≤ 64.5 years" in drawn and "> 64.5 岁" not in drawn, "30 %" in drawn
    (True, True)
    """
    leaves = int((tree.left < 0).sum())
    if leaves > _MOST:
        raise InputError(
            "a tree of {leaves} answers is too large to be drawn; learn one with a max_depth of 6 or less",
            leaves=leaves,
        )
    places = _places(tree)
    depth = max(column for column, _ in places.values())
    parts: list[str] = []
    for node, (column, y) in places.items():
        x = column * (_BOX + _EDGE)
        if tree.left[node] >= 0:
            parts += _edges(tree, words, node, places)
        parts += _leaf(tree, words, node, x, y) if tree.left[node] < 0 else _box(tree, words, node, x, y)
    title = text2("Decision tree")
    said = text2(
        "{questions} questions lead to {leaves} answers; the rules as text say the same.",
        questions=len(places) - leaves,
        leaves=leaves,
    )
    width = depth * (_BOX + _EDGE) + _LEAF
    return framed(title, said, width, leaves * _ROW + 8, parts, "tree", room=1)


def _places(tree: TreeArrays) -> dict[int, tuple[int, float]]:
    """Give each node that can be reached its column and its height: leaves in order, questions amid what follows."""
    places: dict[int, tuple[int, float]] = {}
    rows = iter(range(len(tree.left)))

    def put(node: int, column: int) -> float:
        if tree.left[node] < 0:
            y = (next(rows) + 0.5) * _ROW + 4
        else:
            y = (put(int(tree.left[node]), column + 1) + put(int(tree.right[node]), column + 1)) / 2
        places[node] = (column, y)
        return y

    put(0, 0)
    return places


def _edges(tree: TreeArrays, words: TreeWords, node: int, places: dict[int, tuple[int, float]]) -> list[str]:
    column, y = places[node]
    feature = int(tree.feature[node])
    input = words.inputs[feature]
    low, high = sides(input, float(tree.threshold[node]), words.unit(input), input in words.flags)
    start, end = column * (_BOX + _EDGE) + _BOX, (column + 1) * (_BOX + _EDGE)
    bend, parts = start + 10, []
    unknown = words.may_be_missing is None or bool(words.may_be_missing[feature])
    unknown &= bool(np.isfinite(tree.threshold[node]))
    for child, said, missing in (
        (int(tree.left[node]), low, bool(tree.missing_left[node])),
        (int(tree.right[node]), high, not tree.missing_left[node]),
    ):
        at = places[child][1]
        parts.append(f'<path class="axis" d="M{start:.1f} {y:.1f}H{bend:.1f}V{at:.1f}H{end:.1f}"/>')
        parts.append(written(bend + 5, at - 5, _cut(said, _EDGE - 20), "start"))
        if unknown and missing:
            parts.append(written(bend + 5, at + 13, text2("or not known"), "start", "soft"))
    return parts


def _box(tree: TreeArrays, words: TreeWords, node: int, x: float, y: float) -> list[str]:
    name = words.name(words.inputs[int(tree.feature[node])])
    lines = [_two_lines(said) for said in name]
    tall = (max(map(len, lines)) + 1) * _LINE + 10
    top = y - tall / 2
    parts = [f'<rect class="axis" x="{x:.1f}" y="{top:.1f}" width="{_BOX}" height="{tall}" rx="5"/>']
    for at in range(2):
        said = Text2(*(line[at] if at < len(line) else "" for line in lines))
        parts.append(written(x + 7, top + 15 + at * _LINE, said, "start", "" if at else "strong"))
    parts.append(written(x + 7, top + tall - 8, _reached(tree, words, node), "start", "soft"))
    return parts


def _leaf(tree: TreeArrays, words: TreeWords, node: int, x: float, y: float) -> list[str]:
    said, share = _answer(words.question, tree.value[node])
    parts = []
    if share is not None:
        parts.append(
            f'<rect class="bars" x="{x + 4:.1f}" y="{y - 17:.1f}" width="{_LEAF - 8}" height="4" rx="2"/>'
        )
        wide = max(share * (_LEAF - 8), 1.5)
        parts.append(
            f'<rect class="f2" x="{x + 4:.1f}" y="{y - 17:.1f}" width="{wide:.1f}" height="4" rx="2"/>'
        )
    parts.append(written(x + 4, y + 2, _cut(said, _LEAF - 8), "start", "strong"))
    parts.append(written(x + 4, y + 2 + _LINE, _samples(tree.cover[node]), "start", "soft"))
    return parts


def _answer(question: Question, value: Floats) -> tuple[Text2, float | None]:
    if question.kind == "regression":
        return amount(float(value[0]), question.unit), None
    best = int(value.argmax())
    share = float(value[best])
    said = percent(share)
    name = clean(question.outputs[best]) if len(question.outputs) > 1 else ""
    return same(f"{name} {said}".strip()), share


def _reached(tree: TreeArrays, words: TreeWords, node: int) -> Text2:
    said, _ = _answer(words.question, tree.value[node])
    n = _samples(tree.cover[node])
    return _cut(Text2(f"{said.en} · {n.en}", f"{said.zh} · {n.zh}"), _BOX - 12)


def _samples(cover: float) -> Text2:
    if cover < _FEWEST:
        return text2("fewer than {n} samples", n=_FEWEST)
    return text2("{n} samples", n=f"{cover:,.0f}")


def _width(text: str) -> float:
    return sum(12.0 if east_asian_width(one) in "WF" else 4.0 if one in " .,:·|" else 7.0 for one in text)


def _cut(text: Text2, room: float) -> Text2:
    return Text2(*(_wrapped(said, room, 1)[0] if said else said for said in text))


def _two_lines(said: str) -> list[str]:
    """Write what an input is about and what of it, a line each.

    >>> _two_lines("Celecoxib 200 MG Oral Capsule [Celebrex]: how often recorded")
    ['Celecoxib 200 MG Ora…', 'how often recorded']
    """
    for mark in (": ", "："):
        name, found, detail = said.rpartition(mark)
        if found:
            return [*_wrapped(name, (_BOX - 14) / _BOLD, 1), *_wrapped(detail, _BOX - 14, 1)]
    return _wrapped(said, (_BOX - 14) / _BOLD)


def _wrapped(said: str, room: float, most: int = 2) -> list[str]:
    """Break a text into lines: at spaces, Chinese anywhere; what does not fit is cut.

    >>> _wrapped("Systolic blood pressure: latest value in the last 24 hours", 150)
    ['Systolic blood', 'pressure: latest valu…']
    """
    lines: list[str] = []
    rest = said
    while rest and len(lines) < most:
        if _width(rest) <= room:
            lines.append(rest)
            break
        end = len(rest)
        last = len(lines) + 1 == most
        while end > 1 and _width(rest[:end]) + 9.0 * last > room:
            end -= 1
        if last:
            lines.append(rest[:end].rstrip() + "…")
            break
        space = rest.rfind(" ", 0, end + 1)
        if space > 0:
            end = space
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines
