"""A weighted mean of the curves of several learned models, each with its own preparation of the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.kernel import WALKS, walked_contributions
from medloom.learners.members import Member, read_members, weighted_importance, write_members
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.tasks.survival import Curves
from medloom.training.arrays import read_array, write_arrays

Floats = NDArray[np.float64]


class BlendedCurves(SurvivalEstimator):
    """Members' curves, averaged by weight: each member's chance to be the one that is right.

    `trials` tells of every setting that was tried on the way, as plain JSON.
    """

    method = f"{WALKS}, against means of 20 or more training samples"
    scale = "time lost"
    explains_slowly = True

    def __init__(
        self,
        times: Floats,
        members: Sequence[Member[SurvivalEstimator]],
        background: NDArray[np.float32],
        trials: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.times = times
        self.members = tuple(members)
        self.background = background  # (b, p) what stands for an unknown sample; NaN: missing
        self.trials = tuple(trials)

    @property
    def settled(self) -> dict[str, Any]:
        return {
            "blend": [
                {"learner": one.learner, "parameters": one.parameters, "weight": one.weight}
                for one in self.members
            ]
        }

    def curves(self, x: NDArray[np.floating]) -> Curves:
        total: Floats = np.zeros(1)
        for member in self.members:
            total = total + member.weight * member.estimator.curves(member.prepared(x)).incidence
        return Curves(self.times, total)

    def scores(self, x: NDArray[np.floating]) -> Floats:
        """Give the time each event is expected to take away until the last time of the curves: (n, k)."""
        return self.curves(x).time_lost()

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        plain = x.astype(np.float32, copy=False)
        return walked_contributions(self.scores, plain, self.background).gathered(sources, n_inputs)

    def importance(self) -> Floats:
        return weighted_importance(self.members, self.background.shape[1])

    def write(self, folder: Path) -> None:
        write_arrays(folder, times=self.times, background=self.background)
        write_members(folder, self.members, self.background.shape[1], self.trials)

    @classmethod
    def read(cls, folder: Path) -> Self:
        members, _, trials = read_members(folder, _read)
        times, background = (read_array(folder, name) for name in ("times", "background"))
        return cls(times, members, background, trials)


def _read(part: type[SurvivalEstimator], folder: Path) -> SurvivalEstimator:
    return part.read(folder)
