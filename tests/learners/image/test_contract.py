"""What every registered learner of images must do; a new one is tested by being registered."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.learners.image.learner import ImageLearner
from medloom.learners.image.model import ImageModel
from medloom.tasks.package import load
from medloom.tasks.samples import Samples
from medloom.training.answers import scores_of
from tests.learners.image.worlds import samples_of
from tests.learners.tabular.worlds import samples_of as patients

LEARNERS: list[type[ImageLearner]] = [
    kind
    for name in sorted(registry.registered("medloom.learners"))
    if (kind := registry.load("medloom.learners", name)).modality == "image"
    and issubclass(kind, ImageLearner)
]
EVERY = [pytest.param(one, id=one.name) for one in LEARNERS]
QUICK = {
    "size": 32,
    "epochs": 8,
    "batch": 16,
    "learning_rate": 0.003,
    "augment": 0.0,
    "average": 0.0,
    "patience": 8,
}
MORE: dict[str, dict[str, Any]] = {
    "cnn": {"width": 8},
    "vit": {"width": 48, "blocks": 2, "patch": 4, "epochs": 25},
    "efficientnet": {"size": 64, "epochs": 4},
    "densenet": {"epochs": 4},
    "resnet": {"epochs": 8},
}


def small(learner: type[ImageLearner], **parameters: Any) -> ImageLearner:
    return learner(**(QUICK | MORE.get(learner.name, {}) | parameters))


@cache
def learned(learner: type[ImageLearner]) -> ImageModel:
    samples = samples_of()
    return small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


def unseen() -> Samples:
    return samples_of().in_split("held_out")


@pytest.mark.parametrize("learner", EVERY)
def test_it_tells_discs_from_noise(learner: type[ImageLearner]) -> None:
    samples = unseen()
    answers = learned(learner).predict(samples).frame["value"].to_numpy()
    assert roc_auc_score(samples.frame["label"].to_numpy(), answers) > 0.9


@pytest.mark.parametrize("learner", EVERY)
def test_one_image_gets_the_same_answer_as_among_others(learner: type[ImageLearner]) -> None:
    samples, model = unseen(), learned(learner)
    together = model.predict(samples).frame["value"].to_list()
    assert [model.predict(samples.at(place)).frame["value"].item() for place in (0, 5)] == [
        together[0],
        together[5],
    ]


@pytest.mark.parametrize("learner", EVERY)
def test_shares_of_places_add_up_to_the_answer(learner: type[ImageLearner]) -> None:
    samples, model = unseen().where(pl.int_range(pl.len()) < 5), learned(learner)
    told = model.explain(samples)
    summed = told.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    expected = scores_of("binary", model.predict(samples).matrix(("true",)))[:, 0]
    found = told.baseline["value"].item() + summed["contribution"].to_numpy()
    # a probability of nearly 0 or 1 tells its log-odds no more exactly
    np.testing.assert_allclose(found.clip(-20, 20), expected.clip(-20, 20), atol=1e-4)
    assert told.frame["asset"].unique().sort().to_list() == samples.frame["item"].unique().sort().to_list()


@pytest.mark.parametrize("learner", EVERY)
def test_what_is_saved_and_loaded_is_the_same_to_the_byte(
    learner: type[ImageLearner], tmp_path: Path
) -> None:
    samples, model = unseen(), learned(learner)
    digest = model.save(tmp_path / "one")
    again = load(tmp_path / "one", digest)
    assert again.save(tmp_path / "two") == digest
    assert again.predict(samples).frame.equals(model.predict(samples).frame)


def test_the_same_seed_gives_the_same_package(tmp_path: Path) -> None:
    samples = samples_of()
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    learner = registry.load("medloom.learners", "cnn")
    one, two = (small(learner, epochs=1, augment=1.0).fit(train, tuning, seed=3) for _ in range(2))
    assert one.save(tmp_path / "one") == two.save(tmp_path / "two")


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_other_kinds_of_question_are_answered(kind: str) -> None:
    samples = samples_of(kind)
    learner = registry.load("medloom.learners", "cnn")
    model = small(learner).fit(samples.in_split("train"), samples.in_split("tuning"))
    shown = samples.in_split("held_out")
    right = [
        model.predict(shown.at(place)).largest(int(number)) in shown.frame["label"][place]
        for place, number in enumerate(shown.sample_ids)
    ]
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("learner", EVERY)
def test_samples_about_patients_are_refused_in_words(learner: type[ImageLearner]) -> None:
    samples = patients("binary")
    with pytest.raises(InputError, match="of: image"):
        learner().fit(samples.in_split("train"), samples.in_split("tuning"))


def test_a_parameter_out_of_range_is_refused_with_its_rule() -> None:
    samples = samples_of()
    for wrong, rule in (
        ({"views": 9}, "6 or fewer"),
        ({"start": "nowhere"}, "a folder with an encoder"),
        ({"size": 3}, "16 or more"),
        ({"adapt": "half"}, "full, head, lora, probe"),
        ({"adapt": "probe"}, "starts from nothing"),
    ):
        with pytest.raises(InputError, match=rule):
            registry.load("medloom.learners", "cnn")(**wrong).fit(
                samples.in_split("train"), samples.in_split("tuning")
            )


def test_views_are_averaged_and_stay_close_to_the_image_itself() -> None:
    samples = samples_of()
    learner = registry.load("medloom.learners", "cnn")
    model = small(learner, views=5).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)
    alone = learned(learner).predict(unseen()).frame["value"].to_numpy()
    averaged = model.predict(unseen()).frame["value"].to_numpy()
    assert 0 < np.abs(alone - averaged).mean() < 0.15
