"""In every design what is tested was not learned from: no patient on both sides, nothing held out, nothing of later."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.tasks.external import from_frame
from medloom.tasks.kinds import KINDS
from medloom.tasks.model import Learner, Model, Origin, check_none_held_out
from medloom.tasks.samples import Samples
from medloom.training import designs
from medloom.training.designs import Part
from tests.training.worlds import Said, frame_of, samples_of


@dataclass
class Listening(Learner):
    """Learns the mean, and remembers what it was handed."""

    name: ClassVar[str] = "listening"
    kinds: ClassVar = frozenset(KINDS)
    modality: ClassVar[str] = "none"
    handed: list[tuple[Samples, Samples, int]] = field(default_factory=list)

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> Model:
        check_none_held_out(train, tuning)
        self.handed.append((train, tuning, seed))
        mean = float(train.frame["label"].cast(pl.Float64).mean())  # type: ignore[arg-type]
        origin = Origin(train.question, self.name, {}, seed, train.digest())
        return Said(origin, {one: np.array([mean]) for one in range(10_000)})

    @classmethod
    def load(cls, directory: object) -> Model:
        raise NotImplementedError


def grouped(n: int = 300) -> Samples:
    """Three samples a patient, at different times; a tenth of the patients is held out."""
    samples = samples_of("binary", n=n)
    row = np.arange(n)
    split = np.where(row // 3 % 10 == 9, "held_out", "train")
    frame = samples.frame.with_columns(
        group=pl.Series(row // 3).cast(pl.Int64),
        split=pl.Series(split.tolist()),
        prediction_time=pl.Series(
            [datetime(2020, 1, 1) + timedelta(days=int(one)) for one in row], dtype=pl.Datetime("us")
        ),
    )
    return replace(samples, frame=frame)


def check(parts: list[Part]) -> None:
    for part in parts:
        sides = [set(side.groups.tolist()) for side in (part.train, part.tuning, part.test)]
        assert all(sides)
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
        assert set(part.test.frame["split"]) == {"held_out"}
        assert set(part.train.frame["split"]) == {"train"}


def test_folds_test_each_sample_once_by_patients_and_leave_out_what_is_held_out() -> None:
    samples = grouped()
    parts = designs.folds(samples, 5)
    check(parts)
    tested = [one for part in parts for one in part.test.frame["sample_id"]]
    usable = samples.frame.filter(pl.col("split") != "held_out")
    assert sorted(tested) == usable["sample_id"].to_list()
    learned = {one for part in parts for one in [*part.train.groups, *part.tuning.groups]}
    assert not learned & set(samples.in_split("held_out").groups.tolist())


def test_folds_are_alike_in_outcomes_and_the_same_for_the_same_seed() -> None:
    parts = designs.folds(samples_of("binary", n=1000), 5)
    shares = [part.test.frame["label"].mean() for part in parts]
    assert max(shares) - min(shares) < 0.03  # type: ignore[operator,type-var]
    again = designs.folds(samples_of("binary", n=1000), 5)
    assert all(one.test.frame.equals(other.test.frame) for one, other in zip(parts, again, strict=True))
    others = designs.folds(samples_of("binary", n=1000), 5, seed=1)
    assert not parts[0].test.frame.equals(others[0].test.frame)


def test_a_design_answers_every_sample_in_order_with_the_model_that_did_not_know_it() -> None:
    samples = grouped()
    learner = Listening()
    done = designs.carried_out(learner, designs.folds(samples, 4), seed=3)
    assert done.samples.frame["subject_id"].is_sorted()
    assert done.predictions.frame["sample_id"].to_list() == done.samples.frame["sample_id"].to_list()
    assert len({seed for *_, seed in learner.handed}) == 4
    for part, (train, _, _) in zip(done.models, learner.handed, strict=True):
        mine = (done.parts == part).to_numpy()
        said = done.predictions.frame["value"].to_numpy()[mine]
        assert set(said) == {train.frame["label"].mean()}


def test_out_of_fold_answers_of_a_real_learner_are_worse_than_those_it_learned() -> None:
    samples = samples_of("binary", n=300)
    learner = registry.load("medloom.learners", "tree")()
    done = designs.carried_out(learner, designs.folds(samples, 3))
    truth = done.samples.frame["label"].to_numpy()
    said = done.predictions.frame["value"].to_numpy()
    assert 0.6 < np.mean((said > 0.5) == truth) < 0.95


def test_temporal_tests_patients_first_asked_from_the_day_on_and_learns_only_what_was_answered_before() -> (
    None
):
    samples = grouped()
    samples = replace(samples, question=samples.question.model_copy(update={"horizon": "2d"}))
    day = date(2020, 6, 1)
    (part,) = designs.temporal(samples, day)
    check([part])
    moment = datetime(2020, 6, 1)
    learned = pl.concat([part.train.frame, part.tuning.frame])
    assert learned["prediction_time"].max() <= moment - timedelta(days=2)  # type: ignore[operator]
    assert part.test.frame["prediction_time"].min() >= moment  # type: ignore[operator]


def test_a_day_with_nobody_on_one_side_is_refused() -> None:
    with pytest.raises(InputError, match="patients on both sides"):
        designs.temporal(grouped(), date(2030, 1, 1))


def test_each_place_is_tested_by_a_model_of_the_others() -> None:
    samples = grouped()
    places = pl.Series([None if group % 7 == 0 else f"h{group % 3}" for group in samples.groups])
    parts = designs.leave_one_out(samples, places)
    check(parts)
    assert [part.name for part in parts] == ["h0", "h1", "h2"]
    named = samples.frame.with_columns(place=places)
    for part in parts:
        tested = named.filter(pl.col("sample_id").is_in(part.test.frame["sample_id"].to_list()))
        assert set(tested["place"]) == {part.name}
    unnamed = set(named.filter(pl.col("place").is_null(), pl.col("split") != "held_out")["sample_id"])
    assert unnamed <= {*parts[0].train.frame["sample_id"], *parts[0].tuning.frame["sample_id"]}


def test_one_place_alone_is_refused() -> None:
    samples = grouped()
    with pytest.raises(InputError, match="there are: h0"):
        designs.leave_one_out(samples, pl.Series(["h0"] * len(samples)))


def test_a_place_is_named_by_a_column_or_by_what_follows_a_code() -> None:
    frame = frame_of("binary", 6).with_columns(
        hospital=pl.Series(["a", "b", None, "a", "b", "a"]), ward=pl.Series([1, 2, 3, 1, 2, 3])
    )
    samples = from_frame(frame, "outcome")
    assert designs.fact(samples, "hospital").to_list() == ["a", "b", None, "a", "b", "a"]
    assert designs.fact(samples, "ward").n_unique() == 3
    with pytest.raises(InputError, match="'clinic'"):
        designs.fact(samples, "clinic")


def test_what_is_hidden_is_no_input() -> None:
    samples = samples_of("binary", n=20)
    assert "sex" in samples.history().vocabulary
    history = samples.hiding("sex").history()
    assert "sex" not in {history.vocabulary[code] for code in history.code}


def test_smaller_sizes_are_contained_in_larger_ones_and_tested_alike() -> None:
    found = list(designs.by_size(grouped(), [20, 40], repeats=2))
    check([part for *_, part in found])
    (small, _, one), (large, _, other) = found[:2]
    assert (small, large) == (20, 40)
    assert one.test.frame.equals(other.test.frame)
    learned = [{*part.train.groups, *part.tuning.groups} for part in (one, other)]
    assert learned[0] < learned[1]
    assert [len(one) for one in learned] == [20, 40]


def test_more_patients_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="between 1 and 72"):
        list(designs.by_size(grouped(), [500]))


def test_a_resample_has_as_many_patients_drawn_with_replacement_each_on_one_side() -> None:
    samples = grouped()
    train, tuning = designs.resampled(samples, 0, "1")
    assert len(train) + len(tuning) == 270
    assert train.frame["sample_id"].is_duplicated().any()
    assert not set(train.groups) & set(tuning.groups)


def test_refits_of_a_learner_differ_for_the_same_patients() -> None:
    samples = samples_of("binary", n=200)
    learner = registry.load("medloom.learners", "logistic")()
    found = designs.refits(learner, samples, samples.in_split("held_out"), 3)
    assert found.shape == (3, 40, 1)
    assert (found.std(axis=0) > 0).all()


@pytest.mark.parametrize(("k", "said"), [(1, "2 folds or more"), (200, "there are")])
def test_folds_that_cannot_be_are_refused(k: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        designs.folds(grouped(), k)
