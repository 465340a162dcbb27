"""What models answer: one long frame that classes, values, curves, spans and boxes fit alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError

PREDICTION_SCHEMA: Final = pl.Schema(
    {
        "sample_id": pl.Int64(),
        "output": pl.String(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "start": pl.Float64(),
        "end": pl.Float64(),
        "place": pl.String(),
        "asset": pl.String(),
        "in_set": pl.Boolean(),
    }
)
"""A row an answer: `low` and `high` where the model tells a range, `in_set` where it tells a set of classes, `place`
where it is in a note, as facts write it: `12:24`, or of a relation `12:24>30:35`."""
_NULLS: Final = {name: pl.Series(name, [None], dtype=kind) for name, kind in PREDICTION_SCHEMA.items()}


@dataclass(frozen=True)
class Predictions:
    """Rows of `PREDICTION_SCHEMA`, grouped by sample in the order of the samples, and the model that made them."""

    frame: pl.DataFrame
    model: str = ""  # `TASK.LEARNER@N`, or empty before it has a name

    @classmethod
    def of_matrix(
        cls,
        sample_ids: Sequence[int] | pl.Series | NDArray[np.int64],
        outputs: Sequence[str],
        values: NDArray[np.float64],
        model: str = "",
    ) -> Predictions:
        """Make predictions from one value a sample and output.

        Args:
            sample_ids: (n,).
            outputs: (k,) names.
            values: (n, k): probabilities, or values in the question's unit.

        >>> Predictions.of_matrix([7], ["true"], np.array([[0.25]])).frame["value"].to_list()
        [0.25]
        """
        n, k = values.shape
        ids = np.repeat(np.asarray(sample_ids, dtype=np.int64), k)
        columns = [
            pl.Series("sample_id", ids),
            pl.Series("output", list(outputs) * n, pl.String),
            pl.Series("value", values.ravel(), pl.Float64),
        ]
        columns += [
            _NULLS[name].new_from_index(0, n * k) for name in PREDICTION_SCHEMA.names()[len(columns) :]
        ]
        return cls(pl.DataFrame(columns), model)

    def between(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> Predictions:
        """Put ranges around the answers, a number a row of the frame."""
        ends = {"low": pl.Series("low", low, pl.Float64), "high": pl.Series("high", high, pl.Float64)}
        # put together column by column: a query takes ten times as long for one patient
        return replace(self, frame=pl.DataFrame([ends.get(one.name, one) for one in self.frame]))

    def largest(self, sample_id: int) -> str:
        """Name the output with the largest answer for a sample: the likeliest class, or the only output.

        >>> Predictions.of_matrix([7], ["home", "died"], np.array([[0.7, 0.3]])).largest(7)
        'home'
        """
        mine = self.frame.filter(pl.col("sample_id") == sample_id)
        return str(mine["output"][mine["value"].arg_max() or 0])

    def matrix(self, outputs: Sequence[str]) -> NDArray[np.float64]:
        """Give one row a sample, one column an output: (n, k).

        Raises:
            InputError: the outputs are others.
        """
        k = len(outputs)
        names = self.frame["output"].to_list()[:k]
        if self.frame.height and (names != list(outputs) or self.frame.height % max(k, 1)):
            raise InputError(
                "predictions have the outputs {found}, not {expected}",
                found=names,
                expected=list(outputs),
            )
        return self.frame["value"].to_numpy().reshape(-1, k)
