"""Prognosis: published splits of four cohorts, three cohorts beside scikit-survival, and its metrics beside ours.

- METABRIC, GBSG, SUPPORT, WHAS: of the candidates below the one is taken that ranks best over folds of the training
  samples; the test samples are looked at once, with that one.
- GBSG2, WHAS500, FLCHAIN: Cox and a forest of as many trees as scikit-survival's, on the same random splits, scored by
  the same functions at the same times. Intervals of differences are resampled by subject, over all splits together.
- Metrics: random outcomes with ties, ours and scikit-survival's; the largest difference.

Each step is kept in the benchmark's folder, and a run that was cut off goes on after the last.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import medloom as ml
from medloom.cli.bench import Bench
from medloom.evidence.concordance import Concordance
from medloom.evidence.intervals import bootstrap, estimate
from medloom.evidence.survival import (
    Brier,
    Censoring,
    DynamicAuc,
    followed_until,
    harrell,
    integrated,
    uno,
)
from medloom.evidence.survival_evaluation import evaluate_survival
from medloom.foundation.hashing import digest
from medloom.record.datasets import get
from medloom.tasks.external import from_frame
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, Outcomes, outcomes_of, read_curves
from medloom.training.nonparametric import Timeline

PEER = "scikit-survival"
REQUIREMENTS = (f"{PEER}==0.28.0", "h5py==3.16.0", "scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1")
PUBLISHED = ("support", "metabric", "gbsg", "whas")
BESIDE = {"gbsg2": 10, "whas500": 10, "flchain": 2}  # splits: one of FLCHAIN takes the peer a minute
FOLDS = 3
TREES = 100
TUNING = 0.15
Members = tuple[tuple[str, dict[str, Any]], ...]
COX: Members = (("cox", {}),)
GBDT: Members = (("survival-gbdt", {"num_leaves": 31, "min_leaf": 5}),)
RANDOM: Members = (("survival-forest", {"min_leaf": 5, "random_thresholds": True}),)
FINE: Members = (("survival-forest", {"min_leaf": 3, "random_thresholds": True, "n_trees": 300}),)
NETWORK: Members = (("deepsurv", {}),)
# One learner, or several whose curves are averaged.
CANDIDATES: dict[str, Members] = {
    "cox": COX,
    "aft": (("aft", {}),),
    "forest": (("survival-forest", {}),),
    "forest-1": (("survival-forest", {"min_leaf": 1, "random_thresholds": False}),),
    "forest-random": RANDOM,
    "gbdt": (("survival-gbdt", {}),),
    "gbdt-large": GBDT,
    "deepsurv": NETWORK,
    "discrete-hazard": (("discrete-hazard", {}),),
    "cox+gbdt-large+forest-random": (*COX, *GBDT, *RANDOM),
    "gbdt-large+forest-fine+deepsurv": (*GBDT, *FINE, *NETWORK),
    "cox+gbdt-large+forest-fine+deepsurv": (*COX, *GBDT, *FINE, *NETWORK),
}
Floats = NDArray[np.float64]


def run(bench: Bench) -> None:
    """Check metrics, then cohorts beside the peer, then the published splits."""
    sys.path.insert(0, str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this script

    folder = get("survival")
    python = peer_python(bench, PEER, REQUIREMENTS)
    csv = bench.work / "csv"
    if not (csv / "flchain.csv").is_file():
        csv.mkdir(parents=True, exist_ok=True)
        _peer(python, "data", folder, csv)
    bench.figures |= _kept(bench, "metrics", lambda: _metrics(bench, python))
    for name, splits in BESIDE.items():
        bench.figures |= _kept(
            bench, name, lambda n=name, s=splits: _beside(bench, python, csv / f"{n}.csv", s)
        )
    for name in PUBLISHED:
        chosen = _kept(bench, f"{name}-chosen", lambda n=name: _chosen(bench, csv / f"{n}.csv"))
        bench.figures |= _kept(
            bench, f"{name}-test", lambda n=name, c=chosen: _tested(bench, csv / f"{n}.csv", c)
        )
        best = max(chosen, key=lambda one: chosen[one])
        bench.data[name] = {"chosen": best, "c_index over folds of train": round(chosen[best], 4)}
        bench.references |= _published(name)


def _published(name: str) -> dict[str, Any]:
    source = "Katzman et al., BMC Med Res Methodol 2018;18:24; the same split"
    cox, forest, network = {
        "support": (0.583, 0.613, 0.618),
        "metabric": (0.631, 0.624, 0.643),
        "gbsg": (0.659, 0.651, 0.668),
        "whas": (0.818, 0.894, 0.862),
    }[name]
    values = {"cox": cox, "rsf": forest, "deepsurv": network}
    return {f"{name}.{one}.c_index": {"value": value, "source": source} for one, value in values.items()}


def _metrics(bench: Bench, python: Path) -> dict[str, float]:
    """Compare metrics on random outcomes with ties; gives the largest absolute difference of each."""
    asked, ours = {}, []
    for number in range(20):
        rng = np.random.default_rng(bench.seed + number)
        n = int(rng.integers(40, 400))
        latent, censored = rng.exponential(10, n), rng.exponential(14, n)
        step = rng.choice([1.0, 0.5, 0.01])  # coarse times tie
        when = np.ceil(np.minimum(latent, censored) / step) * step
        happened = (latent <= censored).astype(np.int64)
        # the peer refuses an event at a time by which all are censored
        when[0], happened[0] = when.max() + 1, 1
        outcomes = Outcomes(when, happened)
        risk = np.round(rng.normal(0, 6, n) - latent, int(rng.integers(0, 3)))
        times = np.linspace(when[happened == 1].min() + step, np.quantile(when, 0.85), 12)
        incidence = 1 - np.exp(-np.exp(risk / 20)[:, None] * times / 12)
        until = float(np.quantile(when, 0.85))
        censoring = Censoring.of(Timeline.of(outcomes))
        brier = Brier(outcomes, 1, times, incidence)(censoring)
        ours.append(
            {
                "harrell": harrell(outcomes, risk),
                "uno": uno(outcomes, risk, until=until),
                "auc": np.array([DynamicAuc(outcomes, 1, one, risk)(censoring) for one in times]),
                "brier": brier,
                "ibs": integrated(brier, times),
            }
        )
        given = {
            "time": when,
            "event": outcomes.cause,
            "risk": risk,
            "incidence": incidence,
            "times": times,
            "until": until,
        }
        asked |= {f"{number}.{name}": value for name, value in given.items()}
    np.savez(bench.work / "asked.npz", cases=len(ours), **asked)
    _peer(python, "metrics", bench.work / "asked.npz", bench.work / "found.npz")
    found = np.load(bench.work / "found.npz")
    return {
        f"metrics.{name}.largest_difference": max(
            float(np.abs(one[name] - found[f"{number}.{name}"]).max()) for number, one in enumerate(ours)
        )
        for name in ours[0]
    }


def _beside(bench: Bench, python: Path, csv: Path, repeats: int) -> dict[str, float]:
    """Fit ours and the peer's on the same splits of one cohort, and score both by the same functions."""
    samples, outcomes, frame = _samples(csv)
    splits = []
    for repeat in range(repeats):
        order = np.random.default_rng(bench.seed + repeat).permutation(len(samples))
        train, test = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
        until = followed_until(outcomes[test])
        happened = outcomes.time[test][outcomes.happened[test] & (outcomes.time[test] <= until)]
        times = np.unique(np.quantile(happened, np.linspace(0, 1, 50)))
        splits.append({"train": train.tolist(), "test": test.tolist(), "times": times.tolist()})
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    task = bench.work / f"{csv.stem}.splits"
    task.write_text(json.dumps({"splits": splits, "texts": texts, "n_trees": TREES}))
    out = bench.work / f"{csv.stem}.peer.npz"
    bench.looked()
    _peer(python, "fit", csv, task, out)
    peers = np.load(out)
    name = csv.stem
    scores: list[tuple[NDArray[np.int64], dict[str, _Scores]]] = []
    seconds: dict[str, list[float]] = {}
    for number, split in enumerate(splits):
        test, times = np.array(split["test"]), np.array(split["times"])
        each = {}
        for ours, parameters in (("cox", {}), ("survival-forest", {"n_trees": TREES})):
            part = _assigned(samples, np.array(split["train"]), test, bench.seed + number)
            learner = ml.learner(ours, **parameters)
            began = time.perf_counter()
            model = learner.fit(part.in_split("train"), part.in_split("tuning"), seed=bench.seed)
            seconds.setdefault(ours, []).append(time.perf_counter() - began)
            held_out = part.in_split("held_out")
            curves = read_curves(model.predict(held_out).frame, ("event",), pl.Series(np.sort(test)))
            each[ours] = _Scores(
                outcomes[np.sort(test)],
                curves.time_lost()[:, 0],
                curves.at(np.minimum(times, curves.times[-1]))[:, 0],
                times,
            )
        order = np.argsort(test)
        for peer in ("cox", "rsf"):
            each[f"peer.{peer}"] = _Scores(
                outcomes[np.sort(test)],
                peers[f"{number}.{peer}.risk"][order],
                peers[f"{number}.{peer}.incidence"][order],
                times,
            )
            seconds.setdefault(f"peer.{peer}", []).append(float(peers[f"{number}.{peer}.train_s"]))
        scores.append((np.sort(test), each))

    def measured(weight: Floats) -> dict[str, Floats]:
        every = [{one: score(weight[:, test]) for one, score in each.items()} for test, each in scores]
        out = {
            f"{one}.{metric}": np.mean([each[one][metric] for each in every], axis=0)
            for one in every[0]
            for metric in ("c_index", "ibs")
        }
        for ours, theirs in (("cox", "peer.cox"), ("survival-forest", "peer.rsf")):
            for metric in ("c_index", "ibs"):
                out[f"{ours}_minus_{theirs}.{metric}"] = out[f"{ours}.{metric}"] - out[f"{theirs}.{metric}"]
        return out

    whole = measured(np.ones((1, len(samples))))
    drawn = bootstrap(measured, np.arange(len(samples)), 200, bench.seed)
    figures: dict[str, float] = {f"{name}.n": len(samples), f"{name}.splits": repeats}
    for key, value in whole.items():
        found = estimate(value[0], drawn[key])
        figures[f"{name}.{key}"] = found.value
        if "_minus_" in key:
            figures |= {f"{name}.{key}.low": found.low, f"{name}.{key}.high": found.high}
    figures |= {f"{name}.{one}.train_s": float(np.mean(values)) for one, values in seconds.items()}
    return figures


class _Scores:
    """C-index and integrated Brier score of some predictions, for any weights of the samples."""

    def __init__(self, outcomes: Outcomes, risk: Floats, incidence: Floats, times: Floats) -> None:
        self._timeline, self._times = Timeline.of(outcomes), times
        self._concordance = Concordance(outcomes, 1, risk)
        self._brier = Brier(outcomes, 1, times, incidence)

    def __call__(self, weight: Floats) -> dict[str, Floats]:
        censoring = Censoring.of(self._timeline, weight)
        errors = self._brier(censoring, weight)
        return {"c_index": self._concordance(weight), "ibs": integrated(errors, self._times)}


def _chosen(bench: Bench, csv: Path) -> dict[str, float]:
    """Score every candidate by its C-index over folds of the training samples."""
    samples, outcomes, frame = _samples(csv, "part")
    train = np.flatnonzero((frame["part"] == "train").to_numpy())
    fold = np.random.default_rng(bench.seed).permutation(len(train)) % FOLDS
    found = {}
    for candidate, members in CANDIDATES.items():
        ranks = []
        for number in range(FOLDS):
            inside, outside = train[fold != number], train[fold == number]
            part = _assigned(samples, inside, outside, bench.seed)
            lost = _curves(members, part, np.sort(outside), bench.seed).time_lost()
            ranks.append(harrell(outcomes[np.sort(outside)], lost[:, 0]))
        found[candidate] = float(np.mean(ranks))
    return found


def _tested(bench: Bench, csv: Path, chosen: dict[str, float]) -> dict[str, float]:
    """Learn with the candidate that did best over folds from all training samples; look at the test samples."""
    samples, _, frame = _samples(csv, "part")
    train, test = (np.flatnonzero((frame["part"] == one).to_numpy()) for one in ("train", "test"))
    part = _assigned(samples, train, test, bench.seed)
    figures: dict[str, float] = {f"{csv.stem}.train.n": len(train), f"{csv.stem}.test.n": len(test)}
    best = max(chosen, key=lambda one: chosen[one])
    bench.looked()
    for label, candidate in (("best", best), ("cox", "cox")):
        began = time.perf_counter()
        curves = _curves(CANDIDATES[candidate], part, np.sort(test), bench.seed)
        seconds = time.perf_counter() - began
        held_out = part.in_split("held_out")
        predictions = curves.predictions(held_out.frame["sample_id"], ("event",))
        evaluation = evaluate_survival(held_out, predictions, seed=bench.seed)
        figures[f"{csv.stem}.{label}.train_and_predict_s"] = seconds
        for metric in ("c_index", "c_index_ipcw", "ibs"):
            found = evaluation.metrics[metric]
            figures |= {
                f"{csv.stem}.{label}.{metric}": found.value,
                f"{csv.stem}.{label}.{metric}.low": found.low,
                f"{csv.stem}.{label}.{metric}.high": found.high,
            }
    return figures


def _curves(members: Members, part: Samples, ids: NDArray[np.integer], seed: int) -> Curves:
    """Learn, and predict the samples held out; of several learners the mean of their curves."""
    found = []
    for name, parameters in members:
        learner = ml.learner(name, **parameters)
        model = learner.fit(part.in_split("train"), part.in_split("tuning"), seed=seed)
        found.append(read_curves(model.predict(part.in_split("held_out")).frame, ("event",), pl.Series(ids)))
    return Curves(found[0].times, np.mean([one.incidence for one in found], axis=0))


def _samples(csv: Path, *without: str) -> tuple[Samples, Outcomes, pl.DataFrame]:
    frame = pl.read_csv(csv, infer_schema_length=None)
    samples = from_frame(frame, time="time", event="event", drop=without, name=csv.stem)
    return samples, outcomes_of(samples.frame["label"], ("event",)), frame


def _assigned(samples: Samples, train: NDArray[np.integer], test: NDArray[np.integer], seed: int) -> Samples:
    """Put rows into train, tuning and held out; the others are left out."""
    split = np.full(len(samples), "calibration", dtype=object)
    split[train] = "train"
    tuned = np.random.default_rng(seed).permutation(train)[: int(TUNING * len(train))]
    split[tuned], split[test] = "tuning", "held_out"
    return replace(samples, frame=samples.frame.with_columns(split=pl.Series(split.astype(str))))


def _kept(bench: Bench, step: str, work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Do a step, or take what an earlier run with the same scripts found."""
    scripts = [Path(__file__).with_name(name).read_text() for name in ("survival.py", "_survival_peer.py")]
    version = digest([*scripts, ml.__version__, bench.seed])[:12]
    path = bench.work / f"{step}-{version}.json"
    if not path.is_file():
        path.write_text(json.dumps(work()))
    found: dict[str, float] = json.loads(path.read_text())
    return found


def _peer(python: Path, *arguments: object) -> None:
    script = Path(__file__).with_name("_survival_peer.py")
    subprocess.run([str(python), str(script), *map(str, arguments)], check=True)
