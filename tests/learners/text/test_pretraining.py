"""An encoder goes on learning from notes without labels: masked words are guessed better afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.text.encoder import EncoderLearner
from medloom.learners.text.pretraining import SCHEDULE, pretrain, pretrained
from tests.learners.text.worlds import note, samples, small_encoder


def texts(n: int) -> list[str]:
    rng = np.random.default_rng(3)
    return [note(rng)[0] for _ in range(n)]


def test_the_loss_falls_and_the_body_changes(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path / "encoder")
    schedule = replace(SCHEDULE, epochs=12, batch=16, learning_rate=0.004)
    made = pretrained(texts(120), str(encoder), schedule=schedule, folder=tmp_path / "kept")
    before = pretrained(texts(20), str(encoder), schedule=replace(schedule, epochs=1, learning_rate=1e-12))
    changed = (made.embedding.weight - before.embedding.weight).detach()
    assert float(changed.abs().max()) > 0.01
    assert all(torch.isfinite(one).all() for one in made.parameters())


def test_without_a_word_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path / "encoder")
    with pytest.raises(InputError, match="empty"):
        pretrained(["", "  "], str(encoder))


def test_what_was_pretrained_is_kept_and_learned_from(tmp_path: Path) -> None:
    known, start = samples(60), str(small_encoder(tmp_path / "encoder"))
    made = pretrain(known.in_split("train"), start, schedule=replace(SCHEDULE, epochs=2, learning_rate=0.004))
    made.save(tmp_path / "package")
    begun = EncoderLearner(start=str(tmp_path / "package"))._start(()).body()
    assert all(
        torch.equal(one, other) for one, other in zip(begun.parameters(), made.body.parameters(), strict=True)
    )
    learner = EncoderLearner(start=str(tmp_path / "package"), epochs=1, window=64, overlap=16)
    assert learner.starts_from_patients
    assert learner.fit(known.in_split("train"), known.in_split("tuning")).origin.learner == "encoder"


def test_one_that_may_have_seen_who_is_held_out_is_refused(tmp_path: Path) -> None:
    known, start = samples(60), str(small_encoder(tmp_path / "encoder"))
    pretrain(known.in_split("train"), start).save(tmp_path / "package")
    other = replace(known, split_rule="another")
    with pytest.raises(LeakageError, match="another split"):
        EncoderLearner(start=str(tmp_path / "package"), window=64, overlap=16).fit(
            other.in_split("train"), other.in_split("tuning")
        )
    with pytest.raises(LeakageError):
        pretrain(known.in_split("held_out"), start)
