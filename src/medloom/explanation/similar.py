"""Patients whom a model sees alike, and what became of them: an answer that can be counted.

Alike are those whose answers have the same reasons: near in contributions of inputs, not in inputs, of which most do
not matter (supervised clustering of Lundberg et al., Nat Biomed Eng 2018;2:749-760); of models of single facts, near in
what the model sums a patient up to. Patients are counted, never shown:
at least 10 (k-anonymity, Sweeney, IJUFKS 2002;10:557-570), without identifiers, dates or single values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.asking import Integers, output_place
from medloom.explanation.bars import Bar, share_bars
from medloom.explanation.contributions import Floats
from medloom.explanation.numbers import percent
from medloom.explanation.wording import amount, clean, fill, same
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.foundation.shares import Z, wilson
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Origin
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples

FEWEST: Final = 10
"""Patients that are spoken of at least."""

_MEASURED: Final = 200
_OUTCOMES: Final = pl.Schema(
    {"output": pl.String(), "n": pl.Int64(), "share": pl.Float64(), "low": pl.Float64(), "high": pl.Float64()}
)


class ExplainedModel(Protocol):
    """A model that gives reasons."""

    @property
    def origin(self) -> Origin:
        """Tell what it learned to answer."""
        ...

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, for each sample."""
        ...


@dataclass(frozen=True)
class Similar:
    """What became of patients like one.

    Attributes:
        n: patients, at least 10.
        outcomes: `output`, `n`, `share` and its 95 % interval `low`, `high` (Wilson); empty for a regression.
        median, low, high: of a regression's values, with the 95 % interval of the median; None otherwise.
        quarter, three_quarters: within which half of the patients' values lie; None otherwise.
        remoteness: distance to the last of them, relative to what is so for 95 of 100 patients: above 1 they are not
            much like this one.
        sample_id: of the patient; None where none was given.
    """

    n: int
    outcomes: pl.DataFrame
    remoteness: float
    median: float | None = None
    low: float | None = None
    high: float | None = None
    quarter: float | None = None
    three_quarters: float | None = None
    sample_id: int | None = None


def what_became(
    model: ExplainedModel,
    samples: Samples,
    reference: Samples,
    *,
    output: str | None = None,
    n: int = 50,
    most: int = 3000,
    seed: int = 0,
    represent: Callable[[Samples], NDArray[np.floating]] | None = None,
) -> list[Similar]:
    """Count for each sample what became of the patients whose answers have the most similar reasons.

    Args:
        model: whose reasons.
        samples: of the patients asked about; they are not counted among their own likes.
        reference: samples with labels; best those the model has not learned from, whose outcomes it did not shape.
        output: compare the reasons of this answer; None: of all.
        n: so many patients.
        most: so many of the reference are drawn at most.
        seed: of the draw.
        represent: sums samples up, (n, width), for models whose inputs are single facts, which no two patients share;
            alike are then those who are summed up alike, whatever the output.

    Raises:
        InputError: fewer than 10 patients are asked for, or can be compared with; or there is no such output.
    """
    question = model.origin.question
    outputs = question.outputs if output is None else (question.outputs[output_place(question, output)],)
    if not len(samples):
        return []
    known = reference.where(pl.col("label").is_not_null())
    if len(known) > most:
        kept = generator(seed, "drawn samples").choice(len(known), most, replace=False)
        known = known.where(
            pl.col("sample_id").is_in(known.frame["sample_id"].gather(np.sort(kept)).implode())
        )
    if represent is not None:
        mine, others = (np.asarray(represent(some), np.float64) for some in (samples, known))
    else:
        mine, others = reasons_matrices(
            (model.explain(samples), samples.frame["sample_id"].to_numpy()),
            (model.explain(known), known.frame["sample_id"].to_numpy()),
            outputs=outputs,
        )
    return [
        replace(
            similar_patients(
                row,
                others,
                known.groups,
                known.frame["label"],
                question,
                subject=int(subject),
                n=n,
                seed=seed,
            ),
            sample_id=int(sample_id),
        )
        for row, subject, sample_id in zip(mine, samples.groups, samples.frame["sample_id"], strict=True)
    ]


def similar_patients(
    mine: Floats,
    others: Floats,
    subjects: Integers,
    labels: pl.Series,
    question: Question,
    *,
    subject: int | None = None,
    n: int = 50,
    seed: int = 0,
) -> Similar:
    """Count what became of the nearest patients, each taken once, by his nearest sample.

    Args:
        mine: (p,) contributions to the patient's answer.
        others: (m, p) those to the answers of others.
        subjects: (m,) who they are of.
        labels: (m,) what became of them; who has none is not counted.
        question: says what labels are.
        subject: who the patient is, to leave him out; None: he is not among the others.
        n: so many patients; fewer where there are fewer, at least 10.
        seed: of the patients between whom usual distances are measured.

    Raises:
        InputError: fewer than 10 patients are asked for, or can be compared with.

    >>> from medloom.tasks.question import Title
    >>> asked = Question(task="t", kind="binary", title=Title(en="t", zh="t"))
    >>> found = similar_patients(np.zeros(1), np.arange(40.0)[:, None], np.arange(40), pl.Series([True, False] * 20),
    ...                          asked, n=10)
    >>> found.n, found.outcomes["n"].to_list(), found.outcomes["low"].round(2).to_list()
    (10, [5], [0.24])
    """
    if n < FEWEST:
        raise InputError(
            "ask for {least} similar patients or more; fewer could be told who they are", least=FEWEST
        )
    known = labels.is_not_null().to_numpy()
    others, subjects, labels = others[known], subjects[known], labels.drop_nulls()
    places, distances = _nearest(mine, others, subjects, subject, n)
    if len(places) < FEWEST:
        raise InputError(
            "fewer than {least} other patients can be compared with; hand in more, with known outcomes",
            least=FEWEST,
        )
    usual = _usual_distance(others, subjects, n, seed)
    last = float(distances[-1])
    remoteness = last / usual if usual > 0 else (0.0 if last == 0 else float("inf"))
    became = labels.gather(pl.Series(places))
    if question.kind == "regression":
        return _of_values(became.to_numpy().astype(np.float64), remoteness)
    counts = [_count(became, question, output) for output in question.outputs]
    low, high = wilson(counts, len(places))
    shares = list(zip(np.array(counts) / len(places), low, high, strict=True))
    outcomes = pl.DataFrame(
        [
            (output, count, *share)
            for output, count, share in zip(question.outputs, counts, shares, strict=True)
        ],
        schema=_OUTCOMES,
        orient="row",
    )
    return Similar(len(places), outcomes, remoteness)


def reasons_matrices(
    *explained: tuple[Explanation, NDArray[np.int64]], outputs: Sequence[str]
) -> list[Floats]:
    """Give explanations as matrices (n, inputs times outputs) with the same columns; what is left out is 0.

    Args:
        explained: explanations of one model, and the samples whose rows are wanted.
        outputs: whose reasons are taken.
    """
    rows = pl.concat([one.frame.select("input", "output") for one, _ in explained]).unique(
        maintain_order=True
    )
    rows = rows.filter(pl.col("output").is_in(list(outputs))).with_row_index("column")
    matrices = []
    for one, sample_ids in explained:
        matrix = np.zeros((len(sample_ids), rows.height))
        order = pl.DataFrame({"sample_id": sample_ids}).with_row_index("row")
        cells = one.frame.join(rows, on=["input", "output"]).join(order, on="sample_id")
        matrix[cells["row"].to_numpy(), cells["column"].to_numpy()] = cells["contribution"].to_numpy()
        matrices.append(matrix)
    return matrices


def in_words(found: Similar, question: Question) -> Text2:
    """Say what became of them, in both languages."""
    if found.median is not None:
        unit = question.unit
        whole = fill(
            text2("Of {n} patients whom the model sees alike, half had {quarter} to {three_quarters}."),
            n=same(str(found.n)),
            quarter=amount(found.quarter or 0.0, unit),
            three_quarters=amount(found.three_quarters or 0.0, unit),
        )
    elif question.kind == "binary":
        _, count, share, low, high = found.outcomes.row(0)
        whole = text2(
            "Of {n} patients whom the model sees alike, {count} had this outcome:"
            " {share} (95 % interval {low} to {high}).",
            n=found.n,
            count=count,
            share=percent(share),
            low=percent(low),
            high=percent(high),
        )
    else:
        best = found.outcomes.sort("n", descending=True, maintain_order=True).row(0, named=True)
        whole = text2(
            "Of {n} patients whom the model sees alike, most had {name}: {count},"
            " {share} (95 % interval {low} to {high}).",
            n=found.n,
            name=clean(best["output"]),
            count=best["n"],
            share=percent(best["share"]),
            low=percent(best["low"]),
            high=percent(best["high"]),
        )
    if found.remoteness > 1:
        rare = text2("Few patients are much like this one, so they tell little.")
        return Text2(f"{whole.en} {rare.en}", f"{whole.zh}{rare.zh}")
    return whole


def similar_drawing(found: Similar, question: Question) -> str:
    """Draw the share of each outcome with its interval; a regression has none, and is said `in_words`."""
    bars = [
        Bar(
            text2("this outcome") if question.kind == "binary" else same(clean(output)),
            share,
            low,
            high,
            same(f"{percent(share)} ({count}/{found.n})"),
        )
        for output, count, share, low, high in found.outcomes.iter_rows()
    ]
    axis = text2("share of similar patients, with its 95 % interval")
    return share_bars(text2("What became of similar patients"), in_words(found, question), bars, axis)


def _nearest(
    mine: Floats, others: Floats, subjects: Integers, subject: int | None, n: int
) -> tuple[Integers, Floats]:
    """Give the places of the nearest sample of each of the n nearest subjects, and their distances."""
    distances = np.sqrt(((others - mine) ** 2).sum(axis=1))
    if subject is not None:
        distances = np.where(subjects == subject, np.inf, distances)
    order = np.argsort(distances, kind="stable")
    order = order[np.isfinite(distances[order])]
    firsts = np.sort(np.unique(subjects[order], return_index=True)[1])[:n]
    return order[firsts], distances[order[firsts]]


def _usual_distance(others: Floats, subjects: Integers, n: int, seed: int) -> float:
    """Give how far the last of n likes is at most for 95 of 100 patients."""
    chosen = generator(seed, "usual distances").permutation(len(others))[:_MEASURED]
    lasts = [_nearest(others[at], others, subjects, int(subjects[at]), n)[1] for at in chosen]
    known = [float(distances[-1]) for distances in lasts if len(distances)]
    return float(np.quantile(known, 0.95)) if known else 0.0


def _count(labels: pl.Series, question: Question, output: str) -> int:
    if question.kind == "binary":
        return int(labels.sum())
    if question.kind == "multilabel":
        return int(labels.list.contains(output).sum())
    return int((labels == output).sum())


def _of_values(values: Floats, remoteness: float) -> Similar:
    """Describe values; the interval of the median is that of order statistics, between which is interpolated."""
    n = len(values)
    reach = Z / (2 * sqrt(n))
    quarter, median, three, low, high = np.quantile(values, (0.25, 0.5, 0.75, 0.5 - reach, 0.5 + reach))
    return Similar(
        n,
        pl.DataFrame(schema=_OUTCOMES),
        remoteness,
        float(median),
        float(low),
        float(high),
        float(quarter),
        float(three),
    )
