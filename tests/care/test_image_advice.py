"""Advice about an image: of the latest one that the task asks about, and made again from what was stored."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

import medloom as ml
from medloom import dossier, importers
from medloom.care import risk
from medloom.database.engine import Database
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.loop.serving import Serving
from medloom.site import Site
from tests.databases import opened
from tests.learners.image.worlds import TASKS, draw


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("advice")
    draw(root / "pictures", 160)
    made = Site.create(root / "site")
    made.record.add(
        importers.named("images", root / "pictures", modality="dx", patient="(p[0-9]+)", date="2024-05-01")
    )
    (made.directory.tasks / "disc.yaml").write_text(
        "name: disc\nkind: binary\ntitle: {en: Disc, zh: 圆盘}\n"
        f"prediction_time: {{event: [IMAGE//DX], which: every}}\npredict: {TASKS['binary']}\n",
        encoding="utf-8",
    )
    ml.train(
        made.task("disc"),
        "cnn",
        size=32,
        width=8,
        epochs=6,
        batch=16,
        learning_rate=0.003,
        augment=0.0,
        average=0.0,
    )
    dossier.evaluate(made, "disc.cnn")
    return made


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return opened(f"sqlite:///{tmp_path / 'site.db'}")


def test_advice_about_an_image_says_why_and_is_made_again_from_its_stored_input(
    site: Site, database: Database
) -> None:
    one = releases.propose(site, database, "disc.cnn@1", Actor("scientist", "data_scientist"), threshold=0.5)
    releases.sign(database, one.id, Actor("lead", "governance"))
    serving = Serving(site, database, lambda: datetime(2024, 6, 1))
    served = serving.find("disc")
    subject = int(site.record.subject_ids[3])
    asked = serving.ask(served, subject)
    assert asked.sample.frame["item"][0].startswith("sha256:")
    (given,) = risk.advise_each(served, asked.sample)
    database.write(risk.keep_each(database, [(given, Actor("doctor", "clinician"), "workbench")]))
    assert any("of the picture" in reason.said.en for reason in given.advice.reasons)
    again = risk.reproduce(site, database, given.advice.id)
    assert again.same and again.answers == given.advice.answers
