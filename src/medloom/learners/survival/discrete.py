"""Hazards a time interval by one small network: Nnet-survival, with competing events.

In each interval a sample still event-free either stays so or has one of the events; the network
gives the log-odds of each event against staying. Gensheimer and Narasimhan, PeerJ 2019;7:e6257; with several
events as in Tutz and Schmid, Modeling Discrete Time-to-Event Data 2016, chapter 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import sampled_contributions
from medloom.foundation.seeds import derive
from medloom.learners.survival.deepsurv import SAMPLED
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves
from medloom.training.arrays import read_array, write_arrays
from medloom.training.descent import Descent
from medloom.training.discrete_hazards import Lived, curves_of_odds, interval_ends
from medloom.training.networks import (
    Network,
    first_layers,
    mean_after_first,
    read_networks,
    typical_rows,
    write_networks,
)
from medloom.training.products import product

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


class DiscreteHazards(SurvivalEstimator):
    """The mean log-odds of several networks for each interval and event, turned into curves."""

    method = SAMPLED
    scale = "time lost"

    def __init__(
        self, times: Floats, cuts: Floats, networks: Sequence[Network], causes: int, background: Floats
    ) -> None:
        self.times = times
        self.cuts = cuts  # (j,) ends of the intervals
        self.networks = tuple(networks)
        self.causes = causes
        self.background = background  # (b, c) what stands for an unknown sample
        self.first = first_layers(self.networks)

    def curves(self, x: NDArray[np.floating]) -> Curves:
        return self._curves(product(x.astype(np.float64), self.first))

    def scores(self, x: NDArray[np.floating]) -> Floats:
        """Give the time each event is expected to take away until the last time of the curves: (n, k)."""
        return self.curves(x).time_lost()

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        return sampled_contributions(
            lambda reached: self._curves(reached).time_lost(),
            self.first,
            x.astype(np.float64),
            self.background,
            sources,
            n_inputs,
        )

    def importance(self) -> Floats:
        columns = np.arange(self.first.shape[0])
        divided = self.contributions(self.background, columns, len(columns))
        sizes: Floats = np.abs(divided.values).mean(axis=(0, 1))
        return sizes

    def write(self, folder: Path) -> None:
        write_arrays(
            folder,
            times=self.times,
            cuts=self.cuts,
            causes=np.array(self.causes),
            background=self.background,
        )
        write_networks(folder, self.networks)

    @classmethod
    def read(cls, folder: Path) -> Self:
        times, cuts, causes, background = (
            read_array(folder, name) for name in ("times", "cuts", "causes", "background")
        )
        return cls(times, cuts, read_networks(folder), int(causes.item()), background)

    def _curves(self, reached: Floats) -> Curves:
        """Make curves from the first products on: (m, d) → incidence (m, k, t)."""
        odds = mean_after_first(self.networks, reached).reshape(-1, self.causes, len(self.cuts))
        return curves_of_odds(odds, self.cuts, self.times)


def learned_discrete(problem: Problem, descent: Descent, n_models: int, intervals: int) -> DiscreteHazards:
    """Learn a network a fold, each stopped on the samples left out."""
    x, outcomes = problem.together()
    cuts = interval_ends(outcomes, float(problem.times[-1]), intervals)
    networks = []
    for place, (inside, outside) in enumerate(problem.folds(n_models)):
        seed = derive(problem.seed, "network", str(place)) & 0x7FFFFFFF
        lived = Lived.of(outcomes[inside], cuts)
        networks.append(
            descent.network(
                x[inside],
                outcomes.causes * len(cuts),
                partial(_mean_loss, lived),
                partial(_judged, Lived.of(outcomes[outside], cuts), x[outside]),
                seed,
                lived.average(),
            )
        )
    nothing = np.empty((0, x.shape[1]))
    made = DiscreteHazards(problem.times, cuts, networks, outcomes.causes, nothing)
    background = typical_rows(x, made.scores(x))
    return DiscreteHazards(problem.times, cuts, networks, outcomes.causes, background)


def _mean_loss(lived: Lived, odds: Tensor, rows: NDArray[np.int64]) -> Tensor:
    return lived.losses(odds, rows).mean()


def _judged(lived: Lived, x: Floats, network: Network) -> float:
    return lived.loss(network.scores(x))
