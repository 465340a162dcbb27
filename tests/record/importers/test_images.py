"""Pictures and volumes come onto their patients' timelines with what is said of them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest

from medloom import importers
from medloom.foundation.errors import InputError, NotFoundError
from medloom.record.imaging.pictures import as_png
from medloom.record.importers.images import problems
from medloom.record.importing import ImportContext
from medloom.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.create(tmp_path / "site")


def grey(seed: int = 0) -> bytes:
    return as_png(np.random.default_rng(seed).integers(0, 255, (1, 8, 9), np.uint8))


def put(folder: Path, name: str, content: bytes | None = None) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(grey(hash(name) % 1000) if content is None else content)


def coded(site: Site) -> list[str]:
    return sorted(site.record.events()["code"].cast(pl.String).to_list())


def test_a_folder_is_a_class_and_a_set(site: Site, tmp_path: Path) -> None:
    put(tmp_path, "xr/train/ill/person1_a.png")
    put(tmp_path, "xr/train/well/person2_a.png")
    put(tmp_path, "xr/test/ill/person3_a.png")
    report = site.record.add(
        importers.named("images", tmp_path / "xr", patient=r"(person\d+)", modality="dx", date="2020-05-01")
    )
    assert report.balanced and report.new_subjects == 3 and not report.notes
    assert coded(site) == sorted(
        ["IMAGE//DX"] * 3 + ["FINDING//ill"] * 2 + ["FINDING//well"] + ["SET//train"] * 2 + ["SET//test"]
    )
    image = site.record.events().filter(pl.col("asset").is_not_null()).row(0, named=True)
    said = site.record.events().filter(pl.col("derived_from") == image["asset"])
    assert said.height == 1 and image["asset"] in site.record.assets()
    assert str(image["time"]) == "2020-05-01 12:00:00"


def test_the_same_folder_again_changes_nothing(site: Site, tmp_path: Path) -> None:
    put(tmp_path, "xr/ill/a.png")
    site.record.add(importers.named("images", tmp_path / "xr"))
    digest = site.record.digest()
    report = site.record.add(importers.named("images", tmp_path / "xr"))
    assert report.written == 0 and site.record.digest() == digest


def test_a_table_names_patients_times_and_findings(site: Site, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        put(tmp_path, name)
    (tmp_path / "t.csv").write_text(
        "file,patient,time,sex,label,nodule,effusion\n"
        "a.png,P1,2021-03-04 10:30,F,ill,1,no\nb.png,P1,2022-01-01,F,,0,\nc.png,P2,2022-01-01,,,,\n",
        encoding="utf-8",
    )
    report = site.record.add(importers.named("images", tmp_path / "t.csv"))
    assert report.reasons == {problems.ABSENT: 1}
    assert coded(site) == sorted(
        ["FINDING//ill", "FINDING//nodule", "NOT//FINDING//effusion", "NOT//FINDING//nodule", "GENDER//F"]
        + ["IMAGE//OT"] * 2
    )


def test_what_is_damaged_is_quarantined_and_the_rest_is_read(site: Site, tmp_path: Path) -> None:
    put(tmp_path, "xr/ill/a.png")
    put(tmp_path, "xr/ill/b.png", grey()[:-30])
    put(tmp_path, "xr/ill/c.txt", b"no picture")
    put(tmp_path, "xr/ill/d.png", as_png(np.zeros((1, 4, 4), np.uint8)))
    report = site.record.add(importers.named("images", tmp_path / "xr", date="2020-01-01"))
    assert report.reasons == {problems.DAMAGED: 1}
    assert report.passed_over == {problems.NO_IMAGE: 1}
    assert report.notes[problems.BLANK] == 1 and report.notes[problems.ALONE] == 2


def test_volumes_come_with_their_outlines(site: Site, tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(5, 4, 3)), np.eye(4)).to_bytes()
    label = nibabel.Nifti1Image(np.ones((5, 4, 3), np.uint8), np.eye(4)).to_bytes()
    unlike = nibabel.Nifti1Image(np.ones((5, 4, 2), np.uint8), np.eye(4)).to_bytes()
    for name, drawn in (("h1", label), ("h2", unlike)):
        put(tmp_path, f"h/images/{name}.nii", volume)
        put(tmp_path, f"h/labels/{name}.nii", drawn)
    report = site.record.add(
        importers.named(
            "nifti",
            tmp_path / "h",
            outlines="labels",
            structure="hippocampus",
            patient=r"(h\d)",
            modality="MR",
        )
    )
    assert report.reasons == {problems.UNLIKE: 1}
    assert coded(site) == ["IMAGE//MR", "IMAGE//MR", "OUTLINE//hippocampus"]


def test_what_cannot_be_begun_is_refused_in_words(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder or table"):
        importers.named("images", tmp_path / "nothing").sources()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file"):
        importers.named("images", tmp_path / "empty").sources()
    put(tmp_path, "xr/a.png")
    with pytest.raises(InputError, match="regular expression"):
        importers.named("images", tmp_path / "xr", patient="(").sources()
    with pytest.raises(InputError, match="2020-01-31"):
        site.record.add(importers.named("images", tmp_path / "xr", date="yesterday"))
    with pytest.raises(InputError, match="medloom init"):
        next(importers.named("images", tmp_path / "xr").batches(ImportContext()))


def test_a_pattern_that_names_nobody_and_a_picture_for_a_table_are_refused(
    site: Site, tmp_path: Path
) -> None:
    put(tmp_path, "xr/ill/person1.png")
    for named, parameters, said in (
        ("xr", {"patient": "(nobody[0-9]+)"}, "found in no file's name"),
        ("xr/ill/person1.png", {}, "is a picture or a volume"),
    ):
        with pytest.raises(InputError, match=said):
            site.record.add(importers.named("images", tmp_path / named, **parameters))
