"""What is learned, against lifelines and by hand."""

from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from lifelines import (
    CoxPHFitter,
    CoxTimeVaryingFitter,
    KaplanMeierFitter,
    LogNormalAFTFitter,
    WeibullAFTFitter,
)

from medloom.foundation.errors import InputError
from medloom.learners.survival import penalised
from medloom.learners.survival.accelerated import Shape, learned_acceleration
from medloom.learners.survival.cox import learned_cox
from medloom.learners.survival.deepsurv import learned_deepsurv
from medloom.learners.survival.discrete import Lived
from medloom.learners.survival.forest import residuals
from medloom.learners.survival.leaf_curves import leaf_incidence
from medloom.learners.survival.partial_likelihood import PartialLikelihood, breslow
from medloom.learners.survival.problem import Problem
from medloom.learners.survival.subdistribution import SubdistributionLikelihood
from medloom.tasks.survival import Curves, Outcomes, read_curves
from medloom.training.descent import Descent, check_torch
from medloom.training.nonparametric import Timeline, grid_of, incidence_of_hazards, step_at
from medloom.training.trees import Grove


def drawn(n: int = 300, ties: bool = True) -> tuple[np.ndarray, Outcomes]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    latent, censored = rng.exponential(8 * np.exp(-x[:, 0])), rng.exponential(9, n)
    time = np.minimum(latent, censored)
    time = np.ceil(time) if ties else time
    return x, Outcomes(time, (latent <= censored).astype(np.int64))


def problem_of(x: np.ndarray, outcomes: Outcomes) -> Problem:
    none = np.zeros(0, dtype=np.int64)
    return Problem(x, outcomes, np.arange(len(x)), x[:0], outcomes[none], none, grid_of(outcomes), 0)


def as_frame(x: np.ndarray, outcomes: Outcomes) -> pd.DataFrame:
    return pd.DataFrame(x, columns=list("abc")).assign(T=outcomes.time, E=outcomes.cause)


def test_weights_and_baseline_without_a_penalty_are_those_of_lifelines() -> None:
    x, outcomes = drawn()
    likelihood = PartialLikelihood(outcomes)
    weights = next(penalised.path(x, lambda s: likelihood.slopes(s)[:2], 0.0, np.zeros(1)))
    fitted = CoxPHFitter().fit(as_frame(x, outcomes), "T", "E")
    np.testing.assert_allclose(weights, fitted.params_, atol=1e-4)
    assert -likelihood.loss(x @ weights) * len(x) == pytest.approx(fitted.log_likelihood_, abs=1e-5)
    baseline = breslow(outcomes, (x @ weights)[:, None], np.unique(outcomes.time))[0]
    at_mean = baseline * np.exp(x.mean(axis=0) @ weights)
    np.testing.assert_allclose(at_mean, fitted.baseline_cumulative_hazard_.to_numpy()[:, 0], rtol=1e-3)


def test_slopes_are_those_of_the_loss() -> None:
    _, outcomes = drawn(40)
    likelihood = PartialLikelihood(outcomes)
    score = np.random.default_rng(1).normal(size=40)
    _, gradient, curvature = likelihood.slopes(score)
    for place in range(0, 40, 7):
        step = np.zeros(40)
        step[place] = 1e-4
        up, down = likelihood.loss(score + step), likelihood.loss(score - step)
        assert gradient[place] == pytest.approx((up - down) / 2e-4, abs=1e-7)
        assert curvature[place] == pytest.approx((up - 2 * likelihood.loss(score) + down) / 1e-8, abs=1e-6)


def test_a_lasso_keeps_what_matters_and_drops_the_rest() -> None:
    rng = np.random.default_rng(0)
    x, outcomes = drawn()
    wide = np.hstack([x, rng.normal(size=(300, 20))])
    weights = learned_cox(problem_of(wide, outcomes), (1.0,)).weights[:, 0]
    assert weights[0] > 0.6
    assert (weights[3:] == 0).mean() > 0.4


@pytest.mark.parametrize(
    ("shape", "fitter"), [("weibull", WeibullAFTFitter), ("lognormal", LogNormalAFTFitter)]
)
def test_acceleration_without_a_penalty_is_that_of_lifelines(shape: Shape, fitter: type) -> None:
    x, outcomes = drawn(ties=False)
    one = learned_acceleration(problem_of(x, outcomes), (shape,), np.zeros(1)).each[0]
    expected = fitter().fit(as_frame(x, outcomes), "T", "E").params_.to_numpy()
    last = -np.log(one.width) if shape == "weibull" else np.log(one.width)
    np.testing.assert_allclose([*-one.weights, one.level, last], expected, atol=2e-3)


def test_leaves_hold_the_kaplan_meier_curve_of_the_samples_drawn() -> None:
    _, outcomes = drawn(60)
    rng = np.random.default_rng(0)
    leaf = np.stack([rng.integers(0, 2, 60), 2 + rng.integers(0, 3, 60)], axis=1)
    bag = rng.integers(0, 3, (60, 2))
    times = np.unique(outcomes.time)
    found = leaf_incidence(leaf, bag, outcomes, times, 5)
    for number in range(5):
        tree = 0 if number < 2 else 1
        rows = np.flatnonzero((leaf[:, tree] == number) & (bag[:, tree] > 0))
        kaplan = KaplanMeierFitter().fit(
            outcomes.time[rows], outcomes.cause[rows], weights=bag[rows, tree].astype(float)
        )
        np.testing.assert_allclose(found[number, 0], 1 - kaplan.predict(times), atol=1e-6)


def test_residuals_of_the_last_horizon_are_those_of_no_model() -> None:
    _, outcomes = drawn(100)
    happened = outcomes.time[outcomes.happened].max()
    counted = Timeline.of(outcomes).counted()
    lived = step_at(counted.steps, counted.hazard[0], np.minimum(outcomes.time, happened), 0.0)
    expected = outcomes.cause - lived
    np.testing.assert_allclose(residuals(outcomes)[:, -1], expected / expected.std(), atol=1e-12)


def test_competing_hazards_end_as_many_as_they_leave_unfree() -> None:
    hazard = np.cumsum(np.random.default_rng(0).random((2, 3, 10)) / 10, axis=-1)
    incidence = incidence_of_hazards(hazard)
    np.testing.assert_allclose(incidence.sum(axis=1), 1 - np.exp(-hazard.sum(axis=1)), atol=1e-12)


def test_a_grove_finds_the_leaves_that_scikit_learn_finds() -> None:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    forest = RandomForestRegressor(5, min_samples_leaf=10, random_state=0).fit(x, np.nan_to_num(x[:, 0]))
    grove = Grove.of_sklearn(forest.estimators_)
    np.testing.assert_array_equal(grove.leaves(x) - grove.roots, forest.apply(x))
    value = np.concatenate([tree.tree_.value[:, 0] for tree in forest.estimators_])
    np.testing.assert_allclose(
        grove.from_leaves(np.where(grove.is_leaf[:, None], value, 0)), value, atol=1e-9
    )


def test_curves_survive_the_long_frame_in_any_order() -> None:
    rng = np.random.default_rng(0)
    curves = Curves(np.array([1.0, 2.0, 5.0]), np.cumsum(rng.random((4, 2, 3)) / 9, axis=-1))
    frame = curves.predictions([5, 3, 8, 1], ("a", "b")).frame.sample(fraction=1, shuffle=True, seed=0)
    back = read_curves(frame, ("b", "a"), pl.Series([3, 1]))
    np.testing.assert_array_equal(back.incidence, curves.incidence[[1, 3]][:, ::-1])
    assert back.low is None
    np.testing.assert_allclose(
        curves.time_lost(2.0), curves.incidence[..., 0] * 0.5 + curves.incidence[..., :2].mean(axis=-1)
    )


def competing(n: int = 400, seed: int = 0) -> tuple[np.ndarray, Outcomes]:
    """Draw from Fine and Gray's own simulation: subdistribution log-hazards of the first event are (0.5, -0.5)."""
    rng = np.random.default_rng(seed)
    x, share = rng.normal(size=(n, 2)), 0.3
    power = np.exp(x @ [0.5, -0.5])
    ever = 1 - (1 - share) ** power
    first = rng.random(n) < ever
    u = rng.random(n)
    waits = -np.log(1 - (1 - (1 - u * ever) ** (1 / power)) / share)
    other = rng.exponential(np.exp(-x @ [-0.5, 0.5]))
    time, censored = np.where(first, waits, other), rng.uniform(0.2, 3.0, n)
    cause = np.where(time <= censored, np.where(first, 1, 2), 0)
    return x, Outcomes(np.minimum(time, censored), cause, 2)


def unpenalised(x: np.ndarray, likelihood: penalised.Likelihood) -> np.ndarray:
    return next(penalised.path(x, lambda s: likelihood.slopes(s)[:2], 0.0, np.zeros(1)))


def test_fine_gray_finds_the_weights_it_was_simulated_with() -> None:
    x, outcomes = competing(4000)
    weights = unpenalised(x, SubdistributionLikelihood(outcomes, 1))
    np.testing.assert_allclose(weights, [0.5, -0.5], atol=0.06)
    cause_specific = unpenalised(x, PartialLikelihood(outcomes.of(1)))
    assert np.abs(cause_specific - [0.5, -0.5]).max() > 0.1


def test_fine_gray_is_a_weighted_cox_regression_of_episodes() -> None:
    """Against lifelines: who had the other event stays in ever lighter episodes, as R's finegray() makes them."""
    x, outcomes = competing(120, seed=3)
    counted = Timeline.of(outcomes).counted()
    steps = np.unique(outcomes.time[outcomes.cause == 1])
    rows = []
    for one, (time, cause) in enumerate(zip(outcomes.time, outcomes.cause, strict=True)):
        rows.append((one, 0.0, time, int(cause == 1), 1.0))
        if cause == 2:
            edges = np.append(time, steps[steps > time])
            left = step_at(counted.steps, counted.uncensored, edges, 1.0, before=True)
            rows += [
                (one, start, stop, 0, weight)
                for (start, stop), weight in zip(pairwise(edges), left[1:] / left[0], strict=True)
            ]
    frame = pd.DataFrame(rows, columns=["id", "start", "stop", "event", "weight"])
    frame = frame.join(pd.DataFrame(x, columns=["a", "b"]), on="id")
    fitter = CoxTimeVaryingFitter()
    fitter.fit(frame, "event", id_col="id", start_col="start", stop_col="stop", weights_col="weight")
    weights = unpenalised(x, SubdistributionLikelihood(outcomes, 1))
    np.testing.assert_allclose(weights, fitter.params_, atol=1e-4)


def test_slopes_of_fine_gray_are_those_of_the_loss_and_without_competition_those_of_cox() -> None:
    _, outcomes = competing(40)
    score = np.random.default_rng(1).normal(size=40)
    likelihood = SubdistributionLikelihood(outcomes, 1)
    _, gradient = likelihood.slopes(score)
    for place in range(0, 40, 7):
        step = np.zeros(40)
        step[place] = 1e-4
        slope = (likelihood.loss(score + step) - likelihood.loss(score - step)) / 2e-4
        assert gradient[place] == pytest.approx(slope, abs=1e-7)
    alone = outcomes.of(1)
    cox = PartialLikelihood(alone)
    assert SubdistributionLikelihood(alone, 1).loss(score) == pytest.approx(cox.loss(score), abs=1e-12)
    times = np.unique(alone.time)
    np.testing.assert_allclose(
        SubdistributionLikelihood(alone, 1).baseline(score, times), breslow(alone, score[:, None], times)[0]
    )


def test_intervals_of_a_network_are_those_lived_through() -> None:
    outcomes = Outcomes(np.array([0.0, 1.0, 1.6, 1.4, 9.0]), np.array([1, 2, 0, 0, 1]), 2)
    lived = Lived.of(outcomes, np.array([1.0, 2.0]))
    odds = np.zeros((5, 4))
    # each interval known of costs log 3: 1, 1, 2 (more than half of the second), 1 and 2 of them
    assert lived.loss(odds) == pytest.approx(7 * np.log(3) / 5)
    odds = np.random.default_rng(0).normal(size=(5, 4))
    rows = np.arange(5)
    assert lived.loss(odds) == pytest.approx(float(lived.losses(torch.from_numpy(odds), rows).mean()))


def test_a_network_finds_what_no_line_can() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    time = rng.exponential(np.exp(-2 * np.abs(x[:, 0])))
    outcomes = Outcomes(time, np.ones(600, dtype=np.int64))
    descent = Descent((16,), 0.0, 0.01, 0.02, 64, 40, 5)
    problem = problem_of(x, outcomes)
    found = learned_deepsurv(problem, descent, 2)
    assert np.corrcoef(found.scores(x)[:, 0], np.abs(x[:, 0]))[0, 1] > 0.9
    # the likelihood leaves their level open; they are compared with each other, and averaged
    for network, (inside, _) in zip(found.networks[0], problem.folds(2), strict=True):
        assert network.scores(x[inside]).mean() == pytest.approx(0, abs=1e-9)


def test_without_pytorch_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medloom.training.descent.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'pip install "medloom\[deep\]"'):
        check_torch("deepsurv")
