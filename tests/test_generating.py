"""Drawing images of a task, judging them and learning from them, as a data scientist would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import medloom as ml
from medloom.foundation.errors import InputError
from medloom.learners.image.generating.generator import load_image_generator
from tests.cli.conftest import done, refused
from tests.learners.image.test_generating import samples_of, site

SMALL = {"size": 16, "width": 8, "depth": 2, "epochs": 2}


def test_images_are_drawn_judged_and_tried() -> None:
    samples = samples_of()
    made = ml.generate_images(
        samples, teaching={"steps": 20, "batch": 8, "width": 8}, generated=20, repeats=2, **SMALL
    )
    evidence = made.evidence
    assert evidence.images["train"] == len(samples.in_split("train"))
    assert evidence.frechet > evidence.frechet_real
    assert evidence.effect is not None and evidence.effect.split == "tuning"
    assert [one.name for one in made.shown] == ["false", "true"]
    assert made.shown[0].drawn.shape == made.shown[0].nearest.shape == (8, 1, 16, 16)
    with pytest.raises(InputError, match="tuning, held_out"):
        ml.generate_images(samples, teaching={"steps": 1, "width": 8}, split="train")
    with pytest.raises(InputError, match="refit"):
        ml.generate_images(samples, teaching={"steps": 1, "width": 8}, refit=True)


def test_the_command_keeps_a_generator_and_writes_a_page(tmp_path: Path) -> None:
    where = ["--site", site().directory.root]
    small = ["--steps", 5, "--width", 8, "--learner", "none", "--anyway"]
    asked = ["generate-images", "binary-shape", "--out", "drawn", *where, *small]
    told = json.loads(done(*asked, "--report", "page.html", "--json", folder=tmp_path))
    assert told["effect"] is None and told["images"]["drawn"] >= 199
    assert load_image_generator(tmp_path / "drawn").classes == ("false", "true")
    assert "生成图像与真实图像的比较" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".drawn*"))
    assert "name a new folder" in refused(*asked, folder=tmp_path)
