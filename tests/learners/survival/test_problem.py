"""Folds of a problem of prognosis, and what is made of samples that models had not learned from."""

import numpy as np
import pytest

from medloom.foundation.errors import InputError
from medloom.learners.survival.folded import folded_hazards
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Outcomes


def problem_of(cause: list[int], groups: list[int]) -> Problem:
    n, none = len(cause), np.empty(0, np.int64)
    time = np.arange(1.0, n + 1)
    outcomes = Outcomes(time, np.array(cause), max(cause))
    x = np.arange(n, dtype=np.float64)[:, None]
    return Problem(x, outcomes, np.array(groups), x[:0], outcomes[none], none, time, 0)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_each_sample_is_left_out_once_though_one_alone_is_censored() -> None:
    divided = problem_of([0] + [1] * 29, list(range(30))).folds(5)
    assert sorted(np.concatenate([outside for _, outside in divided])) == list(range(30))


def test_samples_that_no_fold_leaves_out_make_no_slope_or_baseline() -> None:
    # of three patients each two share an event: whoever is alone, the others leave an event without a patient
    problem = problem_of([1, 3, 1, 2, 2, 3, 0, 0], [1, 1, 2, 2, 3, 3, 4, 5])
    [(_, outside)] = problem.folds(2)
    assert len(outside) < 8
    found = folded_hazards(problem, 2, "any", lambda trial, seed: 5.0, lambda part, x: np.full(len(x), part))
    assert found.level.tolist() == [-5.0, -5.0, -5.0]


def test_an_event_of_a_single_patient_is_refused() -> None:
    with pytest.raises(InputError, match="each event needs at least two patients"):
        problem_of([1, 1, 0, 0], [1, 1, 2, 3]).folds(2)
