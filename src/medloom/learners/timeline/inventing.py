"""Timelines of patients who never were: begun as many patients' begin, and gone on with by an encoder.

What does not change and the age are drawn by themselves, from what at least ten patients share: nobody's own beginning
is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.features.token_vocabulary import QUANTILES, TokenVocabulary
from medloom.features.tokens import Tokens
from medloom.foundation.errors import InputError, LeakageError
from medloom.foundation.seeds import derive, generator
from medloom.learners.timeline.batches import Timelines
from medloom.learners.timeline.futures import Sampling, check_foresees, sample_futures
from medloom.record.schema import BIRTH
from medloom.tasks.history import HOURS_PER_YEAR
from medloom.tasks.samples import Samples

if TYPE_CHECKING:
    from medloom.learners.timeline.pretraining import Encoder

Floats = NDArray[np.float64]

FEWEST: Final = 10
"""Patients who must share what a timeline begins with."""

_AT_THE_END: Final = 0.9  # of a code's facts that are last ones, where it ends timelines
_CLOSED: Final = 0.8  # of timelines that such codes end, for them to be waited for
_MOMENT: Final = datetime(2000, 1, 1)
_SHARES: Final = np.linspace(0.05, 0.95, 19)
_EVENTS: Final = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "time": pl.Datetime("us"),
        "code": pl.String(),
        "numeric_value": pl.Float32(),
        "text_value": pl.String(),
    }
)


@dataclass(frozen=True)
class Invented:
    """Events of patients who never were.

    Attributes:
        events: `subject_id`, `time`, `code`, `numeric_value`, `text_value`, as `Record.from_events` takes them.
        copies: timelines that came out as a patient's is, in codes and tenths of values, and were left out.
    """

    events: pl.DataFrame
    copies: int


def invent(
    encoder: Encoder,
    samples: Samples,
    n: int,
    *,
    first_subject: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
) -> Invented:
    """Invent timelines.

    Args:
        encoder: pretrained by next-event, fact by fact, on these patients.
        samples: whole timelines that it was pretrained on (`tasks.timelines`), the split `train`.
        n: timelines.
        first_subject: number of the first invented patient.
        temperature: 1: as likely as the encoder says.
        seed: of what is drawn.

    Raises:
        InputError: the encoder does not foresee fact after fact, or there are too few patients.
        LeakageError: the encoder was pretrained under another split.
    """
    check_foresees(encoder)
    if encoder.origin.split_rule != samples.split_rule:
        raise LeakageError(
            "the encoder was pretrained under another split of these patients; pretrain it anew"
        )
    timelines = encoder.reading.timelines(samples)
    static = samples.catalogue.static_codes()
    begun = _begin(timelines.tokens, encoder.reading.vocabulary, n, seed)
    hours = begun.hours
    names = [f"invented {place}" for place in range(n)]
    closing, closed = _closing(timelines.tokens, encoder.reading.vocabulary)
    if closed >= _CLOSED:
        hours = np.full(n, np.nanmax(hours))
    ends = frozenset(encoder.reading.vocabulary.codes[number - 1] for number in closing)
    how = Sampling(1, temperature, ends, static, derive(seed, "inventing"))
    going = Timelines(begun.tokens, encoder.reading.vocabulary, encoder.reading.gathering, samples.catalogue)
    futures = sample_futures(encoder, going, hours, names, how)
    row = np.concatenate([np.repeat(np.arange(n), begun.tokens.lengths), futures.row])
    facts = pl.DataFrame(
        {
            "row": row,
            "code": np.concatenate([begun.tokens.code.astype(np.int64), futures.code]),
            "hours": np.concatenate([begun.tokens.hours.astype(np.float64), futures.hours]),
            "value": np.concatenate([begun.value.astype(np.float64), futures.value]),
        }
    ).with_columns(pl.col("hours", "value").fill_nan(None))
    facts = facts.sort("row", "hours", maintain_order=True, nulls_last=False)
    known = _kept_apart(facts, timelines.tokens, encoder.reading.vocabulary)
    kept = facts.filter(~pl.col("row").is_in(known))
    return Invented(
        _as_events(kept, begun.tokens.age, encoder.reading.vocabulary, first_subject, seed), len(known)
    )


@dataclass(frozen=True)
class _Begun:
    """How timelines begin: tokens, values of their facts (n,) and how long each is to last (rows,)."""

    tokens: Tokens
    value: NDArray[np.float32]
    hours: Floats


def _begin(tokens: Tokens, vocabulary: TokenVocabulary, n: int, seed: int) -> _Begun:
    rng = generator(seed, "beginnings")
    known: dict[tuple[int, ...], int] = {}
    spans, ages = [], []
    first, last = tokens.offsets[:-1], tokens.offsets[1:]
    for place, (start, end) in enumerate(zip(first, last, strict=True)):
        hours, code = tokens.hours[start:end], tokens.code[start:end]
        dated = np.flatnonzero(~np.isnan(hours) & (code <= len(vocabulary)))
        still = code[np.isnan(hours) & (code <= len(vocabulary))]
        begins = (
            tuple(sorted(set(still.tolist())))
            if len(still)
            else (-int(code[dated[0]]),)
            if len(dated)
            else ()
        )
        if begins and len(dated):
            known[begins] = known.get(begins, 0) + 1
            spans.append(hours[dated[0]] - hours[dated[-1]])
            ages.append(tokens.age[place] - hours[dated[0]] / HOURS_PER_YEAR)
    shared = {begins: count for begins, count in sorted(known.items()) if count >= FEWEST}
    if not shared:
        raise InputError(
            "no {n} patients begin alike, so that none can be invented after them; import more patients",
            n=FEWEST,
        )
    counts = np.array(list(shared.values()), np.float64)
    drawn = rng.choice(len(counts), n, p=counts / counts.sum())
    each = [list(shared)[place] for place in drawn]
    code = np.array([abs(number) for begins in each for number in begins], np.int32)
    dated = np.array([number < 0 for begins in each for number in begins])
    lengths = np.array([len(begins) for begins in each])
    tenth = np.where(vocabulary.measured[code - 1], rng.integers(1, QUANTILES + 1, len(code)), 0).astype(
        np.uint8
    )
    value = vocabulary.within(code, tenth, rng.random(len(code)))
    distance, tenth = vocabulary.standardised(code, value)
    hours = np.where(dated, 0, np.nan).astype(np.float32)
    age = _like(np.array(ages), n, rng).astype(np.float32)
    tokens = Tokens(np.append(0, np.cumsum(lengths)), code, distance, tenth, hours, age)
    return _Begun(tokens, value, _like(np.array(spans), n, rng))


def _closing(tokens: Tokens, vocabulary: TokenVocabulary) -> tuple[list[int], float]:
    """Name the codes after which nothing comes, such as the end of a stay; and the share of timelines they end."""
    filled = np.flatnonzero(tokens.lengths > 0)
    code = np.where(tokens.code <= len(vocabulary), tokens.code, 0)
    row = np.repeat(np.arange(len(tokens)), tokens.lengths)
    final = np.full(len(tokens), np.nan)
    final[filled] = tokens.hours[tokens.offsets[filled + 1] - 1]
    last = tokens.hours == final[row]
    counts, lasts = (np.bincount(one, minlength=len(vocabulary) + 1) for one in (code, code[last]))
    closing = (counts >= FEWEST) & (lasts >= _AT_THE_END * counts)
    closing[0] = False
    ended = np.unique(row[last & closing[code]])
    return np.flatnonzero(closing).tolist(), len(ended) / max(len(filled), 1)


def _like(values: NDArray[np.floating], n: int, rng: np.random.Generator) -> Floats:
    """Draw n numbers spread as others are, between their twentieths; NaN where none is known."""
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) < FEWEST:
        return np.full(n, np.nan)
    drawn: Floats = np.interp(rng.random(n), _SHARES, np.quantile(known, _SHARES))
    return drawn


def _kept_apart(facts: pl.DataFrame, tokens: Tokens, vocabulary: TokenVocabulary) -> list[int]:
    """List invented timelines that stand in the original: the same codes with values in the same tenths, in order."""
    real = {
        tokens.code[start:end].tobytes() + tokens.tenth[start:end].tobytes()
        for start, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    }
    code = facts["code"].cast(pl.Int32).to_numpy()
    value = facts["value"].cast(pl.Float32).fill_null(np.nan).to_numpy()
    tenth = vocabulary.standardised(code, value)[1]
    row = facts["row"].to_numpy()
    edges = np.append(np.flatnonzero(np.append(True, row[1:] != row[:-1])), len(row))
    return [
        int(row[start])
        for start, end in pairwise(edges)
        if code[start:end].tobytes() + tenth[start:end].tobytes() in real
    ]


def _as_events(
    facts: pl.DataFrame, age: NDArray[np.float32], vocabulary: TokenVocabulary, first_subject: int, seed: int
) -> pl.DataFrame:
    """Write facts as events; each patient's first lies on some day of one year."""
    n = len(age)
    days = generator(seed, "days").integers(0, 365, n)
    who = pl.DataFrame({"row": np.arange(n), "day": days, "age": age.astype(np.float64)})
    names = pl.Series([None, *vocabulary.codes], dtype=pl.String)
    begin = pl.lit(_MOMENT) + pl.duration(days=pl.col("day"))
    parts = pl.col("named").str.split_exact("=", 1)
    made = facts.join(who, on="row", how="left", maintain_order="left").with_columns(
        named=names.gather(facts["code"])
    )
    made = made.select(
        subject_id=pl.col("row") + first_subject,
        time=begin + pl.duration(seconds=(pl.col("hours") * 3600).round()),
        code=parts.struct.field("field_0"),
        numeric_value=pl.col("value"),
        text_value=parts.struct.field("field_1"),
    )
    born = who.filter(
        pl.col("age").is_finite() & pl.col("row").is_in(facts["row"].unique().implode())
    ).select(
        subject_id=pl.col("row") + first_subject,
        time=begin - pl.duration(hours=(pl.col("age") * HOURS_PER_YEAR).round()),
        code=pl.lit(BIRTH),
        numeric_value=pl.lit(None, pl.Float32),
        text_value=pl.lit(None, pl.String),
    )
    return pl.concat([born.cast(_EVENTS), made.cast(_EVENTS)]).sort("subject_id", "time", nulls_last=False)
