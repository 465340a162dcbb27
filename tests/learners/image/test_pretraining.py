"""A body that learned from images without labels is started from; it is never one that saw who is tested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score

from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.image.classifiers import CnnLearner, VitLearner
from medloom.learners.image.pretraining import load_encoder, pretrain
from medloom.tasks.task import Splits
from medloom.tasks.unlabelled import images
from medloom.training.schedule import Schedule
from tests.learners.image.worlds import samples_of, site_of

CNN = CnnLearner(size=32, width=8)
VIT = VitLearner(size=32, patch=8, width=48, blocks=2)
BRIEF = Schedule(epochs=2, batch=32, patience=None)


@pytest.mark.parametrize(("learner", "objective"), [(CNN, "distilled"), (VIT, "distilled"), (VIT, "masked")])
def test_a_learner_starts_from_what_was_pretrained(
    learner: CnnLearner | VitLearner, objective: str, tmp_path: Path
) -> None:
    unlabelled = images(site_of().record)
    train, tuning = unlabelled.in_split("train"), unlabelled.in_split("tuning")
    made = pretrain(learner, train, tuning, objective=objective, schedule=BRIEF, seed=1)
    digest = made.save(tmp_path / "encoder")
    again = load_encoder(tmp_path / "encoder")
    assert again.save(tmp_path / "again") == digest
    samples = samples_of()
    adapt = "lora" if isinstance(learner, VitLearner) else "head"
    quick = replace(learner, start=str(tmp_path / "encoder"), epochs=1, adapt=adapt)
    model = quick.fit(samples.in_split("train"), samples.in_split("tuning"))
    assert len(model.predict(samples.in_split("held_out")).frame) == len(samples.in_split("held_out"))


def test_a_probe_learns_the_head_alone_and_keeps_what_was_pretrained(tmp_path: Path) -> None:
    unlabelled, samples = images(site_of().record), samples_of()
    schedule = replace(BRIEF, epochs=6)
    pretrain(
        CNN, unlabelled.in_split("train"), unlabelled.in_split("tuning"), schedule=schedule, seed=1
    ).save(tmp_path / "encoder")
    learner = replace(CNN, start=str(tmp_path / "encoder"), adapt="probe", flip=True, views=2)
    train, tuning, unseen = (samples.in_split(one) for one in ("train", "tuning", "held_out"))
    model = learner.fit(train, tuning)
    body = load_encoder(tmp_path / "encoder").body.state_dict()
    assert all(torch.equal(value, body[name]) for name, value in model.network.body.state_dict().items())
    said = model.predict(unseen).frame["value"].to_numpy()
    assert roc_auc_score(unseen.frame["label"].to_numpy(), said) > 0.7
    again = replace(learner, refit=True).fit(train, tuning)
    assert not torch.equal(model.network.head.weight, again.network.head.weight)  # learned from more
    digest = model.save(tmp_path / "package")
    assert CnnLearner.load(tmp_path / "package").save(tmp_path / "again") == digest


def test_an_objective_that_is_not_there_or_not_for_this_network_is_refused() -> None:
    unlabelled = images(site_of().record)
    train, tuning = unlabelled.in_split("train"), unlabelled.in_split("tuning")
    with pytest.raises(InputError, match="learner vit"):
        pretrain(CNN, train, tuning, objective="masked", schedule=BRIEF)
    with pytest.raises(InputError, match="distilled, masked"):
        pretrain(CNN, train, tuning, objective="guessed", schedule=BRIEF)


def test_held_out_images_and_encoders_of_another_split_are_refused(tmp_path: Path) -> None:
    unlabelled = images(site_of().record)
    with pytest.raises(LeakageError, match="held_out"):
        pretrain(CNN, unlabelled, unlabelled.in_split("tuning"), schedule=BRIEF)
    other = images(site_of().record, splits=Splits(by="hash"))
    pretrain(CNN, other.in_split("train"), other.in_split("tuning"), schedule=BRIEF).save(
        tmp_path / "encoder"
    )
    samples = samples_of()
    with pytest.raises(LeakageError, match="another split"):
        replace(CNN, start=str(tmp_path / "encoder")).fit(
            samples.in_split("train"), samples.in_split("tuning")
        )


def test_an_encoder_of_another_network_is_refused(tmp_path: Path) -> None:
    unlabelled = images(site_of().record)
    train, tuning = unlabelled.in_split("train"), unlabelled.in_split("tuning")
    pretrain(CNN, train, tuning, schedule=BRIEF).save(tmp_path / "encoder")
    samples = samples_of()
    for learner in (VIT, replace(CNN, width=16)):
        with pytest.raises(InputError, match="another network"):
            replace(learner, start=str(tmp_path / "encoder")).fit(
                samples.in_split("train"), samples.in_split("tuning")
            )
