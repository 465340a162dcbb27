"""Histories to features: a record on disk to a matrix, beside meds-tab and a plain Polars script.

All three read the same rows and look at the same windows before the same moments. Every measurement is a process of
its own, from its start to its end, with as many threads as there are cores.

- Ours: the site's record; the task is asked, samples are split, the features are fitted on the training samples, and
  the matrix of all samples is made: static facts and, for each code and window, two or (with values) eight statistics.
- `polars`: what one writes by hand for this one question; the same eight statistics of codes with values, no code
  hidden by rule, nothing fitted, no rule of what was known when.
- `meds-tab`: prepared as its documentation says, outside the measured time: columns of MEDS only, a shard a split
  (it reshards to at most 50,000 subjects), labels given. Its commands describe, tabularize-static and
  tabularize-time-series, with a worker a core; memory is that of the workers together. It is asked for static facts
  and `code/count` only: in 0.2.0 the statistics of values come out empty (codes are looked for among names of
  columns), and to time them would be to time nothing. So it makes far fewer features. Its windows end at the last
  event before the moment, ours at the moment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from medloom.cli.bench import Bench
    from medloom.record.record import Record

RUNS = 3
CORES = 2
WINDOWS = ("ever", "24h", "12h", "6h")
START, DEATH, HOURS = "ENCOUNTER//icu//START", "MEDS_DEATH", 48
SCORES = ("PHYSIONET2012//SAPS-I", "PHYSIONET2012//SOFA")
MEDS_TAB = "meds-tab"
REQUIREMENTS = (
    f"{MEDS_TAB}==0.2.0",
    "meds-transforms==0.7.0",
    "polars==1.44.2",
    "pyarrow==26.0.1",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "scipy==1.17.1",
)


def run(bench: Bench) -> None:
    """Import once; then ours, the script and the peer, side by side."""
    from medloom.record.datasets import get

    record = _record(bench, get("physionet2012"))
    data = bench.work / "site" / "record" / "data"
    bench.data["physionet2012"] = {"sets": "a, b", "stays": record.n_subjects, "facts": record.n_events}
    ours, script = [], []
    for _ in range(RUNS):  # in turns, so that other load on the machine falls on both
        ours.append(_measured(sys.executable, __file__, "medloom", str(bench.work / "site")))
        script.append(_measured(sys.executable, __file__, "polars", str(data)))
    peer = _meds_tab(bench, record)
    figures = bench.figures
    for name, best in (("medloom", _best(ours)), ("polars", _best(script)), (f"peer.{MEDS_TAB}", peer)):
        figures |= {f"{name}.{key}": best[key] for key in ("seconds_s", "cpu_s", "peak_mb", "features")}
    figures |= {f"medloom.{step}": seconds for step, seconds in _best(ours)["steps"].items()}
    figures[f"peer.{MEDS_TAB}.largest_process_mb"] = peer["largest_process_mb"]
    figures |= {
        f"medloom.speedup_vs_{MEDS_TAB}": peer["seconds_s"] / figures["medloom.seconds_s"],
        f"medloom.cpu_vs_{MEDS_TAB}": figures["medloom.cpu_s"] / peer["cpu_s"],
        f"medloom.memory_vs_{MEDS_TAB}": figures["medloom.peak_mb"] / peer["peak_mb"],
        "medloom.seconds_vs_polars": figures["medloom.seconds_s"] / figures["polars.seconds_s"],
        "medloom.cpu_vs_polars": figures["medloom.cpu_s"] / figures["polars.cpu_s"],
    }


def medloom_features(site: Path) -> dict[str, Any]:
    """Ask the task of a site's record, fit the features on the training samples and make the matrix of all."""
    clock = _Clock()
    from medloom.features.windows import WindowFeatures
    from medloom.foundation.site import SiteDirectory
    from medloom.record.record import Record
    from medloom.tasks.labelling import apply
    from medloom.tasks.task import Task

    clock.lap("import_s")
    task = Task.model_validate(
        {
            "name": "icu-mortality",
            "title": {
                "en": "Death in hospital from the first 48 h of intensive care",
                "zh": "由入ICU前48小时预测院内死亡",
            },
            "kind": "binary",
            "prediction_time": {"event": [START], "offset": f"{HOURS}h"},
            "observe": {"without": list(SCORES)},
            "predict": {"event": [DEATH], "within": "1y"},
        }
    )
    samples = apply(task, Record.open(SiteDirectory(site))).samples
    clock.lap("label_s")
    features = WindowFeatures.fit(samples.in_split("train"), WINDOWS)
    clock.lap("fit_s")
    matrix = features.transform(samples)
    clock.lap("transform_s")
    return {"samples": matrix.shape[0], "features": matrix.shape[1], "steps": clock.laps}


def polars_script(data: Path) -> dict[str, Any]:
    """Make the same statistics of values with Polars alone: filter and group by window, pivot, join."""
    import polars as pl

    facts = pl.scan_parquet(data / "*.parquet").select("subject_id", "time", "code", "numeric_value")
    asked = facts.filter(pl.col("code") == START).select(
        "subject_id", at=pl.col("time") + pl.duration(hours=HOURS)
    )
    seen = (
        facts.filter(pl.col("numeric_value").is_not_null(), ~pl.col("code").is_in(SCORES))
        .join(asked, on="subject_id")
        .filter(pl.col("time") <= pl.col("at"))
        .select(
            "subject_id",
            pl.col("code").cast(pl.Categorical),
            age=(pl.col("at") - pl.col("time")).dt.total_microseconds() / 3_600_000_000,
            value=pl.col("numeric_value").cast(pl.Float64),
        )
        .collect()
    )
    n, age, value = pl.len(), pl.col("age"), pl.col("value")
    statistics = {
        "count": n,
        "since": age.min(),
        "first": value.first(),
        "last": value.last(),
        "min": value.min(),
        "max": value.max(),
        "mean": value.mean(),
        "slope": -(n * (age * value).sum() - age.sum() * value.sum())
        / (n * (age * age).sum() - age.sum() ** 2),
    }
    matrix = asked.select("subject_id").collect().sort("subject_id")
    for window in (None, 24, 12, 6):
        inside = seen.lazy() if window is None else seen.lazy().filter(age < window)
        # the streaming engine groups twice as fast as the other
        table = inside.group_by("subject_id", "code").agg(**statistics).collect(engine="streaming")
        wide = table.pivot(on="code", index="subject_id", values=list(statistics))
        matrix = matrix.join(wide, on="subject_id", how="left", suffix=f" {window}")
    values = matrix.drop("subject_id").cast(pl.Float32).to_numpy()
    return {"samples": values.shape[0], "features": values.shape[1]}


def _record(bench: Bench, source: Path) -> Record:
    """Import the data, unless an earlier run has; refuses rows with a `known_time`, which MEDS does not know."""
    import medloom as ml
    from medloom.foundation.files import remove

    folder, stamp = bench.work / "site", bench.work / "imported"
    os.environ["MEDLOOM_KEY_FILE"] = str(bench.work / "key")
    if not stamp.is_file():
        remove(folder)
        report = ml.Site.create(folder).record.add(ml.importers.table(source, mapping="physionet2012"))
        assert report.balanced
        stamp.touch()
    record = ml.Site.open(folder).record
    assert record.read(["known_time"])["known_time"].null_count == record.n_events
    return record


def _meds_tab(bench: Bench, record: Record) -> dict[str, Any]:
    """Prepare the same rows for meds-tab, and run its commands one after another."""
    from medloom.foundation.files import remove

    sys.path.insert(0, str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this script

    commands = peer_python(bench, MEDS_TAB, REQUIREMENTS).parent
    folder = bench.work / MEDS_TAB
    remove(folder)
    _shard_by_split(record, folder)
    windows = ",".join("full" if window == "ever" else window for window in WINDOWS)
    places = [f"input_dir={folder / 'data'}", f"output_dir={folder / 'out'}"]
    request = [
        f"input_label_dir={folder / 'labels'}",
        f"tabularization.window_sizes=[{windows}]",
        "tabularization.aggs=[static/present,static/first,code/count]",
    ]
    workers = ["--multirun", f"worker=range(0,{CORES})", "hydra/launcher=joblib"]
    done = [
        _measured(str(commands / "meds-tab-describe"), *places),
        _measured(str(commands / "meds-tab-tabularize-static"), *places, *request),
        _measured(str(commands / "meds-tab-tabularize-time-series"), *workers, *places, *request),
    ]
    features = _filled(folder / "out" / "tabularize" / "train")
    remove(folder)
    total = {key: sum(one[key] for one in done) for key in ("seconds_s", "cpu_s")}
    peak = {key: max(one[key] for one in done) for key in ("peak_mb", "largest_process_mb")}
    return {**total, **peak, "features": features}


def _shard_by_split(record: Record, folder: Path) -> None:
    """Write `data/SPLIT/0.parquet` in MEDS' columns and `labels/SPLIT/0.parquet` as meds-tab wants them."""
    import polars as pl

    events = record.events().select("subject_id", "time", "code", "numeric_value", "text_value")
    for (split,), subjects in record.splits().group_by("split"):
        rows = events.join(subjects, on="subject_id", how="semi", maintain_order="left")
        _write(rows, folder / "data" / str(split))
        asked = rows.filter(pl.col("code") == START).select(
            "subject_id",
            prediction_time=pl.col("time") + pl.duration(hours=HOURS),
            boolean_value=pl.lit(False),
        )
        _write(asked, folder / "labels" / str(split))


def _write(frame: pl.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True)
    frame.write_parquet(folder / "0.parquet")


def _filled(folder: Path) -> int:
    """Count the columns that hold anything, over meds-tab's matrices: (3, entries) of value, row, column."""
    import numpy as np

    return sum(len(np.unique(np.load(path)["array"][2])) for path in folder.rglob("*.npz"))


def _measured(*command: str) -> dict[str, Any]:
    """Run a command on the same cores with the same threads; give its cost and the object it printed, if any."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), str(CORES))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("_measure.py")), *command],
        env={**os.environ, **threads},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if "meds-tab" in command[0] else None,  # it logs each step
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    printed: str = found.pop("printed")
    return found | (json.loads(printed) if printed.startswith("{") else {})


def _best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return min(runs, key=lambda one: one["seconds_s"])


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["medloom", site]:
            json.dump(medloom_features(Path(site)), sys.stdout)
        case ["polars", data]:
            json.dump(polars_script(Path(data)), sys.stdout)
        case _:
            sys.exit("run it with: medloom bench tabularize")
