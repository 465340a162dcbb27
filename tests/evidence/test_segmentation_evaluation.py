"""Evaluations of outlines: names, intervals, subgroups, comparisons, and what the report shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import medloom as ml
from medloom.evidence.marked_pictures import drawn, pictures_section
from medloom.evidence.places_evaluation import known_outlines
from medloom.evidence.report import report_html
from medloom.evidence.segmentation_evaluation import evaluate_segmentation
from medloom.evidence.segmentation_report import headline, volume_sentence
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.record.imaging.nifti import as_nifti
from medloom.record.importers.images import NiftiImporter
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

SHAPE = (6, 12, 12)
N = 12
Outline = Callable[[Image], NDArray[Any]]


def truth(number: int) -> NDArray[np.uint8]:
    """Outline a near structure of 2 x 4 x 4 voxels, and in every second image a far one of 2 x 2 x 2."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 1:5, 2:6] = 1
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
    site.record.add(NiftiImporter(folder, outlines="outlines", structure="organ", modality="MR"))
    task = Task.model_validate(
        {
            "name": "organs",
            "title": {"en": "Organs", "zh": "器官"},
            "kind": "segmentation",
            "prediction_time": {"event": ["IMAGE//MR"]},
            "predict": {"of": "image", "outline": ["OUTLINE//organ"], "structures": ["near", "far"]},
        }
    )
    return ml.ask(site.record, task)


def number_of(image: Image) -> int:
    return int(image.pixels.max()) - 100


def perfect(image: Image) -> NDArray[Any]:
    return truth(number_of(image))


def shifted(image: Image) -> NDArray[Any]:
    """Outline the near structure one row too low, and the far one never."""
    labels = np.where(truth(number_of(image)) == 1, 1, 0)
    return np.roll(labels, 1, axis=1)


def people(samples: Samples, men: int = 10) -> pl.DataFrame:
    ids = samples.frame["sample_id"]
    sexes = ["M"] * men + ["F"] * (len(ids) - men)
    return pl.DataFrame({"sample_id": ids, "sex": sexes, "age": [50.0] * len(ids)})


def test_every_structure_and_all_together_get_the_metrics_of_their_outlines(samples: Samples) -> None:
    found = evaluate_segmentation(samples, shifted, replicates=50)
    assert (found.n, found.n_subjects) == (N, N)
    assert found.prevalence == {"near": 1.0, "far": 0.5}
    # a block of 4 rows, moved by one: 3 of 4 rows are shared
    assert found.metrics["near.dice"].value == pytest.approx(0.75)
    assert found.metrics["near.volume_error"].value == 0.0
    assert found.metrics["near.hd95"].value == 1.0
    assert found.metrics["near.surface_dice"].value == 1.0
    assert found.metrics["far.dice"].value == 0.0
    assert found.metrics["far.volume_error"].value == -8.0
    assert found.metrics["far.absent"].value == 1.0
    assert found.metrics["near.absent"].value is None and found.metrics["near.absent"].reason is not None
    # with a far structure (0.75 + 0) / 2, without it 0.75
    assert found.metrics["dice"].value == pytest.approx((0.375 + 0.75) / 2)
    assert found.metrics["dice"].low is not None and found.metrics["dice"].low < 0.5625
    told = found.to_json()
    assert set(told["metrics"]["near.assd"]) == {"value", "low", "high"}
    assert told["curves"]["dice"]["near"] == [0.75] * N
    assert "near: Dice" in str(found)


def test_the_share_among_few_is_not_told_and_subgroups_have_their_own_numbers(samples: Samples) -> None:
    found = evaluate_segmentation(samples, shifted, people(samples), replicates=50)
    men, women = found.subgroups["sex"]["M"], found.subgroups["sex"]["F"]
    assert (men.n, women.n) == (10, 2)
    assert men.metrics["near.dice"].value == pytest.approx(0.75)
    assert men.prevalence == {"near": 1.0, "far": 0.5}
    assert women.prevalence is None and women.metrics["near.dice"].value is None
    assert "too few subjects" in women.metrics["near.dice"].reason.en  # type: ignore[union-attr]


def test_another_model_is_compared_image_by_image(samples: Samples) -> None:
    found = evaluate_segmentation(samples, perfect, replicates=50, compared_with={"other": shifted})
    other = found.compared_with["other"]
    assert other.metrics["near.dice"].value == pytest.approx(0.75)
    one = other.difference["near.dice"]
    assert one.value == one.low == one.high == pytest.approx(0.25)
    assert other.difference["far.dice"].value == 1.0


def test_the_worst_comes_first_and_three_cases_are_drawn(samples: Samples) -> None:
    found = evaluate_segmentation(samples, shifted, replicates=10)
    asked = known_outlines(samples)
    ranked = found.ranked()
    assert len(ranked) == N and found.cases is not None
    worst = found.cases.filter(pl.col("case") == ranked[0])["dice"].to_list()
    assert worst == [0.75, 0.0]
    section = pictures_section(found, asked, shifted)
    assert section is not None and [one.title.en for one in section.figures] == ["Worst", "Median", "Best"]
    for one in section.figures:
        assert one.svg.startswith("<svg") and 'href="data:image/png;base64,' in one.svg
        assert not re.search(r"https?://(?!www\.w3\.org)", one.svg)


def test_expert_and_model_are_told_apart_by_colour() -> None:
    image = Image(np.zeros((1, *SHAPE)), spacing=(1.0, 1.0, 1.0))
    said = np.roll(truth(1), 1, axis=1)
    picture = drawn(image, truth(1), said)
    assert picture.shape == (320, 320, 3)
    colours = {tuple(one) for one in np.unique(picture.reshape(-1, 3), axis=0).tolist()}
    assert colours == {(0, 0, 0), (86, 180, 233), (230, 159, 0), (255, 255, 255)}
    same = drawn(image, truth(1), truth(1))
    assert (255, 255, 255) in {tuple(one) for one in same.reshape(-1, 3).tolist()}
    assert (230, 159, 0) not in {tuple(one) for one in same.reshape(-1, 3).tolist()}


def test_the_report_says_how_good_and_whether_structures_are_too_small(samples: Samples) -> None:
    found = evaluate_segmentation(
        samples,
        shifted,
        people(samples),
        replicates=50,
        compared_with={"other": perfect},
        model="organs.unet@1",
    )
    assert headline(found).en.startswith("The outlines overlap with those of experts by a Dice of 0.56")
    small = volume_sentence(found)
    assert small is not None and "far too small" in small.en and "near" not in small.en
    html = report_html(found)
    assert "structure by structure" in html and "organs.unet@1" in html and "far" in html
    assert "src=" not in html.replace("srcset", "")


def test_too_few_patients_give_no_numbers(samples: Samples) -> None:
    few = samples.among(range(5))
    found = evaluate_segmentation(few, perfect, replicates=10)
    assert found.metrics["near.dice"].value is None
    assert "cannot be said" in headline(found).en
    assert report_html(found)


def test_other_questions_are_refused(samples: Samples) -> None:
    asked = samples.question.model_copy(update={"kind": "binary"})
    with pytest.raises(InputError, match="outlines answer segmentation questions only"):
        evaluate_segmentation(samples.asking(asked, pl.Series([True] * N)), perfect)


def test_a_model_that_outlines_nothing_cannot_be_evaluated_by_outlines(
    samples: Samples, tmp_path: Path
) -> None:
    from medloom.places import outline_by

    frame = pl.DataFrame({"x": list(range(40)), "ill": [i > 19 for i in range(40)]})
    trained = ml.train(frame, "tree", label="ill", ranges=False)
    with pytest.raises(InputError, match="outlines nothing"):
        outline_by(trained)
