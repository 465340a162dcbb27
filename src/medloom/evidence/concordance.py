"""Whether who is said to be at higher risk has the event sooner.

Sums over pairs of samples take O(n log n): suffixes of the samples in order of time are
cut into blocks whose sizes are powers of two, sorted by risk once; a bootstrap replicate
is then only new weights, a running sum a level.
"""

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.tally import Floats, ratio
from medloom.tasks.survival import Outcomes

Places = NDArray[np.intp]


class Later:
    """Sums over pairs of a query and an item from some place of the sequence on.

    Args:
        value: (m,) of the items, in sequence.
        start: (q,) the first item that counts for each query; m: none does.
        asked: (q,) value of the queries.

    >>> later = Later(np.array([5.0, 1.0, 3.0]), np.array([1]), np.array([3.0]))
    >>> float(later.below(np.ones(3), np.ones(1)))
    1.5
    """

    def __init__(self, value: Floats, start: Places, asked: Floats) -> None:
        m = len(value)
        _, rank = np.unique(np.concatenate([value, asked]), return_inverse=True)
        wide = int(rank.max(initial=0)) + 2
        items, queries = rank[:m].astype(np.int64), rank[m:].astype(np.int64)
        self._levels: list[tuple[Places, Places, Places, Places, Places]] = []
        at, live, size = start.astype(np.int64), start < m, 1
        positions = np.arange(m)
        while live.any():
            # a suffix takes the block at its start where its start is an odd multiple of the block's size
            here = np.flatnonzero(live & (((at & size) > 0) | (size >= m)))
            if len(here):
                block = at[here] // size
                order = np.lexsort((items, positions // size))
                keys = (positions // size * wide + items)[order]
                asked_keys = block * wide + queries[here]
                self._levels.append(
                    (
                        order,
                        here,
                        np.searchsorted(keys, block * wide),
                        np.searchsorted(keys, asked_keys),
                        np.searchsorted(keys, asked_keys + 1),
                    )
                )
                at[here] += size
                live = at < m
            size *= 2

    def below(self, weight: Floats, asked: Floats) -> Floats:
        """Sum, over pairs, the product of weights where the item is below the query; half of it where equal.

        Args:
            weight: (..., m) of the items.
            asked: (..., q) of the queries.
        """
        total = np.zeros(weight.shape[:-1])
        for order, here, first, low, high in self._levels:
            summed = np.concatenate(
                [np.zeros((*weight.shape[:-1], 1)), np.cumsum(weight[..., order], axis=-1)], axis=-1
            )
            found = 0.5 * (summed[..., low] + summed[..., high]) - summed[..., first]
            total = total + (asked[..., here] * found).sum(axis=-1)
        return total


class Concordance:
    """Of pairs of which it is known who had the event first, the share that the risk ranks right.

    Of two samples the one with the event at t is compared with whoever was free of it
    longer: still followed after t (or censored at t), or safe from it by a competing event.
    Pairs with equal risks count half. Harrell, JAMA 1982;247:2543-2546; competing events:
    Wolbers, Epidemiology 2009;20:555-561.

    Args:
        outcomes: of n samples.
        cause: the event, numbered from 1.
        risk: (n,) higher: sooner.

    >>> outcomes = Outcomes(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0]))
    >>> round(float(Concordance(outcomes, 1, np.array([0.9, 0.1, 0.5]))()), 4)
    0.6667
    """

    def __init__(self, outcomes: Outcomes, cause: int, risk: Floats) -> None:
        time, case = outcomes.time, outcomes.cause == cause
        self._time = time
        self._other = np.flatnonzero(outcomes.happened & ~case)
        self._cases = np.flatnonzero(case)
        # an event comes before a censoring at the same time
        self._order = np.lexsort((~case, time))
        ordered = time[self._order]
        ties = np.searchsorted(ordered, time[self._cases], "left")
        events_at = np.bincount(ties, minlength=len(time) + 1)
        self._start = ties + events_at[ties]
        self._later = Later(risk[self._order], self._start, risk[self._cases])
        # competing events up to t, those from which a sample is safe, counted from the latest backwards
        back = self._other[np.argsort(-time[self._other], kind="stable")]
        self._back = back
        # one at the same time as the event stands among the later ones already
        self._back_start = np.searchsorted(-time[back], -time[self._cases], "right")
        self._safe = Later(risk[back], self._back_start, risk[self._cases])

    def __call__(
        self, weight: Floats | None = None, uncensored: Floats | None = None, until: float | None = None
    ) -> Floats:
        """Compute the share with sample weights (..., n).

        With `uncensored`, (..., n) the chance not to be censored by each sample's time, pairs
        weigh so much more as pairs like them were censored: Uno, Stat Med 2011;30:1105-1117;
        competing events: Wolbers, Biostatistics 2014;15:526-539. `until`: only events before.
        """
        w = np.ones(len(self._order)) if weight is None else weight
        cases = w[..., self._cases]
        items, safe = w[..., self._order], w[..., self._back]
        if until is not None:
            cases = cases * (self._time[self._cases] < until)
        first, second = cases, cases
        if uncensored is not None:
            seen = np.divide(1.0, uncensored, out=np.zeros_like(uncensored), where=uncensored > 0)
            first = cases * seen[..., self._cases] ** 2
            second = cases * seen[..., self._cases]
            safe = safe * seen[..., self._back]
        concordant = self._later.below(items, first) + self._safe.below(safe, second)
        pairs = (first * _from(items, self._start)).sum(axis=-1)
        pairs = pairs + (second * _from(safe, self._back_start)).sum(axis=-1)
        return ratio(concordant, pairs)


def _from(weight: Floats, start: Places) -> Floats:
    """Sum weights (..., m) from places (q,) on: (..., q)."""
    summed = np.cumsum(weight[..., ::-1], axis=-1)[..., ::-1]
    padded = np.concatenate([summed, np.zeros((*weight.shape[:-1], 1))], axis=-1)
    read: Floats = padded[..., start]
    return read
