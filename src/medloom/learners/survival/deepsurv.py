"""Proportional hazards whose log-hazard is a small network: DeepSurv (Katzman et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import sampled_contributions
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.folded import folded_hazards
from medloom.learners.survival.hazards import Baseline
from medloom.learners.survival.partial_likelihood import PartialLikelihood
from medloom.learners.survival.problem import Problem, Trial
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
from medloom.training.products import product

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]

SAMPLED: Final = (
    "permutation sampling of Shapley values against means of 20 or more training samples "
    "(Štrumbelj and Kononenko 2014; Mitchell et al. 2022)"
)


class NetworkHazards(SurvivalEstimator):
    """The mean log-hazard of several networks, once an event, over a baseline."""

    method = SAMPLED
    scale = "log-hazard"

    def __init__(
        self,
        baseline: Baseline,
        networks: Sequence[Sequence[Network]],
        slope: Floats,
        level: Floats,
        background: Floats,
    ) -> None:
        self.times = baseline.times
        self.baseline = baseline
        self.networks = tuple(tuple(each) for each in networks)  # an event: its networks
        self.slope, self.level = slope, level  # (k,) what raw scores are stretched and shifted by
        self.background = background  # (b, c) what stands for an unknown sample
        self.first = np.hstack([first_layers(each) for each in self.networks])
        widths = [first_layers(each).shape[1] for each in self.networks]
        self._edges = np.append(0, np.cumsum(widths))

    def curves(self, x: NDArray[np.floating]) -> Curves:
        return self.baseline.curves(self.scores(x))

    def scores(self, x: NDArray[np.floating]) -> Floats:
        return self._rest(product(x.astype(np.float64), self.first))

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        plain = x.astype(np.float64)
        return sampled_contributions(self._rest, self.first, plain, self.background, sources, n_inputs)

    def importance(self) -> Floats:
        columns = np.arange(self.first.shape[0])
        divided = self.contributions(self.background, columns, len(columns))
        sizes: Floats = np.abs(divided.values).mean(axis=(0, 1))
        return sizes

    def write(self, folder: Path) -> None:
        write_arrays(
            folder,
            times=self.times,
            hazard=self.baseline.hazard,
            slope=self.slope,
            level=self.level,
            background=self.background,
        )
        for event, each in enumerate(self.networks):
            write_networks(folder / f"event-{event}", each)

    @classmethod
    def read(cls, folder: Path) -> Self:
        times, hazard, slope, level, background = (
            read_array(folder, name) for name in ("times", "hazard", "slope", "level", "background")
        )
        networks = [read_networks(folder / f"event-{event}") for event in range(len(hazard))]
        return cls(Baseline(times, hazard), networks, slope, level, background)

    def _rest(self, reached: Floats) -> Floats:
        """Score from the first products on: (m, d) → (m, k)."""
        raw = [
            mean_after_first(each, reached[:, start:stop])
            for each, (start, stop) in zip(self.networks, pairwise(self._edges), strict=True)
        ]
        scores: Floats = np.hstack(raw) * self.slope + self.level
        return scores


def learned_deepsurv(problem: Problem, descent: Descent, n_models: int) -> NetworkHazards:
    """Learn a network a fold for each event, each stopped on the samples left out."""

    def learned(trial: Trial, seed: int) -> Network:
        judge = PartialLikelihood(trial.judge)
        network = descent.network(
            trial.x,
            1,
            lambda scores, rows: _loss(scores[:, 0], trial.outcomes[rows]),
            lambda network: judge.loss(network.scores(trial.x_judge)[:, 0]),
            seed,
        )
        return centred(network, trial.x)

    found = folded_hazards(problem, n_models, "network", learned, lambda part, x: part.scores(x)[:, 0])
    x, _ = problem.together()
    nothing = np.empty((0, x.shape[1]))
    made = NetworkHazards(found.baseline, found.parts, found.slope, found.level, nothing)
    background = typical_rows(x, made.scores(x))
    return NetworkHazards(found.baseline, found.parts, found.slope, found.level, background)


def centred(network: Network, x: Floats) -> Network:
    """Shift scores so that their mean over x (n, c) is 0.

    The partial likelihood leaves their level open, and those of several networks are compared with each other.

    >>> network = Network((np.ones((1, 1)),), (np.zeros(1),))
    >>> centred(network, np.array([[1.0], [3.0]])).scores(np.array([[1.0], [3.0]])).ravel().tolist()
    [-1.0, 1.0]
    """
    last = network.biases[-1] - network.scores(x).mean(axis=0)
    return replace(network, biases=(*network.biases[:-1], last))


def _loss(score: Tensor, outcomes: Outcomes) -> Tensor:
    """Give the mean negative log partial likelihood of a batch's events; tied events by Breslow."""
    import torch

    order = np.argsort(-outcomes.time, kind="stable")
    later_first, happened = -outcomes.time[order], np.flatnonzero(outcomes.cause[order] == 1)
    if not len(happened):
        return torch.zeros(())
    # at risk with an event: all who are followed as long or longer, the last of the same time included
    last = np.searchsorted(later_first, later_first[happened], "right") - 1
    ordered = score[torch.from_numpy(order)]
    at_risk = torch.logcumsumexp(ordered, 0)[torch.from_numpy(last)]
    return (at_risk - ordered[torch.from_numpy(happened)]).mean()
