"""Networks that find objects: what they are taught, what they find, and how that is asked and kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("nibabel")

import medloom as ml  # noqa: E402
from medloom import api  # noqa: E402
from medloom.evidence.detection_evaluation import evaluate_detection  # noqa: E402
from medloom.features.boxes import Boxes, as_labels, boxes_of, numbered  # noqa: E402
from medloom.features.images import image_of  # noqa: E402
from medloom.features.marks import Marks, hits, inside  # noqa: E402
from medloom.foundation.errors import InputError  # noqa: E402
from medloom.learners.image.detection.finding import detected, surest_apart, threshold_of  # noqa: E402
from medloom.learners.image.detection.learner import CenterNetLearner  # noqa: E402
from medloom.learners.image.detection.targets import (  # noqa: E402
    Objects,
    detection_loss,
    heat_of,
    objects_in,
    targets,
)
from medloom.learners.image.detection.teaching import taught_to_find  # noqa: E402
from medloom.learners.image.patches.cases import prepared  # noqa: E402
from medloom.learners.image.segmentation.learner import UnetLearner  # noqa: E402
from medloom.record.imaging.image import Image  # noqa: E402
from medloom.record.imaging.nifti import as_nifti  # noqa: E402
from medloom.record.importers.images import NiftiImporter  # noqa: E402
from medloom.tasks.samples import Samples  # noqa: E402
from medloom.tasks.task import Task  # noqa: E402

PLAIN = np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]


def discs(seed: int, shape: tuple[int, ...] = (48, 40)) -> tuple[Image, NDArray[np.uint8]]:
    """Draw none to three objects on noise, bright ones and dark ones."""
    rng = np.random.default_rng(seed)
    labels: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        middle = np.array([rng.integers(6, size - 6) for size in shape]).reshape(-1, *[1] * len(shape))
        inner = ((np.indices(shape) - middle) ** 2).sum(0) < rng.uniform(3, 5) ** 2
        near = ((np.indices(shape) - middle) ** 2).sum(0) < 8**2
        if not labels[near].any():
            labels[inner] = rng.integers(1, 3)
    grey = np.array([0, 200.0, -200.0])[labels] + rng.normal(0, 70, shape)
    return Image(grey.astype(np.float32)[None], (1.0,) * len(shape)), labels


def test_a_network_finds_what_it_was_taught_to_find() -> None:
    course = CenterNetLearner(epochs=12, batch=4, precision="32").course()
    train, tuning = [discs(number) for number in range(40)], [discs(100 + number) for number in range(8)]
    taught = taught_to_find(train, tuning, 2, course, 0)
    assert all(0 < one < 1 for one in taught.thresholds)
    pairs = []
    for number in range(200, 215):
        image, labels = discs(number)
        said = detected(taught.network, prepared(image, None, taught.recipe), taught.recipe, taught.objects)
        assert (np.diff(said.score) <= 0).all()  # the surest first
        pairs.append((boxes_of(labels), said.shown(taught.thresholds)))
    for structure in (1, 2):
        own = [(true.of(structure), said.of(structure)) for true, said in pairs]
        matched = hits([Marks(true.box, said.box, said.score) for true, said in own], inside())
        assert matched.hit.sum() >= 0.7 * matched.truths.sum()
        assert (~matched.hit).sum() <= 0.3 * len(matched.hit) + 1


def scores_that_say(labels: np.ndarray, objects: Objects) -> torch.Tensor:
    """Give the scores of a network that knows what is there."""
    told = targets(labels, objects)
    usual = torch.tensor(objects.size).log().view(2, 1, 1)
    heat, sizes, ways = (torch.from_numpy(one) for one in (told.heat, told.sizes, told.ways))
    return torch.cat([heat.clamp(1e-4, 1 - 1e-4).logit() + 3.0, (sizes - usual) * 4, ways * 4])


class Says(torch.nn.Module):
    """Knows what is in an image, and in its mirror image, which has a mark in its first corner."""

    def __init__(self, plain: torch.Tensor, mirrored: torch.Tensor) -> None:
        super().__init__()
        self.plain, self.mirrored = plain, mirrored

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (self.plain if pixels[0, 0, 0, 0] else self.mirrored)[None]


@pytest.mark.parametrize("flips", [(), (1,)])
def test_a_heat_map_of_what_is_there_is_read_back_to_the_pixel(flips: tuple[int, ...]) -> None:
    drawn = np.zeros((48, 40), np.uint8)
    drawn[5:11, 8:13], drawn[30:34, 20:30], drawn[20, 2] = 1, 2, 1
    labels = numbered(drawn, 2)
    objects = objects_in([labels], 2, 2)
    mark = torch.zeros(1, 48, 40)
    mark[0, 0, 0] = 1

    class Whole:
        pixels, shape = mark, (48, 40)

    class Recipe:
        patch, divisor = (48, 40), (1, 1)

    mirrored = np.ascontiguousarray(labels[:, ::-1])
    network = Says(*(scores_that_say(one, objects) for one in (labels, mirrored)))
    said = detected(network, Whole(), Recipe(), objects, flips)  # type: ignore[arg-type]
    true = boxes_of(drawn)
    assert len(true) == len(said) == 3
    for box, structure in zip(true.box, true.structure, strict=True):
        nearest = np.abs(said.box - box).max(1).argmin()
        assert np.abs(said.box[nearest] - box).max() <= 0.05 and said.structure[nearest] == structure


def test_the_loss_is_least_where_heat_sizes_and_middles_are_right() -> None:
    labels = numbered(discs(5)[1], 2)
    objects = objects_in([labels], 2, 2)
    right = scores_that_say(labels, objects)[None]
    numbers = torch.from_numpy(labels).long()[None]
    least = float(detection_loss(right, numbers, objects)[0])
    elsewhere = right.clone()
    elsewhere[:, 4:] += 4.0
    for wrong in (right.roll(5, 2), right.roll(1, 1), torch.zeros_like(right), elsewhere):
        assert float(detection_loss(wrong, numbers, objects)[0]) > least + 0.1


def test_what_the_edge_of_a_patch_cuts_off_teaches_no_false_size() -> None:
    objects = Objects(1, (8.0, 8.0))
    most_inside, most_outside = np.zeros((32, 32), np.int32), np.zeros((32, 32), np.int32)
    most_inside[0:6, 10:18], most_outside[0:3, 10:18] = 1, 1
    shown, hidden = targets(most_inside, objects), targets(most_outside, objects)
    assert shown.heat.max() == 1 and not shown.sized.any() and not shown.placed.any() and shown.counts.all()
    assert not hidden.heat.any() and not hidden.counts[most_outside == 1].any()
    found = torch.zeros(1, 5, 32, 32)
    found[:, 0, 1, 14] = 9.0  # a network that sees the part of it is not wrong
    said = float(detection_loss(found, torch.from_numpy(most_outside)[None], objects)[0])
    unsaid = float(detection_loss(torch.zeros_like(found), torch.from_numpy(most_outside)[None], objects)[0])
    assert said == unsaid


def test_a_structure_that_nobody_outlined_is_refused() -> None:
    some = [discs(number) for number in range(8)]
    one_alone = [(image, np.where(labels == 1, 1, 0).astype(np.uint8)) for image, labels in some]
    course = CenterNetLearner(epochs=1).course()
    with pytest.raises(InputError, match="structure 2 of the task's 2"):
        taught_to_find(one_alone, [], 2, course, 0)
    nothing = [(image, np.zeros_like(labels)) for image, labels in some]
    with pytest.raises(InputError, match="structure 1 of the task's 1"):
        taught_to_find(nothing, some, 1, course, 0)


def test_a_network_that_has_learned_nothing_says_the_usual_size() -> None:
    maps = heat_of(torch.zeros(5, 4, 4), (), Objects(1, (5.0, 7.0)))
    assert maps[0].max() < 0.1
    assert maps[1].unique().tolist() == [5.0] and maps[2].unique().tolist() == [7.0]
    assert not maps[3:].any()


def test_nothing_to_learn_from_in_a_patch_is_no_error() -> None:
    nothing = torch.zeros(2, 8, 8, dtype=torch.int64)
    loss = detection_loss(torch.zeros(2, 5, 8, 8), nothing, Objects(1, (4.0, 4.0)))
    assert loss.shape == (2,) and bool(torch.isfinite(loss).all())


def test_two_objects_of_one_kind_that_touch_corners_are_one() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[0:2, 0:2] = 1
    labels[2:4, 2:4] = 1
    labels[5, 5] = 1
    assert sorted(boxes_of(labels).box.tolist()) == [[0, 0, 4, 4], [5, 5, 6, 6]]


def test_boxes_become_ellipses_that_become_boxes() -> None:
    boxes = Boxes(np.array([[1.0, 2, 9, 8], [10, 10, 15, 19]]), np.array([1, 2]), np.array([0.9, 0.4]))
    again = boxes_of(as_labels(boxes, (20, 20)))
    assert again.box.tolist() == boxes.box.tolist() and again.structure.tolist() == [1, 2]


def test_of_marks_upon_each_other_the_surest_stays() -> None:
    boxes = Boxes(np.array([[0.0, 0, 6, 6], [1, 1, 6, 6], [1, 1, 6, 6]]), np.array([1, 1, 2]), np.ones(3))
    assert surest_apart(boxes).structure.tolist() == [1, 2]


def test_the_threshold_lies_between_what_hits_and_what_does_not() -> None:
    truth = Boxes(np.array([[0.0, 0, 4, 4]]), np.ones(1, int), np.ones(1))
    said = Boxes(np.array([[0.0, 0, 4, 4], [8, 8, 9, 9]]), np.ones(2, int), np.array([0.8, 0.4]))
    assert threshold_of([said], [truth], 2) == (pytest.approx(0.6), 0.5)  # the second was never there


def lesions(folder: Path, n: int = 14, shape: tuple[int, ...] = (8, 24, 20)) -> Samples:
    for part in ("images", "outlines"):
        (folder / part).mkdir(parents=True)
    for number in range(n):
        rng = np.random.default_rng(number)
        labels: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        if number % 3:
            row, column = rng.integers(1, 16), rng.integers(1, 12)
            labels[2:6, row : row + 6, column : column + 6] = 1
        pixels = (300.0 * labels + rng.normal(500, 50, shape)).astype(np.int16)
        (folder / "images" / f"p{number:02}.nii.gz").write_bytes(as_nifti(pixels, PLAIN))
        (folder / "outlines" / f"p{number:02}.nii.gz").write_bytes(as_nifti(labels, PLAIN))
    site = ml.Site.create(folder / "site")
    report = site.record.add(NiftiImporter(folder, outlines="outlines", structure="lesion", modality="MR"))
    assert report.balanced
    task = Task.model_validate(
        {
            "name": "lesion",
            "title": {"en": "Lesion", "zh": "病灶"},
            "kind": "detection",
            "prediction_time": {"event": ["IMAGE//MR"]},
            "predict": {"of": "image", "outline": ["OUTLINE//lesion"], "structures": ["lesion"]},
        }
    )
    return ml.ask(site.record, task)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Samples, Samples]:
    samples = lesions(tmp_path_factory.mktemp("lesions"), 24)
    train, tuning = samples.among(range(18)), samples.among(range(18, 24))
    return (
        replace(train, frame=train.frame.with_columns(split=pl.lit("train"))),
        replace(tuning, frame=tuning.frame.with_columns(split=pl.lit("tuning"))),
    )


@pytest.mark.parametrize(
    "learner",
    [CenterNetLearner(epochs=30, batch=2), UnetLearner(epochs=8, batch=2)],
    ids=lambda one: one.name,
)
def test_samples_are_learned_from_answered_and_explained(
    learner: CenterNetLearner | UnetLearner, parts: tuple[Samples, Samples], tmp_path: Path
) -> None:
    train, tuning = parts
    model = learner.fit(train, tuning)
    said = model.predict(tuning)
    assert said.frame["output"].unique().to_list() == ["lesion"]
    assert said.frame["value"].min() >= 0 and said.frame["value"].max() <= 1
    there = np.array([boxes_of(known(tuning, place)).box.shape[0] > 0 for place in range(len(tuning))])
    values = said.frame["value"].to_numpy()
    assert values[there].min() > values[~there].max()
    found = evaluate_detection(tuning, model, replicates=50)
    assert found.metrics["lesion.average_precision"].value is None  # six subjects are too few
    assert found.cases is not None and found.cases["found"].sum() == there.sum()
    why = model.explain(tuning)
    assert not why.additive
    strongest = why.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").max())
    assert [one for one in strongest["contribution"] if one] == pytest.approx(
        values[(values > 0) & (values >= model.thresholds[0])].tolist()
    )
    assert why.frame["input"].str.starts_with("around slice").all()
    drawn = model.outline(image_of(tuning, int(np.flatnonzero(there)[0]))).labels
    assert drawn.shape == (8, 24, 20) and drawn.max() == 1
    alone = model.predict(tuning.at(1)).frame["value"][0]
    assert alone == said.frame["value"][1]
    digest = model.save(tmp_path / "package")
    again = type(learner).load(tmp_path / "package")
    assert again.predict(tuning).frame.equals(said.frame)
    assert again.thresholds == model.thresholds
    assert again.save(tmp_path / "other") == digest


def known(samples: Samples, place: int) -> NDArray[np.uint8]:
    from medloom.features.outlines import outline_of

    return outline_of(samples, place, image_of(samples, place))


def test_without_tuning_images_the_threshold_is_a_half() -> None:
    course = CenterNetLearner(batch=2, epochs=1).course()
    assert taught_to_find([discs(1), discs(2)], [], 2, course, 0).thresholds == (0.5, 0.5)


def test_a_learner_that_finds_nothing_is_told_who_does(parts: tuple[Samples, Samples]) -> None:
    with pytest.raises(InputError, match="centernet|detection"):
        api.learner("cnn").fit(*parts)
