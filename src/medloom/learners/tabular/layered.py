"""What svm and mlp have in common: a first matrix product, and a rest that is cheap."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import sampled_contributions
from medloom.learners.tabular.answers import Floats, answers_of
from medloom.learners.tabular.estimator import Estimator
from medloom.tasks.kinds import Kind
from medloom.training.products import product


class LayeredEstimator(Estimator):
    """Scores are `rest(x @ first)`; reasons are found by sampling against typical samples.

    Attributes:
        kind: of the question.
        first: (c, d).
        background: (b, c) what stands for an unknown sample (`training.networks.typical_rows`).
    """

    method = (
        "permutation sampling of Shapley values against means of 20 or more training samples "
        "(Štrumbelj and Kononenko 2014; Mitchell et al. 2022)"
    )

    explains_slowly = True

    def __init__(self, kind: Kind, first: Floats, background: Floats) -> None:
        self.kind = kind
        self.first = first
        self.background = background

    @abstractmethod
    def rest(self, reached: Floats) -> Floats:
        """Score: (m, d) → (m, k)."""

    def predict(self, x: NDArray[np.floating]) -> Floats:
        return answers_of(self.kind, self.rest(product(x.astype(np.float64), self.first)))

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        plain = x.astype(np.float64)
        divided = sampled_contributions(self.rest, self.first, plain, self.background, sources, n_inputs)
        return divided.centred() if self.kind == "multiclass" else divided

    def importance(self) -> Floats:
        columns = np.arange(self.first.shape[0])
        divided = self.contributions(self.background, columns, len(columns))
        sizes: Floats = np.abs(divided.values).mean(axis=(0, 1))
        return sizes


def standard(values: Floats) -> tuple[float, float]:
    """Give mean and standard deviation; a deviation of 0 becomes 1."""
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 0 else 1.0
