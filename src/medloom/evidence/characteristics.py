"""Who the patients of a model are, and what is known of them: with and without the outcome, by split.

What OHDSI's PatientLevelPrediction calls demographic summary and covariate summary (R/DemographicSummary.R,
R/CovariateSummary.R of version 6). Nobody is shown who could be found: a number of fewer than ten persons is given
as `<10`, and where it could be told from its neighbours one of these as `≥10` (complementary suppression, Hundepool
et al., Statistical Disclosure Control, 2012, section 4.4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.counts import FEWEST, HIDDEN, Count, one_more_hidden
from medloom.evidence.subgroups import split_by
from medloom.explanation.windowed import COUNT, windowed
from medloom.features.matrix import FeatureMatrix
from medloom.tasks.kinds import Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Some patients: a split, or those of it with or without the outcome.

    Attributes:
        persons: how many.
        age: mean and standard deviation in years; None: not known of ten.
        groups: dimension (`sex`, `age`, `race`, …) → name → persons.
    """

    persons: Count
    age: tuple[float, float] | None
    groups: dict[str, dict[str, Count]]


@dataclass(frozen=True)
class DemographicSummary:
    """People by split, then `all`, `with` and `without` the outcome (the last two where there is such a thing)."""

    splits: dict[str, dict[str, People]]

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {
            split: {
                name: {
                    "persons": one.persons.shown,
                    "age": None if one.age is None else {"mean": one.age[0], "sd": one.age[1]},
                    "groups": {
                        dimension: {group: count.shown for group, count in counts.items()}
                        for dimension, counts in one.groups.items()
                    },
                }
                for name, one in parts.items()
            }
            for split, parts in self.splits.items()
        }


@dataclass(frozen=True)
class Covariate:
    """One input of a model, over some samples.

    Attributes:
        name: of the input.
        present: share of samples with a value (of counts: above 0); None: of fewer than ten persons.
        mean, sd: of the values, by `all`, `with`, `without`; None: of fewer than ten persons.
        smd: standardised mean difference, with minus without the outcome.
        shift: standardised mean difference, evaluated minus learned from.
    """

    name: str
    present: float | None
    mean: dict[str, float | None]
    sd: dict[str, float | None]
    smd: float | None
    shift: float | None

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {
            "input": self.name,
            "present": self.present,
            "mean": self.mean,
            "sd": self.sd,
            "smd": self.smd,
            "shift": self.shift,
        }


def has_outcome(kind: Kind, label: pl.Series) -> NDArray[np.bool_] | None:
    """Tell which samples had the outcome: (n,); None: the question has no single one.

    >>> has_outcome("binary", pl.Series([True, False])).tolist()
    [True, False]
    """
    if kind == "binary":
        return label.fill_null(False).to_numpy().astype(np.bool_)
    if kind == "survival":
        return label.struct.field("event").is_not_null().to_numpy()
    return None


def summarise_people(
    frame: pl.DataFrame,
    demographics: pl.DataFrame,
    outcome: NDArray[np.bool_] | None,
    judged: str | None = None,
) -> DemographicSummary:
    """Count persons by split and outcome.

    Args:
        frame: of samples: `sample_id`, `group` and `split`.
        demographics: as `tasks.demographics` gives them.
        outcome: (n,) as `has_outcome` tells.
        judged: the split that an evaluation is of, whose groups these are too; None: none.
    """
    age = frame.select("sample_id").join(
        demographics.select("sample_id", "age"), on="sample_id", how="left", maintain_order="left"
    )["age"]
    years = age.cast(pl.Float64).fill_null(np.nan).to_numpy()
    who, split = frame["group"].to_numpy(), frame["split"].to_numpy()
    dimensions: dict[str, dict[str, NDArray[np.bool_]]] = {}
    counted = None if judged is None else split == judged
    for dimension, name, chosen in split_by(frame["sample_id"], demographics, counted):
        dimensions.setdefault(dimension, {})[name] = chosen
    found: dict[str, dict[str, People]] = {}
    for name in dict.fromkeys(split.tolist()):
        parts = {"all": split == name}
        if outcome is not None:
            parts |= {"with": parts["all"] & outcome, "without": parts["all"] & ~outcome}
        found[str(name)] = _guarded(
            {key: _people(mine, who, years, dimensions) for key, mine in parts.items()}
        )
    return DemographicSummary(found)


def summarise_inputs(
    learned: FeatureMatrix,
    who: NDArray[np.int64],
    outcome: NDArray[np.bool_] | None,
    evaluated: FeatureMatrix | None = None,
    evaluated_who: NDArray[np.int64] | None = None,
) -> list[Covariate]:
    """Describe each input over the samples that were learned from.

    Args:
        learned: n samples by p inputs.
        who: (n,) persons.
        outcome: (n,) as `has_outcome` tells.
        evaluated: the same inputs of the samples that judged the model.
        evaluated_who: persons of these; None: each is a person.

    >>> import scipy.sparse as sp
    >>> x = np.array([[0.0], [2.0]] * 20, np.float32)
    >>> matrix = FeatureMatrix(x, sp.csr_matrix((40, 0)), ("x",), (None,))
    >>> (one,) = summarise_inputs(matrix, np.arange(40), None)
    >>> one.present, one.mean["all"], one.sd["all"]
    (1.0, 1.0, 1.0)
    """
    parts = {"all": np.ones(len(who), np.bool_)}
    if outcome is not None:
        parts |= {"with": outcome, "without": ~outcome}
    moments = {key: _moments(learned, mine, who) for key, mine in parts.items()}
    elsewhere = None
    if evaluated is not None:
        n = evaluated.shape[0]
        each = np.arange(n) if evaluated_who is None else evaluated_who
        elsewhere = _moments(evaluated, np.ones(n, np.bool_), each)
    made = []
    for place, name in enumerate(learned.names):
        counts = windowed(name)
        is_count = counts is not None and counts.statistic == COUNT
        whole = moments["all"]
        present = whole.positive[place] if is_count else whole.known[place]
        shown = {key: one.at(place) for key, one in moments.items()}
        if None in shown.values():  # the mean of all and of one half tells the other's
            shown |= {key: None for key in shown if key != "all"}
        pair = (shown["with"], shown["without"]) if outcome is not None else (None, None)
        other = None if elsewhere is None else elsewhere.at(place)
        made.append(
            Covariate(
                name,
                float(present) if whole.enough[place] else None,
                {key: None if one is None else one[0] for key, one in shown.items()},
                {key: None if one is None else one[1] for key, one in shown.items()},
                _standardised(*pair),
                _standardised(other, shown["all"]),
            )
        )
    return made


@dataclass(frozen=True)
class _Moments:
    """Of p inputs: shares of samples with a value and with one above 0, mean, deviation, and whether enough have it."""

    known: Floats
    positive: Floats
    mean: Floats
    sd: Floats
    enough: NDArray[np.bool_]

    def at(self, place: int) -> tuple[float, float] | None:
        if not self.enough[place] or not np.isfinite(self.mean[place]):
            return None
        return float(self.mean[place]), float(self.sd[place])


def _moments(matrix: FeatureMatrix, mine: NDArray[np.bool_], who: NDArray[np.int64]) -> _Moments:
    rows = np.flatnonzero(mine)
    n = max(1, len(rows))
    repeats = int(np.unique(who[rows], return_counts=True)[1].max()) if len(rows) else 1
    columns: list[tuple[float, float, float, float, bool]] = []

    def describe(values: Floats, zeros: int, told_by: NDArray[np.integer]) -> None:
        """Take the values of one input, `zeros` more that are 0, and the rows whose value tells of somebody."""
        size = len(values) + zeros
        mean = float(values.sum() / size) if size else np.nan
        sd = float(np.sqrt(max(0.0, (np.square(values).sum() / size) - mean**2))) if size else np.nan
        telling = len(told_by)
        if telling < FEWEST * repeats:
            telling = len(np.unique(who[told_by]))
        # what all but a few have tells of the few as well
        others = len(rows) - len(told_by)
        enough = telling >= FEWEST and (others == 0 or others >= FEWEST or len(told_by) == size)
        columns.append((size / n, float((values > 0).sum()) / n, mean, sd, enough))

    for place in range(matrix.dense.shape[1]):
        values = matrix.dense[rows, place].astype(np.float64)
        known = ~np.isnan(values)
        kept = values[known]
        two = len(kept) > 0 and bool(np.isin(kept, (0.0, 1.0)).all())
        telling = rows[known][kept > 0] if two else rows[known]
        describe(kept, 0, telling)
    sparse = matrix.sparse[rows].tocsc()
    for place in range(sparse.shape[1]):
        span = slice(sparse.indptr[place], sparse.indptr[place + 1])
        values = sparse.data[span].astype(np.float64)
        describe(values, len(rows) - len(values), rows[sparse.indices[span]])
    known, positive, mean, sd, enough = (np.array(column) for column in zip(*columns, strict=True))
    return _Moments(known, positive, mean, sd, enough.astype(np.bool_))


def _standardised(one: tuple[float, float] | None, other: tuple[float, float] | None) -> float | None:
    """Divide the difference of means by the pooled deviation (Austin, Stat Med 2009;28:3083-3107, section 2)."""
    if one is None or other is None:
        return None
    pooled = float(np.sqrt((one[1] ** 2 + other[1] ** 2) / 2))
    return (one[0] - other[0]) / pooled if pooled > 0 else None


def _people(
    mine: NDArray[np.bool_],
    who: NDArray[np.int64],
    years: Floats,
    dimensions: Mapping[str, Mapping[str, NDArray[np.bool_]]],
) -> People:
    ages = years[mine & ~np.isnan(years)]
    enough = len(np.unique(who[mine & ~np.isnan(years)])) >= FEWEST
    return People(
        _persons(who, mine),
        (float(ages.mean()), float(ages.std())) if enough else None,
        {
            dimension: {name: _persons(who, mine & chosen) for name, chosen in groups.items()}
            for dimension, groups in dimensions.items()
        },
    )


def _persons(who: NDArray[np.int64], mine: NDArray[np.bool_]) -> Count:
    return Count.of(len(np.unique(who[mine])))


def _guarded(parts: dict[str, People]) -> dict[str, People]:
    """Hide, beside each hidden number, one that it could be told from: of the same group, and of the same people."""
    persons = _pair_hidden([parts[key].persons for key in parts])
    halves = all(
        one.age is not None for one in parts.values()
    )  # the mean of all and of one half tells the other's
    tables = {
        dimension: [
            [parts[key].groups[dimension][name] for key in parts] for name in parts["all"].groups[dimension]
        ]
        for dimension in parts["all"].groups
    }
    for dimension, rows in tables.items():
        for _ in range(2 * len(rows) + 2):  # each round hides more or nothing
            before = rows
            rows = [_pair_hidden(row) for row in rows]
            columns = [one_more_hidden(list(column)) for column in zip(*rows, strict=True)]
            rows = [list(row) for row in zip(*columns, strict=True)]
            if rows == before:
                break
        tables[dimension] = rows
    return {
        key: People(
            persons[at],
            one.age if key == "all" or halves else None,
            {
                dimension: {
                    name: tables[dimension][place][at] for place, name in enumerate(one.groups[dimension])
                }
                for dimension in one.groups
            },
        )
        for at, (key, one) in enumerate(parts.items())
    }


def _pair_hidden(row: Sequence[Count]) -> list[Count]:
    """Of all, with and without: where one of the last two is hidden, all minus the other would tell it."""
    if len(row) < 3 or row[0].n is None:
        return list(row)
    whole, *halves = row
    hidden = [half.n is None for half in halves]
    return (
        [whole, *((Count(None, HIDDEN) if half.n is not None else half) for half in halves)]
        if any(hidden)
        else list(row)
    )
