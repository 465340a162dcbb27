"""What several models say, made into one answer: a weighted mean of those that have an answer, then a straight line.

Stacked generalisation (Wolpert, Neural Netw 1992;5:241-259) with weights of 0 or more that sum to 1 (Breiman, Mach
Learn 1996;24:49-64). Weights of the models that lack an answer go to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.seeds import generator
from medloom.tasks.kinds import Kind
from medloom.training.answers import answers_of, loss

Floats = NDArray[np.float64]

_BELIEF: Final = 1.0  # in equal weights, as so many samples would tell


@dataclass(frozen=True)
class Stack:
    """How scores of m models become one of k outputs each.

    Attributes:
        kind: of the question.
        weights: (m,) that sum to 1.
        slope: of the mean.
        intercept: (k,).
        usual: (k,) score where no model has an answer.
    """

    kind: Kind
    weights: tuple[float, ...]
    slope: float
    intercept: tuple[float, ...]
    usual: tuple[float, ...]

    @classmethod
    def fit(cls, kind: Kind, scores: Floats, y: Floats, hidden: float, seed: int) -> Stack:
        """Learn from what models said of samples that they had not learned from.

        Args:
            kind: of the question; not survival.
            scores: (n, m, k), NaN where a model has no answer.
            y: (n, k) labels.
            hidden: how much it counts to answer well without one of the models, drawn for each sample.
            seed: of what is drawn.
        """
        from scipy.optimize import minimize

        n, m, k = scores.shape
        without = scores.copy()
        without[np.arange(n), generator(seed, "stack").integers(m, size=n)] = np.nan
        unit = float(y.std()) or 1.0 if kind == "regression" else 1.0
        usual = _usual(kind, y)

        def made(parameters: Floats) -> Stack:
            powers = np.exp(parameters[:m] - parameters[:m].max())
            intercept = parameters[m + 1 :] * unit
            return cls(
                kind,
                tuple((powers / powers.sum()).tolist()),
                float(np.exp(parameters[m])),
                tuple(intercept.tolist()),
                tuple(usual.tolist()),
            )

        def badness(parameters: Floats) -> float:
            stack = made(parameters)
            each = [
                share * loss(kind, y, answers_of(kind, stack.scores(one)))
                for share, one in ((1 - hidden, scores), (hidden, without))
                if share
            ]
            belief = _BELIEF * float((parameters[: m + 1] ** 2).sum()) / (2 * len(scores))
            return sum(each) / unit**2 + belief

        found = minimize(badness, np.zeros(m + 1 + k), method="L-BFGS-B")
        return made(found.x)

    def scores(self, each: Floats) -> Floats:
        """Make of scores (n, m, k) of models, NaN: no answer, those of the stack: (n, k)."""
        shares = self.shares(each)
        total: Floats = np.zeros((len(each), each.shape[2]))
        for place in range(each.shape[1]):  # one after the other: the same sum for one sample as for many
            total = total + shares[:, place, None] * np.nan_to_num(each[:, place])
        scores = total + np.array(self.intercept)
        nobody = shares.sum(axis=1) == 0
        return np.where(nobody[:, None], np.array(self.usual), scores)

    def shares(self, each: Floats) -> Floats:
        """Give what each model's score is multiplied by, for each sample: (n, m); 0 where it has no answer."""
        weights = np.where(np.isnan(each).any(axis=2), 0, np.array(self.weights))
        summed = np.cumsum(weights, axis=1)[:, -1:]
        divided: Floats = self.slope * weights / np.where(summed > 0, summed, 1)
        return divided

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Stack:
        """Read back what `dataclasses.asdict` gave."""
        lists = {name: tuple(content[name]) for name in ("weights", "intercept", "usual")}
        return cls(**{**content, **lists})


def _usual(kind: Kind, y: Floats) -> Floats:
    mean: Floats = y.mean(axis=0)
    if kind == "regression":
        return mean
    share = np.clip(mean, 1e-3, 1 - 1e-3)
    usual: Floats = np.log(share) - (0 if kind == "multiclass" else np.log1p(-share))
    return usual
