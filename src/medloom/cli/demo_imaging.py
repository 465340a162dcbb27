"""`medloom demo imaging`: from a scanner's files and pictures to an explained answer, with nothing downloaded."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import polars as pl

from medloom.cli import screen
from medloom.cli.modelling import show_flow
from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import tr

MODELS: Final = ("opacity.cnn", "opacity-outline.unet")
"""What the demo learns."""

_QUESTIONS: Final = {
    "opacity": """\
name: opacity
kind: binary
title: {en: An opacity on the chest picture, zh: 胸部图像上有阴影}
prediction_time: {event: [IMAGE//DX//CHEST], which: every}
predict: {of: image, event: [FINDING//ill]}
""",
    "opacity-outline": """\
name: opacity-outline
kind: segmentation
title: {en: Where the opacity is, zh: 阴影的位置}
prediction_time: {event: [IMAGE//DX//CHEST], which: every}
predict: {outline: [OUTLINE//opacity], structures: [opacity], of: image}
""",
}
_SCANS: Final = ("CT_small.dcm", "MR_small.dcm")
_PICTURES: Final = 200
_NETWORK: Final[dict[str, Any]] = {
    "size": 48,
    "width": 8,
    "epochs": 20,
    "patience": 20,
    "batch": 16,
    "learning_rate": 0.003,
    "augment": 0.5,
    "average": 0.0,
}


def show(folder: Path, seed: int) -> None:
    """Go the whole way in a folder that is empty."""
    started = time.perf_counter()
    from medloom.record.imaging.reading import check_imaging
    from medloom.training.descent import check_torch

    check_imaging()
    check_torch("cnn")
    from medloom import api, dossier, importers
    from medloom.record.imaging.phantom import write_chests
    from medloom.site import Site

    site = Site.create(folder)
    screen.heading(tr("1  A scanner's files: DICOM that comes with pydicom, de-identified on the way in"))
    with screen.showing_progress():
        for scan in _SCANS:
            screen.say(str(site.record.add(importers.named("dicom", _scan(scan)))))
    screen.heading(tr("2  Pictures: {n} chests that are drawn, half of them with an opacity", n=_PICTURES))
    pictures = write_chests(folder / "pictures", _PICTURES, outlines=True)
    with screen.showing_progress():
        importer = importers.named(
            "images", pictures, patient="(patient[0-9]+)", modality="DX", body="CHEST", date="2024-05-01",
            outlines="outlines", structure="opacity", classes=True,
        )  # fmt: skip
        screen.say(str(site.record.add(importer)))
    for name, text in _QUESTIONS.items():
        (site.directory.tasks / f"{name}.yaml").write_text(text, encoding="utf-8")
    screen.heading(tr("3  The question: is there an opacity?"))
    task = site.task("opacity")
    show_flow(task.cohort.flow)
    screen.heading(tr("4  A small network, learned from training patients alone"))
    with screen.showing_progress():
        model = api.train(task, learner="cnn", **_NETWORK, seed=seed)
    screen.say(tr("Learned {model}.", model=model.name))
    screen.heading(tr("5  How good? On held-out patients, and on images taken otherwise"))
    with screen.showing_progress():
        found = dossier.evaluate(site, str(model.name), seed=seed)
    screen.say(str(found.evaluation))
    if found.robustness is not None:
        trials = found.robustness.trials.get("acquisition", ())
        rows = [(screen.spoken(one.name), str(one.metrics["auroc"])) for one in trials]
        screen.table([tr("if the image were"), "AUROC"], rows)
    found.copy_report(folder / "report.html")
    screen.heading(tr("6  Why? The held-out picture with the highest answer"))
    held_out = model.samples.in_split("held_out")
    place = model.predict(held_out).frame["value"].arg_max() or 0
    sample = held_out.where(pl.int_range(pl.len()) == place)
    page = folder / "patient.html"
    dossier.patient_page(site, model, sample, page, evaluation=found.evaluation, reveal=True)
    screen.say(tr("The page shows the picture, and where the network looked."))
    screen.heading(tr("Done in {seconds:.0f} s", seconds=time.perf_counter() - started))
    screen.table(
        [tr("open"), tr("what it shows")],
        [
            (
                folder / "report.html",
                tr("how good the model is, for whom, and when images are taken otherwise"),
            ),
            (page, tr("one picture as a clinician sees it: answer, why, where")),
        ],
    )
    screen.heading(tr("try next"))
    again = screen.program()
    unet = f"{again} train opacity-outline --learner unet -p epochs=15 --site {folder}"
    transfer = f"{again} train opacity --learner efficientnet -p size=96 -p epochs=3 --site {folder}"
    graph = f"{again} compress opacity.cnn --to onnx --site {folder}"
    for what, command in (
        (tr("outlines of the opacities, learned in a minute or two"), unet),
        (tr("from weights of ImageNet"), transfer),
        (tr("as a graph, without PyTorch"), graph),
    ):
        screen.say(what)
        screen.command(command)


def _scan(name: str) -> Path:
    found = find_spec("pydicom")
    if found is None or found.origin is None:
        raise NotFoundError("pydicom's own files are missing; install them with: pip install pydicom")
    return Path(found.origin).parent / "data" / "test_files" / name
