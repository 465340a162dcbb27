"""Of an answer of several words about an image all are kept, and the last answer counts."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.server.access import ROLES, Person
from medloom.server.backend import Backend
from medloom.server.corrections import ImageTask, say, tasks_about
from medloom.server.images import PatientImage, gallery_of
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.image_ward import NOW, image_site, subject

EXPERT = Person(1, "expert", "Expert", "expert", ROLES["expert"], "en", sees_all=True)
SEEN = """\
name: seen
kind: multilabel
title: {en: What is seen in the chest, zh: 胸部所见}
prediction_time: {event: [IMAGE//CT//CHEST], which: every}
predict: {of: image, classes: {ball: [FINDING//ball], fluid: [FINDING//fluid], other: [FINDING//other]}}
"""


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    site = image_site(tmp_path / "site")
    (site.directory.tasks / "seen.yaml").write_text(SEEN, encoding="utf-8")
    return Backend.of(Site.open(site.directory.root), ServerSettings(as_of=NOW))


def asked(backend: Backend) -> ImageTask:
    (found,) = [one for one in tasks_about(backend.site, "IMAGE//CT//CHEST") if one.task.name == "seen"]
    return found


def image(backend: Backend) -> PatientImage:
    return gallery_of(backend, EXPERT, subject(backend.site, "P0")).images[0]


def codes(backend: Backend) -> list[str]:
    """Give what people said of the image, in the record."""
    of = image(backend)
    events = backend.site.record.events([of.subject_id]).filter(pl.col("role") == "observation")
    return [str(one) for one in events.filter(pl.col("derived_from") == of.asset)["code"]]


def label(backend: Backend) -> list[str]:
    site = Site.open(backend.site.directory.root)
    frame = site.task("seen").samples.frame
    found: list[str] = frame.filter(pl.col("item") == image(backend).asset)["label"].item().to_list()
    return found


def test_every_class_of_an_answer_is_kept_and_the_last_answer_counts(backend: Backend) -> None:
    try:
        before = codes(backend)
        assert before == ["FINDING//ball"]
        say(backend, EXPERT, image(backend), asked(backend), ("fluid", "other"))
        said = codes(backend)
        assert sorted(said) == ["FINDING//ball", "FINDING//fluid", "FINDING//other", "NOT//FINDING//ball"]
        assert asked(backend).answer(said) == ("fluid", "other") and label(backend) == ["fluid", "other"]
        say(backend, EXPERT, image(backend), asked(backend), ("ball", "other"))
        assert len(codes(backend)) == len(said) + 3
        assert label(backend) == ["ball", "other"]
        say(backend, EXPERT, image(backend), asked(backend), ())  # none of them
        assert asked(backend).answer(codes(backend)) == () and label(backend) == []
    finally:
        backend.close()


def test_a_class_that_the_question_does_not_have_is_no_answer(backend: Backend) -> None:
    try:
        with pytest.raises(InputError, match="no answer"):
            say(backend, EXPERT, image(backend), asked(backend), ("ball", "bone"))
        assert codes(backend) == ["FINDING//ball"]
    finally:
        backend.close()
