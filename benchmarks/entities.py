"""Chemicals and diseases in abstracts (BC5CDR), and diseases (NCBI disease): places right to the character.

Each set's own splits: what is learned from is training and development part together, for a number of passes that was
fixed before; the 500 and 100 test abstracts are looked at once, at the end. `encoder` is the embedded one, taught in
full; `crf` the linear tagger beside it. How far learning is, is kept in the benchmark's folder: a run that was cut off
goes on.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import polars as pl

from medloom import api
from medloom.cli.bench import Bench
from medloom.evidence.tagging_evaluation import TaggingEvaluation, evaluate_tagging
from medloom.foundation.files import remove
from medloom.record.datasets import get
from medloom.tasks import package
from medloom.tasks.samples import Samples
from medloom.tasks.tagging import Tagging

LEARNERS: Final[dict[str, dict[str, Any]]] = {
    "crf": {},
    "encoder": {"epochs": 8, "learning_rate": 0.0005, "average": 0.98, "precision": "bf16"},
}
SETS: Final = {
    "bc5cdr": (
        "bc5cdr",
        ("pubtator/CDR_TrainingSet.PubTator.txt", "pubtator/CDR_DevelopmentSet.PubTator.txt"),
        "pubtator/CDR_TestSet.PubTator.txt",
        {"Chemical": "chemical", "Disease": "disease"},
    ),
    "ncbi": (
        "ncbi-disease",
        ("train/NCBItrainset_corpus.txt", "devel/NCBIdevelopset_corpus.txt"),
        "test/NCBItestset_corpus.txt",
        dict.fromkeys(("SpecificDisease", "DiseaseClass", "Modifier", "CompositeMention"), "disease"),
    ),
}
REFERENCES: Final = {
    "bc5cdr-chemical BiLSTM-CRF f1": 0.928,
    "bc5cdr-disease BiLSTM-CRF f1": 0.845,
    "bc5cdr-chemical BlueBERT f1": 0.935,
    "bc5cdr-disease BlueBERT f1": 0.866,
    "ncbi-disease BioBERT f1": 0.897,
    "source": "Peng et al., BioNLP 2019 (BlueBERT; BiLSTM-CRF as told there); Lee et al., Bioinformatics 2020;36:1234",
}


def run(bench: Bench) -> None:
    """Learn from each set in each way, then look at the test abstracts once."""
    sys.path.append(str(bench.folder))
    from _abstracts import abstract_samples  # type: ignore[import-not-found]  # beside this one

    bench.references = REFERENCES
    made: dict[tuple[str, str], tuple[Tagging, Samples]] = {}
    for name, (source, learned, test, names) in SETS.items():
        files = {**dict.fromkeys(learned, "train"), test: "held_out"}
        samples = abstract_samples(get(source), files, names)
        train, held = samples.in_split("train"), samples.in_split("held_out")
        bench.data[source] = {"train": len(train), "test": len(held)}
        for learner, parameters in LEARNERS.items():
            model, seconds = _learned(
                learner, parameters, train, bench.seed, bench.work / "run" / f"{name}-{learner}"
            )
            bench.figures[f"{name}.{learner}.train_s"] = seconds
            made[name, learner] = model, held
    bench.looked()
    for (name, learner), (model, held) in made.items():
        begun = time.perf_counter()
        found = evaluate_tagging(held, model, seed=bench.seed)
        bench.figures[f"{name}.{learner}.abstracts_per_s"] = len(held) / (time.perf_counter() - begun)
        bench.figures |= _figures(name, learner, found)
    remove(bench.work / "run")


def _learned(
    learner: str, parameters: dict[str, Any], train: Samples, seed: int, into: Path
) -> tuple[Tagging, float]:
    """Learn, unless a run that was cut off has."""
    told = into.with_suffix(".json")
    if not told.is_file():
        into.parent.mkdir(parents=True, exist_ok=True)
        kept = {"folder": str(into.with_suffix(".work"))} if learner != "crf" else {}
        begun = time.perf_counter()
        model = api.learner(learner, **parameters, **kept).fit(train, train.where(pl.lit(False)), seed)
        remove(into)
        model.save(into)
        told.write_text(json.dumps(time.perf_counter() - begun), encoding="utf-8")
    loaded = package.load(into)
    assert isinstance(loaded, Tagging)
    return loaded, float(json.loads(told.read_text(encoding="utf-8")))


def _figures(name: str, learner: str, found: TaggingEvaluation) -> dict[str, float]:
    figures = {}
    for kind in found.structures:
        for metric in ("f1", "precision", "sensitivity"):
            one = found.metrics[f"{kind}.{metric}"]
            for end, value in (("", one.value), (".low", one.low), (".high", one.high)):
                if value is not None:
                    figures[f"{name}-{kind}.{learner}.{metric}{end}"] = value
    return figures
