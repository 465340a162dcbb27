"""Drafts of visit notes from conversations, without a language model: ROUGE-1 on ACI-Bench test1 (40 conversations).

Learned from the 67 pairs of `train`; made by looking at `train` and `valid`; `test1` is asked once. Beside it, in the
same run: the conversation itself handed in as its note, and the note of the most alike conversation of `train`, which
tells of another patient and is here to compare with, never to hand out. The score is F1 of unigrams without stemming,
the mean over notes, as the set's own `evaluate_fullnote.py` takes it; `rouge-score`, installed apart, counts it.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from medloom.cli.bench import Bench
from medloom.evidence.intervals import REPLICATES, estimate
from medloom.foundation.seeds import generator
from medloom.learners.text.dialogue.draft import Draft
from medloom.learners.text.dialogue.learner import DialogueNotes
from medloom.learners.text.dialogue.words import words
from medloom.record.datasets import get

PEER: Final = "rouge-score"
REQUIREMENTS: Final = ("rouge-score==0.1.2",)
TEST: Final = "clinicalnlp_taskB_test1"
SOURCE: Final = "Yim et al., Scientific Data 2023;10:586, full-note results on test1"
_COUNT: Final = """
import json, sys
from rouge_score.rouge_scorer import RougeScorer
scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
each = [scorer.score(note, draft) for note, draft in json.load(sys.stdin)]
json.dump([{name: one.fmeasure for name, one in scores.items()} for scores in each], sys.stdout)
"""

Pair = tuple[str, str]


def run(bench: Bench) -> None:
    """Learn from `train`, draft `valid` and `test1`."""
    sys.path.append(str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this one

    python = str(peer_python(bench, PEER, REQUIREMENTS))
    train, valid, test = (_pairs(name) for name in ("train", "valid", TEST))
    bench.data["aci-bench"] = {"train": len(train), "valid": len(valid), "test1": len(test)}
    bench.references["dialogue-note.rouge1"] = {
        "retrieval": 0.439,
        "BART, fine-tuned, by divisions": 0.535,
        "source": SOURCE,
    }
    begun = time.perf_counter()
    model = DialogueNotes.learned(train)
    bench.figures["learning_s"] = time.perf_counter() - begun
    on_valid = [model.draft(dialogue).text for dialogue, _ in valid]
    bench.figures["valid.extraction.rouge1"] = _mean(_rouge(python, valid, on_valid), "rouge1")

    bench.looked()
    begun = time.perf_counter()
    drafts = [model.draft(dialogue) for dialogue, _ in test]
    bench.figures["drafts_per_s"] = len(test) / (time.perf_counter() - begun)
    scores = {
        "extraction": _rouge(python, test, [one.text for one in drafts]),
        "transcript": _rouge(python, test, [dialogue for dialogue, _ in test]),
        "another-note": _rouge(python, test, _most_alike(train, [dialogue for dialogue, _ in test])),
    }
    drawn = generator(bench.seed, "dialogue-note").integers(len(test), size=(REPLICATES, len(test)))
    for name, each in scores.items():
        for metric in ("rouge1", "rouge2", "rougeL"):
            _put(bench, f"{name}.{metric}", np.array([one[metric] for one in each]), drawn)
    gained = np.array(
        [a["rouge1"] - b["rouge1"] for a, b in zip(scores["extraction"], scores["another-note"], strict=True)]
    )
    _put(bench, "extraction.rouge1_vs_another-note", gained, drawn)
    own = [_overlap(one.text, note) for one, (_, note) in zip(drafts, test, strict=True)]
    bench.figures["rouge1.ours_less_peers"] = float(
        np.abs(np.array(own) - [one["rouge1"] for one in scores["extraction"]]).max()
    )
    bench.figures["extraction.words"] = float(np.mean([len(words(one.text)) for one in drafts]))
    bench.figures["note.words"] = float(np.mean([len(words(note)) for _, note in test]))
    cited = [_words_cited(one, dialogue) for one, (dialogue, _) in zip(drafts, test, strict=True)]
    bench.figures["extraction.sentences_without_source"] = float(
        sum(not said.spans for one in drafts for part in one.sections for said in part.sentences)
    )
    bench.figures["extraction.words_in_source"] = float(np.mean(cited))


def _pairs(name: str) -> list[Pair]:
    csv.field_size_limit(1 << 24)
    with (get("aci-bench") / "challenge_data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [(row["dialogue"], row["note"]) for row in csv.DictReader(file)]


def _rouge(python: str, pairs: Sequence[Pair], drafts: Sequence[str]) -> list[dict[str, float]]:
    """Have the peer count F1 of unigrams, of pairs, and of the longest common subsequence, for each note."""
    asked = json.dumps([(note, draft) for (_, note), draft in zip(pairs, drafts, strict=True)])
    done = subprocess.run([python, "-c", _COUNT], input=asked, text=True, check=True, stdout=subprocess.PIPE)
    counted: list[dict[str, float]] = json.loads(done.stdout)
    return counted


def _mean(each: Sequence[Mapping[str, float]], metric: str) -> float:
    return float(np.mean([one[metric] for one in each]))


def _put(bench: Bench, name: str, values: np.ndarray, drawn: np.ndarray) -> None:
    """Keep a mean with its interval, conversations drawn anew."""
    one = estimate(float(values.mean()), values[drawn].mean(axis=1))
    for end, value in (("", one.value), (".low", one.low), (".high", one.high)):
        if value is not None:
            bench.figures[f"{name}{end}"] = value


def _overlap(draft: str, note: str) -> float:
    ours, theirs = Counter(words(draft)), Counter(words(note))
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def _most_alike(train: Sequence[Pair], dialogues: Sequence[str]) -> list[str]:
    """Give for each conversation the note of the most alike one, by the cosine of tf-idf."""
    said_by = Counter(word for dialogue, _ in train for word in set(words(dialogue)))

    def weighed(dialogue: str) -> dict[str, float]:
        of = {
            word: times * math.log(len(train) / said_by[word])
            for word, times in Counter(words(dialogue)).items()
            if said_by[word]
        }
        norm = math.sqrt(sum(value * value for value in of.values())) or 1.0
        return {word: value / norm for word, value in of.items()}

    known = [(weighed(dialogue), note) for dialogue, note in train]
    asked = [weighed(dialogue) for dialogue in dialogues]
    return [
        max(known, key=lambda one: sum(value * one[0].get(word, 0.0) for word, value in of.items()))[1]
        for of in asked
    ]


def _words_cited(draft: Draft, dialogue: str) -> float:
    """Give the share of a draft's words that stand in the very ranges it cites; the rest is of the third person."""
    found = whole = 0
    for part in draft.sections:
        for said in part.sentences:
            source = Counter(words(" ".join(dialogue[start:end] for start, end in said.spans)))
            found += (Counter(words(said.text)) & source).total()
            whole += len(words(said.text))
    return found / max(whole, 1)
