"""Metrics of survival against lifelines, against the formulas written as loops, and where there is no number."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from lifelines.utils import concordance_index, restricted_mean_survival_time

from medloom.evidence.concordance import Concordance
from medloom.evidence.survival import (
    Brier,
    Censoring,
    DynamicAuc,
    calibration_groups,
    d_calibration,
    followed_until,
    harrell,
    integrated,
    time_lost,
    uno,
)
from medloom.evidence.survival_evaluation import SurvivalEvaluation, evaluate_survival
from medloom.foundation.errors import InputError
from medloom.record.record import Record
from medloom.tasks.history import Visibility
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.nonparametric import Timeline, step_at

SEEDS = [0, 1, 2, 3]


def drawn(seed: int, n: int = 60, causes: int = 1) -> tuple[Outcomes, np.ndarray]:
    """Draw outcomes with many ties, and a risk with some."""
    rng = np.random.default_rng(seed)
    latent = np.ceil(rng.exponential(8, (n, causes)))
    censored = np.ceil(rng.exponential(12, n))
    time = np.minimum(latent.min(axis=1), censored)
    cause = np.where(latent.min(axis=1) <= censored, latent.argmin(axis=1) + 1, 0)
    risk = np.round(-latent[:, 0] + rng.normal(0, 6, n))
    return Outcomes(time, cause, causes), risk


def free_of_censoring(outcomes: Outcomes) -> Callable[[float], float]:
    """Write the chance not to be censored by t as a product over times, events first."""
    time, seen = outcomes.time, outcomes.happened

    def by(t: float) -> float:
        chance = 1.0
        for at in np.unique(time[time <= t]):
            left = ((time > at) | ((time == at) & ~seen)).sum()
            chance *= 1 - ((time == at) & ~seen).sum() / left if left else 1.0
        return chance

    return by


@pytest.mark.parametrize("seed", SEEDS)
def test_harrell_is_that_of_lifelines(seed: int) -> None:
    outcomes, risk = drawn(seed)
    expected = concordance_index(outcomes.time, -risk, outcomes.cause)
    assert harrell(outcomes, risk) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("causes", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_concordances_are_sums_over_pairs(seed: int, causes: int) -> None:
    outcomes, risk = drawn(seed, 45, causes)
    weight = np.random.default_rng(seed).integers(0, 4, (2, len(outcomes))).astype(float)
    by = free_of_censoring(outcomes)
    own = np.array([by(t) for t in outcomes.time])
    until = 12.0
    time, cause = outcomes.time, outcomes.cause
    plain, weighted = np.zeros((2, 2)), np.zeros((2, 2))
    for i in np.flatnonzero(cause == 1):
        for j in range(len(time)):
            later = time[j] > time[i] or (time[j] == time[i] and cause[j] != 1)
            safe = cause[j] > 1 and time[j] < time[i]
            if not (later or safe):
                continue
            right = 1.0 if risk[j] < risk[i] else 0.5 if risk[j] == risk[i] else 0.0
            pair = weight[:, i] * weight[:, j]
            plain += np.outer([right, 1.0], pair)
            if time[i] < until and own[i] > 0:
                weighted += np.outer([right, 1.0], pair / own[i] / (own[j] if safe else own[i]))
    concordance = Concordance(outcomes, 1, risk)
    np.testing.assert_allclose(concordance(weight), plain[0] / plain[1], atol=1e-10)
    found = concordance(weight, np.stack([own, own]), until)
    np.testing.assert_allclose(found, weighted[0] / weighted[1], atol=1e-10)


@pytest.mark.parametrize("causes", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_brier_and_auc_are_sums_over_samples(seed: int, causes: int) -> None:
    outcomes, risk = drawn(seed, 50, causes)
    times = np.array([2.5, 4.0, 7.0])
    incidence = 1 / (1 + np.exp(-risk[:, None] / 10 - times / 10))
    by, n = free_of_censoring(outcomes), len(outcomes)
    censoring = Censoring.of(Timeline.of(outcomes))
    brier = Brier(outcomes, 1, times, incidence)(censoring)
    for place, t in enumerate(times):
        error, cases, controls, right, pairs = 0.0, [], [], 0.0, 0.0
        for i in range(n):
            early, cause = outcomes.time[i] <= t, outcomes.cause[i]
            if early and cause == 0:
                continue
            weight = 1 / by(outcomes.time[i] if early else t)
            truth = early and cause == 1
            error += weight * (truth - incidence[i, place]) ** 2
            (cases if truth else controls).append((weight, risk[i]))
        for w, r in cases:
            for v, s in controls:
                right, pairs = right + w * v * (r > s) + 0.5 * w * v * (r == s), pairs + w * v
        assert brier[place] == pytest.approx(error / n, abs=1e-12)
        assert DynamicAuc(outcomes, 1, t, risk)(censoring) == pytest.approx(right / pairs, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_observed_curves_are_those_of_lifelines(seed: int) -> None:
    outcomes, _ = drawn(seed, 80)
    counted = Timeline.of(outcomes).counted()
    kaplan = KaplanMeierFitter().fit(outcomes.time, outcomes.cause)
    times = np.arange(1.0, 15.0)
    ours = step_at(counted.steps, counted.survival, times, 1.0)
    np.testing.assert_allclose(ours, kaplan.predict(times), atol=1e-12)
    low, high = kaplan.confidence_interval_.iloc[-2]
    greenwood = step_at(counted.steps, counted.spread, [kaplan.confidence_interval_.index[-2]], 0.0)[0, 0]
    survival = float(kaplan.survival_function_.iloc[-2, 0])
    reach = 1.959963984540054 * greenwood / (survival * abs(np.log(survival)))
    np.testing.assert_allclose(
        [survival ** np.exp(reach), survival ** np.exp(-reach)], [low, high], atol=1e-9
    )
    lost = time_lost(counted, 10.0)[0]
    assert 10 - lost == pytest.approx(restricted_mean_survival_time(kaplan, 10.0), abs=1e-9)


def test_competing_incidence_is_that_of_lifelines() -> None:
    rng = np.random.default_rng(0)
    time, cause = rng.exponential(5, 100), rng.integers(0, 3, 100)  # without ties: lifelines moves tied times
    outcomes = Outcomes(time, cause, 2)
    counted = Timeline.of(outcomes).counted()
    for event in (1, 2):
        fitted = AalenJohansenFitter(calculate_variance=True).fit(time, cause, event_of_interest=event)
        np.testing.assert_allclose(
            counted.incidence[event - 1], fitted.cumulative_density_.to_numpy()[1:, 0], atol=1e-9
        )
        np.testing.assert_allclose(
            counted.spread[event - 1][:-1] ** 2, fitted.variance_.to_numpy().ravel()[1:-1], atol=1e-9
        )


def test_weights_count_samples_as_often_as_copies_would() -> None:
    outcomes, risk = drawn(5, 40)
    times = np.random.default_rng(0).integers(0, 3, 40)
    copies = np.repeat(np.arange(40), times)
    weight = times.astype(float)[None]
    again = outcomes[copies]
    once = Censoring.of(Timeline.of(outcomes), weight)
    assert Concordance(outcomes, 1, risk)(weight)[0] == pytest.approx(harrell(again, risk[copies]))
    found = Concordance(outcomes, 1, risk)(weight, once.own, 9.0)[0]
    assert found == pytest.approx(uno(again, risk[copies], until=9.0))


def test_the_chance_of_people_as_predicted_is_d_calibrated_and_that_of_others_is_not() -> None:
    rng = np.random.default_rng(1)
    time, censored = rng.exponential(10, 2000), rng.exponential(15, 2000)
    outcomes = Outcomes(np.minimum(time, censored), (time <= censored).astype(np.int64))
    counts, right = d_calibration(outcomes, np.exp(-outcomes.time / 10))
    assert counts.sum() == pytest.approx(2000)
    assert right > 0.01
    assert d_calibration(outcomes, np.exp(-outcomes.time / 7))[1] < 1e-6


def test_d_calibration_divides_the_censored_over_lower_bins() -> None:
    outcomes = Outcomes(np.array([1.0, 1.0]), np.array([0, 1]))
    counts, _ = d_calibration(outcomes, np.array([0.5, 0.9]), bins=2)
    # 0.5 stands at the lower edge of the upper bin: all of it lies below
    np.testing.assert_allclose(counts, [1.0, 1.0])


def test_groups_of_calibration_hold_everybody_once() -> None:
    outcomes, risk = drawn(2, 200)
    found = calibration_groups(outcomes, 1, 6.0, 1 / (1 + np.exp(-risk / 10)))
    assert sum(int(one["n"]) for one in found) == 200
    assert all(one["low"] <= one["observed"] <= one["high"] for one in found)
    predicted = [one["predicted"] for one in found]
    assert predicted == sorted(predicted)


def test_errors_are_averaged_over_time() -> None:
    assert integrated(np.array([0.0, 1.0]), np.array([2.0, 6.0])) == 0.5
    assert np.isnan(integrated(np.array([0.0]), np.array([2.0])))


def test_follow_up_ends_while_enough_are_followed() -> None:
    assert followed_until(Outcomes(np.arange(4.0), np.ones(4, dtype=np.int64))) == 0.0
    assert followed_until(Outcomes(np.ones(50), np.ones(50, dtype=np.int64))) == 0.0


# evaluation -----------------------------------------------------------------------------------------------------------


def samples_of(
    outcomes: Outcomes, events: tuple[str, ...] = ("death",), subjects: int | None = None
) -> Samples:
    n = len(outcomes)
    names = [None, *events]
    group = np.arange(n) % (subjects or max(n, 1))
    label = pl.Series(
        [{"time": t, "event": names[c]} for t, c in zip(outcomes.time, outcomes.cause, strict=True)],
        dtype=pl.Struct({"time": pl.Float64, "event": pl.String}),
    )
    frame = pl.DataFrame(
        {
            "sample_id": np.arange(n),
            "subject_id": np.sort(group),
            "prediction_time": pl.Series([None] * n, dtype=pl.Datetime("us")),
            "item": pl.Series([None] * n, dtype=pl.String),
            "group": np.sort(group),
            "split": pl.Series(["held_out"] * n, dtype=pl.String),
            "label": label,
        }
    )
    question = Question(
        task="prognosis", kind="survival", title=Title(en="prognosis", zh="预后"), classes=events, unit="d"
    )
    return Samples(frame, question, Record.from_events(_no_events()), Visibility())


def _no_events() -> pl.DataFrame:
    return pl.DataFrame({"subject_id": [0], "time": [None], "code": ["X//y"]}).cast(
        {"time": pl.Datetime("us")}
    )


def curves_of(risk: np.ndarray, causes: int = 1) -> Curves:
    times = np.arange(1.0, 21.0)
    hazard = np.exp(risk / 10)[:, None, None] * times / 20 / causes
    return Curves(times, np.repeat((1 - np.exp(-hazard)) / causes, causes, axis=1))


def evaluated(
    outcomes: Outcomes, curves: Curves, events: tuple[str, ...] = ("death",), **more: object
) -> SurvivalEvaluation:
    samples = samples_of(outcomes, events)
    predictions = curves.predictions(samples.frame["sample_id"], events)
    return evaluate_survival(samples, predictions, replicates=60, horizons=(3.0, 6.0), **more)  # type: ignore[arg-type]


def test_every_metric_has_a_value_within_its_interval() -> None:
    outcomes, risk = drawn(0, 150)
    found = evaluated(outcomes, curves_of(risk))
    assert {"c_index", "c_index_ipcw", "ibs", "auc.3", "brier.6", "observed_expected.6"} < set(found.metrics)
    for name, one in found.metrics.items():
        assert one.value is not None, name
        if name != "d_calibration":
            assert one.low is not None and one.high is not None and one.low < one.value < one.high
    # the table of the same numbers
    assert "C-index" in str(found)
    assert found.to_json()["metrics"]["c_index"]["value"] == pytest.approx(harrell(outcomes, risk), abs=1e-9)


def test_the_same_seed_gives_the_same_intervals_and_rivals_are_paired() -> None:
    outcomes, risk = drawn(1, 120)
    samples = samples_of(outcomes)
    predictions = curves_of(risk).predictions(samples.frame["sample_id"], ("death",))
    one, two = (
        evaluate_survival(samples, predictions, replicates=40, seed=3, compared_with={"itself": predictions})
        for _ in range(2)
    )
    assert one.to_json() == two.to_json()
    difference = one.compared_with["itself"].difference["c_index"]
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    assert one.compared_with["prevalence"].metrics["c_index"].reason is not None


def test_competing_events_are_told_apart() -> None:
    outcomes, risk = drawn(3, 200, 2)
    found = evaluated(outcomes, curves_of(risk, 2), ("death", "transplant"))
    assert found.metrics["death: c_index"].value != found.metrics["transplant: c_index"].value
    assert "d_calibration" not in found.metrics
    assert isinstance(found.prevalence, dict) and set(found.prevalence) == {"death", "transplant"}


def test_subgroups_are_measured_apart() -> None:
    outcomes, risk = drawn(4, 120)
    people = pl.DataFrame({"sample_id": np.arange(120), "sex": ["F", "M"] * 60, "age": [50.0] * 120})
    found = evaluated(outcomes, curves_of(risk), demographics=people)
    assert set(found.subgroups["sex"]) == {"F", "M"}
    women = np.arange(0, 120, 2)
    value = found.subgroups["sex"]["F"].metrics["c_index"].value
    assert value == pytest.approx(harrell(outcomes[women], risk[women]), abs=1e-9)


def _reasons(outcomes: Outcomes, curves: Curves) -> dict[str, str]:
    found = evaluated(outcomes, curves)
    assert all((one.value is None) == (one.reason is not None) for one in found.metrics.values())
    return {name: one.reason.en for name, one in found.metrics.items() if one.reason is not None}


def test_all_censored_has_a_reason_and_no_number() -> None:
    outcomes, risk = drawn(0, 80)
    nobody = replace(outcomes, cause=np.zeros(80, dtype=np.int64))
    assert set(_reasons(nobody, curves_of(risk)).values()) == {"nobody had the outcome"}


def test_three_patients_have_a_reason_and_no_number() -> None:
    outcomes, risk = drawn(0, 3)
    assert set(_reasons(outcomes, curves_of(risk)).values()) == {"too few subjects; at least 10 are needed"}


def test_no_samples_have_a_reason_and_no_number() -> None:
    outcomes, risk = drawn(0, 3)
    nobody = outcomes[np.zeros(0, dtype=np.int64)]
    found = evaluate_survival(
        samples_of(nobody), curves_of(risk[:0]).predictions([], ["death"]), horizons=(3.0,)
    )
    assert {one.reason.en for one in found.metrics.values() if one.reason} == {"there are no samples"}


def test_constant_predictions_rank_nobody() -> None:
    outcomes, _ = drawn(0, 100)
    reasons = _reasons(outcomes, curves_of(np.zeros(100)))
    assert set(reasons) == {"c_index", "c_index_ipcw", "auc.3", "auc.6"}
    assert set(reasons.values()) == {"all predictions are the same"}


def test_missing_predictions_have_a_reason_and_no_number() -> None:
    outcomes, risk = drawn(0, 100)
    curves = curves_of(risk)
    curves.incidence[7, 0, 3] = np.nan
    assert set(_reasons(outcomes, curves).values()) == {
        "1 of 100 predictions are missing or not finite numbers"
    }


def test_horizons_beyond_follow_up_or_prediction_have_a_reason() -> None:
    outcomes, risk = drawn(0, 100)
    samples = samples_of(outcomes)
    predictions = curves_of(risk).predictions(samples.frame["sample_id"], ("death",))
    found = evaluate_survival(samples, predictions, replicates=20, horizons=(3.0, 19.0, 500.0))
    assert found.metrics["auc.3"].value is not None
    assert "too few are followed" in str(found.metrics["brier.19"].reason)
    assert "nothing is predicted beyond 20" in str(found.metrics["auc.500"].reason)


def test_predictions_of_other_samples_are_refused() -> None:
    outcomes, risk = drawn(0, 30)
    predictions = curves_of(risk[:29]).predictions(np.arange(29), ("death",))
    with pytest.raises(InputError, match="predict the same samples"):
        evaluate_survival(samples_of(outcomes), predictions)
