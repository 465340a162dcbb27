"""Few labels: death in hospital learned from 50 to 500 stays, with and without pretraining, and by boosted trees.

PhysioNet 2012, the first of five folds over sets a and b. One body is pretrained on the training stays, whose labels
it does not see; then so many labelled stays are drawn, ten times, and every learner gets the same ones and no others.
`timeline` is the pretrained body with LoRA, `probe` a regression on what it knows, `scratch` the same body without
pretraining. What is done is kept; a run that was cut off goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom.cli.bench import Bench
from medloom.foundation.files import remove, write_text
from medloom.tasks.samples import Samples

LABELS: Final = (50, 100, 200, 500)
DRAWS: Final = 10
PASSES: Final = 20
LEARNERS: Final = ("timeline", "probe", "scratch", "gbdt", "logistic")
PROCESSES: Final = 2


def run(bench: Bench) -> None:
    """Pretrain, draw, learn, and score the test stays."""
    sys.path.append(str(bench.folder))  # at the end: a script beside this one is named as a library
    from _icu_folds import fold, pretrained, shared_folder, stays  # type: ignore[import-not-found]  # beside this one

    shared = shared_folder(bench)
    train, _, test = fold(stays(shared), 0)
    bench.data["physionet2012"] = {"sets": "a, b", "unlabelled": len(train), "test": len(test)}
    _, bench.figures["pretraining.train_s"] = pretrained(shared, 0, bench.seed)
    jobs = [(n, draw) for n in LABELS for draw in range(DRAWS) if not _place(bench.work, n, draw).is_file()]
    with ThreadPoolExecutor(PROCESSES) as pool:
        for done in [pool.submit(_learn, *job, bench.work, shared, bench.seed) for job in jobs]:
            done.result()
    bench.looked()
    for n in LABELS:
        said = [json.loads(_place(bench.work, n, draw).read_text()) for draw in range(DRAWS)]
        for name in LEARNERS:
            found = np.array([one[name] for one in said])
            bench.figures[f"{n}.{name}.auroc"] = float(found.mean())
            bench.figures[f"{n}.{name}.auroc.sd"] = float(found.std(ddof=1))
        for other in ("scratch", "gbdt"):
            apart = np.array([one["timeline"] - one[other] for one in said])
            spread = float(apart.std(ddof=1) / np.sqrt(DRAWS))
            bench.figures |= {
                f"{n}.timeline_minus_{other}.auroc": float(apart.mean()),
                f"{n}.timeline_minus_{other}.auroc.low": float(apart.mean() - 2.262 * spread),
                f"{n}.timeline_minus_{other}.auroc.high": float(apart.mean() + 2.262 * spread),
            }
    remove(bench.work / "draws")


def _learn(*job: object) -> None:
    """Learn from one draw, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-P", __file__, *map(str, job)], env=environment, check=True)


def learn(n: int, draw: int, work: Path, shared: Path, seed: int) -> None:
    """Learn from one draw with every learner; keep the AUROC of each on the test stays."""
    import torch
    from _icu_folds import fold, pretrained, stays
    from sklearn.metrics import roc_auc_score

    import medloom as ml

    torch.set_num_threads(1)
    train, _, test = fold(stays(shared), 0)
    learned = _drawn(train, n, draw)
    nobody = learned.where(pl.lit(False))
    encoder = str(pretrained(shared, 0, seed)[0])
    quick: dict[str, Any] = {"epochs": PASSES, "batch": 16, "patience": 5}
    slow: dict[str, Any] = {"epochs": 10, "batch": 16, "patience": 10, "learning_rate": 5e-5}
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "timeline": ("timeline", {"encoder": encoder, "adapt": "lora", **slow}),
        "probe": ("timeline", {"encoder": encoder, "adapt": "probe"}),
        "scratch": ("transformer", quick),
        "gbdt": ("gbdt", {}),
        "logistic": ("logistic", {}),
    }
    truth, said = test.frame["label"].to_numpy(), {}
    for name, (learner, arguments) in settings.items():
        started = time.perf_counter()
        model = ml.learner(learner, **arguments).fit(learned, nobody, seed)
        said[f"{name}.train_s"] = time.perf_counter() - started
        said[name] = float(roc_auc_score(truth, model.predict(test).frame["value"].to_numpy()))
    place = _place(work, n, draw)
    place.parent.mkdir(exist_ok=True)
    write_text(place, json.dumps(said))


def _drawn(train: Samples, n: int, draw: int) -> Samples:
    """Draw labelled stays, with as many deaths among them as there are usually."""
    rng = np.random.default_rng([n, draw])
    label = train.frame["label"].to_numpy()
    died, lived = (rng.permutation(train.sample_ids[label == one]) for one in (True, False))
    deaths = max(2, round(n * float(label.mean())))
    chosen = [*died[:deaths].tolist(), *lived[: n - deaths].tolist()]
    return train.where(pl.col("sample_id").is_in(chosen))


def _place(work: Path, n: int, draw: int) -> Path:
    return work / "draws" / f"{n}-{draw}.json"


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))  # at the end: peft.py is named as a library
    learn(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
