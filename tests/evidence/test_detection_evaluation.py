"""Evaluations of found objects: what counts as found, intervals, subgroups, comparisons, and what the report shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import medloom as ml
from medloom.evidence.detection_evaluation import DetectionEvaluation, evaluate_detection
from medloom.evidence.detection_report import headline, marks_sentence
from medloom.evidence.marked_pictures import pictures_section
from medloom.evidence.places_evaluation import known_outlines
from medloom.evidence.report import report_html
from medloom.features.boxes import Boxes, Finding, as_labels, boxes_of
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.record.imaging.nifti import as_nifti
from medloom.record.importers.images import NiftiImporter
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

SHAPE = (6, 12, 12)
N = 12


def truth(number: int) -> NDArray[np.uint8]:
    """Outline two near objects of 2 x 2 x 2 voxels, and in every second image a far one."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    labels[1:3, 6:8, 1:3] = 1
    if number % 2 == 0:
        labels[4:6, 8:10, 8:10] = 2
    return labels


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Ask twelve volumes whose brightest pixel tells their number; each expert's outline is known."""
    folder = tmp_path_factory.mktemp("volumes")
    for part in ("images", "outlines"):
        (folder / part).mkdir()
    for number in range(N):
        pixels = 10 * truth(number).astype(np.int16)
        pixels[0, 0, 0] = 100 + number
        name = f"p{number:02}.nii.gz"
        (folder / "images" / name).write_bytes(as_nifti(pixels, np.eye(4)))
        (folder / "outlines" / name).write_bytes(as_nifti(truth(number), np.eye(4)))
    site = ml.Site.create(folder / "site")
    site.record.add(NiftiImporter(folder, outlines="outlines", structure="lesion", modality="MR"))
    task = Task.model_validate(
        {
            "name": "lesions",
            "title": {"en": "Lesions", "zh": "病灶"},
            "kind": "detection",
            "prediction_time": {"event": ["IMAGE//MR"]},
            "predict": {"of": "image", "outline": ["OUTLINE//lesion"], "structures": ["near", "far"]},
        }
    )
    return ml.ask(site.record, task)


@dataclass(frozen=True)
class Finds:
    """Finds what is there, but for some; and marks something for nothing in some images."""

    misses: bool = False
    marks: bool = False
    thresholds: tuple[float, ...] = (0.5, 0.5)

    def find(self, image: Image) -> Boxes:
        number = int(image.pixels.max()) - 100
        there = boxes_of(truth(number))
        said = Boxes(there.box, there.structure, np.full(len(there), 0.9))
        if self.misses:  # one of both near objects, in every image
            said = Boxes(said.box, said.structure, np.where(np.arange(len(said)) == 0, 0.2, 0.9))
        if self.marks and number % 4 == 0:
            box = np.vstack([said.box, [[0, 0, 9, 2, 2, 11]]])
            said = Boxes(box, np.append(said.structure, 1), np.append(said.score, 0.6))
        return said


def test_who_finds_all_and_nothing_else_is_perfect(samples: Samples) -> None:
    assert isinstance(Finds(), Finding)
    found = evaluate_detection(samples, Finds())
    for metric in ("sensitivity", "precision", "average_precision", "froc", "box_average_precision"):
        assert found.metrics[metric].value == found.metrics[f"near.{metric}"].value == 1
    assert found.metrics["false_positives"].value == 0
    assert found.prevalence == {"near": 1.0, "far": 0.5}
    assert found.n == found.n_subjects == N


def test_what_is_missed_and_marked_for_nothing_is_counted_by_hand(samples: Samples) -> None:
    found = evaluate_detection(samples, Finds(misses=True, marks=True))
    assert found.metrics["near.sensitivity"].value == pytest.approx(0.5)
    assert found.metrics["near.false_positives"].value == pytest.approx(3 / 12)
    assert found.metrics["near.precision"].value == pytest.approx(12 / 15)
    assert found.metrics["far.sensitivity"].value == 1
    assert found.metrics["sensitivity"].value == pytest.approx(0.75)
    # the missed ones are marked too, less surely: 12 right, then 3 wrong, then 12 right
    assert found.metrics["near.average_precision"].value == pytest.approx((12 + 12 * 24 / 27) / 24)
    assert found.curves["froc"]["near"] == [(0.0, 0.0), (0.0, 0.5), (0.25, 0.5), (0.25, 1.0)]
    low, high = found.metrics["near.false_positives"].low, found.metrics["near.false_positives"].high
    assert low is not None and high is not None and low < 0.25 < high


def test_a_mark_beside_an_object_finds_nothing(samples: Samples) -> None:
    @dataclass(frozen=True)
    class Beside(Finds):
        def find(self, image: Image) -> Boxes:
            said = super().find(image)
            return Boxes(said.box + np.tile([0, 0, 2.5], 2), said.structure, said.score)

    found = evaluate_detection(samples, Beside())
    assert found.metrics["sensitivity"].value == 0
    assert found.metrics["near.false_positives"].value == 2


def test_a_mark_in_the_middle_of_too_large_a_box_finds_but_does_not_cover(samples: Samples) -> None:
    @dataclass(frozen=True)
    class Large(Finds):
        def find(self, image: Image) -> Boxes:
            said = super().find(image)
            return Boxes(said.box + np.array([-1, -1, -1, 1, 1, 1]), said.structure, said.score)

    found = evaluate_detection(samples, Large())
    assert found.metrics["sensitivity"].value == 1
    assert found.metrics["box_average_precision"].value == 0


def test_a_rival_is_compared_on_the_same_resamples(samples: Samples) -> None:
    found = evaluate_detection(samples, Finds(), compared_with={"worse": Finds(misses=True), "same": Finds()})
    worse, same = found.compared_with["worse"], found.compared_with["same"]
    assert worse.metrics["near.sensitivity"].value == pytest.approx(0.5)
    difference = worse.difference["near.sensitivity"]
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.5, 0.5, 0.5))
    assert same.difference["froc"].value == 0


def test_subgroups_are_told_where_enough_are_known(samples: Samples) -> None:
    known = pl.DataFrame({"sample_id": samples.sample_ids, "sex": ["F", "M"] * 6})
    found = evaluate_detection(samples, Finds(marks=True), known)
    women = found.subgroups["sex"]["F"]
    assert women.n == 6 and women.metrics["near.sensitivity"].reason is not None  # too few subjects


def test_too_few_subjects_get_a_reason_and_no_number(samples: Samples) -> None:
    found = evaluate_detection(samples.among(range(3)), Finds())
    assert found.metrics["sensitivity"].value is None
    assert "too few subjects" in headline(found).en


def test_another_kind_of_question_is_refused(samples: Samples) -> None:
    from dataclasses import replace

    other = replace(samples, question=samples.question.model_copy(update={"kind": "segmentation"}))
    with pytest.raises(InputError, match="detection"):
        evaluate_detection(other, Finds())


def test_the_report_tells_and_shows_what_is_found(samples: Samples, tmp_path: Path) -> None:
    found = evaluate_detection(samples, Finds(misses=True, marks=True), compared_with={"all": Finds()})
    assert headline(found).en == "Of 100 objects that experts outlined, 75 (75–75) are found."
    sentence = marks_sentence(found)
    assert sentence is not None and sentence.en.startswith("In 100 images it marks 12 (")
    assert found.ranked()[:3] == [0, 1, 3] and found.told_of(0).en == "found: 2 of 3; marked for nothing: 1"
    pictures = pictures_section(
        found,
        known_outlines(samples),
        lambda image: as_labels(Finds(True, True).find(image).shown((0.5, 0.5)), SHAPE),
    )
    assert pictures is not None
    page = report_html(found, sections=[pictures])
    for said in ("Objects found, by marks for nothing an image", "marked for nothing: 1", "病灶"):
        assert said in page
    assert "objects found" in str(found) and isinstance(found, DetectionEvaluation)
    (tmp_path / "report.html").write_text(page, encoding="utf-8")


def test_an_image_without_objects_and_marks_is_measured(samples: Samples) -> None:
    @dataclass(frozen=True)
    class Nothing(Finds):
        def find(self, image: Image) -> Boxes:
            return super().find(image).shown((2.0, 2.0))

    found = evaluate_detection(samples, Nothing())
    assert found.metrics["sensitivity"].value == 0
    assert found.metrics["precision"].value is None
    assert found.metrics["precision"].reason is not None
    assert found.curves["froc"]["near"][-1] == (0.0, 0.0)
