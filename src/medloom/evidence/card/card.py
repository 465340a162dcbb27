"""The card of a model: every item of the checklists with its answer, and who gave it; as page, Markdown and JSON.

An answer is computed where a fact of the model proves it, given by a person where somebody wrote it down, and blank
everywhere else. CHAI's Applied Model Card v0.2; 45 CFR 170.315(b)(11)(iv)(B); TRIPOD+AI (Collins 2024); PROBAST+AI
(Moons 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from medloom.evidence import words
from medloom.evidence.card.checklist import NAMES, Checklist, Item, all_items, checklist
from medloom.evidence.card.fact import Fact, clauses, together
from medloom.foundation.files import write_json, write_text
from medloom.foundation.messages import LANGUAGES, Text2, speaking, text2, tr
from medloom.foundation.pages import intended_use, render_page

Source = Literal["computed", "person"]


_FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    "what": ("question", "output"),
    "whom": ("population", "people_test"),
    "good": ("performance", "interpretation"),
    "not_for": ("not_for", "decides", "not_tested", "notice"),
}
"""What stands on the first screen, and the facts that say it."""


@dataclass(frozen=True)
class Answer:
    """What is answered to one item.

    Attributes:
        computed: what is known of the model.
        sources: the fields that prove it.
        person: what a person said.
        missing: what a person must still say; None: nothing, the item is answered.
    """

    computed: Text2 | None
    sources: tuple[str, ...]
    person: Text2 | None
    missing: Text2 | None

    @property
    def text(self) -> Text2 | None:
        """Give the answer: what is known, then what a person said."""
        said = together([self.computed, self.person])
        return said if said.en else None

    @property
    def source(self) -> Source | None:
        """Tell who answered: a person, wherever one had a say."""
        return "person" if self.person is not None else "computed" if self.computed is not None else None


@dataclass(frozen=True)
class Card:
    """The answers to all items, with what stands on the first screen.

    Attributes:
        title: of the question.
        model: its name.
        split: that was evaluated.
        facts: what is known, by name.
        answers: by the full names of items.
    """

    title: Text2
    model: str
    split: str
    facts: Mapping[str, Fact]
    answers: Mapping[str, Answer]

    @property
    def open(self) -> dict[str, Text2]:
        """Name the items a person must answer, or add to, with what must be said; each question once."""
        items = all_items()
        return {
            name: one.missing
            for name, one in self.answers.items()
            if one.missing is not None and not any(ref in items for ref in items[name].answered_by)
        }

    def to_json(self) -> dict[str, Any]:
        """Answer {item: {"item", "answer", "source", "missing", "fields"}}; texts as {"en", "zh"} or null."""
        return {
            name: {
                "item": _both(all_items()[name].asks.text),
                "answer": _both(one.text),
                "source": one.source,
                "missing": _both(one.missing),
                "fields": list(one.sources),
            }
            for name, one in self.answers.items()
        }


def make_card(
    title: Text2, model: str, split: str, facts: Mapping[str, Fact], person: Mapping[str, Text2]
) -> Card:
    """Answer every item from facts and from what a person said.

    Args:
        title: of the question.
        model: its name.
        split: that was evaluated.
        facts: as `facts_of` gives them.
        person: item → answer, as `read_answers` gives them.

    >>> card = make_card(Text2("x", "x"), "x.gbdt@1", "held_out", {}, {})
    >>> len(card.answers), any(one.source for one in card.answers.values())
    (171, False)
    """
    found: dict[str, Answer] = {}
    for name in all_items():
        _answer(name, facts, person, found)
    return Card(title, model, split, facts, {name: found[name] for name in all_items()})


def write_card(folder: Path, card: Card) -> None:
    """Write `card.html`, `card.md` and `card.json`, each replaced whole."""
    write_text(folder / "card.html", card_html(card))
    write_text(folder / "card.md", card_markdown(card))
    write_json(folder / "card.json", card.to_json())


def card_html(card: Card) -> str:
    """Compose the page."""
    return render_page(
        "medloom.evidence",
        "card.html.j2",
        "card.css",
        title=card.title,
        facts=_about(card),
        words=_words(),
        first=_first(card),
        counts=_counts(card),
        lists=[_shown(card, checklist(name)) for name in NAMES],
    )


def card_markdown(card: Card) -> str:
    """Write the card in Markdown, English first, then Chinese."""
    parts = []
    for at, spoken in enumerate(LANGUAGES):
        with speaking(spoken):
            lines = [f"# {tr('Model card')}: {_escaped(card.title[at])}", "", f"> {intended_use()[at]}", ""]
            lines += [f"- **{name[at]}** {_escaped(together(said)[at])}" for _, name, said in _first(card)]
            lines += [f"- **{_words()['blank'][at]}** {_counted(card)[at]}"]
            for name in NAMES:
                lines += _markdown_of(card, checklist(name), at)
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _about(card: Card) -> list[tuple[Text2, Text2]]:
    rows = [(text2("model"), Text2(card.model, card.model)), (text2("split"), words.split_name(card.split))]
    day = card.facts.get("day")
    return rows if day is None else [*rows, (text2("evaluated on"), day.text)]


def _answer(
    name: str, facts: Mapping[str, Fact], person: Mapping[str, Text2], found: dict[str, Answer]
) -> Answer:
    if name in found:
        return found[name]
    item = all_items()[name]
    known: list[Text2] = []
    said: list[Text2] = []
    sources: dict[str, None] = {}
    lacking: list[Text2] = []
    for ref in item.answered_by:
        if ref in all_items():
            other = _answer(ref, facts, person, found)
            known += [other.computed] if other.computed is not None else []
            said += [other.person] if other.person is not None else []
            sources |= dict.fromkeys(other.sources)
            lacking += [other.missing] if other.missing is not None else []
        elif ref in facts:
            known.append(facts[ref].text)
            sources |= dict.fromkeys(facts[ref].sources)
    if name in person:
        said.append(person[name])
    computed = together(dict.fromkeys(known))
    answer = Answer(
        computed if computed.en else None,
        tuple(sources),
        together(dict.fromkeys(said)) if said else None,
        _missing(item, bool(known or said), name in person, lacking),
    )
    found[name] = answer
    return answer


def _missing(item: Item, known: bool, by_person: bool, lacking: Sequence[Text2]) -> Text2 | None:
    """Say what a person must still say of an item."""
    if by_person:
        return None
    if item.person is not None:
        return item.person.text if known else item.asks.text
    if not known:
        return item.asks.text
    return clauses(dict.fromkeys(lacking)) if lacking else None


def _first(card: Card) -> list[tuple[str, Text2, list[Text2]]]:
    """Say what stands on the first screen: key, name, and sentences."""
    named = _words()
    rows = []
    for key, names in _FIRST.items():
        said = [card.facts[name].text for name in names if name in card.facts]
        person = card.answers["hti-1.3.i"].person if key == "not_for" else None
        rows.append(
            (key, named[key], [*said, *([person] if person is not None else [])] or [named["nothing"]])
        )
    return rows


def _counts(card: Card) -> dict[str, int]:
    """Count items: answered from what is known, with a person's word, in part, and blank."""
    answers = list(card.answers.values())
    return {
        "all": len(answers),
        "computed": sum(one.source == "computed" and one.missing is None for one in answers),
        "person": sum(one.source == "person" and one.missing is None for one in answers),
        "part": sum(one.source is not None and one.missing is not None for one in answers),
        "blank": sum(one.source is None for one in answers),
        "open": len(card.open),
    }


def _counted(card: Card) -> Text2:
    counts = _counts(card)
    return text2(
        "{blank} of {all} items are blank and {part} are answered in part: {open} different questions for a person."
        " {computed} are answered from what is known, {person} by a person.",
        **counts,
    )


def _shown(card: Card, listed: Checklist) -> dict[str, Any]:
    """Give what a page says of one checklist."""
    sections = []
    for part in listed.sections:
        rows = []
        for item in part.items:
            one = card.answers[f"{listed.key}.{item.id}"]
            rows.append((item, one, f"{listed.key}.{item.id}"))
        sections.append((part.title.text, rows))
    names = listed.items
    done = sum(card.answers[name].missing is None for name in names)
    counted = text2("{done} of {n} answered in full", done=done, n=len(names))
    return {
        "key": listed.key,
        "title": listed.title.text,
        "source": listed.source.text,
        "counted": counted,
        "numbered": listed.key != "chai",
        "sections": sections,
    }


def _markdown_of(card: Card, listed: Checklist, at: int) -> list[str]:
    said_of = _words()
    lines = ["", f"## {listed.title.text[at]}", "", listed.source.text[at]]
    for part in listed.sections:
        lines += ["", f"### {part.title.text[at]}", ""]
        lines += [
            f"| {said_of['item'][at]} | {said_of['answer'][at]} | {said_of['by'][at]} |",
            "|---|---|---|",
        ]
        for item in part.items:
            one = card.answers[f"{listed.key}.{item.id}"]
            number = "" if listed.key == "chai" else f"{item.id} "
            said = [_escaped(one.text[at])] if one.text is not None else []
            if one.missing is not None:
                said.append(f"— *{said_of['must'][at]}" + (f"{_escaped(one.missing[at])}*" if said else "*"))
            by = {"computed": said_of["computed"], "person": said_of["person"], None: said_of["dash"]}[
                one.source
            ]
            lines.append(f"| {_escaped(number + item.asks.text[at])} | {' '.join(said)} | {by[at]} |")
    return lines


def _escaped(text: str) -> str:
    """Keep a text in its line and its cell, and what would be a tag, a link or a picture from being one."""
    plain = "".join(f"\\{sign}" if sign in "\\|[" else sign for sign in text)
    return " ".join(plain.replace("<", "&lt;").split())


def _words() -> dict[str, Text2]:
    return {
        "kind": text2("Model card"),
        "what": text2("What it is"),
        "whom": text2("For whom"),
        "good": text2("How good"),
        "not_for": text2("Limits of use"),
        "blank": text2("Still blank"),
        "nothing": text2("Not known."),
        "item": text2("item"),
        "answer": text2("what is answered"),
        "by": text2("answered by"),
        "computed": text2("computed"),
        "person": text2("a person"),
        "must": text2("a person must answer: "),
        "must_answer": text2("— (a person must answer)"),
        "add": text2("A person must add: "),
        "dash": Text2("—", "—"),
        "contents": text2("Contents"),
        "answered": text2("computed from what is known"),
        "by_person": text2("answered by a person"),
        "part": text2("in part"),
        "empty": text2("blank"),
        "questions": text2("different questions for a person"),
        "how": text2(
            "Nothing here is invented: an answer is computed only where the data prove it. Others are written by people"
            " of the hospital into models/TASK.LEARNER/card.yaml; medloom card MODEL --blank asks there what is open."
        ),
        "from": text2("from"),
    }


def _both(text: Text2 | None) -> dict[str, str] | None:
    return None if text is None else {"en": text.en, "zh": text.zh}
