"""Whether reasons hold: facts are taken away in the order of their contributions, and the answer is followed.

Where reasons are right, an answer moves soonest if the weightiest facts go first, and last if they go last; facts taken
away at random lie between (the deletion metric of Petsiuk et al., BMVC 2018; here on the scale of contributions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.asking import Integers, interval_of, resampled
from medloom.explanation.contributions import Floats
from medloom.tasks.samples import Samples

Order = Literal["most", "random", "least"]
ORDERS: Final[tuple[Order, ...]] = ("most", "random", "least")
SHARES: Final = np.array([0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0])
"""Of a patient's facts, that are taken away."""


@dataclass(frozen=True)
class Deletion:
    """How far answers moved as facts were taken away.

    Attributes:
        moved: by method and order: (m, p) how far each sample's answer had moved at each of `SHARES`, absolutely.
        subjects: (m,) who the samples are of.
        scale: of the answers.
        seed: of intervals.
    """

    moved: Mapping[str, Mapping[Order, Floats]]
    subjects: Integers
    scale: str
    seed: int = 0

    def curves(self) -> pl.DataFrame:
        """Give the mean curves: `method`, `order`, `share`, `moved`."""
        return pl.concat(
            [
                pl.DataFrame({"share": SHARES, "moved": moved.mean(axis=0)}).select(
                    pl.lit(method).alias("method"), pl.lit(order).alias("order"), "share", "moved"
                )
                for method, orders in self.moved.items()
                for order, moved in orders.items()
            ]
        )

    def areas(self) -> pl.DataFrame:
        """Compare the areas under the curves.

        Returns:
            `method`; `most`, `random`, `least`: mean area of each order; `ahead`: most above random, with its 95 %
            interval `low`, `high` over patients; `between`: most above least. Of reasons that hold, `ahead` is above 0.

        >>> late, soon = np.array([[0, 0, 0, 0, 0, 0, 0, 1.0]]), np.array([[0, 1.0, 1, 1, 1, 1, 1, 1]])
        >>> found = Deletion({"own": {"most": soon, "random": late, "least": late}}, np.arange(1), "log-odds")
        >>> found.areas().select(pl.col("most", "random", "ahead").round(3)).row(0)
        (0.975, 0.125, 0.85)
        """
        draws = resampled(self.subjects, self.seed, "deletion")
        rows = []
        for method, orders in self.moved.items():
            area = {order: np.trapezoid(moved, SHARES, axis=1) for order, moved in orders.items()}
            ahead = area["most"] - area["random"]
            means = [np.array([np.average(ahead, weights=drawn)]) for drawn in draws if drawn.sum()]
            low, high = interval_of(means, 1)
            between = float((area["most"] - area["least"]).mean())
            ends = [None if np.isnan(end[0]) else float(end[0]) for end in (low, high)]
            rows.append(
                (
                    method,
                    *(float(area[order].mean()) for order in ORDERS),
                    float(ahead.mean()),
                    *ends,
                    between,
                )
            )
        names = ("method", *ORDERS, "ahead", "low", "high", "between")
        schema = {name: pl.Float64() if name != "method" else pl.String() for name in names}
        return pl.DataFrame(rows, schema=schema, orient="row")


@runtime_checkable
class Deleting(Protocol):
    """A model that can be asked with some of a patient's facts taken away."""

    def deleting(self, samples: Samples, output: str | None = None, seed: int = 0) -> Deletion:
        """Take facts away in several orders, and follow the answer."""
        ...


def ranked(sizes: Floats, order: Order, rng: np.random.Generator) -> Integers:
    """Put facts (n,) into the order in which they go: their places, the first first.

    >>> ranked(np.array([0.1, 0.5, 0.2]), "most", np.random.default_rng(0)).tolist()
    [1, 2, 0]
    """
    if order == "random":
        return rng.permutation(len(sizes))
    found = np.argsort(-sizes, kind="stable")
    return found if order == "most" else found[::-1]


def kept_of(places: Integers, share: float) -> NDArray[np.bool_]:
    """Tell which of n facts are left when a share of them is gone: (n,), rounded so that the last share takes all.

    >>> kept_of(np.array([1, 2, 0]), 1 / 3).tolist()
    [True, False, True]
    """
    kept = np.ones(len(places), np.bool_)
    kept[places[: round(share * len(places))]] = False
    return kept
