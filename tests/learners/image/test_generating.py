"""A painter that learned from a few pictures draws such pictures by class, and nothing that is held out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
import torch

from medloom import importers
from medloom.features.images import Framing, Pixels
from medloom.foundation.errors import InputError, IntegrityError, LeakageError
from medloom.learners.image.classifiers import CnnLearner
from medloom.learners.image.generating.adding import drawn_beside
from medloom.learners.image.generating.generator import ImageGenerator, load_image_generator
from medloom.learners.image.generating.networks import Canvas, Judge, Painter
from medloom.learners.image.generating.teaching import Teaching, changed, teach
from medloom.record.imaging.pictures import as_png
from medloom.site import Site
from medloom.tasks.samples import Samples
from tests.learners.image.worlds import samples_of as plain_samples

SIDE = 16
TASK = """\
name: {kind}-shape
kind: {kind}
title: {{en: Shape, zh: 形状}}
prediction_time: {{event: [IMAGE//DX], which: every}}
predict: {predict}
"""
PREDICT = {
    "binary": "{of: image, event: [FINDING//disc]}",
    "multiclass": "{of: image, classes: {disc: [FINDING//disc], square: [FINDING//square]}}",
}
BRIEF = Teaching(width=8, steps=3, batch=8)
_kept: list[TemporaryDirectory[str]] = []


def shapes(n: int, seed: int = 0) -> tuple[Pixels, np.ndarray]:
    """Draw bright discs on dark (1) and dark squares on bright (0): (n, 1, 16, 16), (n,)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels, classes = np.empty((n, 1, SIDE, SIDE), np.uint8), np.arange(n) % 2
    for number, disc in enumerate(classes):
        middle, radius = rng.integers(6, 10, 2), rng.integers(3, 6)
        away = [rows - middle[0], columns - middle[1]]
        inside = np.hypot(*away) <= radius if disc else np.maximum(*map(np.abs, away)) < radius
        grey = np.where(inside == bool(disc), 190, 60) + rng.normal(0, 8, (SIDE, SIDE))
        pixels[number, 0] = np.clip(grey, 0, 255)
    return pixels, classes


@cache
def site() -> Site:
    _kept.append(TemporaryDirectory(prefix="medloom-shapes-"))
    root = Path(_kept[-1].name)
    for number, (pixels, disc) in enumerate(zip(*shapes(160), strict=True)):
        path = root / "pictures" / ("disc" if disc else "square") / f"p{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_png(pixels))
    made = Site.create(root / "site")
    made.record.add(importers.named("images", root / "pictures", modality="dx", patient="(p[0-9]+)"))
    for kind, predict in PREDICT.items():
        text = TASK.format(kind=kind, predict=predict)
        (made.directory.tasks / f"{kind}-shape.yaml").write_text(text, encoding="utf-8")
    return made


def samples_of(kind: str = "binary") -> Samples:
    return site().task(f"{kind}-shape").samples


@cache
def learned() -> ImageGenerator:
    teaching = Teaching(width=8, steps=120, batch=16, learning_rate=2e-3, average=0.95)
    return ImageGenerator.fit(samples_of().in_split("train"), teaching=teaching, seed=1)


def brief(kind: str = "binary") -> ImageGenerator:
    return ImageGenerator.fit(samples_of(kind).in_split("train"), teaching=BRIEF, seed=1)


def test_a_classifier_of_real_pictures_tells_drawn_ones_apart() -> None:
    real, classes = shapes(200, seed=9)
    middle = [real[classes == one].mean((0, 1)) for one in (0, 1)]
    generator = learned()
    assert generator.classes == ("false", "true")
    for number, name in enumerate(generator.classes):
        drawn = generator.draw(name, 40)
        assert drawn.shape == (40, 1, SIDE, SIDE) and drawn.dtype == np.uint8
        away = np.stack([((drawn[:, 0] - one) ** 2).mean((1, 2)) for one in middle], 1)
        assert (away.argmin(1) == number).mean() > 0.9
        assert drawn.std(0).mean() > 2  # not always the same one


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    generator = brief()
    one = generator.draw("true", 70, seed=3)
    assert np.array_equal(generator.draw("true", 5, seed=3), one[:5])
    assert not np.array_equal(generator.draw("true", 5, seed=4), one[:5])
    assert np.array_equal(brief().draw("true", 70, seed=3), one)
    with pytest.raises(InputError, match="there is no class 'disc'"):
        generator.draw("disc", 1)


def test_a_package_draws_the_same_and_is_refused_once_altered(tmp_path: Path) -> None:
    generator = brief("multiclass")
    digest = generator.save(tmp_path / "one")
    again = load_image_generator(tmp_path / "one")
    assert again.save(tmp_path / "two") == digest
    assert again.classes == ("disc", "square") and again.learned_from == generator.learned_from
    assert np.array_equal(again.draw("disc", 10), generator.draw("disc", 10))
    with (tmp_path / "two" / "weights" / "generator.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(IntegrityError, match="altered"):
        load_image_generator(tmp_path / "two")


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    pixels, classes = shapes(40)
    canvas = Canvas((SIDE, SIDE), 1, 2, width=8)
    teaching = Teaching(steps=6, batch=8)
    whole = teach(canvas, pixels, classes, teaching, 1)
    stopped = replace(teaching, minutes=1e-9)  # over after each step
    teach(canvas, pixels, classes, stopped, 1, tmp_path, "it")
    assert [path.name for path in tmp_path.glob("0*")] == ["000000001"]
    resumed = teach(canvas, pixels, classes, teaching, 1, tmp_path, "it")
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(InputError, match="another one"):
        teach(canvas, pixels, classes, teaching, 1, tmp_path, "something else")


def test_what_cannot_be_drawn_is_refused() -> None:
    samples = samples_of()
    with pytest.raises(LeakageError, match="held_out"):
        ImageGenerator.fit(samples)
    train = samples.in_split("train")
    with pytest.raises(InputError, match="true: 5"):
        ImageGenerator.fit(train.where(~pl.col("label") | (pl.col("label").cum_sum() <= 5)))
    with pytest.raises(InputError, match="binary or multiclass"):
        ImageGenerator.fit(plain_samples("multilabel").in_split("train"))
    for wrong in ({"size": 8}, {"steps": 0}, {"average": 1.0}, {"minutes": 0}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} of a painter"):
            Teaching(**wrong)
    volume = Framing((SIDE, SIDE, SIDE))
    with pytest.raises(InputError, match="volumes"):
        drawn_beside(train, Path("nowhere"), 1, volume, 0)


def test_a_learner_learns_from_drawn_images_too(tmp_path: Path) -> None:
    learned().save(tmp_path / "generator")
    samples = samples_of()
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    quick = CnnLearner(size=SIDE, width=8, depth=2, epochs=2)
    more = replace(quick, generated=32, generator=str(tmp_path / "generator"))
    one, other = quick.fit(train, tuning), more.fit(train, tuning)
    assert one.save(tmp_path / "one") != other.save(tmp_path / "other")
    assert other.origin.parameters["generated"] == 32
    assert len(other.predict(samples.in_split("held_out")).frame) == len(samples.in_split("held_out"))
    added = drawn_beside(train, tmp_path / "generator", 3, Framing((20, 20), 3), 0)
    assert added.pixels.shape == (6, 3, 20, 20) and added.y[:, 0].tolist() == [0, 0, 0, 1, 1, 1]


def test_a_generator_of_another_split_or_task_is_refused(tmp_path: Path) -> None:
    learned().save(tmp_path / "generator")
    learner = CnnLearner(size=SIDE, generated=8, generator=str(tmp_path / "generator"))
    samples = samples_of()
    elsewhere = replace(samples, split_rule="another")
    with pytest.raises(LeakageError, match="another split"):
        learner.fit(elsewhere.in_split("train"), elsewhere.in_split("tuning"))
    other = samples_of("multiclass")
    with pytest.raises(InputError, match="another task"):
        learner.fit(other.in_split("train"), other.in_split("tuning"))
    with pytest.raises(InputError, match="a folder with a generator"):
        replace(learner, generator="").fit(samples.in_split("train"), samples.in_split("tuning"))


@pytest.mark.parametrize(("size", "channels"), [((16, 16), 1), ((28, 28), 1), ((100, 128), 3)])
def test_networks_paint_and_judge_any_size(size: tuple[int, int], channels: int) -> None:
    canvas = Canvas(size, channels, 3, width=8)
    classes = torch.tensor([0, 2])
    painted = Painter(canvas)(torch.randn(2, canvas.noise), classes)
    assert painted.shape == (2, channels, *size)
    assert painted.min() >= 0 and painted.max() <= 1
    assert Judge(canvas)(painted, classes).shape == (2,)


def test_changes_let_the_gradient_through_and_leave_most_of_an_image() -> None:
    torch.manual_seed(0)
    x = torch.full((64, 3, 16, 16), 0.5, requires_grad=True)
    out = changed(x)
    out.sum().backward()
    kept = (out.detach() != 0).float().mean()
    assert 0.6 < kept < 0.95
    assert x.grad is not None and (x.grad != 0).float().mean() > 0.6
