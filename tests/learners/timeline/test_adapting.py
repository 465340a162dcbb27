"""A pretrained body is adapted by a little, which is kept alone and answers over a body that many share."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medloom.foundation.errors import InputError, LeakageError, NotFoundError
from medloom.foundation.site import SETTINGS_FILE
from medloom.learners.timeline.pretrained import TimelineLearner
from medloom.tasks.kinds import Kind
from medloom.tasks.package import load
from medloom.tasks.samples import Samples
from medloom.training.adaptation import WAYS, Places
from medloom.training.answers import labels_as_numbers, loss
from tests.learners.tabular.worlds import samples_of

LITTLE = ("head", "lora", "adalora", "adapter", "prototype", "probe")
QUICK = {"epochs": 6, "learning_rate": 0.004, "batch": 32, "hidden_facts": 0.0, "most": 32, "rank": 2}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a site with an encoder."""
    from medloom.learners.timeline.pretraining import Pretraining, pretrain
    from medloom.training.schedule import Schedule

    root = tmp_path_factory.mktemp("site")
    (root / SETTINGS_FILE).write_text('name = "test"\n')
    samples = samples_of("binary")
    how = Pretraining("next-event", "nano", 1.0, 32, Schedule(epochs=2, patience=None, learning_rate=2e-3))
    made = pretrain(samples.in_split("train"), samples.in_split("tuning"), how, seed=1)
    made.save(root / "encoders" / "ward" / "1" / "package")
    return root


@pytest.fixture(scope="module")
def learned(site: Path) -> Any:
    """Learn each way once."""

    @cache
    def learn(way: str) -> Any:
        samples = samples_of("binary")
        learner = TimelineLearner(encoder=encoder_of(site), adapt=way, **QUICK)
        return learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)

    return learn


def encoder_of(site: Path) -> str:
    return str(site / "encoders" / "ward" / "1" / "package")


def unseen(kind: Kind = "binary") -> Samples:
    return samples_of(kind, n=200, seed=99)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("way", LITTLE)
def test_what_little_was_learned_answers_and_is_kept_alone(way: str, learned: Any, site: Path) -> None:
    model, samples = learned(way), unseen()
    predictions = model.predict(samples)
    y, answers = labels_as_numbers(samples), predictions.matrix(samples.question.outputs)
    average = np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)
    assert loss("binary", y, answers) < 0.9 * loss("binary", y, average)
    package = site / "models" / f"outcome.{way}" / "1" / "package"
    digest = model.save(package)
    assert size(package) < 0.05 * size(Path(encoder_of(site)))
    again = load(package, digest)
    assert again.predict(samples).frame.equals(predictions.frame)
    assert again.predict(samples.at(7)).frame["value"].item() == pytest.approx(answers[7, 0], rel=1e-10)
    assert again.save(package.with_name("twice")) == digest


def test_models_share_the_weights_of_their_body(learned: Any) -> None:
    first, second = (learned(way).network.body for way in ("lora", "adapter"))
    assert first.facts.pieces.weight.data_ptr() == second.facts.pieces.weight.data_ptr()
    assert first.blocks[0].query.layer.weight.data_ptr() == second.blocks[0].query.weight.data_ptr()


def test_an_adapted_model_stands_alone_where_asked(learned: Any) -> None:
    model, samples = learned("lora"), unseen()
    alone = model.alone()
    expected = model.predict(samples).frame["value"].to_numpy()
    np.testing.assert_allclose(alone.predict(samples).frame["value"].to_numpy(), expected, rtol=1e-4)
    assert type(alone.network.body.blocks[0].query).__name__ == "Linear"


def test_a_model_whose_encoder_is_missing_says_which(
    learned: Any, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medloom.learners.timeline import bases

    learned("head").save(tmp_path / "package")
    monkeypatch.setattr(bases, "_held", {})
    moved = site / "encoders" / "ward" / "1" / "package"
    moved.rename(tmp_path / "elsewhere")
    try:
        with pytest.raises(NotFoundError, match="encoder ward@1"):
            load(tmp_path / "package")
        monkeypatch.setenv(bases.FOLDER_VARIABLE, str(tmp_path))
        assert load(tmp_path / "package").predict(unseen()).frame.height == 200
    finally:
        (tmp_path / "elsewhere").rename(moved)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("way", ["prototype", "probe"])
def test_few_labels_answer_every_kind_of_question_that_has_classes(way: str, kind: Kind, site: Path) -> None:
    samples = samples_of(kind, n=120)
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    learner = TimelineLearner(encoder=encoder_of(site), adapt=way, **QUICK)
    if (way, kind) == ("prototype", "regression"):
        with pytest.raises(InputError, match="no classes"):
            learner.fit(train, tuning)
        return
    y = labels_as_numbers(unseen(kind))
    answers = learner.fit(train, tuning).predict(unseen(kind)).matrix(samples.question.outputs)
    average = np.repeat(labels_as_numbers(train).mean(axis=0, keepdims=True), len(y), axis=0)
    assert loss(kind, y, answers) < loss(kind, y, average)


@pytest.mark.parametrize("way", ["full", "lora"])
def test_a_site_that_was_moved_learns_again_from_its_encoder(
    way: str, learned: Any, site: Path, tmp_path: Path
) -> None:
    learned(way).save(site / "models" / f"asked.{way}" / "1" / "package")
    shutil.copytree(site, tmp_path / "moved")
    package = tmp_path / "moved" / "models" / f"asked.{way}" / "1" / "package"
    assert str(site) not in (package / "model.json").read_text(encoding="utf-8")
    assert load(package).relearner() == TimelineLearner(
        encoder=encoder_of(tmp_path / "moved"), adapt=way, **QUICK
    )


def test_an_encoder_of_another_split_is_refused(site: Path) -> None:
    from dataclasses import replace

    samples = replace(samples_of("binary"), split_rule="another")
    with pytest.raises(LeakageError, match="another split"):
        TimelineLearner(encoder=encoder_of(site)).fit(samples.in_split("train"), samples.in_split("tuning"))


def test_what_starts_from_an_encoder_is_not_tried_on_patients_it_has_read(site: Path, learned: Any) -> None:
    from medloom.training.designs import carried_out, folds
    from medloom.training.ranges import with_default_ranges

    samples = samples_of("binary").in_split("train", "tuning")
    learner = TimelineLearner(encoder=encoder_of(site), adapt="probe")
    with pytest.raises(LeakageError, match="encoder=None"):
        carried_out(learner, folds(samples, 2, 1), 1)
    model, why = with_default_ranges(learned("probe"), samples)
    assert model is learned("probe")
    assert why is not None and "calibration" in why.en


def test_several_questions_are_learned_together(site: Path, tmp_path: Path) -> None:
    from medloom.learners.timeline.several import fit_together

    kinds: tuple[Kind, ...] = ("binary", "regression")
    parts = [(samples_of(kind).in_split("train"), samples_of(kind).in_split("tuning")) for kind in kinds]
    learner = TimelineLearner(encoder=encoder_of(site), adapt="lora", **QUICK)
    models = fit_together(learner, parts, seed=1)
    for kind, model in zip(kinds, models, strict=True):
        y = labels_as_numbers(unseen(kind))
        predictions = model.predict(unseen(kind))
        answers = predictions.matrix(model.origin.question.outputs)
        assert loss(kind, y, answers) < 0.9 * loss(kind, y, np.repeat(y.mean(axis=0)[None], len(y), axis=0))
        digest = model.save(site / "models" / f"{kind}.timeline" / "1" / "package")
        again = load(site / "models" / f"{kind}.timeline" / "1" / "package", digest)
        assert again.predict(unseen(kind)).frame.equals(predictions.frame)
    swapped = [parts[0], (parts[1][1], parts[1][0])]
    with pytest.raises(LeakageError, match="learned from in one"):
        fit_together(learner, swapped)


def test_a_checkpoint_of_another_pretraining_is_refused(tmp_path: Path) -> None:
    from medloom.learners.timeline.pretraining import pretrain
    from medloom.training.checkpoints import Course, save_checkpoint

    save_checkpoint(tmp_path / "checkpoints", Course("with another vocabulary", step=1), {})
    samples = samples_of("binary", n=40)
    with pytest.raises(InputError, match="is another one: of other data, another vocabulary"):
        pretrain(samples.in_split("train"), samples.in_split("tuning"), folder=tmp_path)


def test_what_was_learned_on_another_body_does_not_fit() -> None:
    import torch
    from torch import nn

    from medloom.training.additions import added_weights, described, put_around, put_in

    with torch.random.fork_rng():
        learned = nn.Sequential(nn.Linear(3, 2))
        put_around(learned, "0", "low-rank", 1)
        with pytest.raises(InputError, match="learned on another one"):
            put_in(nn.Sequential(nn.Linear(4, 2)), described(learned), added_weights(learned))
        with pytest.raises(InputError, match="no linear layer '0'"):
            put_in(nn.Sequential(nn.Tanh()), described(learned))


def test_a_way_that_does_not_exist_is_refused() -> None:
    from torch import nn

    from medloom.training.adaptation import adapt

    with pytest.raises(InputError, match=", ".join(WAYS)):
        adapt(nn.Linear(2, 2), Places((), ()), "magic", 2)
    with pytest.raises(InputError, match="no linear layer 'up'"):
        adapt(nn.Linear(2, 2), Places((), ("up",)), "adapter", 2)


def test_adalora_cuts_off_what_matters_least_until_its_budget_is_kept() -> None:
    import torch
    from torch import nn

    from medloom.training.adaptation import adapt, settle
    from medloom.training.additions import described

    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
        x = torch.randn(200, 8)
        adapting = adapt(body, Places(("0", "2"), ()), "adalora", 3)
        assert adapting.penalty is not None and adapting.on_step is not None
        descent = torch.optim.AdamW([one for one in body.parameters() if one.requires_grad], lr=0.02)
        for step in range(1, 61):
            descent.zero_grad()
            ((body(x)[:, 0] - x[:, 0]).square().mean() + adapting.penalty()).backward()
            descent.step()
            adapting.on_step(body, step, 60)
        learned = body(x)
        settle(body)
    assert sum(rank for _, _, rank in described(body)) == 6
    torch.testing.assert_close(body(x), learned)


@pytest.mark.parametrize("to", ["onnx", "pruned"])
def test_layers_behind_layers_are_no_graph_and_not_pruned(learned: Any, to: str) -> None:
    from medloom.training.compression.plan import Plan

    samples = samples_of("binary")
    with pytest.raises(InputError, match="cannot be written as a graph or pruned; make it distilled"):
        learned("adapter").compressed(Plan(to), samples.in_split("train"), samples.in_split("tuning"), 0)
