"""A site with small CT series, imported as DICOM, and what an expert outlined on them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import medloom as ml
from medloom import importers
from medloom.record.imaging.nifti import as_nifti
from medloom.site import Site
from tests.record.imaging.dicom_files import as_bytes, ct_slice, with_pixels

SHAPE = (8, 24, 20)
AFFINE = np.eye(4)
TASK = """\
name: block
title: {en: Block, zh: 方块}
kind: segmentation
prediction_time: {event: [IMAGE//CT*], which: every}
predict: {of: image, outline: [OUTLINE//block], structures: [left lung]}
"""


def block(number: int) -> NDArray[np.uint8]:
    """Outline a block of 3 x 8 x 6 voxels, at another place in each patient."""
    labels = np.zeros(SHAPE, np.uint8)
    row, column = 2 + number % 12, 1 + (number * 5) % 12
    labels[2:5, row : row + 8, column : column + 6] = 1
    return labels


def write_series(folder: Path, number: int) -> None:
    """Write a series: noise around 0 HU, and the block at 400 HU."""
    labels = block(number)
    noise = np.random.default_rng(number).normal(1024, 20, SHAPE)
    stored = np.clip(noise + 400.0 * labels, 0, 4000).astype(np.uint16)
    for place in range(SHAPE[0]):
        one = ct_slice(place, f"1.2.3.{number + 1}")
        one.PatientID, one.StudyInstanceUID = f"P{number:03d}", f"1.2.{number + 1}"
        one.PatientSex = "F" if number % 2 else "M"
        one.PatientBirthDate = f"{1940 + number % 40}0101"
        one.FrameOfReferenceUID = f"1.2.9.{number + 1}"
        with_pixels(one, stored[place], bits=12)
        path = folder / f"p{number:03d}" / f"{place:03d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(one))


def site_of(folder: Path, n: int = 12) -> Site:
    """Make a site of n patients with a series and an expert's outline each, and the task `block`."""
    for number in range(n):
        write_series(folder / "scans", number)
    site = Site.create(folder / "site")
    report = site.record.add(importers.named("dicom", folder / "scans"))
    assert report.balanced
    images = site.record.events().filter(pl.col("role") == "image")
    rows = []
    for number in range(n):
        subject = site.record.find(f"P{number:03d}")
        (asset,) = images.filter(pl.col("subject_id") == subject)["asset"]
        rows.append(
            {
                "patient": f"P{number:03d}",
                "time": datetime(2020, 2, 1, 12),
                "code": "OUTLINE//block",
                "role": "image",
                "asset": site.record.assets().put(as_nifti(block(number), AFFINE)),
                "derived_from": asset,
            }
        )
    site.record.append(pl.DataFrame(rows))
    site.record.compact()
    (site.directory.tasks / "block.yaml").write_text(TASK, encoding="utf-8")
    return ml.Site.open(folder / "site")
