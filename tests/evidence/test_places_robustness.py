"""What is left of outlines and found objects when images are taken otherwise: hand-computable, on the same images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

import medloom as ml
from medloom.evidence.places_robustness import found_otherwise, outlined_otherwise
from medloom.evidence.robustness_section import robustness_section, worst_in_words
from medloom.evidence.trial import Trial
from medloom.features.acquisition import shifts
from medloom.features.boxes import Boxes, boxes_of
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.record.imaging.nifti import as_nifti
from medloom.record.importers.images import NiftiImporter
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

SHAPE = (4, 32, 32)
N = 12


def truth() -> NDArray[np.uint8]:
    """Outline a bright structure of 2 x 12 x 12 voxels, off the middle."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 4:16, 10:22] = 1
    return labels


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Samples]:
    """Ask twelve volumes, each of another subject, in which the structure is at 80 of 100."""
    folder = tmp_path_factory.mktemp("volumes")
    for part in ("images", "outlines"):
        (folder / part).mkdir()
    for number in range(N):
        pixels = 80 * truth().astype(np.int16)
        pixels[0, -1, -1] = 100 + number % 2
        name = f"p{number:02}.nii.gz"
        (folder / "images" / name).write_bytes(as_nifti(pixels, np.eye(4)))
        (folder / "outlines" / name).write_bytes(as_nifti(truth(), np.eye(4)))
    site = ml.Site.create(folder / "site")
    site.record.add(NiftiImporter(folder, outlines="outlines", structure="organ", modality="MR"))

    def of(kind: str) -> Samples:
        task = Task.model_validate(
            {
                "name": f"organs-{kind}",
                "title": {"en": "Organs", "zh": "器官"},
                "kind": kind,
                "prediction_time": {"event": ["IMAGE//MR"]},
                "predict": {"of": "image", "outline": ["OUTLINE//organ"], "structures": ["organ"]},
            }
        )
        return ml.ask(site.record, task)

    return of


def bright(image: Image) -> NDArray[np.uint8]:
    """Outline what is at 60 or more; the pixel beside the structure left out."""
    labels = (image.pixels[0] >= 60).astype(np.uint8)
    labels[:, -4:, -4:] = 0
    return labels


@dataclass(frozen=True)
class FindsBright:
    thresholds: tuple[float, ...] = (0.5,)

    def find(self, image: Image) -> Boxes:
        """Find what is at 60 or more, and for nothing the corner where all is bright."""
        found = boxes_of(bright(image))
        extra = int(image.pixels[0, 0, 0, 0] > 20)
        box = np.concatenate([found.box, np.array([[0.0, 0, 0, 1, 1, 1]])[:extra]])
        return Boxes(box, np.ones(len(box), np.int64), np.full(len(box), 0.9))


def by_name(trials: tuple[Trial, ...]) -> dict[str, Trial]:
    return {one.name.en: one for one in trials}


def test_dice_falls_where_a_shift_takes_the_structure_below_what_is_outlined(
    asked: Callable[[str], Samples],
) -> None:
    found = outlined_otherwise(asked("segmentation"), bright, replicates=50)
    assert found.whole.metrics["dice"].value == 1.0 and (found.n, found.n_subjects) == (N, N)
    trials = by_name(found.trials["acquisition"])
    assert list(trials) == [one.name.en for one in shifts()]
    # 0.8 ^ 1.3 = 0.75 of 100 is still outlined, and so is all that is lighter; of half the contrast 0.65 are left
    for name in ("darker: gamma 1.3", "lighter: gamma 0.59", "50% of the contrast"):
        assert trials[name].metrics["dice"].value == 1.0 and trials[name].difference.value == 0.0
    blurred = trials["25% of the resolution"]
    assert blurred.difference.value == blurred.metrics["dice"].value - 1.0 < 0  # type: ignore[operator]
    assert found.to_json()["acquisition"][0]["difference"]["value"] == 0.0


def test_what_surely_got_worse_is_set_off_and_named(asked: Callable[[str], Samples]) -> None:
    def strict(image: Image) -> NDArray[np.uint8]:
        return (bright(image) * (image.pixels[0] >= 70)).astype(np.uint8)

    found = outlined_otherwise(asked("segmentation"), strict, replicates=50)
    dark = by_name(found.trials["acquisition"])["darker: gamma 1.7"]  # 0.8 ^ 1.7 = 0.68 of 100
    assert dark.metrics["dice"].value == 0.0 and dark.difference.value == -1.0
    section = robustness_section(found)
    marked = {row[0].text.en for row in section.tables[0].rows if row[-1].marked}
    assert "darker: gamma 1.7" in marked and "lighter: gamma 0.77" not in marked
    assert "Then Dice is 0.00" in worst_in_words(found).en and "Dice" in worst_in_words(found).zh
    assert section.note is not None and "12 images of 12 subjects" in section.note.en
    assert "受试者" in section.note.zh


def test_what_the_expert_drew_turns_with_the_image(asked: Callable[[str], Samples]) -> None:
    trials = by_name(outlined_otherwise(asked("segmentation"), bright, replicates=20).trials["acquisition"])
    for name in ("turned by 5°", "turned by 15°"):
        dice = trials[name].metrics["dice"].value
        assert dice is not None and dice > 0.9
    turned = next(one for one in shifts() if one.degrees == 15)
    still = truth()
    moved = turned.turned(still)
    assert 2 * (moved & still).sum() / (moved.sum() + still.sum()) < 0.9  # had it stayed, it would look wrong
    assert shifts()[0].turned(still) is still


def test_found_objects_and_marks_for_nothing_are_counted_under_each_shift(
    asked: Callable[[str], Samples],
) -> None:
    found = found_otherwise(asked("detection"), FindsBright(), replicates=50)
    assert found.whole.metrics["sensitivity"].value == 1.0
    assert found.whole.metrics["false_positives"].value == 0.0
    trials = by_name(found.trials["acquisition"])
    # half the contrast lifts black to a quarter of white: the corner is marked in every image
    half = trials["50% of the contrast"]
    assert half.metrics["sensitivity"].value == 1.0 and half.metrics["false_positives"].value == 1.0
    assert half.beside["false_positives"].value == 1.0 and half.difference.value == 0.0
    assert trials["turned by 15°"].metrics["sensitivity"].value == 1.0
    section = robustness_section(found)
    row = next(row for row in section.tables[0].rows if row[0].text.en == "50% of the contrast")
    assert [one.marked for one in row[-2:]] == [False, True]
    assert "marks for nothing" in section.tables[0].head[2].en
    assert found.to_json()["acquisition"][5]["beside"]["false_positives"]["value"] == 1.0


def test_few_subjects_tell_nothing_and_many_images_are_spread_over_subjects(
    asked: Callable[[str], Samples],
) -> None:
    found = outlined_otherwise(asked("segmentation"), bright, most=5)
    assert found.trials == {} and "too few" in found.reasons["acquisition"].en and found.n == 5
    assert "too few" in worst_in_words(found).en
    assert outlined_otherwise(asked("segmentation"), bright, most=11, replicates=5).n_subjects == 11


def test_an_outline_of_another_size_is_refused(asked: Callable[[str], Samples]) -> None:
    with pytest.raises(InputError, match="outline this image"):
        outlined_otherwise(asked("segmentation"), lambda image: np.zeros((2, 2, 2), np.uint8))


def test_every_second_image_of_a_subject_waits_for_the_first_of_all() -> None:
    from medloom.evidence.places_robustness import _spread

    groups = np.array([1] * 20 + [2, 3, 4])
    chosen = _spread(groups, 4, 0)
    assert set(groups[chosen].tolist()) == {1, 2, 3, 4} and chosen.sum() == 4
