"""Pictures of a data set as a site's task, for benchmarks: imported once, kept in the benchmark's folder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from medloom import importers
from medloom.foundation.files import remove, write_text
from medloom.record.datasets import get
from medloom.record.imaging.pictures import as_png
from medloom.site import Site
from medloom.tasks.samples import Samples

CHEST_PATIENT = r"^(train|test)/\w+/(?:NORMAL2-)?(person\d+|IM-\d+)"


def chest_xrays(folder: Path) -> Samples:
    """Give Kermany's chest X-rays: held out are the 624 of `test`, tuning 15 % of the other patients."""
    return _samples(
        folder,
        lambda site: site.record.add(
            importers.named(
                "images", get("chestxray-kermany"), patient=CHEST_PATIENT, modality="DX", body="CHEST"
            )
        ),
        "pneumonia",
        "IMAGE//DX//CHEST",
        "FINDING//PNEUMONIA",
        ("train",),
    )


def medmnist(folder: Path, name: str, positive: int, finding: str) -> Samples:
    """Give a set of MedMNIST at 28 px: held out is its test set, tuning 15 % of what it sets aside for the rest."""

    def fill(site: Site) -> None:
        pictures = folder / f"{name}-pictures"
        remove(pictures)
        pictures.mkdir(parents=True)
        with np.load(get(name) / f"{name}.npz") as arrays, (pictures / "table.csv").open("w") as file:
            table = csv.writer(file)
            table.writerow(["file", "patient", "set", finding])
            for part in ("train", "val", "test"):
                labels = arrays[f"{part}_labels"].reshape(-1)
                for number, (pixels, label) in enumerate(zip(arrays[f"{part}_images"], labels, strict=True)):
                    file_name = f"{part}-{number:05d}.png"
                    (pictures / file_name).write_bytes(as_png(pixels[None]))
                    table.writerow([file_name, file_name, part, int(label == positive)])
        site.record.add(importers.named("images", pictures / "table.csv", modality="OT"))
        remove(pictures)

    return _samples(folder, fill, name, "IMAGE//OT", f"FINDING//{finding}", ("train", "val"))


def _samples(
    folder: Path, fill: Callable[[Site], object], task: str, images: str, finding: str, train: tuple[str, ...]
) -> Samples:
    place, done = folder / f"site-{task}", folder / f"site-{task}.done"
    if not done.is_file():
        remove(place)
        fill(Site.create(place))
        write_text(done, "")
    path = folder / f"{task}.yaml"
    sets = ", ".join(f"SET//{one}" for one in train)
    path.write_text(
        f"name: {task}\nkind: binary\ntitle: {{en: {task}, zh: {task}}}\n"
        f"prediction_time: {{event: [{images}], which: every}}\n"
        f"predict: {{of: image, event: [{finding}]}}\n"
        f"split: {{by: fact, train: [{sets}], held_out: [SET//test], tuning: 0.15}}\n",
        encoding="utf-8",
    )
    return Site.open(place).task(str(path)).samples
