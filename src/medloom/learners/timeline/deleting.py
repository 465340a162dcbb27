"""Facts taken away from timelines in the order of their contributions, as if they had never been recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from medloom.explanation.deletion import ORDERS, SHARES, Deletion, Order, kept_of, ranked
from medloom.foundation.seeds import generator
from medloom.learners.timeline.batches import TimelineBatch, Timelines
from medloom.learners.timeline.body import TimelineBody
from medloom.learners.timeline.model import TimelineModel, integrated
from medloom.learners.timeline.rollout import rolled_out
from medloom.tasks.samples import Samples

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_DRAWS: Final = 3  # random orders of each sample


def deleted(model: TimelineModel, samples: Samples, output: int, seed: int) -> Deletion:
    """Follow the answers of samples, of one output, as their facts are taken away by each method and order.

    Integrated gradients move facts along a way on which all are recorded; here they are gone, and with them what the
    rhythm of recording told. So it is a test from outside.
    """
    timelines = model.reading.timelines(samples)
    moved: dict[str, dict[Order, list[Floats]]] = {}
    for place in range(len(timelines)):
        one = _One(model, timelines, place, output)
        for method, sizes in one.sizes().items():
            rng = generator(seed, "deletion", str(place))
            for order in ORDERS:
                draws = _DRAWS if order == "random" else 1
                away = np.mean([one.moved(ranked(sizes, order, rng)) for _ in range(draws)], axis=0)
                moved.setdefault(method, {}).setdefault(order, []).append(away)
    stacked = {
        method: {order: np.stack(each) for order, each in orders.items()} for method, orders in moved.items()
    }
    return Deletion(stacked, samples.groups, model.form.scale(model.origin.question), seed)


@dataclass
class _One:
    """One sample, whose facts are taken away; what was answered once is not asked again."""

    model: TimelineModel
    timelines: Timelines
    place: int
    output: int
    _told: dict[bytes, float] = field(default_factory=dict)

    @cached_property
    def batch(self) -> TimelineBatch:
        return self.timelines.batch(np.array([self.place])).as_double()

    def sizes(self) -> dict[str, Floats]:
        """Give how much each fact counts by each method: (n,)."""
        sizes = {"own": np.abs(integrated(self.model.told, self.batch)[0][self.output])}
        body = self.model.network.body
        if isinstance(body, TimelineBody):
            sizes["rollout"] = rolled_out(body, self.batch)
        return sizes

    def moved(self, places: Rows) -> Floats:
        """Give how far the answer moved when shares of its facts are gone, first those at the first places: (p,)."""
        told = np.array([self._answer(kept_of(places, share)) for share in SHARES])
        away: Floats = np.abs(told - told[0])
        return away

    def _answer(self, kept: NDArray[np.bool_]) -> float:
        asked = kept.tobytes()
        if asked not in self._told:
            among = np.ones(len(self.timelines.tokens.code), np.bool_)
            among[self.batch.fact] = kept
            batch = self.timelines.batch(np.array([self.place]), kept=among.__getitem__).as_double()
            with torch.inference_mode():
                self._told[asked] = float(self.model.told(batch)[0, self.output])
        return self._told[asked]
