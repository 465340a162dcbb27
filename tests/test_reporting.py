"""What a model says of an image leaves a site: from DICOM files to DICOM objects, FHIR and pictures."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import polars as pl
import pydicom
import pytest
import SimpleITK

import medloom as ml
from medloom import reporting
from medloom.foundation.errors import InputError
from medloom.record.imaging.reading import read_image
from medloom.site import Site
from tests import imaging_site
from tests.cli.conftest import done, refused
from tests.learners.image import worlds

NOW = datetime(2021, 5, 4, 12, 30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = imaging_site.site_of(tmp_path_factory.mktemp("scans"))
    ml.train(made.task("block"), "unet", ranges=False, epochs=2, batch=2)
    return Site.open(made.directory.root)


def test_a_series_is_read_and_what_is_said_opens_elsewhere(site: Site, tmp_path: Path) -> None:
    trained = ml.trained(site, "block.unet")
    subject = int(trained.samples.frame["subject_id"][0])
    done = ml.report(site, trained, subject, tmp_path, now=NOW)
    labels = done.reading.labels
    assert labels is not None and labels.any()
    assert (done.image, done.images) == (1, 1) and not done.written.left_out
    seg = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "seg.dcm")))
    np.testing.assert_array_equal(seg > 0, labels > 0)
    report = hd.sr.srread(tmp_path / "sr.dcm")
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    volume = {one.name.meaning: one.value for one in group.get_measurements()}["Volume"]
    assert volume == pytest.approx(int(labels.sum()) * 2.0 * 0.5 * 0.75)
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert read.PatientIdentityRemoved == "YES" and read.PatientID != "P000"
    assert (
        read.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "block.unet@1"
    )
    told = json.loads((tmp_path / "fhir.json").read_text(encoding="utf-8"))
    assert told["entry"][0]["resource"]["subject"] == {"reference": f"Patient/{subject}"}
    assert told["entry"][0]["resource"]["effectiveDateTime"].startswith("2020-01-31T09:30:00")


def test_outlines_that_are_kept_stand_beside_the_image_and_are_no_labels(site: Site, tmp_path: Path) -> None:
    trained = ml.trained(site, "block.unet")
    subject = int(trained.samples.frame["subject_id"][1])
    labelled = trained.samples.digest()
    done = ml.report(site, trained, subject, tmp_path, ["png"], keep=True, now=NOW)
    again = ml.report(site, trained, subject, tmp_path, ["png"], keep=True, now=NOW)
    assert again.kept == done.kept and list(done.kept) == ["left lung"]
    after = Site.open(site.directory.root)
    facts = after.record.events([subject]).filter(pl.col("model").is_not_null())
    (one,) = facts.filter(pl.col("known_until").is_null()).to_dicts()
    assert (one["code"], one["model"], one["role"]) == ("OUTLINE//left lung", "block.unet@1", "image")
    assert one["derived_from"] == done.reading.source.asset and one["known_time"] == NOW
    with after.record.assets().open(one["asset"]) as file:
        np.testing.assert_array_equal(read_image(file).pixels[0], done.reading.labels == 1)
    assert after.task("block").samples.frame["label"].equals(trained.samples.frame["label"])
    assert len(after.task("block").samples) == len(trained.samples) and labelled


def test_the_answer_about_a_picture_comes_with_its_map(tmp_path: Path) -> None:
    site = worlds.site_of(40)
    trained = ml.train(site.task("disc-binary"), "cnn", ranges=False, epochs=1)
    subject = int(trained.samples.frame["subject_id"][0])
    done = ml.report(site, trained, subject, tmp_path, ["png", "fhir", "sr"], now=NOW)
    assert [path.name for path in done.written.files] == ["slice-001.png", "fhir.json"]
    assert set(done.written.left_out) == {"sr"}
    reading = done.reading
    assert reading.output == "true" and reading.heat is not None and reading.heat.shape == (32, 32)
    assert reading.answers[0].value == pytest.approx(
        trained.predict(trained.samples.where(pl.col("subject_id") == subject)).frame["value"][0]
    )


def test_what_cannot_be_asked_is_said(site: Site, tmp_path: Path) -> None:
    trained = ml.trained(site, "block.unet")
    subject = int(trained.samples.frame["subject_id"][0])
    with pytest.raises(InputError, match="no image 2 of this subject; the task asks about 1"):
        reporting.report(site, trained, subject, tmp_path, image=2)
    with pytest.raises(InputError, match="does not ask subject"):
        reporting.report(site, trained, 10**9, tmp_path)
    with pytest.raises(InputError, match="there is no format"):
        reporting.report(site, trained, subject, tmp_path, ["pdf"])


def test_the_command_writes_the_same(site: Site, tmp_path: Path) -> None:
    trained = ml.trained(site, "block.unet")
    subject = int(trained.samples.frame["subject_id"][0])
    out = tmp_path / "out"
    where = ["--site", site.directory.root, "--out", out]
    told = json.loads(done("report", "block.unet", "--subject", subject, *where, "--json", folder=tmp_path))
    assert told["model"] == "block.unet@1" and told["subject_id"] == subject
    assert sorted(told["files"]) == sorted(path.name for path in out.iterdir())
    assert any(one.startswith("left lung: volume") for one in told["conclusion"])
    arguments = ["report", "block.unet", "--subject", subject, *where, "--format", "png,nifti"]
    said = done(*arguments, folder=tmp_path)
    assert "outline.nii.gz" in said and "a clinician decides" in said
    assert "there are: seg, sr" in refused(
        "report", "block.unet", "--subject", subject, *where, "--format", "pdf", folder=tmp_path
    )
