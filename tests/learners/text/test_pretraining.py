"""An encoder goes on learning from notes without labels: masked words are guessed better afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medloom.foundation.errors import InputError
from medloom.learners.text.pretraining import SCHEDULE, pretrained
from tests.learners.text.worlds import note, small_encoder


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
