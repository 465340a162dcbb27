"""Small tables of medicine: `auto` beside AutoPrognosis, in the same time on the same rows.

Four classics, ten random splits each into three quarters and one. Both sides get the training rows, the rows to answer,
the same core and the same wall-clock time for search and learning, in turn, each in a process of its own that has
loaded its libraries; neither knows the test labels. Where a side takes longer it is let finish, and the time it took
stands in the result. `auto` was not tuned on these tables, but on others. A rank is 1 or 2 by AUROC on the test rows,
1.5 where these are equal.

Columns are numbers, as the files have them; rows with a gap, which are few, are left out, so that no side's imputation
is measured. The length of follow-up, known only afterwards, is no input (heart failure).

Every unit is kept as a line in the benchmark's folder, and a run that was cut off goes on after the last.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from medloom.cli.bench import Bench

PEER = "autoprognosis"
REQUIREMENTS = (f"{PEER}==0.1.22", "scikit-learn==1.6.1", "torch==2.13.0", "numpy==2.4.6", "pandas==2.3.3")
SECONDS = 20
SPLITS = 10
TEST = 0.25
CLEVELAND = "age sex cp trestbps chol fbs restecg thalach exang oldpeak slope ca thal num".split()
BREAST = "id clump size shape adhesion epithelial nuclei chromatin nucleoli mitoses class".split()
PIMA = "pregnancies glucose pressure skin insulin bmi pedigree age diabetes".split()
# Before the clock starts, as the peer's libraries are.
LOADED = (
    "lightgbm",
    "optuna",
    "sklearn.ensemble",
    "sklearn.neural_network",
    "sklearn.svm",
    "sklearn.model_selection",
)
SIDES = ("auto", f"peer.{PEER}")


def run(bench: Bench) -> None:
    """Do every unit that is not there yet, ours and the peer's in turn; then compare."""
    sys.path.insert(0, str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this script

    from medloom.record.datasets import get

    tables = _tables(get("tabular-classics"))
    python = peer_python(bench, PEER, REQUIREMENTS)
    bench.data |= {name: {"rows": len(table)} for name, table in tables.items()}
    bench.data["budget"] = {"seconds": SECONDS, "cores": 1, "splits": SPLITS}
    units = _Units(bench)
    pythons = {SIDES[0]: Path(sys.executable), SIDES[1]: python}
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def one(number: int, name: str) -> None:
        core = cores.get()
        units.do(name, number, tables[name], pythons, core)
        cores.put(core)

    with ThreadPoolExecutor(cores.qsize()) as pool:
        list(pool.map(one, *zip(*product(range(SPLITS), tables), strict=True)))
    bench.figures |= _compared(units.done)


class _Units:
    """What has been measured, a line each; with other scripts or another seed it begins anew."""

    def __init__(self, bench: Bench) -> None:
        import medloom
        from medloom.foundation.hashing import digest

        scripts = [Path(__file__).with_name(name).read_text() for name in ("tabular.py", "_tabular_peer.py")]
        version = digest([*scripts, medloom.__version__, bench.seed])[:12]
        self._lock = Lock()
        self._bench, self._path = bench, bench.work / f"units-{version}.jsonl"
        lines = self._path.read_text().splitlines() if self._path.is_file() else []
        self.done: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def do(self, name: str, number: int, table: pl.DataFrame, pythons: dict[str, Path], core: int) -> None:
        """Learn one split on one core by each side that has not, and score its answers."""
        known = {one["side"] for one in self.done if (one["table"], one["split"]) == (name, number)}
        train, test = _divided(table, self._bench.seed + number)
        paths = [self._bench.work / f"{core}-{one}" for one in ("train.csv", "test.csv", "answers.npy")]
        train.write_csv(paths[0])
        test.drop("label").write_csv(paths[1])
        for side, python in pythons.items():
            if side in known:
                continue
            script = Path(__file__) if side == "auto" else Path(__file__).with_name("_tabular_peer.py")
            asked = [*map(str, paths), str(SECONDS), str(self._bench.seed + number)]
            found = _measured(core, str(python), str(script), *asked)
            unit = {"table": name, "split": number, "side": side} | found
            unit |= _scored(test["label"].to_numpy(), np.load(paths[2], allow_pickle=False))
            with self._lock, self._path.open("a") as lines:
                self._bench.looked()
                lines.write(json.dumps(unit) + "\n")
                self.done.append(unit)


def _tables(folder: Path) -> dict[str, pl.DataFrame]:
    """Read the tables: numbers, and a column `label` of 0 and 1."""

    def read(name: str, columns: list[str] | None = None) -> pl.DataFrame:
        frame = pl.read_csv(
            folder / name,
            has_header=columns is None,
            new_columns=columns,
            null_values=["?", "NaN"],
            infer_schema_length=None,
        )
        return frame.drop_nulls()

    label = pl.col("label").cast(pl.Int64)
    return {
        "pima": read("pima.csv", PIMA).rename({"diabetes": "label"}),
        "breast-cancer": read("breast-cancer-wisconsin.data", BREAST)
        .with_columns(label=pl.col("class") == 4)
        .drop("id", "class")
        .with_columns(label),
        "heart-failure": read("heart_failure_299.csv").drop("time").rename({"DEATH_EVENT": "label"}),
        "heart-disease": read("processed.cleveland.data", CLEVELAND)
        .with_columns(label=pl.col("num") > 0)
        .drop("num")
        .with_columns(label),
    }


def _divided(table: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divide rows at random into training and test, each class in the same proportion."""
    rng, test = np.random.default_rng(seed), np.zeros(len(table), dtype=bool)
    for one in (0, 1):
        rows = rng.permutation(np.flatnonzero(table["label"].to_numpy() == one))
        test[rows[: round(TEST * len(rows))]] = True
    return table.filter(~pl.Series(test)), table.filter(pl.Series(test))


def _measured(core: int, *command: str) -> dict[str, float]:
    """Run a side on that core; gives seconds of search and learning, of the processor, and peak memory."""
    measure = Path(__file__).with_name("_measure.py")
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    found = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, str(measure), *command],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | one_thread | {"HF_HUB_OFFLINE": "1"},
    )
    measured = json.loads(found.stdout)
    said = json.loads(measured["printed"])
    return {"fit_s": said["fit_s"], "cpu_s": measured["cpu_s"], "peak_mb": measured["peak_mb"]}


def _scored(truth: np.ndarray[Any, Any], answers: np.ndarray[Any, Any]) -> dict[str, float]:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    return {
        "auroc": float(roc_auc_score(truth, answers)),
        "brier": float(brier_score_loss(truth, answers)),
    }


def _compared(units: list[dict[str, Any]]) -> dict[str, float]:
    """Rank the sides in each split, and average."""
    frame = pl.DataFrame(units).with_columns(
        # a round-off apart is a tie
        pl.col("auroc", "brier").round(9)
    )
    split = ("table", "split")
    ranked = frame.with_columns(
        rank=pl.col("auroc").rank("average", descending=True).over(split),
        brier_rank=pl.col("brier").rank("average").over(split),
    )
    figures: dict[str, float] = {}
    for side in SIDES:
        own = ranked.filter(pl.col("side") == side)
        figures |= {
            f"{side}.mean_rank": _mean(own, "rank"),
            f"{side}.brier.mean_rank": _mean(own, "brier_rank"),
        }
        figures |= {
            f"{side}.{name}": _mean(own, name) for name in ("auroc", "brier", "fit_s", "cpu_s", "peak_mb")
        }
        figures[f"{side}.fit_s.longest"] = float(np.max(own["fit_s"].to_numpy()))
        figures[f"{side}.better_in"] = own.filter(pl.col("rank") == 1).height
    figures["units"] = frame.height / len(SIDES)
    for (name,), part in ranked.group_by("table", maintain_order=True):
        for side in SIDES:
            own = part.filter(pl.col("side") == side)
            figures |= {
                f"{name}.{side}.{metric}": _mean(own, column)
                for metric, column in (("mean_rank", "rank"), ("auroc", "auroc"), ("brier", "brier"))
            }
    low, high = _interval(ranked)
    figures |= {"auto.mean_rank.low": low, "auto.mean_rank.high": high}
    return figures


def _mean(frame: pl.DataFrame, column: str) -> float:
    return float(np.mean(frame[column].to_numpy()))


def _interval(ranked: pl.DataFrame) -> tuple[float, float]:
    """Resample splits within each table: 95 % of the mean rank of `auto`; the splits of a table share its rows."""
    ours = ranked.filter(pl.col("side") == SIDES[0])
    rng = np.random.default_rng(0)
    drawn = [
        rng.choice(part["rank"].to_numpy(), (2000, len(part)))
        for _, part in ours.group_by("table", maintain_order=True)
    ]
    low, high = np.quantile(np.concatenate(drawn, axis=1).mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _learn(train: str, test: str, out: str, seconds: str, seed: str) -> None:
    """Our side: learn by `auto` on all training rows, answer the others."""
    for library in LOADED:
        importlib.import_module(library)
    import medloom as ml
    from medloom.tasks.external import from_frame, rows_to_answer
    from medloom.training import designs

    learned, asked = pl.read_csv(train), pl.read_csv(test)
    samples = designs.marked(from_frame(learned.with_columns(pl.col("label") == 1), "label"), "train")
    began = time.perf_counter()
    learner = ml.learner("auto", minutes=float(seconds) / 60, trials=10_000)
    model = learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed=int(seed))
    took = time.perf_counter() - began
    answers = model.predict(rows_to_answer(asked, samples.question)).frame.sort("sample_id")
    np.save(out, answers["value"].to_numpy())
    print(json.dumps({"fit_s": took}))


if __name__ == "__main__":
    _learn(*sys.argv[1:])
