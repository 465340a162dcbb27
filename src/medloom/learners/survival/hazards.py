"""Proportional hazards: one baseline an event, raised or lowered by each sample's score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.survival.partial_likelihood import breslow
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.nonparametric import incidence_of_hazards

Floats = NDArray[np.float64]

_FAR: Final = 30.0


@dataclass(frozen=True)
class Baseline:
    """Cumulative hazards for a score of 0.

    Attributes:
        times: (t,) of the curves.
        hazard: (k, t).
    """

    times: Floats
    hazard: Floats

    @classmethod
    def of(cls, outcomes: Outcomes, scores: Floats, times: Floats) -> Baseline:
        """Estimate from samples and their scores (n, k), log-hazards."""
        return cls(times, breslow(outcomes, scores, times))

    def curves(self, scores: Floats) -> Curves:
        """Turn log-hazards (n, k) into curves. Competing events each have a hazard of their own."""
        power = np.exp(np.clip(scores, -_FAR, _FAR))
        return Curves(self.times, incidence_of_hazards(power[:, :, None] * self.hazard))
