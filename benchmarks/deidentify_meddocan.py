"""Identifiers in clinical cases in Spanish (MEDDOCAN), by the linear tagger: places right to the character, and kind.

The set's own splits: the recipe was chosen on the development part; then learned from training and development part
together, and the 250 test cases looked at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from medloom import api
from medloom.cli.bench import Bench
from medloom.evidence.tagging_evaluation import evaluate_tagging
from medloom.record.datasets import get
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span, as_label, span

RECIPE: Final[dict[str, Any]] = {"lines": True, "ends": False, "passes": 60}
LEARNED: Final = ("train", "dev")
REFERENCES: Final = {
    "best of IberLEF 2019 f1": 0.9696,
    "source": "Marimon et al., IberLEF 2019, CEUR 2421:618-638",
}


def run(bench: Bench) -> None:
    """Learn, then look at the test cases once."""
    sys.path.append(str(bench.folder))
    bench.references = REFERENCES
    folder = get("meddocan")
    known = [one for part in LEARNED for one in cases(folder / part)]
    test = list(cases(folder / "test"))
    names = sorted({place.name for _, places in known for place in places})
    bench.data["meddocan"] = {"train": len(known), "test": len(test), "kinds": len(names)}
    begun = time.perf_counter()
    learned = _samples(known, names)
    model = api.learner("crf", **RECIPE).fit(learned, learned.where(pl.lit(False)), bench.seed)
    bench.figures["crf.train_s"] = time.perf_counter() - begun
    bench.looked()
    held = _samples(test, names)
    begun = time.perf_counter()
    found = evaluate_tagging(held, model, seed=bench.seed)
    bench.figures["crf.cases_per_s"] = len(held) / (time.perf_counter() - begun)
    for metric, name in (("f1", "f1"), ("precision", "precision"), ("sensitivity", "recall")):
        one = found.metrics[metric]
        for end, value in (("", one.value), (".low", one.low), (".high", one.high)):
            if value is not None:
                bench.figures[f"crf.{name}{end}"] = value
    for kind in found.structures:
        value = found.metrics[f"{kind}.sensitivity"].value
        if value is not None:
            bench.figures[f"crf.{kind}.recall"] = value


def cases(folder: Path) -> Iterator[tuple[str, list[Span]]]:
    """Read the cases of a part: text, and places, as brat writes them; a place's kind in small letters."""
    for path in sorted(folder.glob("*.txt")):
        text = path.read_bytes().decode("utf-8")
        told = path.with_suffix(".ann").read_text(encoding="utf-8").splitlines()
        places = []
        for line in told:
            if line.startswith("T"):
                kind, start, end = line.split("\t")[1].split()
                places.append(span(int(start), int(end), kind.lower()))
        yield text, sorted(places)


def _samples(known: list[tuple[str, list[Span]]], names: list[str]) -> Samples:
    from _noted import noted  # type: ignore[import-not-found]  # beside this one

    task = {
        "kind": "tagging",
        "predict": {"of": "note", "spans": {name: ["READ//all"] for name in names}},
    }
    rows = [(number, text, as_label(places)) for number, (text, places) in enumerate(known, 1)]
    made: Samples = noted(task, rows)
    return made
