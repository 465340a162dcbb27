"""Columns of a table as numbers that a network can give: mode-specific normalisation (Xu et al., NeurIPS 2019, 4.2).

A number is told by the mode of its column's mixture that it belongs to, and by how far it lies from the mode's mean; a
choice by itself. What is missing is a mode, or a choice, of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive, generator

Floats = NDArray[np.float64]

FEWEST: Final = 10
"""A choice, or an extreme, must be that of so many rows: none stands for one patient."""

_MODES: Final = 10
_LEAST_WEIGHT: Final = 0.005
_FEW_VALUES: Final = 10  # numbers with no more different values are choices
_REACH: Final = 4.0  # standard deviations of a mode
_FITTED_ON: Final = 5_000


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Attributes:
        name: of the column.
        means, sds: of the mixture's modes.
        low, high: beyond which nothing is given; ten rows lie beyond each.
        whole: whether its numbers are whole.
        missing: whether there are rows without a number.
    """

    name: str
    means: tuple[float, ...]
    sds: tuple[float, ...]
    low: float
    high: float
    whole: bool
    missing: bool

    @property
    def widths(self) -> tuple[int, int]:
        """Tell how many numbers say where in its mode a value lies, and how many say which mode it is."""
        return 1, len(self.means) + self.missing

    def encode(self, values: pl.Series, rng: np.random.Generator) -> Floats:
        """Give (n, 1 + modes); a value that several modes may have made is given one of them at random."""
        x = values.cast(pl.Float64).fill_nan(None).to_numpy().astype(np.float64)
        known = np.isfinite(x)
        means, sds = np.array(self.means), np.array(self.sds)
        away = (np.where(known, x, 0)[:, None] - means) / sds
        likely = np.exp(-(away**2 - (away**2).min(1, keepdims=True)) / 2) / sds
        reached = np.cumsum(likely, 1)
        mode = (reached < rng.random((len(x), 1)) * reached[:, -1:]).sum(1)
        mode = np.where(known, mode, len(means))
        coded = np.zeros((len(x), 1 + len(means) + 1))
        coded[np.arange(len(x)), 1 + mode] = 1
        within = away[np.arange(len(x)), np.minimum(mode, len(means) - 1)] / _REACH
        coded[:, 0] = np.where(known, np.clip(within, -1, 1), 0)
        return coded[:, : sum(self.widths)]

    def decode(self, coded: Floats) -> pl.Series:
        """Give values of (n, 1 + modes)."""
        mode = coded[:, 1:].argmax(1)
        known = mode < len(self.means)
        place = np.minimum(mode, len(self.means) - 1)
        x = np.array(self.means)[place] + np.clip(coded[:, 0], -1, 1) * _REACH * np.array(self.sds)[place]
        x = np.clip(np.round(x) if self.whole else x, self.low, self.high)
        found = pl.Series(self.name, np.where(known, x, np.nan), nan_to_null=True)
        return found.cast(pl.Int64) if self.whole else found


@dataclass(frozen=True)
class ChoiceColumn:
    """A column of choices: texts, yes or no, or few numbers.

    Attributes:
        name: of the column.
        choices: None: missing.
        shares: of the rows that have each.
    """

    name: str
    choices: tuple[str | float | bool | None, ...]
    shares: tuple[float, ...]

    @property
    def widths(self) -> tuple[int, int]:
        """Tell how many numbers there are beside those that say which choice it is: none."""
        return 0, len(self.choices)

    def numbered(self, values: pl.Series) -> NDArray[np.int64]:
        """Give the place of each row's choice: (n,); one that is too rare to be told counts as the commonest."""
        places = {choice: place for place, choice in enumerate(self.choices)}
        usual = int(np.argmax(self.shares))
        return np.fromiter((places.get(value, usual) for value in values), np.int64, len(values))

    def encode(self, values: pl.Series, rng: np.random.Generator) -> Floats:
        """Give (n, choices)."""
        return np.eye(len(self.choices))[self.numbered(values)]

    def decode(self, coded: Floats) -> pl.Series:
        """Give values of (n, choices)."""
        return pl.Series(self.name, [self.choices[place] for place in coded.argmax(1)])


Column = NumberColumn | ChoiceColumn


@dataclass(frozen=True)
class TableForm:
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, seed: int = 0) -> TableForm:
        """Learn from the rows of a table: numbers, texts, and yes or no.

        Raises:
            InputError: a column holds dates or lists, holds nothing, or none of its texts is of ten rows.
        """
        return cls(tuple(_column(frame[name], derive(seed, name)) for name in frame.columns))

    @property
    def widths(self) -> list[tuple[int, int]]:
        """Give the widths of all columns."""
        return [column.widths for column in self.columns]

    @property
    def choices(self) -> list[tuple[int, ChoiceColumn]]:
        """List the columns of choices, with the place at which each begins."""
        starts = np.cumsum([0, *(sum(widths) for widths in self.widths)])
        pairs = zip(starts, self.columns, strict=False)
        return [(int(start), column) for start, column in pairs if isinstance(column, ChoiceColumn)]

    def encode(self, frame: pl.DataFrame, seed: int = 0) -> NDArray[np.float32]:
        """Give rows as numbers: (n, width)."""
        rng = generator(seed, "modes")
        return np.hstack([one.encode(frame[one.name], rng) for one in self.columns]).astype(np.float32)

    def decode(self, coded: NDArray[np.floating]) -> pl.DataFrame:
        """Give numbers (n, width) as rows."""
        edges = np.cumsum([sum(widths) for widths in self.widths])[:-1]
        parts = np.split(coded.astype(np.float64), edges, axis=1)
        return pl.DataFrame([one.decode(part) for one, part in zip(self.columns, parts, strict=True)])

    def to_json(self) -> list[dict[str, Any]]:
        """Give plain JSON values."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, content: Sequence[Mapping[str, Any]]) -> TableForm:
        """Read back what `to_json` gave."""
        return cls(tuple(_read_column(one) for one in content))


def _read_column(content: Mapping[str, Any]) -> Column:
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return ChoiceColumn(**plain) if "choices" in plain else NumberColumn(**plain)


def _column(values: pl.Series, seed: int) -> Column:
    kind = values.dtype
    if not (kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Categorical)):
        raise InputError(
            "column {column!r} holds {type}; make numbers or texts of it, or leave it out",
            column=values.name,
            type=str(kind),
        )
    if kind.is_numeric():
        values = values.cast(pl.Float64).fill_nan(None) if kind.is_float() else values
        if values.n_unique() > _FEW_VALUES:
            return _number(values, seed)
    elif kind == pl.Categorical:
        values = values.cast(pl.String)
    counts = values.value_counts(sort=True, name="n").filter(pl.col("n") >= FEWEST)
    if not counts.height or counts[values.name].null_count() == counts.height:
        raise InputError(
            "no value of column {column!r} is that of {n} rows or more; leave the column out",
            column=values.name,
            n=FEWEST,
        )
    counts = counts.sort(["n", values.name], descending=[True, False])
    shares = counts["n"] / counts["n"].sum()
    return ChoiceColumn(values.name, tuple(counts[values.name]), tuple(shares))


def _number(values: pl.Series, seed: int) -> NumberColumn:
    from sklearn.mixture import BayesianGaussianMixture

    known = values.drop_nulls().to_numpy().astype(np.float64)
    if len(known) < 2 * FEWEST:
        raise InputError(
            "no value of column {column!r} is that of {n} rows or more; leave the column out",
            column=values.name,
            n=FEWEST,
        )
    low, high = np.sort(known)[[FEWEST - 1, -FEWEST]]
    x = np.clip(known, low, high)
    chosen = generator(seed, "mixture").permutation(x)[:_FITTED_ON]
    spread = chosen.std() or 1.0
    middle = chosen.mean()
    mixture = BayesianGaussianMixture(
        n_components=min(_MODES, len(chosen) // FEWEST),
        weight_concentration_prior=0.001,
        max_iter=100,
        random_state=seed % 2**32,
    )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged: any mixture will do
        mixture.fit(((chosen - middle) / spread)[:, None])
    kept = mixture.weights_ > _LEAST_WEIGHT
    means = mixture.means_[kept, 0] * spread + middle
    sds = np.sqrt(mixture.covariances_[kept, 0, 0]) * spread
    order = np.argsort(means)
    whole = bool((known == np.round(known)).all())
    return NumberColumn(
        values.name,
        tuple(means[order].tolist()),
        tuple(sds[order].tolist()),
        float(low),
        float(high),
        whole,
        values.null_count() > 0,
    )
