"""Negation in 2,376 sentences of real reports (Chapman and Harkema), beside negspacy, on sentences no rule was made by.

Rules were made by the sentences of odd numbers; those of even numbers, of the same 120 reports, are held out.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from medloom.cli.bench import Bench
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, estimate
from medloom.foundation.seeds import generator
from medloom.learners.text.assertion_rules import assertion_of
from medloom.record.datasets import get

PEER: Final = "negspacy"
REQUIREMENTS: Final = ("negspacy==1.1.0", "spacy==3.8.18")
_NUMBER, _NEGATED = "line number", "negation_status (negated, affirmed, possible)"


@dataclass(frozen=True)
class Said:
    """A sentence, where in it something is named, and whether that is denied."""

    text: str
    start: int
    end: int
    negated: bool


def run(bench: Bench) -> None:
    """Ask the rules and the peer about each sentence."""
    sys.path.append(str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this one

    made_by, held_out = _sentences(get("negex") / "rsAnnotations-1-120-random.txt")
    bench.data["negex"] = {"rules made by": len(made_by), "held out": len(held_out)}
    python = peer_python(bench, PEER, REQUIREMENTS)
    asked = json.dumps([[one.text, one.start, one.end] for one in held_out])
    theirs = json.loads(
        subprocess.run(
            [str(python), str(bench.folder / "_assertion_peer.py")],
            input=asked,
            text=True,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )
    bench.looked()
    begun = time.perf_counter()
    ours = [assertion_of(one.text, one.start, one.end).negated for one in held_out]
    bench.figures["rules.sentences_per_s"] = len(held_out) / (time.perf_counter() - begun)
    bench.figures[f"peer.{PEER}.sentences_per_s"] = len(held_out) / theirs["seconds"]
    truth = np.array([one.negated for one in held_out])
    for name, said in (("rules", ours), (f"peer.{PEER}", theirs["negated"])):
        for metric, one in _measured(truth, np.array(said, bool), bench.seed).items():
            for end, value in (("", one.value), (".low", one.low), (".high", one.high)):
                if value is not None:
                    bench.figures[f"{name}.negation.{metric}{end}"] = value
    made = np.array([assertion_of(one.text, one.start, one.end).negated for one in made_by])
    found = _scores(np.array([one.negated for one in made_by]), made)
    bench.figures["rules.made_by.negation.f1"] = found["f1"]


def _sentences(path: Path) -> tuple[list[Said], list[Said]]:
    """Give the sentences that rules were made by, and those held out."""
    parts: tuple[list[Said], list[Said]] = [], []
    with path.open(encoding="latin-1") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            text, name = row["sentence"], row["Condition"]
            places = [*re.finditer(r"\s+".join(map(re.escape, name.split())), text, re.IGNORECASE)]
            marked = [one for one in places if one.group() == one.group().upper()] or places
            start, end = marked[0].span() if marked else (0, len(text))
            part = parts[0] if int(row[_NUMBER]) % 2 else parts[1]
            part.append(Said(text, start, end, row[_NEGATED].strip() == "Negated"))
    return parts


def _scores(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    right = float((truth & said).sum())
    precision, recall = right / max(said.sum(), 1), right / max(truth.sum(), 1)
    return {"precision": precision, "recall": recall, "f1": 2 * right / max(said.sum() + truth.sum(), 1)}


def _measured(truth: np.ndarray, said: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Give precision, recall and F1 with intervals, sentences drawn anew."""
    rng = generator(seed, "assertion")
    drawn = [rng.integers(len(truth), size=len(truth)) for _ in range(REPLICATES)]
    each = [_scores(truth[rows], said[rows]) for rows in drawn]
    return {
        name: estimate(value, np.array([one[name] for one in each]))
        for name, value in _scores(truth, said).items()
    }
