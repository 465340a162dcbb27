"""Hazards a time interval: of outcomes a likelihood, of log-odds curves.

In each interval a sample still event-free either stays so or has one of the events; a network gives the log-odds of
each event against staying. Gensheimer and Narasimhan, PeerJ 2019;7:e6257; with several events as in Tutz and Schmid,
Modeling Discrete Time-to-Event Data 2016, chapter 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from medloom.tasks.survival import Curves, Outcomes
from medloom.training.nonparametric import incidence_of_hazards

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]

_EVENTS_AN_INTERVAL: Final = 20  # at least, of all kinds together
_FAR: Final = 30.0


def interval_ends(outcomes: Outcomes, last: float, most: int) -> Floats:
    """Divide time into intervals with as many events each: their ends, the last of them `last`.

    >>> interval_ends(Outcomes(np.arange(1.0, 41.0), np.ones(40, int)), 50.0, 10).tolist()
    [21.0, 50.0]
    """
    times = outcomes.time[outcomes.happened & (outcomes.time > 0)]
    many = max(1, min(most, len(times) // _EVENTS_AN_INTERVAL))
    inner = np.quantile(times, np.linspace(0, 1, many + 1)[1:-1], method="higher")
    return np.append(np.unique(inner[inner < last]), last)


def curves_of_odds(odds: Floats, cuts: Floats, times: Floats) -> Curves:
    """Turn log-odds (n, k, j) of each event against staying, in intervals that end at `cuts`, into curves."""
    power = np.exp(np.clip(odds, -_FAR, _FAR))
    whole = power.sum(axis=1, keepdims=True)
    # within an interval hazards are constant, and keep the proportions of its events
    hazard = np.cumsum(np.log1p(whole) * power / whole, axis=-1)
    return Curves(times, incidence_of_hazards(_between_cuts(cuts, hazard, times)))


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

    def losses(self, odds: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Give the negative log-likelihood of each of some rows, for PyTorch: log-odds (b, k · j) → (b,)."""
        import torch

        intervals = self._cause.shape[1]
        each = odds.reshape(len(rows), self._causes, intervals)
        all_ = torch.cat([each.new_zeros(len(rows), 1, intervals), each], dim=1)
        said = torch.gather(all_, 1, torch.from_numpy(self._cause[rows])[:, None].to(odds.device))[:, 0]
        seen = torch.from_numpy(self._seen[rows]).to(odds.device)
        return ((torch.logsumexp(all_, 1) - said) * seen).sum(1)


def _between_cuts(cuts: Floats, values: Floats, times: Floats) -> Floats:
    """Read what rises from 0 at time 0 through values (..., j) at cuts at times (t,), straight between them."""
    grid = np.append(0.0, cuts)
    padded = np.concatenate([np.zeros((*values.shape[:-1], 1)), values], axis=-1)
    above = np.clip(np.searchsorted(grid, times, "left"), 1, len(cuts))
    share = (times - grid[above - 1]) / (grid[above] - grid[above - 1])
    read: Floats = padded[..., above - 1] * (1 - share) + padded[..., above] * share
    return read
