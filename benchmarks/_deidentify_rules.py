"""What rules find of the identifiers of made-up notes, by kind, what they mark for nothing, and how fast they are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from _identity_notes import notes  # type: ignore[import-not-found]  # beside this one
from _pubtator import abstracts  # type: ignore[import-not-found]

from medloom.cli.bench import Bench
from medloom.foundation.shares import wilson
from medloom.record.datasets import get
from medloom.record.deidentify.replacing import places

NOTES: Final = 192
"""Notes a template."""
WORDS: Final = {"english": 500, "chinese": 850}
"""Words of the notes whose reading is timed; of Chinese ones characters, which say about as much."""
TIMED: Final = 300
LEAKS: Final = 40
"""Leaks that are listed; all values are made up."""


def rules(bench: Bench) -> None:
    """Count what the rules find of known identifiers, by kind."""
    bench.looked()
    for language in ("english", "chinese"):
        for held_out in (False, True):
            made = list(notes(bench.folder / "_identity", language, held_out, NOTES, bench.seed))
            name = language if held_out else f"{language}.development"
            figures, leaks, false = measured(made)
            bench.figures |= {f"rules.{name}.{figure}": value for figure, value in figures.items()}
            bench.data[f"made-up {name}"] = {
                "notes": len(made),
                "templates": len({one.template for one in made}),
                "leaks": leaks,
                "marked for nothing": false,
            }


def measured(made: Sequence[Any]) -> tuple[dict[str, float], list[str], list[str]]:
    """Give figures, what leaked, and what was marked for nothing, the commonest first.

    Of each kind, and of all that rules should find (`ruled`; `name-bare`, names that nothing beside them tells, are
    apart): recall with Wilson's interval. Precision: the share of marked places that touch a known one. All with `n`.
    """
    known: Counter[str] = Counter()
    found: Counter[str] = Counter()
    named: Counter[str] = Counter()
    marked = right = words = 0
    leaks: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for note in made:
        said = places(note.text)
        inside = bytearray(len(note.text))
        for one in said:
            inside[one.start : one.end] = b"\1" * (one.end - one.start)
        truly = bytearray(len(note.text))
        for one in note.known:
            truly[one.start : one.end] = b"\1" * (one.end - one.start)
            value = note.text[one.start : one.end]
            whole = all(inside[at] or not note.text[at].isalnum() for at in range(one.start, one.end))
            kind = "name-bare" if one.bare else one.kind
            for each in (kind, "all" if one.bare else "ruled"):
                known[each] += 1
                found[each] += whole
            named[kind] += any(
                other.kind == one.kind and other.start < one.end and one.start < other.end for other in said
            )
            if not whole and not one.bare:
                leaks[f"{one.kind} ({note.template}, {note.noise}): {value}"] += 1
        marked += len(said)
        words += len(note.text.split())
        for one in said:
            touched = any(truly[one.start : one.end])
            right += touched
            if not touched:
                false[f"{one.kind} ({note.template}, {note.noise}): {note.text[one.start : one.end]}"] += 1
    found["all"] += found["ruled"]
    known["all"] += known["ruled"]
    figures: dict[str, float] = {}
    for kind, n in sorted(known.items()):
        low, high = wilson(found[kind], n)
        figures |= {
            f"{kind}.recall": found[kind] / n,
            f"{kind}.recall.low": float(low),
            f"{kind}.recall.high": float(high),
            f"{kind}.n": n,
        }
        if kind in named:
            figures[f"{kind}.named"] = named[kind] / n
    low, high = wilson(right, marked)
    figures |= {"precision": right / marked, "precision.low": float(low), "precision.high": float(high)}
    return figures, _commonest(leaks), _commonest(false)


def _commonest(counts: Counter[str]) -> list[str]:
    return [one if n == 1 else f"{one} ({n} times)" for one, n in counts.most_common(LEAKS)]


def alarms(bench: Bench) -> None:
    """Count what is marked in abstracts, which name nobody: all but dates, places and firms is for nothing."""
    texts = [one.text for one in abstracts(get("bc5cdr") / "pubtator" / "CDR_TestSet.PubTator.txt")]
    marked = Counter(one.kind for text in texts for one in places(text))
    for_nothing = marked.total() - sum(
        marked[kind] for kind in ("date", "hospital", "organisation", "address")
    )
    words = sum(len(text.split()) for text in texts)
    bench.data["bc5cdr"] = {"abstracts": len(texts), "words": words, "marked": dict(marked.most_common())}
    bench.figures["rules.abstracts.marked_for_nothing_per_1000_words"] = 1000 * for_nothing / words


def speed(bench: Bench) -> None:
    """Time notes of 500 words, one process, one thread."""
    for language in ("english", "chinese"):
        pool = [one.text for one in notes(bench.folder / "_identity", language, False, 12, bench.seed)]
        texts = _long(pool, language)
        seconds = []
        for text in texts:
            begun = time.perf_counter()
            places(text)
            seconds.append(time.perf_counter() - begun)
        bench.figures[f"rules.{language}.notes_per_s"] = len(texts) / sum(seconds)
        bench.figures[f"rules.{language}.slowest_s"] = max(seconds)


def _long(pool: Sequence[str], language: str) -> list[str]:
    """Put notes together until each has as many words as are timed."""
    made, text, at = [], "", 0
    while len(made) < TIMED:
        text += pool[at % len(pool)] + "\n"
        at += 1
        if (len(text) if language == "chinese" else len(text.split())) >= WORDS[language]:
            made.append(text)
            text = ""
    return made
