"""From a note of 500 words to its facts on one core: a tagger in 8 bits, in 32, by PyTorch, and the plain pipeline.

The embedded encoder is taught the places of BC5CDR's training part for few passes, and what 8 bits lose is measured on
the development part; the test part is not looked at. Notes are those of ACI-Bench (played visits), put one behind the
other and cut after 500 words; abstracts are put together so too, for their words fall into more pieces. The whole way
is timed: words, windows, network, rows of tags, places, codes, assertion, and the facts that rules find beside them.
All ways are asked in turn on one core, so that what disturbs one disturbs the others; memory is of a process of its
own.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from medloom.cli.bench import Bench
from medloom.foundation.files import remove

LEARNED: Final = {"epochs": 4, "learning_rate": 0.0005, "average": 0.98, "precision": "bf16"}
NAMES: Final = {"Chemical": "chemical", "Disease": "disease"}
TRAINING: Final = "pubtator/CDR_TrainingSet.PubTator.txt"
DEVELOPMENT: Final = "pubtator/CDR_DevelopmentSet.PubTator.txt"
WORDS: Final = 500
NOTES: Final = 30
REPEATS: Final = {"notes": 8, "abstracts": 4}
FEWER: Final = {"notes": 2, "abstracts": 1}
"""How often each text is read in 8 bits, and in other ways."""
WAYS: Final = ("int8", "onnx", "torch")
VOCABULARIES: Final = ("icd10cm", "hpo")


def run(bench: Bench) -> None:
    """Learn, make graphs, measure what they lose, then time them; what was done before a stop is not done again."""
    sys.path.append(str(bench.folder))
    folder = bench.work / "run"
    folder.mkdir(parents=True, exist_ok=True)
    bench.figures |= _kept(folder / "made.json", lambda: _made(folder, bench.seed))
    bench.figures |= _kept(folder / "lost.json", lambda: _lost(folder, bench.seed))
    bench.figures |= json.loads(_asked("times", folder)["printed"])
    for way in (*WAYS, "pipeline"):
        name = "peer.transformers" if way == "pipeline" else way
        bench.figures[f"{name}.peak_mb"] = _asked("some", folder, way)["peak_mb"]
    bench.data["bc5cdr"] = {"train": 500, "development": 500}
    bench.data["aci-bench"] = {"notes": NOTES, "words": WORDS}
    remove(folder)


def _made(folder: Path, seed: int) -> dict[str, float]:
    """Learn from the training part, and write both graphs."""
    import polars as pl

    from medloom import api
    from medloom.training.compression.plan import Plan

    train = _samples().in_split("train")
    none = train.where(pl.lit(False))
    begun = time.perf_counter()
    model: Any = api.learner("encoder", **LEARNED, folder=str(folder / "work")).fit(train, none, seed)
    figures = {"train_s": time.perf_counter() - begun}
    plans = {"onnx": Plan("onnx"), "int8": Plan("int8"), "int8-static": Plan("int8", "static")}
    for way, plan in {"torch": None, **plans}.items():
        begun = time.perf_counter()
        made = model if plan is None else model.compressed(plan, train, none, seed)
        remove(folder / way)
        made.save(folder / way)
        if plan is not None:
            figures[f"{way}.made_s"] = time.perf_counter() - begun
        size = sum(one.stat().st_size for one in (folder / way).rglob("*") if one.is_file())
        figures[f"{way}.package_mb"] = size / 2**20
    return figures


def _lost(folder: Path, seed: int) -> dict[str, float]:
    """Measure strict F1 of all ways on the development part, and by how much graphs are below PyTorch."""
    from medloom.evidence.tagging_evaluation import evaluate_tagging

    held = _samples().in_split("held_out")
    graphs = {way: _model(folder / way) for way in ("onnx", "int8", "int8-static")}
    found = evaluate_tagging(held, _model(folder / "torch"), seed=seed, compared_with=graphs)
    figures = {"torch.f1": float(found.metrics["f1"].value or 0)}
    for way, compared in (found.compared_with or {}).items():
        figures[f"{way}.f1"] = float(compared.metrics["f1"].value or 0)
        lost = compared.difference["f1"]
        for end, value in (("", lost.value), (".low", lost.low), (".high", lost.high)):
            figures[f"{way}.f1_loss{end}"] = float(value or 0)
    return figures


def times(folder: Path) -> dict[str, float]:
    """Time all ways in turn on one core, in seconds a note."""
    _one_core()
    import torch

    torch.set_num_threads(1)
    tagger = _model(folder / "int8")
    asked: dict[str, Callable[[str], Any]] = {
        **{way: _facts(folder / way) for way in WAYS},
        "places": lambda text: tagger.tag([text]),
        "pipeline": _pipeline(folder / "torch"),
    }
    figures: dict[str, float] = {}
    for kind, texts in (("notes", list(_notes())), ("abstracts", list(_abstracts()))):
        taken: dict[str, list[float]] = {way: [] for way in asked}
        for ask in asked.values():
            ask(texts[0])
        for number in range(REPEATS[kind]):
            for text in texts:
                for way, ask in asked.items():
                    if way != "int8" and number >= FEWER[kind]:
                        continue
                    begun = time.perf_counter()
                    ask(text)
                    taken[way].append(time.perf_counter() - begun)
        ending = "" if kind == "notes" else f".{kind}"
        for way, each in taken.items():
            name = {"int8": "facts", "pipeline": "peer.transformers", "places": "places"}.get(
                way, f"{way}.facts"
            )
            figures[f"{name}{ending}.p50_s"], figures[f"{name}{ending}.p95_s"] = np.quantile(
                each, [0.5, 0.95]
            )
        figures[f"{kind}.tokens"] = float(np.mean([_tokens(tagger, text) for text in texts]))
        figures[f"{kind}.facts"] = float(np.mean([len(asked["int8"](text)) for text in texts]))
    figures["facts.vs_transformers"] = figures["peer.transformers.p50_s"] / figures["facts.p50_s"]
    figures["facts.vs_torch"] = figures["torch.facts.p50_s"] / figures["facts.p50_s"]
    return figures


def some(folder: Path, way: str) -> None:
    """Read a few notes in one way; what memory that takes is measured from outside."""
    _one_core()
    ask = _pipeline(folder / "torch") if way == "pipeline" else _facts(folder / way)
    for text in list(_notes())[:5]:
        ask(text)


def _facts(package: Path) -> Callable[[str], Any]:
    """Give what reads the facts of a note, by a tagger first and by rules."""
    from medloom.learners.text.facts.facts import facts_of
    from medloom.learners.text.facts.rules import RuleFinder
    from medloom.learners.text.facts.tagger import TaggerFinder, meant_by

    meant = meant_by({name: [f"PLACE//{name}"] for name in NAMES.values()})
    finders = [TaggerFinder("tagger", _model(package), meant, VOCABULARIES), RuleFinder(VOCABULARIES)]
    return lambda text: facts_of(text, finders)


def _pipeline(package: Path) -> Callable[[str], Any]:
    """Give the plain pipeline of Transformers, with the weights of the learned encoder and its layer of tags.

    It reads no capitals and puts no tags in rows, and gives places alone, without codes and assertion.
    """
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForTokenClassification,
        PreTrainedTokenizerFast,
        TokenClassificationPipeline,
    )

    torch.set_num_threads(1)
    tagger = _model(package)
    kinds = ["O"] + [f"{tag}-{name}" for name in tagger.chains[0].names for tag in "BIIB"]  # of BIES
    config = AutoConfig.from_pretrained(package / "weights", local_files_only=True)
    config.id2label = dict(enumerate(kinds))
    config.label2id = {name: number for number, name in config.id2label.items()}
    plain = AutoModelForTokenClassification.from_config(config).eval()
    plain.bert.load_state_dict(tagger.network.body.encoder.state_dict(), strict=False)
    plain.classifier.load_state_dict(tagger.network.head.state_dict())
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(package / "weights" / "tokenizer.json"),
        model_max_length=256,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
    made = TokenClassificationPipeline(
        model=plain, tokenizer=tokenizer, aggregation_strategy="first", stride=64, device="cpu"
    )

    def asked(text: str) -> Any:
        return made(text)

    return asked


def _samples() -> Any:
    from _abstracts import abstract_samples  # type: ignore[import-not-found]  # beside this one

    from medloom.record.datasets import get

    return abstract_samples(get("bc5cdr"), {TRAINING: "train", DEVELOPMENT: "held_out"}, NAMES)


def _notes() -> Iterator[str]:
    """Give notes of so many words: visits of ACI-Bench, one behind the other."""
    from medloom.record.datasets import get

    csv.field_size_limit(1 << 24)
    path = get("aci-bench") / "challenge_data" / "train.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return _cut([row["note"] for row in csv.DictReader(file)], "\n\n")


def _abstracts() -> Iterator[str]:
    from _pubtator import abstracts  # type: ignore[import-not-found]  # beside this one

    from medloom.record.datasets import get

    return _cut([one.text for one in abstracts(get("bc5cdr") / DEVELOPMENT)], "\n")


def _cut(texts: Sequence[str], between: str) -> Iterator[str]:
    for first in range(NOTES):
        begin = first * 2 % (len(texts) - 8)
        joined = between.join(texts[begin : begin + 8])
        words = list(re.finditer(r"\S+", joined))
        yield joined[: words[WORDS - 1].end()]


def _model(package: Path) -> Any:
    from medloom.tasks.package import load

    return load(package)


def _tokens(tagger: Any, text: str) -> int:
    """Count the tokens of a note's windows."""
    from medloom.learners.text.windows import Note

    windows = tagger.windowing.of(Note.of(text, tagger.vocabulary), tagger.vocabulary)
    return sum(len(one.ids) for one in windows)


def _one_core() -> None:
    """Keep this process on one core, whatever libraries think they have."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _kept(path: Path, make: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Read figures that a run that was cut off has kept, or make them."""
    if not path.is_file():
        path.write_text(json.dumps(make()), encoding="utf-8")
    kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _asked(what: str, folder: Path, *more: str) -> dict[str, Any]:
    """Have a process of its own do something; give what it printed, and what it took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    measuring = [sys.executable, "-P", str(Path(__file__).with_name("_measure.py"))]
    done = subprocess.run(
        [*measuring, sys.executable, "-P", __file__, what, str(folder), *more],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))
    _, what, folder, *more = sys.argv
    if what == "times":
        print(json.dumps(times(Path(folder))))
    else:
        some(Path(folder), *more)
