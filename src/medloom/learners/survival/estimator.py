"""What has been learned, as arrays: from prepared inputs to curves, and back to reasons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.tasks.survival import Curves

Floats = NDArray[np.float64]


class SurvivalEstimator(ABC):
    """Curves for rows of numbers; a row's curves do not depend on the other rows.

    Attributes:
        method: how contributions are found, with the source.
        scale: what contributions are measured in; more is always sooner.
        explains_slowly: whether contributions take about a second a row.
        times: (t,) of the curves.
    """

    method: str
    scale: str
    explains_slowly: bool = False
    times: Floats

    @property
    def settled(self) -> dict[str, Any]:
        """Give the learner's arguments that a search settled; with them nothing is searched for again."""
        return {}

    @abstractmethod
    def curves(self, x: NDArray[np.floating]) -> Curves:
        """Predict: (n, c) → cumulative incidence (n, k, t)."""

    @abstractmethod
    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        """Divide scores between inputs: (n, c) → (n, k, n_inputs); `sources` (c,) is the input behind each column."""

    @abstractmethod
    def scores(self, x: NDArray[np.floating]) -> Floats:
        """Give what contributions add up to: (n, c) → (n, k), on `scale`."""

    @abstractmethod
    def importance(self) -> Floats:
        """Tell how much each column matters on the whole: (c,), in the estimator's own measure."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write what was learned; the same always gives the same bytes."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path) -> Self:
        """Read back what `write` wrote."""
