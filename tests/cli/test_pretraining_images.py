"""A body that learns from a site's images without labels, and a learner that starts from it, from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from medloom import importers
from medloom.site import Site
from tests.cli.conftest import done, refused
from tests.learners.image.worlds import TASKS, draw


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a site with eighty pictures and a question about them."""
    folder = tmp_path_factory.mktemp("images")
    draw(folder / "pictures", 80)
    site = Site.create(folder / "site")
    site.record.add(importers.named("images", folder / "pictures", modality="dx", patient="(p[0-9]+)"))
    (site.directory.tasks / "disc.yaml").write_text(
        "name: disc\nkind: binary\ntitle: {en: Disc, zh: 圆盘}\n"
        f"prediction_time: {{event: [IMAGE//DX], which: every}}\npredict: {TASKS['binary']}\n",
        encoding="utf-8",
    )
    return folder / "site"


def test_a_learner_starts_from_what_was_learned_without_labels(of_images: Path) -> None:
    small = ["-p", "size=32", "-p", "width=4"]
    said = done("pretrain-images", "--task", "disc", *small, "--epochs", 1, "--batch", 16, folder=of_images)
    found = re.search(r"medloom train TASK (--learner cnn -p start=(\S+))", said)
    assert found is not None and found[2] == "images@1"
    (encoder,) = json.loads(done("encoders", "--json", folder=of_images))["encoders"]
    assert encoder["name"] == "images@1" and encoder["learner"] == "cnn"
    begun = [*found[1].split(), "-p", "width=4", "-p", "epochs=1"]
    assert "Learned disc.cnn@1" in done("train", "disc", *begun, folder=of_images)


def test_what_cannot_be_pretrained_on_is_refused_with_the_remedy(of_images: Path) -> None:
    assert "IMAGE//CT" in refused("pretrain-images", "--images", "IMAGE//CT*", folder=of_images)
    assert "vit" in refused("pretrain-images", "--objective", "masked", "--epochs", 1, folder=of_images)
    assert "no-such-task" in refused("pretrain-images", "--task", "no-such-task", folder=of_images)
