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
from medloom.evidence.segmentation import compare_each  # noqa: E402
from medloom.features.image_recipe import Fingerprint, recipe  # noqa: E402
from medloom.foundation.errors import InputError  # noqa: E402
from medloom.learners.image.patches.augmenting import NONE, Augmentation, cut  # noqa: E402
from medloom.learners.image.patches.cases import Patches, prepared  # noqa: E402
from medloom.learners.image.patches.course import Example  # noqa: E402
from medloom.learners.image.patches.learner import NETWORKS  # noqa: E402
from medloom.learners.image.patches.networks import built  # noqa: E402
from medloom.learners.image.patches.outlining import outlined, probabilities  # noqa: E402
from medloom.learners.image.segmentation import teaching  # noqa: E402
from medloom.learners.image.segmentation.learner import UnetLearner  # noqa: E402
from medloom.learners.image.segmentation.losses import dice_and_entropy  # noqa: E402
from medloom.learners.image.segmentation.teaching import taught  # noqa: E402
from medloom.record.imaging.image import Image  # noqa: E402
from medloom.record.imaging.nifti import as_nifti, read_nifti  # noqa: E402
from medloom.record.importers.images import NiftiImporter  # noqa: E402
from medloom.tasks.samples import Samples  # noqa: E402
from medloom.tasks.task import Task  # noqa: E402

PLAIN = np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]


def ball(seed: int, shape: tuple[int, ...]) -> Example:
    """Draw a bright ball on noise, its upper half brighter still; two structures."""
    rng = np.random.default_rng(seed)
    middle = np.array([rng.integers(7, size - 7) for size in shape])
    places = np.indices(shape) - middle.reshape(-1, *[1] * len(shape))
    labels = ((places**2).sum(0) < 30).astype(np.uint8)
    labels[(labels > 0) & (places[0] > 0)] = 2
    pixels = 2.0 * labels + rng.normal(0, 0.7, shape)
    return Image(pixels.astype(np.float32)[None] * 100, (1.0,) * len(shape)), labels


def balls(n: int, shape: tuple[int, ...], first: int = 0) -> list[Example]:
    return [ball(first + number, shape) for number in range(n)]


def learned(n: int, shape: tuple[int, ...], **settings: object):  # type: ignore[no-untyped-def]
    course = UnetLearner(**{"batch": 2, "epochs": 10, **settings}).course()  # type: ignore[arg-type]
    train, tuning = balls(n, shape), balls(3, shape, 100)
    return taught(train, tuning, (np.arange(n), n + np.arange(3)), 2, course, 0)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_learns_to_outline_pictures(network: str) -> None:
    found = learned(24, (48, 40), network=network)
    assert found.dice is not None and min(found.dice) > 0.6


def test_a_volume_is_outlined() -> None:
    found = learned(16, (20, 24, 20))
    image, labels = ball(999, (20, 24, 20))
    said = outlined(found.networks, prepared(image, None, found.recipe), found.recipe)
    both = ((said.labels > 0) & (labels > 0)).sum()
    assert 2 * both / ((said.labels > 0).sum() + (labels > 0).sum()) > 0.7
    assert said.uncertainty.shape == labels.shape
    assert said.uncertainty.min() >= 0 and said.uncertainty.max() <= 1
    border = said.uncertainty[(labels > 0) != (said.labels > 0)]
    assert border.mean() > said.uncertainty.mean()


def test_the_same_seed_teaches_the_same() -> None:
    one, other = (learned(4, (24, 24), epochs=2) for _ in range(2))
    for a, b in zip(one.networks[0].parameters(), other.networks[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_each_of_several_networks_is_judged_by_patients_of_its_own() -> None:
    found = learned(6, (24, 24), epochs=1, networks=3)
    assert len(found.networks) == 3 and found.dice is not None


def test_a_teaching_that_was_cut_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"epochs": 2, "networks": 2, "folder": str(tmp_path)}
    whole = learned(4, (24, 24), epochs=2, networks=2)
    with monkeypatch.context() as patched:
        begun: list[object] = []

        def cut_off(*arguments: object) -> object:
            begun.append(arguments)
            if len(begun) == 2:
                raise KeyboardInterrupt
            return one(*arguments)  # type: ignore[arg-type]

        one = teaching._one
        patched.setattr(teaching, "_one", cut_off)
        with pytest.raises(KeyboardInterrupt):
            learned(4, (24, 24), **settings)
    again = learned(4, (24, 24), **settings)
    for number in range(2):
        for a, b in zip(
            again.networks[number].parameters(), whole.networks[number].parameters(), strict=True
        ):
            assert torch.equal(a, b)


def test_without_tuning_images_the_last_weights_are_kept() -> None:
    course = UnetLearner(batch=2, epochs=1).course()
    found = taught(balls(3, (24, 24)), [], (np.arange(3), np.empty(0, np.int64)), 2, course, 0)
    assert found.dice is None and found.largest == ()


def small() -> tuple[object, ...]:
    made = recipe(Fingerprint(np.array([[24, 24]]), np.ones((1, 2)), 1, False, ()))
    torch.manual_seed(0)
    return made, built("unet", made, 3).eval()


def test_windows_together_cover_a_large_image() -> None:
    made, network = small()
    pixels = torch.randn(1, 100, 70)
    said = probabilities([network], pixels, made)  # type: ignore[list-item,arg-type]
    assert said.shape == (3, 100, 70)
    assert torch.allclose(said.sum(0), torch.ones(100, 70), atol=1e-4)


def test_mirror_images_are_looked_at_and_turned_back() -> None:
    made, network = small()
    pixels = torch.randn(1, 24, 24)
    plain = probabilities([network], pixels, made, flips=(0, 1))  # type: ignore[list-item,arg-type]
    flipped = probabilities([network], pixels.flip(1), made, flips=(0, 1))  # type: ignore[list-item,arg-type]
    assert torch.allclose(plain, flipped.flip(1), atol=1e-5)


def test_an_image_of_another_spacing_gets_an_outline_of_its_own_size() -> None:
    made, network = small()
    image = Image(np.random.default_rng(0).normal(size=(1, 12, 48)), (2.0, 0.5))
    case = prepared(image, None, made)  # type: ignore[arg-type]
    assert tuple(case.pixels.shape) == (1, 24, 24)
    assert outlined([network], case, made).labels.shape == (12, 48)  # type: ignore[list-item,arg-type]


def test_other_axes_than_those_learned_from_are_refused() -> None:
    made, _ = small()
    with pytest.raises(InputError, match="3 and 1"):
        prepared(Image(np.zeros((1, 4, 8, 8))), None, made)  # type: ignore[arg-type]


def test_a_patch_without_changes_is_a_piece_of_the_image() -> None:
    pixels = torch.arange(48.0).reshape(1, 6, 8)
    labels = (pixels[0] > 20).to(torch.uint8)
    found, outline = cut(pixels, labels, (2, 4), (2.5, 3.5), (1, 1), NONE, np.random.default_rng(0))
    assert torch.allclose(found, pixels[:, 2:4, 2:6], atol=1e-4)
    assert torch.equal(outline, labels[2:4, 2:6].long())


def test_beside_the_image_a_patch_is_nothing() -> None:
    pixels = torch.ones(1, 4, 4)
    found, outline = cut(
        pixels,
        torch.ones(4, 4, dtype=torch.uint8),
        (8, 8),
        (1.5, 1.5),
        (1, 1),
        NONE,
        np.random.default_rng(0),
    )
    assert float(found.sum()) == pytest.approx(16, abs=1e-3)
    assert int(outline.sum()) == 16 and not outline[:2].any()


def test_pixels_and_outline_are_moved_together() -> None:
    _, labels = ball(1, (24, 26, 28))
    pixels = torch.from_numpy(labels.astype(np.float32))[None]
    moved = replace(Augmentation(flips=(0, 1, 2), often=1.0), gamma=0.0, contrast=0.0, noise=0.0, coarse=1.0)
    for seed in range(5):
        found, outline = cut(
            pixels,
            torch.from_numpy(labels),
            (24, 26, 28),
            (11.5, 12.5, 13.5),
            (1, 1, 1),
            moved,
            np.random.default_rng(seed),
        )
        assert (found[0].round() == outline).float().mean() > 0.98
        assert int((outline > 0).sum()) > 20


def test_a_coarse_axis_is_not_turned_into_the_others() -> None:
    pixels = torch.zeros(1, 5, 20, 20)
    pixels[:, 2] = 1
    turned = replace(NONE, turn=45.0, often=1.0)
    found, _ = cut(
        pixels,
        torch.zeros(5, 20, 20, dtype=torch.uint8),
        (5, 8, 8),
        (2, 9.5, 9.5),
        (6.0, 1.0, 1.0),
        turned,
        np.random.default_rng(1),
    )
    assert torch.allclose(found, pixels[:, :, :8, :8], atol=1e-4)


def test_patches_of_large_images_lie_around_structures_often() -> None:
    shape = (200, 200)
    labels = np.zeros(shape, np.uint8)
    labels[100, 100] = 1
    made = recipe(Fingerprint(np.array([[24, 24]]), np.ones((1, 2)), 1, False, ()))
    rows = Patches([prepared(Image(np.zeros((1, *shape))), labels, made)], made, NONE)
    _, outlines = rows.batch(np.zeros(300, np.int64), np.random.default_rng(0))
    share = float((outlines.flatten(1).amax(1) > 0).float().mean())
    assert 0.28 < share < 0.45


def test_the_loss_is_least_where_the_outline_is_right() -> None:
    labels = torch.tensor([[[0, 1], [2, 0]]])
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * 20.0
    wrong = right.roll(1, 1)
    assert float(dice_and_entropy(right, labels)[0]) < 0.01
    assert float(dice_and_entropy(wrong, labels)[0]) > 1


def volumes(folder: Path, n: int = 14, shape: tuple[int, ...] = (12, 20, 18)) -> Samples:
    for part in ("images", "outlines"):
        (folder / part).mkdir()
    for number in range(n):
        rng = np.random.default_rng(number)
        labels: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        row = rng.integers(3, 10)
        labels[4:9, row : row + 6, 5:12] = 1
        pixels = (300.0 * labels + rng.normal(500, 50, shape)).astype(np.int16)
        (folder / "images" / f"p{number:02}.nii.gz").write_bytes(as_nifti(pixels, PLAIN))
        (folder / "outlines" / f"p{number:02}.nii.gz").write_bytes(as_nifti(labels, PLAIN))
    site = ml.Site.create(folder / "site")
    report = site.record.add(NiftiImporter(folder, outlines="outlines", structure="organ", modality="MR"))
    assert report.balanced
    task = Task.model_validate(
        {
            "name": "organ",
            "title": {"en": "Organ", "zh": "器官"},
            "kind": "segmentation",
            "prediction_time": {"event": ["IMAGE//MR"]},
            "predict": {"of": "image", "outline": ["OUTLINE//organ"], "structures": ["organ"]},
        }
    )
    return ml.ask(site.record, task)


def test_samples_are_learned_from_answered_and_explained(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    samples = volumes(tmp_path / "source")
    train, tuning = samples.among(range(11)), samples.among(range(11, 14))
    train = replace(train, frame=train.frame.with_columns(split=pl.lit("train")))
    tuning = replace(tuning, frame=tuning.frame.with_columns(split=pl.lit("tuning")))
    model = UnetLearner(epochs=8, batch=2).fit(train, tuning)
    said = model.predict(tuning)
    assert said.frame["output"].unique().to_list() == ["organ"]
    with tuning.open_label(0) as file:
        size = float((read_nifti(file).pixels > 0).sum())
    assert said.frame["value"][0] == pytest.approx(size, rel=0.4)
    cases = compare_each(tuning, lambda image: model.outline(image).labels)
    assert cases["dice"].min() > 0.6 and cases["found"].to_list() == [1, 1, 1]
    alone = model.predict(tuning.at(1)).frame["value"][0]
    assert alone == said.frame["value"][1]
    why = model.explain(tuning)
    parts = why.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    assert parts["contribution"].to_list() == pytest.approx(said.frame["value"].to_list())
    digest = model.save(tmp_path / "package")
    again = UnetLearner.load(tmp_path / "package")
    assert again.predict(tuning).frame.equals(said.frame)
    assert again.save(tmp_path / "other") == digest


def test_axes_that_images_do_not_have_are_refused() -> None:
    with pytest.raises(InputError, match="0 to 1"):
        learned(3, (24, 24), flips=[2])
    with pytest.raises(InputError, match="2 axes"):
        learned(3, (24, 24), spacing=[1.0, 1.0, 1.0])


def test_arguments_are_checked(tmp_path: Path) -> None:
    for wrong in (
        {"network": "resnet"},
        {"epochs": 0},
        {"flips": [0, 0]},
        {"flips": [3]},
        {"spacing": [0.0, 1.0]},
        {"average": 1.0},
        {"precision": "8"},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            UnetLearner(**wrong).course()  # type: ignore[arg-type]
