"""The hippocampus, its front and its back, outlined in 260 pieces of MR images: how well, and how fast.

One fixed split: by the hash of the file's name 52 images are held out, 208 are learned from, an eighth of them by being
judged. Settings were chosen on 26 of the 208. What was learned is kept, so that a run that was cut off goes on.
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import medloom as ml
from medloom.cli.bench import Bench
from medloom.evidence.estimate import Estimate
from medloom.evidence.segmentation import METRICS, compare_each, estimates
from medloom.foundation.files import remove, write_text
from medloom.foundation.hashing import digest, sha256_bytes
from medloom.record.datasets import get
from medloom.record.imaging.image import Image
from medloom.tasks import package
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

HELD_OUT: Final = 52
STRUCTURES: Final = ("anterior", "posterior")
SETTINGS: Final[dict[str, Any]] = {
    "network": "folded",
    "networks": 4,
    "epochs": 35,
    "batch": 2,
    "average": 0.995,
}

TASK: Final = Task.model_validate(
    {
        "name": "hippocampus",
        "title": {"en": "Front and back of the hippocampus", "zh": "海马前部与后部"},
        "kind": "segmentation",
        "prediction_time": {"event": ["IMAGE//MR"]},
        "predict": {"of": "image", "outline": ["OUTLINE//hippocampus"], "structures": STRUCTURES},
        "split": {
            "by": "fact",
            "train": ["SET//train"],
            "held_out": ["SET//held_out"],
            "tuning": 0.125,
        },
    }
)


def run(bench: Bench) -> None:
    """Import, learn, outline the held-out images, compare."""
    samples = images(bench.work / "site")
    tested = samples.in_split("held_out")
    bench.data["hippocampus"] = {
        split: len(samples.in_split(split)) for split in ("train", "tuning", "held_out")
    }
    bench.versions["monai"] = version("monai")
    model, bench.figures["train_s"] = learned(samples, bench.work / "model", bench.seed)
    bench.looked()
    seconds = []

    def outline(image: Image) -> NDArray[np.uint8]:
        started = time.perf_counter()
        said: NDArray[np.uint8] = model.outline(image).labels
        seconds.append(time.perf_counter() - started)
        return said

    found = estimates(compare_each(tested, outline), tested.groups, seed=bench.seed)
    bench.figures["predict_s"] = float(np.mean(seconds))
    bench.figures["predict_s.max"] = float(np.max(seconds))
    for structure in STRUCTURES:
        for metric in METRICS:
            bench.figures |= _with_interval(f"unet.{structure}.{_named(metric)}", found[structure][metric])
    for metric in METRICS:
        bench.figures |= _with_interval(f"unet.{_named(metric)}", found[""][metric])
    bench.references = {
        "nnunet.anterior.dice": {
            "value": 0.90,
            "source": "Isensee et al., Nature Methods 2021; another split",
        },
        "nnunet.posterior.dice": {
            "value": 0.89,
            "source": "Isensee et al., Nature Methods 2021; another split",
        },
    }
    remove(bench.work / "model")


def images(folder: Path) -> Samples:
    """Import once, and ask about every image."""
    stamp = folder.with_suffix(".complete")
    if not stamp.is_file():
        remove(folder)
        data = get("hippocampus")
        table = data / "split.csv"
        write_text(table, _table(sorted(path.name for path in (data / "images").iterdir())))
        site = ml.Site.create(folder)
        report = site.record.add(ml.importers.nifti(table, modality="MR", structure="hippocampus"))
        assert report.balanced
        write_text(stamp, "")
    return ml.ask(ml.Site.open(folder).record, TASK)


def learned(samples: Samples, folder: Path, seed: int) -> tuple[Any, float]:
    """Learn, from where a run that was cut off stood; give the model and the seconds that learning took in all."""
    told, of = folder / "told.json", digest([SETTINGS, seed])
    said = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
    if said.get("of") != of:
        remove(folder)
        said = {"of": of}
    if "seconds" in said:
        return package.load(folder / "package"), said["seconds"]
    folder.mkdir(exist_ok=True)
    write_text(told, json.dumps(said))
    resumed = any((folder / "checkpoints").glob("*/*"))
    learner = ml.learner("unet", **SETTINGS, folder=str(folder / "checkpoints"))
    started = time.perf_counter()
    model = learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed)
    seconds = _spent(folder / "checkpoints") if resumed else time.perf_counter() - started
    remove(folder / "package")
    model.save(folder / "package")
    write_text(told, json.dumps({**said, "seconds": seconds}))
    return model, seconds


def _spent(checkpoints: Path) -> float:
    """Sum the seconds that networks were taught for, over all runs."""
    courses = [max(folder.glob("*/course.json")) for folder in sorted(checkpoints.iterdir())]
    return sum(float(json.loads(path.read_text(encoding="utf-8"))["seconds"]) for path in courses)


def _table(names: list[str]) -> str:
    """Name the files, and of which set each is."""
    held_out = set(sorted(names, key=lambda name: sha256_bytes(name.encode()))[:HELD_OUT])
    rows = [
        f"images/{name},{name.split('.')[0]},{'held_out' if name in held_out else 'train'},labels/{name}"
        for name in names
    ]
    return "\n".join(["file,patient,set,outline", *rows, ""])


def _named(metric: str) -> str:
    return f"{metric}_mm" if metric in ("hd95", "asd") else metric


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    values = {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return {key: value for key, value in values.items() if value is not None}
