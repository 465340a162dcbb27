"""Hazards a time interval by one small network: Nnet-survival, with competing events.

In each interval a sample still event-free either stays so or has one of the events; the network
gives the log-odds of each event against staying. Gensheimer and Narasimhan, PeerJ 2019;7:e6257; with several
events as in Tutz and Schmid, Modeling Discrete Time-to-Event Data 2016, chapter 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import sampled_contributions
from medloom.foundation.seeds import derive
from medloom.learners.survival.deepsurv import SAMPLED
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.arrays import read_array, write_arrays
from medloom.training.descent import Descent
from medloom.training.networks import (
    Network,
    first_layers,
    mean_after_first,
    read_networks,
    typical_rows,
    write_networks,
)
from medloom.training.nonparametric import incidence_of_hazards
from medloom.training.products import product

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]

_EVENTS_AN_INTERVAL: Final = 20  # at least, of all kinds together
_FAR: Final = 30.0


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
        power = np.exp(np.clip(odds, -_FAR, _FAR))
        whole = power.sum(axis=1, keepdims=True)
        # within an interval hazards are constant, and keep the proportions of its events
        hazard = np.cumsum(np.log1p(whole) * power / whole, axis=-1)
        return Curves(self.times, incidence_of_hazards(_between_cuts(self.cuts, hazard, self.times)))


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
                lived.torch_loss,
                partial(_judged, Lived.of(outcomes[outside], cuts), x[outside]),
                seed,
                lived.average(),
            )
        )
    nothing = np.empty((0, x.shape[1]))
    made = DiscreteHazards(problem.times, cuts, networks, outcomes.causes, nothing)
    background = typical_rows(x, made.scores(x))
    return DiscreteHazards(problem.times, cuts, networks, outcomes.causes, background)


def _judged(lived: Lived, x: Floats, network: Network) -> float:
    return lived.loss(network.scores(x))


def interval_ends(outcomes: Outcomes, last: float, most: int) -> Floats:
    """Divide time into intervals with as many events each: their ends, the last of them `last`.

    >>> interval_ends(Outcomes(np.arange(1.0, 41.0), np.ones(40, int)), 50.0, 10).tolist()
    [21.0, 50.0]
    """
    times = outcomes.time[outcomes.happened & (outcomes.time > 0)]
    many = max(1, min(most, len(times) // _EVENTS_AN_INTERVAL))
    inner = np.quantile(times, np.linspace(0, 1, many + 1)[1:-1], method="higher")
    return np.append(np.unique(inner[inner < last]), last)


class Lived:
    """What samples lived through, by interval: masks of what a likelihood is made of.

    An interval counts as lived through by a censored sample that was followed over half of it or more.

    Args:
        cause: (n, j) what happened in each interval: 0 nothing, or the event from 1.
        seen: (n, j) whether that is known.
        causes: k.
    """

    def __init__(self, cause: NDArray[np.int64], seen: NDArray[np.bool_], causes: int) -> None:
        self._cause, self._seen, self._causes = cause, seen, causes

    @classmethod
    def of(cls, outcomes: Outcomes, cuts: Floats) -> Lived:
        """Read outcomes."""
        starts = np.append(0.0, cuts[:-1])
        time, happened = outcomes.time[:, None], outcomes.happened[:, None]
        # an event at an interval's end belongs to it; one at time 0 to the first; none comes after the last
        inside = (time > starts) & (time <= cuts)
        inside[:, 0] |= outcomes.time <= 0
        half = (starts + cuts) / 2
        seen = np.where(happened, inside | (time > cuts), time >= half)
        cause = np.where(inside & happened, outcomes.cause[:, None], 0)
        return cls(cause, seen, outcomes.causes)

    def loss(self, odds: Floats) -> float:
        """Give the mean negative log-likelihood of log-odds (n, k · j)."""
        from scipy.special import logsumexp

        n, intervals = self._cause.shape
        each = odds.reshape(n, self._causes, intervals)
        all_ = np.concatenate([np.zeros((n, 1, intervals)), each], axis=1)
        said = np.take_along_axis(all_, self._cause[:, None, :], axis=1)[:, 0]
        return float(((logsumexp(all_, axis=1) - said) * self._seen).sum() / max(n, 1))

    def average(self) -> Floats:
        """Give the log-odds of each event against nothing in each interval, all samples alike: (k · j,)."""
        counts = [(self._seen & (self._cause == one)).sum(axis=0) for one in range(self._causes + 1)]
        odds: Floats = np.log((np.stack(counts[1:]) + 0.5) / (counts[0] + 0.5))
        return odds.ravel()

    def torch_loss(self, odds: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Give the same of some rows (b,), for PyTorch: log-odds (b, k · j)."""
        import torch

        intervals = self._cause.shape[1]
        each = odds.reshape(len(rows), self._causes, intervals)
        all_ = torch.cat([torch.zeros(len(rows), 1, intervals), each], dim=1)
        said = torch.gather(all_, 1, torch.from_numpy(self._cause[rows])[:, None])[:, 0]
        seen = torch.from_numpy(self._seen[rows])
        return ((torch.logsumexp(all_, 1) - said) * seen).sum() / len(rows)


def _between_cuts(cuts: Floats, values: Floats, times: Floats) -> Floats:
    """Read what rises from 0 at time 0 through values (..., j) at cuts at times (t,), straight between them."""
    grid = np.append(0.0, cuts)
    padded = np.concatenate([np.zeros((*values.shape[:-1], 1)), values], axis=-1)
    above = np.clip(np.searchsorted(grid, times, "left"), 1, len(cuts))
    share = (times - grid[above - 1]) / (grid[above] - grid[above - 1])
    read: Floats = padded[..., above - 1] * (1 - share) + padded[..., above] * share
    return read
