"""95 % intervals by resampling whole groups (subjects), never single samples.

A replicate draws as many groups as there are, with replacement; a sample's weight is
how often its group was drawn. Predictions stay sorted as they are, so a replicate
costs a few sums. Percentile intervals: Efron and Tibshirani 1993, chapter 13; groups:
Field and Welsh, J R Stat Soc B 2007;69:369-390.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.metrics import METRICS, measure_of, no_solution, not_estimable
from medloom.evidence.tally import Floats
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator

REPLICATES = 1000
LEVEL = 0.95

_AT_ONCE = 1_000_000
"""Weights held at a time; enough to amortise Python, few enough for memory."""

_SHARE_ESTIMABLE = 0.95
"""An interval over fewer replicates than this would be one over the lucky ones."""


def bootstrap(
    measure: Callable[[Floats], Mapping[str, Floats]],
    group: NDArray[np.intp],
    replicates: int = REPLICATES,
    seed: int = 0,
    *names: str,
) -> dict[str, Floats]:
    """Measure `replicates` resamples of the groups.

    `measure` takes weights (b, n) and answers arrays (b, ...) by name; `group`: (n,)
    numbers from 0. Answers arrays (replicates, ...). The same seed and names give the
    same resamples, so that what is measured together is paired.

    >>> drawn = bootstrap(lambda w: {"n": w.sum(axis=-1)}, np.arange(20), replicates=5)
    >>> drawn["n"].tolist()
    [20.0, 20.0, 20.0, 20.0, 20.0]
    """
    groups = int(group.max()) + 1 if group.size else 0
    if groups == 0 or replicates < 1:
        return {}
    random = generator(seed, "bootstrap", *names)
    block = max(1, _AT_ONCE // group.size)
    parts: list[Mapping[str, Floats]] = []
    for first in range(0, replicates, block):
        rows = min(block, replicates - first)
        parts.append(measure(_weights(random, rows, groups, group)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def estimate(value: ArrayLike, draws: Floats | None) -> Estimate:
    """Join a value with the interval of its replicates (r,).

    >>> print(estimate(0.5, np.linspace(0, 1, 1001)))
    0.500 (0.025–0.975)
    """
    number = float(np.asarray(value))
    if not np.isfinite(number):
        return Estimate(None, reason=no_solution())
    low, high = (None, None) if draws is None else bounds(draws)
    if draws is not None and (low is None or not np.isfinite(low)):
        return Estimate(number, reason=unstable())
    return Estimate(number, None if low is None else float(low), None if high is None else float(high))


def bounds(draws: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the 2.5 and 97.5 percentiles over replicates (r, ...): NaN where too few exist."""
    finite = np.isfinite(draws)
    enough = finite.mean(axis=0) >= _SHARE_ESTIMABLE
    tail = (1 - LEVEL) / 2
    shielded = np.where(enough, draws, 0.0)
    quantile = np.quantile if finite.all() else np.nanquantile
    low, high = quantile(shielded, [tail, 1 - tail], axis=0)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def unstable() -> Text2:
    """The reason for a value whose interval cannot be given."""
    return text2("too many resamples have no value for an interval to be given")


def estimates(
    answers: Answers, replicates: int = REPLICATES, seed: int = 0, *names: str
) -> dict[str, Estimate]:
    """Estimate every metric of `answers` with its interval.

    >>> from medloom.evidence.answers import binary_answers
    >>> found = estimates(binary_answers([0, 1] * 20, np.linspace(0.1, 0.9, 40)), 200)
    >>> found["auroc"].low < found["auroc"].value < found["auroc"].high
    True
    """
    reasons = not_estimable(answers)
    found = {name: Estimate(None, reason=reason) for name, reason in reasons.items()}
    wanted = [name for name in METRICS[answers.kind] if name not in reasons]
    if wanted:
        measure = measure_of(answers)
        whole = measure()
        drawn = bootstrap(measure, answers.group, replicates, seed, *names)
        found |= {name: estimate(whole[name], drawn.get(name)) for name in wanted}
    return {name: found[name] for name in METRICS[answers.kind]}


def paired_difference(
    metric: str, a: Answers, b: Answers, replicates: int = REPLICATES, seed: int = 0
) -> Estimate:
    """Estimate how much larger `metric` is for `a` than for `b`, both on the same resamples.

    Pairing removes what both models share, so that a difference is seen which two
    overlapping intervals would hide.

    Raises:
        ValueError: `a` and `b` are not answers about the same samples.

    >>> from medloom.evidence.answers import binary_answers
    >>> truth = [0, 1] * 20
    >>> good = binary_answers(truth, np.array(truth) * 0.5 + np.linspace(0, 0.6, 40))
    >>> paired_difference("auroc", good, good).value
    0.0
    """
    if a.kind != b.kind or len(a) != len(b) or not np.array_equal(a.group, b.group):
        raise ValueError("paired_difference needs two predictions of the same samples in the same order")
    for answers in (a, b):
        reason = not_estimable(answers).get(metric)
        if reason is not None:
            return Estimate(None, reason=reason)
    one, other = measure_of(a), measure_of(b)

    def difference(weight: Floats) -> dict[str, Floats]:
        return {metric: one(weight)[metric] - other(weight)[metric]}

    return estimate(
        one()[metric] - other()[metric], bootstrap(difference, a.group, replicates, seed).get(metric)
    )


def _weights(random: np.random.Generator, rows: int, groups: int, group: NDArray[np.intp]) -> Floats:
    """(rows, n): how often each sample's group was drawn."""
    weight = np.empty((rows, group.size))
    for row in weight:
        counts = np.bincount(random.integers(groups, size=groups), minlength=groups).astype(np.float64)
        np.take(counts, group, out=row, mode="clip")  # which needs no buffer
    return weight
