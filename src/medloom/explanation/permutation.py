"""Permutation importance: how much worse a model answers when an input is another patient's.

Breiman, Machine Learning 2001;45:5-32, section 10; on samples the model has not learned from: Fisher, Rudin and
Dominici, JMLR 2019;20(177) (model reliance). Whole patients are exchanged, not single samples, so that the samples of
one patient stay alike; and all windows of a code may go together, for a model that has lost one still has the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.asking import (
    Answer,
    AskedModel,
    Inputs,
    Integers,
    by_code,
    differ,
    in_blocks,
    members,
    table_of,
)
from medloom.explanation.contributions import Floats
from medloom.foundation.seeds import generator
from medloom.tasks.samples import Samples

Score = Callable[[Floats, Integers], float]
"""How good answers (m, k) to the samples at some places (m,) are: higher is better, NaN where it cannot be said."""

_SHARE_ESTIMABLE: Final = 0.95  # an interval over fewer replicates would be one over the lucky ones
_LEAST_SUBJECTS: Final = 10


def rank_by_permutation(
    model: AskedModel,
    samples: Samples,
    score: Callable[[Samples], Score],
    *,
    by: Literal["input", "code"] = "code",
    repeats: int = 5,
    replicates: int = 200,
    most: int = 5000,
    seed: int = 0,
) -> pl.DataFrame:
    """Rank inputs of any model by how much its score falls without them.

    Args:
        model: any that can be asked.
        samples: with answers, best those that nothing was learned from.
        score: makes the score of some samples, the more the better: `lambda samples: lambda answers, places: …`.
        by: exchange each input, or each code with all its windows at once.
        repeats: exchanges of each.
        replicates: resamples of patients for the intervals.
        most: so many samples are drawn at most.
        seed: of all draws.

    Returns:
        as `permutation_importance`, strongest first, with `input` and `code`.
    """
    table = table_of(model, samples, most, seed)
    if len(table.sample_ids) < len(samples):
        samples = samples.where(pl.col("sample_id").is_in(pl.Series(table.sample_ids).implode()))
    groups, words = by_code(table.names, table.codes)
    codes: Sequence[str | None] = [table.codes[at] for at in np.unique(groups, return_index=True)[1]]
    if by == "input":
        groups, words, codes = np.arange(len(table.names)), table.names, table.codes
    ranked = permutation_importance(
        model.answer,
        table.x,
        score(samples),
        groups,
        table.subjects,
        repeats=repeats,
        replicates=replicates,
        seed=seed,
    )
    named = pl.DataFrame(
        {"input": words, "code": codes}, schema_overrides={"input": pl.String, "code": pl.String}
    )
    ranked = named.hstack(ranked.drop("group"))
    return ranked.sort("importance", descending=True, nulls_last=True, maintain_order=True)


def permutation_importance(
    answer: Answer,
    x: Inputs,
    score: Score,
    groups: Integers | None = None,
    subjects: Integers | None = None,
    *,
    repeats: int = 5,
    replicates: int = 200,
    seed: int = 0,
) -> pl.DataFrame:
    """Measure how much a score falls when inputs are exchanged between patients.

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) NaN where missing; a missing value is exchanged like any other.
        score: of answers (m, k) to the samples at places (m,); places repeat in resamples.
        groups: (p,) numbers from 0; inputs of one number go together. None: each by itself.
        subjects: (n,) who each sample is of. None: each of another.
        repeats: exchanges of each group; the importance is their mean.
        replicates: resamples of subjects for 95 % intervals, which hold both chances: which patients, which exchange.
        seed: of all draws.

    Returns:
        frame of `group`, `importance`, `low`, `high`; null where it cannot be said: the score is NaN, there are fewer
        than 2 subjects, or, for the interval, fewer than 10.

    >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    >>> truth = x[:, 0]
    >>> off = lambda answers, places: -float(np.abs(answers[:, 0] - truth[places]).mean())
    >>> found = permutation_importance(lambda x: x[:, :1].astype(float), x, off)
    >>> found["importance"][0] > 0.8, found["importance"][1]
    (True, 0.0)
    """
    groups = np.arange(x.shape[1]) if groups is None else groups
    who = np.unique(np.arange(len(x)) if subjects is None else subjects, return_inverse=True)[1]
    columns = list(members(groups))
    n_subjects = int(who.max()) + 1 if len(who) else 0
    nothing: list[float | None] = [None] * len(columns)
    if n_subjects < 2:
        return _frame(nothing, nothing, nothing)
    all_places = np.arange(len(x))
    answers = in_blocks(answer, x)
    whole = score(answers, all_places)
    exchanges = [_exchange(who, seed, repeat) for repeat in range(repeats)]
    resamples = [*_resamples(who, replicates if n_subjects >= _LEAST_SUBJECTS else 0, seed)]
    scores = np.array([score(answers[places], places) for places in resamples])
    importance, low, high = list(nothing), list(nothing), list(nothing)
    worked = x.copy()
    for at, mine in enumerate(columns):
        if not differ(x[:, mine], x[:1, mine]).any():
            importance[at] = low[at] = high[at] = 0.0 if np.isfinite(whole) else None
            continue
        others = []
        for exchange in exchanges:
            worked[:, mine] = x[exchange][:, mine]
            others.append(in_blocks(answer, worked))
        worked[:, mine] = x[:, mine]
        if np.isfinite(whole) and all(np.array_equal(other, answers) for other in others):
            importance[at] = low[at] = high[at] = 0.0  # the model does not look at it
            continue
        mean = np.mean([whole - score(other, all_places) for other in others]) + 0.0
        importance[at] = float(mean) if np.isfinite(mean) else None
        falls = [scores[r] - score(others[r % repeats][places], places) for r, places in enumerate(resamples)]
        low[at], high[at] = _interval(np.array(falls))
    return _frame(importance, low, high)


def _frame(
    importance: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None]
) -> pl.DataFrame:
    kinds = {"group": pl.Int64, "importance": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    places = list(range(len(importance)))
    return pl.DataFrame({"group": places, "importance": importance, "low": low, "high": high}, schema=kinds)


def _exchange(who: Integers, seed: int, repeat: int) -> Integers:
    """Give each sample the place of one of another subject's; a subject's samples go to one and the same.

    Where the other has fewer samples, they are gone through again.
    """
    rng = generator(seed, "exchange", str(repeat))
    n = int(who.max()) + 1
    order = np.argsort(who, kind="stable")
    starts = np.searchsorted(who[order], np.arange(n + 1))
    sizes = np.diff(starts)
    # a random cycle through all: nobody keeps what is his own
    circle = rng.permutation(n)
    other = np.empty(n, np.int64)
    other[circle] = np.roll(circle, 1)
    ordinal = np.empty(len(who), np.int64)
    ordinal[order] = np.arange(len(who)) - np.repeat(starts[:-1], sizes)
    theirs = other[who]
    places: Integers = order[starts[theirs] + ordinal % sizes[theirs]]
    return places


def _resamples(who: Integers, replicates: int, seed: int) -> Iterator[Integers]:
    """Draw as many subjects as there are, with replacement; give the places of their samples."""
    n = int(who.max()) + 1
    order = np.argsort(who, kind="stable")
    starts = np.searchsorted(who[order], np.arange(n + 1))
    alone = bool((np.diff(starts) == 1).all())
    rng = generator(seed, "resamples")
    for _ in range(replicates):
        drawn = rng.integers(0, n, n)
        if alone:
            yield order[drawn]
        else:
            yield np.concatenate([order[starts[one] : starts[one + 1]] for one in drawn])


def _interval(falls: NDArray[np.float64]) -> tuple[float | None, float | None]:
    known = falls[np.isfinite(falls)]
    if not len(falls) or len(known) < _SHARE_ESTIMABLE * len(falls):
        return None, None
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)
