"""The evidence of models that outline or find tells, end to end, what is left of them on images taken otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("monai")
pytest.importorskip("nibabel")

import medloom as ml
from medloom import dossier
from medloom.features.acquisition import shifts
from medloom.record.imaging.nifti import as_nifti
from medloom.record.importers.images import NiftiImporter
from tests.learners.image.test_detection import PLAIN, discs

TASK = """\
name: discs-{kind}
title: {{en: Discs, zh: 圆盘}}
kind: {kind}
prediction_time: {{event: [IMAGE//MR], which: every}}
predict: {{of: image, outline: [OUTLINE//disc], structures: [bright, dark]}}
"""
QUICK = {"epochs": 1, "batch": 4, "precision": "32", "average": 0.0}


@pytest.mark.parametrize(
    ("kind", "learner", "metric"),
    [("segmentation", "unet", "dice"), ("detection", "centernet", "sensitivity")],
)
def test_the_report_the_card_and_a_file_beside_tell_of_images_taken_otherwise(
    tmp_path: Path, kind: str, learner: str, metric: str
) -> None:
    for part in ("images", "outlines"):
        (tmp_path / part).mkdir()
    for number in range(100):
        image, labels = discs(number, (16, 24, 24))
        name = f"p{number:03}.nii.gz"
        (tmp_path / "images" / name).write_bytes(as_nifti(image.pixels[0], PLAIN))
        (tmp_path / "outlines" / name).write_bytes(as_nifti(labels, PLAIN))
    site = ml.Site.create(tmp_path / "site")
    site.record.add(NiftiImporter(tmp_path, outlines="outlines", structure="disc", modality="MR"))
    (site.directory.tasks / f"discs-{kind}.yaml").write_text(TASK.format(kind=kind), encoding="utf-8")
    model = ml.train(site.task(f"discs-{kind}"), learner, ranges=False, **QUICK)
    written = dossier.evaluate(site, str(model.name))
    assert written.robustness is not None
    kept = json.loads((written.folder / "robustness.json").read_text(encoding="utf-8"))
    assert kept["metric"] == metric and kept["n"] == kept["n_subjects"] == 12
    assert [one["name"] for one in kept["acquisition"]] == [one.name.en for one in shifts()]
    page = (written.folder / "report.html").read_text(encoding="utf-8")
    assert "What if things are not as they were" in page and "turned by 15°" in page and "旋转" in page
    card = (written.folder / "card.md").read_text(encoding="utf-8")
    assert written.robustness.metrics == tuple(kept["whole"]["metrics"])
    assert "costs most" in card or "Nothing that was tried surely changed" in card
