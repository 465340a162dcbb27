"""The same curves for everybody: what any model has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves
from medloom.training.arrays import read_array, write_arrays
from medloom.training.nonparametric import Timeline, interval, step_at

Floats = NDArray[np.float64]


class AverageEstimator(SurvivalEstimator):
    """Observed cumulative incidences (k, t) with their 95 % limits."""

    method = "no input is looked at"
    scale = "time lost"

    def __init__(self, times: Floats, incidence: Floats, low: Floats, high: Floats, columns: int) -> None:
        self.times, self.incidence, self.low, self.high = times, incidence, low, high
        self.columns = columns

    def curves(self, x: NDArray[np.floating]) -> Curves:
        each = [np.repeat(one[None], len(x), axis=0) for one in (self.incidence, self.low, self.high)]
        return Curves(self.times, *each)

    def scores(self, x: NDArray[np.floating]) -> Floats:
        """Give the time each event is expected to take away until the last time of the curves: (n, k)."""
        return self.curves(x).time_lost()

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        baseline = Curves(self.times, self.incidence[None]).time_lost()[0]
        return Contributions(np.zeros((len(x), len(baseline), n_inputs)), baseline)

    def importance(self) -> Floats:
        return np.zeros(self.columns)

    def write(self, folder: Path) -> None:
        write_arrays(
            folder,
            times=self.times,
            incidence=self.incidence,
            low=self.low,
            high=self.high,
            columns=np.array(self.columns),
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        times, incidence, low, high = (
            read_array(folder, name) for name in ("times", "incidence", "low", "high")
        )
        return cls(times, incidence, low, high, int(read_array(folder, "columns").item()))


def observed_average(problem: Problem) -> AverageEstimator:
    """Estimate the curves of all samples by Aalen and Johansen, for one event Kaplan and Meier."""
    x, outcomes = problem.together()
    counted = Timeline.of(outcomes).counted()
    incidence = step_at(counted.steps, counted.incidence, problem.times, 0.0)
    low, high = interval(incidence, step_at(counted.steps, counted.spread, problem.times, 0.0))
    return AverageEstimator(problem.times, incidence, low, high, x.shape[1])
