"""Why a model answered as it did: one type for all modalities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError

EXPLANATION_SCHEMA: Final = pl.Schema(
    {
        "sample_id": pl.Int64(),
        "output": pl.String(),
        "input": pl.String(),  # readable name of the input: `LOINC//8480-6 last 24h`
        "code": pl.String(),  # the code behind it, where there is one
        "value": pl.Float64(),  # what the input was; null: missing
        "contribution": pl.Float64(),  # its share of the answer, on the model's scale
        "start": pl.Float64(),  # where in the asset or text, where that applies
        "end": pl.Float64(),
        "asset": pl.String(),
    }
)


@dataclass(frozen=True)
class Explanation:
    """Contributions of inputs to answers.

    For every sample and output, `baseline` + the sum of `contribution` is the
    answer on `scale` (additivity), where the method is additive.

    Attributes:
        frame: rows of `EXPLANATION_SCHEMA`.
        baseline: frame of `output`, `value`: the answer for the average training sample, on `scale`.
        method: how contributions were found, with its source ("TreeSHAP, Lundberg 2020").
        scale: `log-odds`, `probability` or the unit of the value.
        additive: whether the sum holds.
    """

    frame: pl.DataFrame
    baseline: pl.DataFrame
    method: str
    scale: str
    additive: bool = True

    def top(self, sample_id: int, n: int = 10, output: str | None = None) -> pl.DataFrame:
        """Give the `n` strongest inputs of one sample, the rest summed up in one row `input` = "…".

        Args:
            sample_id: which sample.
            n: so many, beside the rest.
            output: which answer; None: the only one there is.

        Raises:
            InputError: there are several answers, and none was named; their reasons do not add up to anything.
        """
        outputs = self.baseline["output"].to_list()
        if output is None and len(outputs) > 1:
            raise InputError("say of which answer the reasons are wanted: {outputs}", outputs=outputs)
        rows = self.frame.filter(
            pl.col("sample_id") == sample_id, pl.col("output") == (outputs[0] if output is None else output)
        )
        rows = rows.sort(pl.col("contribution").abs(), descending=True, maintain_order=True)
        rest = rows.slice(n)
        if not rest.height:
            return rows
        summed = rest.head(1).with_columns(
            pl.lit("…").alias("input"),
            pl.lit(None, pl.String).alias("code"),
            pl.lit(None, pl.Float64).alias("value"),
            pl.lit(float(rest["contribution"].sum())).alias("contribution"),
        )
        return pl.concat([rows.head(n), summed])
