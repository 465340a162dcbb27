"""Shares of an answer by place of the image, as rows of an explanation."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm

Floats = NDArray[np.float64]

METHOD: Final = "class activation mapping (Zhou et al., CVPR 2016)"


def explained(
    question: Question, form: AnswerForm, samples: Samples, shares: list[Floats], bias: Floats
) -> Explanation:
    """Make an explanation of shares of scores.

    Args:
        question: what was asked.
        form: of the answers.
        samples: n, about images.
        shares: of each sample, of each score the share of each place: (k, *places).
        bias: (k,) what is scored of nothing.
    """
    numbers, items = samples.sample_ids, samples.frame["item"]
    frames = [
        _rows(question, form, one, int(number), item)
        for one, number, item in zip(shares, numbers, items, strict=True)
    ]
    nothing = form.divided(bias[None].astype(np.float64))[0]
    baseline = pl.DataFrame({"output": list(question.outputs), "value": nothing})
    frame = pl.concat([EXPLANATION_SCHEMA.to_frame(), *frames])
    return Explanation(frame, baseline, METHOD, form.scale(question))


def places_of(grid: tuple[int, ...]) -> list[str]:
    """Name the places of a grid, row by row.

    >>> places_of((1, 2))
    ['row 1 of 1, column 1 of 2', 'row 1 of 1, column 2 of 2']
    """
    axes = ("slice", "row", "column")[-len(grid) :]
    return [
        ", ".join(f"{axis} {place + 1} of {n}" for axis, place, n in zip(axes, index, grid, strict=True))
        for index in np.ndindex(*grid)
    ]


def _rows(question: Question, form: AnswerForm, shares: Floats, sample_id: int, item: str) -> pl.DataFrame:
    grid = shares.shape[1:]
    each = shares.reshape(len(shares), -1)
    if form.kind == "multiclass":
        each = each - each.mean(axis=0)
    k, places = each.shape
    nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, places * k)
    return pl.DataFrame(
        {
            "sample_id": np.full(places * k, sample_id),
            "output": np.repeat(np.array(question.outputs, dtype=object), places),
            "input": places_of(grid) * k,
            "code": nothing.cast(pl.String),
            "value": nothing,
            "contribution": (each * form.unit).astype(np.float64).ravel(),
            "start": np.tile(np.arange(places, dtype=np.float64), k),
            "end": np.full(places * k, float(places)),
            "asset": [item] * (places * k),
        },
        schema=EXPLANATION_SCHEMA,
    )
