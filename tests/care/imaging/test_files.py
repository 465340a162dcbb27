"""What is written of a reading: pictures, masks, FHIR, and what cannot be written."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medloom.care.imaging import overlay
from medloom.care.imaging.files import FORMATS, known_formats, write
from medloom.care.imaging.objects import as_bytes
from medloom.care.imaging.resources import bundle
from medloom.care.imaging.secondary_capture import secondary_captures
from medloom.care.imaging.source import source_of
from medloom.foundation.clock import Clock
from medloom.foundation.errors import InputError
from medloom.loop.advice import Answer
from medloom.record.imaging.nifti import read_nifti
from medloom.record.imaging.pictures import read_picture
from medloom.tasks.question import Question, Title
from tests.care.imaging import readings
from tests.record.imaging import dicom_files
from tests.server.fhir.r4 import check

CLOCK = Clock("Europe/London")


def answered() -> Question:
    return Question(task="pneumonia", kind="binary", title=Title(en="Pneumonia", zh="肺炎"), about="image")


def test_everything_is_written_of_a_series_and_the_study_lists_it(tmp_path: Path) -> None:
    done = write(readings.reading(), tmp_path, FORMATS, CLOCK)
    assert not done.left_out
    names = [path.name for path in done.files]
    assert names == [
        "seg.dcm",
        "sr.dcm",
        "sc-01.dcm",
        "sc-02.dcm",
        "outline.nii.gz",
        "slice-005.png",
        "slice-009.png",
        "fhir.json",
    ]
    for path in tmp_path.glob("*.dcm"):
        assert pydicom.dcmread(path).PatientID == "4711"
    told = json.loads((tmp_path / "fhir.json").read_text(encoding="utf-8"))
    study = next(
        one["resource"] for one in told["entry"] if one["resource"]["resourceType"] == "ImagingStudy"
    )
    assert [one["modality"]["code"] for one in study["series"]] == ["CT", "SEG", "SR", "OT"]
    assert study["numberOfInstances"] == 10 + 1 + 1 + 2
    text = (tmp_path / "fhir.json").read_text(encoding="utf-8")
    assert "4711" not in text and "Miller" not in text


def test_fhir_is_valid_r4_and_tells_what_was_measured() -> None:
    told = check(bundle(readings.reading(), CLOCK))
    by_type: dict[str, list[dict[str, object]]] = {}
    for one in told["entry"]:
        by_type.setdefault(one["resource"]["resourceType"], []).append(one["resource"])
    (report,) = by_type["DiagnosticReport"]
    assert report["status"] == "preliminary"
    assert report["subject"] == {"reference": "Patient/7"}
    assert report["effectiveDateTime"] == "2020-01-31T09:30:00+00:00"
    said = str(report["conclusion"])
    assert "left lung: volume 144 mm³" in said and "thing: none was found." in said
    assert "not cleared as a medical device" in said
    volumes = {
        one["code"]["text"]: one["valueQuantity"]  # type: ignore[index]
        for one in by_type["Observation"]
        if one["code"]["coding"][0]["code"] == "118565006"  # type: ignore[index]
    }
    assert volumes["left lung: Volume"] == {
        "value": 144,
        "unit": "mm3",
        "system": "http://unitsofmeasure.org",
        "code": "mm3",
    }
    assert set(volumes) == {
        "left lung: Volume",
        "lung nodule: Volume",
        "lung nodule 1: Volume",
        "lung nodule 2: Volume",
    }
    references = {one["reference"] for one in report["result"]}  # type: ignore[attr-defined]
    assert references == {f"Observation/{one['id']}" for one in by_type["Observation"]}


def test_an_answer_is_a_percentage_with_its_range() -> None:
    answers = (Answer("true", 0.75, 0.5, 0.875),)
    reading = replace(
        readings.reading(), question=answered(), labels=None, outlined=None, answers=answers, output="true"
    )
    told = check(bundle(reading, CLOCK))
    (one,) = (
        entry["resource"] for entry in told["entry"] if entry["resource"]["resourceType"] == "Observation"
    )
    assert one["valueQuantity"]["value"] == 75 and one["valueQuantity"]["code"] == "%"
    assert one["extension"][0]["valueRange"]["high"]["value"] == 87.5
    assert "Pneumonia: 75.0%." in told["entry"][0]["resource"]["conclusion"]


def test_of_other_than_dicom_masks_pictures_and_fhir_are_written_and_the_rest_is_told(tmp_path: Path) -> None:
    done = write(readings.reading(readings.nifti_source()), tmp_path, FORMATS, CLOCK)
    assert set(done.left_out) == {"seg", "sr", "sc"}
    assert "of it can be written: nifti, png, fhir" in done.left_out["seg"].en
    assert done.left_out["seg"].zh != done.left_out["seg"].en
    mask = read_nifti(io.BytesIO((tmp_path / "outline.nii.gz").read_bytes()))
    np.testing.assert_array_equal(mask.pixels[0], readings.outline())
    affine = readings.nifti_source().image.affine
    assert affine is not None and mask.affine is not None
    np.testing.assert_allclose(mask.affine, affine)
    told = check(json.loads((tmp_path / "fhir.json").read_text(encoding="utf-8")))
    kinds = {one["resource"]["resourceType"] for one in told["entry"]}
    assert kinds == {"DiagnosticReport", "Observation"}


def test_a_capture_says_whether_letters_are_burned_in() -> None:
    with_words, without = (
        secondary_captures(readings.reading(), [4], words=words)[0] for words in (True, False)
    )
    assert (with_words.BurnedInAnnotation, without.BurnedInAnnotation) == ("YES", "NO")
    assert with_words.SOPInstanceUID != without.SOPInstanceUID
    read = pydicom.dcmread(io.BytesIO(as_bytes(with_words)))
    assert read.pixel_array.shape[2] == 3 and read.pixel_array.shape[0] > without.Rows
    assert read.StudyInstanceUID == "1.2.3" and read.PatientIdentityRemoved == "YES"


def test_a_capture_of_a_picture_of_nowhere_does_not_say_how_the_patient_lies() -> None:
    one = readings.series()[0]
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(one, keyword)
    labels = np.zeros((24, 32), np.uint8)
    (made,) = secondary_captures(readings.reading(source_of(dicom_files.as_bytes(one)), labels))
    assert not made.PatientOrientation
    (known,) = secondary_captures(readings.reading(), [2])
    assert list(known.PatientOrientation) == ["L", "P"]


def test_contours_surround_what_is_outlined_and_pixels_are_square() -> None:
    reading = readings.reading()
    drawn = overlay.picture(reading, 4, words=False)
    assert drawn.shape == (256, 512, 3)  # 24 x 0.5 mm high, 32 x 0.75 mm wide
    orange = (drawn == overlay.COLOURS[0]).all(-1)
    rows, columns = np.nonzero(orange)
    scale = 512 / 24  # px a mm
    assert abs(rows.min() - 4 * 0.5 * scale) <= 1 and abs(rows.max() + 1 - 12 * 0.5 * scale) <= 1
    assert abs(columns.min() - 3 * 0.75 * scale) <= 1 and abs(columns.max() + 1 - 9 * 0.75 * scale) <= 1
    middle = drawn[round(8 * 0.5 * scale), round(6 * 0.75 * scale)]
    assert len(set(middle.tolist())) == 1  # inside it the image is seen


def test_the_slices_that_show_most_are_those_of_lesions_or_of_the_map() -> None:
    reading = readings.reading()
    assert overlay.telling(reading) == [4, 8]
    assert overlay.telling(reading, most=1) == [4]
    heat = np.zeros(readings.SHAPE, np.float32)
    heat[7, 3, 3] = 1.0
    mapped = replace(reading, labels=None, outlined=None, heat=heat)
    assert overlay.telling(mapped) == [7]
    drawn = overlay.picture(mapped, 7, words=False)
    plain = overlay.picture(replace(mapped, heat=None), 7, words=False)
    bright = np.abs(drawn.astype(int) - plain).sum(-1)
    row, column = np.unravel_index(int(bright.argmax()), bright.shape)
    assert (row * 24 // 256, column * 32 // 512) == (3, 3)
    assert overlay.telling(replace(mapped, heat=None)) == [5]


def test_a_picture_is_drawn_on_too(tmp_path: Path) -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 20:50] = 1
    done = write(readings.reading(readings.picture_source(), labels), tmp_path, ("png", "nifti"), CLOCK)
    assert [path.name for path in done.files] == ["slice-001.png", "outline.nii.gz"]
    drawn = read_picture(io.BytesIO((tmp_path / "slice-001.png").read_bytes()))
    assert drawn.channels == 3


def test_a_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="there are: seg, sr, sc, nifti, png, fhir"):
        known_formats(["pdf"])
