"""The same work on Ray: the same results to the bit, and nothing lost when a worker is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from medloom import api
from medloom.features.token_vocabulary import TokenVocabulary
from medloom.features.tokens import encode, write_tokens
from medloom.features.windows import WindowFeatures
from medloom.foundation.engines import each, engine, is_shared
from medloom.foundation.errors import InputError, IntegrityError, MissingExtraError
from medloom.foundation.hashing import sha256_file
from medloom.foundation.site import SiteSettings
from medloom.learners.survival import auto
from medloom.learners.survival.auto import SurvivalAutoLearner
from medloom.learners.tabular.auto import AutoLearner
from medloom.learners.tabular.trees import TreeLearner
from medloom.site import Site
from medloom.tasks.samples import Samples
from medloom.training.designs import carried_out, folds
from tests.learners.survival.test_auto import QUICK
from tests.learners.survival.worlds import ONE
from tests.learners.survival.worlds import samples_of as prognosis_of
from tests.sites import TASK, Stays

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """Start Ray once, with two workers; what is measured against it runs outside of the block."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray")
    with engine("ray", workers=2):
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Make a site whose record has several parts."""
    made = Site.create(tmp_path_factory.mktemp("sites") / "st-mary", SiteSettings(subjects_per_shard=60))
    made.record.add(Stays(0, 240))
    (made.directory.tasks / "outcome.yaml").write_text(TASK, encoding="utf-8")
    return Site.open(made.directory.root)


@pytest.fixture(scope="module")
def samples(site: Site) -> Samples:
    return site.task("outcome").samples


def test_tasks_come_back_in_their_order_from_other_processes(ray: None) -> None:
    found = list(each(_slower_at_first, range(6)))
    assert [number for number, _ in found] == list(range(6))
    assert os.getpid() not in {process for _, process in found}
    assert is_shared()


def test_what_a_task_says_on_purpose_is_said_here(ray: None) -> None:
    with pytest.raises(InputError, match="3 does not fit"):
        list(each(_refuses, range(5)))


def test_a_worker_that_is_killed_loses_no_work(ray: None, tmp_path: Path) -> None:
    assert list(each(partial(_dies_once, tmp_path), range(4))) == [0, 10, 20, 30]
    assert (tmp_path / "2").exists()


def test_out_of_fold_answers_are_the_same(ray: None, samples: Samples) -> None:
    with engine("local"):
        parts = folds(samples, 3)
        here = carried_out(TreeLearner(), parts)
    there = carried_out(TreeLearner(), parts)
    assert there.predictions.frame.equals(here.predictions.frame)


def test_a_search_finds_the_same(ray: None, samples: Samples, tmp_path: Path) -> None:
    learner = AutoLearner(learners=("logistic", "tree"), trials=3, folds=3)
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    with engine("local"):
        here = learner.fit(train, tuning).save(tmp_path / "here")
    assert learner.fit(train, tuning).save(tmp_path / "there") == here


def test_a_search_of_prognosis_finds_the_same(
    ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_SETTINGS", QUICK)
    learner = SurvivalAutoLearner(learners=["aft", "kaplan-meier"], folds=2)
    asked = prognosis_of(ONE, n=120)
    train, tuning = asked.in_split("train"), asked.in_split("tuning")
    with engine("local"):
        here = learner.fit(train, tuning).save(tmp_path / "here")
    assert learner.fit(train, tuning).save(tmp_path / "there") == here


def test_answers_features_and_tokens_of_shards_are_the_same(
    ray: None, samples: Samples, tmp_path: Path
) -> None:
    assert len(list(samples.parts())) > 3

    def made(folder: Path) -> tuple[object, ...]:
        vocabulary = TokenVocabulary.fit(samples)
        features = WindowFeatures.fit(samples).transform(samples)
        write_tokens(folder, samples, vocabulary)
        files = [sha256_file(path) for path in sorted(folder.glob("*.bin"))]
        fewer = TokenVocabulary.fit(samples, max_codes=2)
        tokens = encode(samples, fewer)
        return (
            vocabulary.to_json(),
            files,
            features.dense.tobytes(),
            features.sparse.toarray().tobytes(),
            tokens.code.tobytes(),
            tokens.strangers,
        )

    with engine("local"):
        here = made(tmp_path / "here")
        model = api.train(samples, "logistic", ranges=False).model
        said = api.predict(model, samples).frame
    assert made(tmp_path / "there") == here
    assert api.predict(model, samples).frame.equals(said)


def test_a_record_that_changed_meanwhile_is_not_read(site: Site) -> None:
    make, (where, digest) = site.record.__reduce__()
    assert make(where, digest).digest() == site.record.digest()
    with pytest.raises(IntegrityError, match="changed meanwhile"):
        make(where, "another")


def test_an_engine_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="there are: local, ray"), engine("spark"):
        pass
    with pytest.raises(InputError, match="ray alone takes an address"), engine("local", "10.0.0.1:6379"):
        pass
    for name in ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(sys.modules, "ray", sys)
    with pytest.raises(InputError, match="listen to this machine alone"), engine("ray"):
        pass
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"medloom\[distributed\]"), engine("ray"):
        pass


def _slower_at_first(number: int) -> tuple[int, int]:
    time.sleep(0.3 if number == 0 else 0)
    return number, os.getpid()


def _refuses(number: int) -> int:
    if number == 3:
        raise InputError("{n} does not fit", n=number)
    return number


def _dies_once(folder: Path, number: int) -> int:
    if number == 2 and not (folder / "2").exists():
        (folder / "2").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number
