"""How answers move with one input: partial dependence, a curve a patient (ICE), accumulated local effects (ALE).

Partial dependence (Friedman, Ann Stat 2001;29:1189-1232) asks about every patient with every value, also where no such
patient could be: a newborn of 80 kg. ALE (Apley and Zhu, J R Stat Soc B 2020;82:1059-1086) moves each patient only to
the ends of the bin it is in, and is to be preferred where inputs go together. ICE: Goldstein et al., J Comput Graph
Stat 2015;24:44-65. All tell what the model does, not what would happen to a patient whose value is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.asking import (
    Answer,
    AskedModel,
    Inputs,
    Integers,
    in_blocks,
    interval_of,
    output_place,
    resampled,
    single,
    table_of,
)
from medloom.explanation.contributions import Floats
from medloom.foundation.charts import Axis, Format, Guide, Line, line_chart
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.tasks.samples import Samples

_FEW: Final = 10  # values that are each a point of their own
_PEOPLE: Final = 10  # beyond each end of what is drawn, so that no one patient's extreme is


@dataclass(frozen=True)
class Dependence:
    """How answers move when one input is set to each of g values, for all n patients who have it.

    Attributes:
        input: its name.
        output: which answer.
        grid: (g,) ascending.
        curves: (n, g) answers, a row a patient (ICE).
        mean: (g,) partial dependence.
        low, high: (g,) its 95 % interval over patients; NaN for fewer than 10.
        missing: mean answer of the same patients were the input missing; None where it never is.
        histogram: edges (h + 1,) and counts (h,) of the values patients have, within the grid.
    """

    input: str
    output: str
    grid: Floats
    curves: Floats
    mean: Floats
    low: Floats
    high: Floats
    missing: float | None
    histogram: tuple[Floats, Integers]


@dataclass(frozen=True)
class Effects:
    """Accumulated local effects of one input, at e edges of bins.

    Attributes:
        input: its name.
        output: which answer.
        edges: (e,) ascending.
        effect: (e,) on the scale of the answer; its mean over patients is 0.
        low, high: (e,) its 95 % interval over patients; NaN for fewer than 10.
        histogram: the edges and how many patients each bin has, (e - 1,).
    """

    input: str
    output: str
    edges: Floats
    effect: Floats
    low: Floats
    high: Floats
    histogram: tuple[Floats, Integers]


def dependence_on(
    model: AskedModel,
    samples: Samples,
    input: str,
    *,
    output: str | None = None,
    most: int = 500,
    points: int = 21,
    seed: int = 0,
) -> Dependence:
    """Set an input of any model to each of some values, for every sample.

    Args:
        model: any that can be asked.
        samples: of the patients asked about.
        input: name of the input.
        output: which answer; None: the only one there is.
        most: so many samples are drawn at most.
        points: values at most.
        seed: of the draws.

    Raises:
        InputError: there is no such input or output, or no sample has a value of the input.
    """
    place = output_place(model.origin.question, output)
    table = table_of(model, samples, most, seed)
    column = table.column(input)
    found = partial_dependence(
        model.answer, table.x, column, place, points=points, subjects=table.subjects, seed=seed
    )
    return _named(found, input, model.origin.question.outputs[place])


def effects_of(
    model: AskedModel,
    samples: Samples,
    input: str,
    *,
    output: str | None = None,
    most: int = 5000,
    bins: int = 20,
    seed: int = 0,
) -> Effects:
    """Accumulate the local effects of an input of any model; arguments and errors as `dependence_on`."""
    place = output_place(model.origin.question, output)
    table = table_of(model, samples, most, seed)
    column = table.column(input)
    found = accumulated_effects(
        model.answer, table.x, column, place, bins=bins, subjects=table.subjects, seed=seed
    )
    return _named(found, input, model.origin.question.outputs[place])


def partial_dependence(
    answer: Answer,
    x: Inputs,
    column: int,
    output: int = 0,
    *,
    points: int = 21,
    grid: Sequence[float] | Floats | None = None,
    subjects: Integers | None = None,
    seed: int = 0,
) -> Dependence:
    """Set one column to each value of a grid, for every row that has a value in it.

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) NaN where missing.
        column: which is set.
        output: which answer.
        points: values at most: quantiles of those there are, or all, where there are few.
        grid: the values to set; None: chosen.
        subjects: (n,) who each row is of, for the interval. None: each of another.
        seed: of the resamples behind the interval.

    Raises:
        InputError: no row has a value in this column.

    >>> x = np.array([[0, 1], [2, 1], [4, np.nan]], np.float32)
    >>> partial_dependence(lambda x: 3.0 * x[:, :1] + np.nan_to_num(x[:, 1:]), x, 0, grid=[0, 1]).mean.round(3)
    array([0.667, 3.667])
    """
    rows, who, values = _known(x, column, subjects)
    chosen = np.asarray(_grid(values, points) if grid is None else grid, np.float64)
    ask = single(answer, output)
    curves = np.empty((len(rows), len(chosen)))
    for place, value in enumerate(chosen):
        set_so = rows.copy()
        set_so[:, column] = value
        curves[:, place] = ask(set_so)
    missing = None
    if np.isnan(x[:, column]).any():
        rows[:, column] = np.nan
        missing = float(ask(rows).mean())
    low, high = interval_of(
        [weights @ curves / weights.sum() for weights in resampled(who, seed, "dependence")], len(chosen)
    )
    return Dependence(
        "", "", chosen, curves, curves.mean(axis=0), low, high, missing, _histogram(values, chosen)
    )


def accumulated_effects(
    answer: Answer,
    x: Inputs,
    column: int,
    output: int = 0,
    *,
    bins: int = 20,
    subjects: Integers | None = None,
    seed: int = 0,
) -> Effects:
    """Add up, from bin to bin, how answers move from the one end of a bin to the other, for the rows in it.

    Apley and Zhu 2020, equations 15 and 16. Rows without a value in the column are left out, and those beyond the
    first or last edge.

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) NaN where missing.
        column: whose effect.
        output: which answer.
        bins: at most; their edges are quantiles of the values, or all values, where there are few.
        subjects: (n,) who each row is of, for the interval. None: each of another.
        seed: of the resamples behind the interval.

    Raises:
        InputError: no row has a value in this column.

    >>> x = np.arange(9, dtype=np.float32)[:, None]
    >>> found = accumulated_effects(lambda x: 2.0 * x, x, 0)
    >>> np.diff(found.effect) / np.diff(found.edges)
    array([2., 2., 2., 2., 2., 2., 2., 2.])
    """
    rows, who, values = _known(x, column, subjects)
    edges = _grid(values, bins + 1)
    if len(edges) < 2:
        nothing, unknown = np.zeros(1), np.full(1, np.nan)
        return Effects("", "", edges, nothing, unknown, unknown, (edges, np.empty(0, np.int64)))
    inside = (values >= edges[0]) & (values <= edges[-1])
    rows, who, values = rows[inside], who[inside], values[inside]
    bin_of = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
    ask = single(answer, output)
    upper, lower = rows.copy(), rows
    upper[:, column], lower[:, column] = edges[bin_of + 1], edges[bin_of]
    moved = ask(upper) - ask(lower)

    size = len(edges) - 1
    counts = np.bincount(bin_of, minlength=size)  # never 0: each edge is a value
    usual = np.bincount(bin_of, moved, size) / counts

    def accumulated(weights: Floats) -> Floats:
        held = np.bincount(bin_of, weights, size)
        steps = np.bincount(bin_of, weights * moved, size) / np.maximum(held, 1e-300)
        steps = np.where(held > 0, steps, usual)
        sums = np.concatenate([[0.0], np.cumsum(steps)])
        centred: Floats = sums - held @ (sums[1:] + sums[:-1]) / 2 / held.sum()
        return centred

    low, high = interval_of([accumulated(weights) for weights in resampled(who, seed, "effects")], len(edges))
    return Effects("", "", edges, accumulated(np.ones(len(rows))), low, high, (edges, counts))


def curve_of(answer: Answer, row: Inputs, found: Dependence, column: int, output: int = 0) -> Floats:
    """Ask what one patient's answers would be along a grid: (p,) → (g,)."""
    rows = np.repeat(row[None], len(found.grid), axis=0)
    rows[:, column] = found.grid
    return in_blocks(answer, rows)[:, output]


def dependence_drawing(
    found: Dependence,
    name: Text2,
    answer: Text2,
    *,
    format: Format = "percent",
    patient: tuple[float, Floats] | None = None,
) -> str:
    """Draw partial dependence, within which 8 of 10 patients' own curves lie, and one patient's.

    Other patients' single curves are not drawn: a page is no place for them.

    Args:
        found: what is drawn.
        name: of the input, with its unit: `wording.input_name`.
        answer: what is answered, for the axis.
        format: `percent` for probabilities.
        patient: the value of the patient on the page, and his curve (`curve_of`).
    """
    inner, outer = np.quantile(found.curves, (0.1, 0.9), axis=0).tolist()
    grid = found.grid.tolist()
    lines = [Line(text2("average; 8 of 10 patients"), grid, found.mean.tolist(), inner, outer)]
    if patient is not None:
        value, curve = patient
        lines.append(Line(text2("this patient"), grid, curve.tolist()))
        if grid[0] <= value <= grid[-1]:
            here = [float(np.interp(value, grid, curve))]
            lines.append(Line(text2("this patient's value"), [value], here, here, here, points=True))
    guides = []
    x = _axis(name, found.grid)
    if found.missing is not None:
        guides.append(Guide(text2("if not known"), x.low, found.missing, x.high, found.missing))
    drawn = [*inner, *outer, *(patient[1] if patient is not None else []), *(g.y1 for g in guides)]
    title = text2("How the answer moves with one input")
    said = text2(
        "The model was asked again with this input set to each value and all others left as they are."
        " This shows what the model does, not what a change would do to a patient."
    )
    y = _axis(answer, drawn, format)
    if format == "percent":
        y = Axis(answer, max(y.low, 0.0), min(y.high, 1.0), format)
    return line_chart(title, said, lines, x, y, guides, _bars(found.histogram))


def effects_drawing(found: Effects, name: Text2, answer: Text2, *, format: Format = "percent") -> str:
    """Draw accumulated local effects with their 95 % interval; arguments as `dependence_drawing`."""
    known = np.isfinite(found.low).all()
    low, high = (found.low.tolist(), found.high.tolist()) if known else (None, None)
    said = text2("effect, with its 95 % interval") if known else text2("effect")
    line = Line(said, found.edges.tolist(), found.effect.tolist(), low, high)
    x = _axis(name, found.edges)
    guide = Guide(text2("no effect"), x.low, 0, x.high, 0)
    drawn = [*found.effect, 0.0, *(low or []), *(high or [])]
    title = text2("How the answer moves with one input, for patients who have such values")
    said = text2(
        "Differences of answers between the ends of narrow bins, added up (ALE)."
        " This shows what the model does, not what a change would do to a patient."
    )
    return line_chart(title, said, [line], x, _axis(answer, drawn, format), [guide], _bars(found.histogram))


_Found = TypeVar("_Found", Dependence, Effects)


def _named(found: _Found, input: str, output: str) -> _Found:
    return replace(found, input=input, output=output)


def _known(x: Inputs, column: int, subjects: Integers | None) -> tuple[Inputs, NDArray[np.int64], Floats]:
    """Give the rows that have a value in the column, who they are of, and the values."""
    has = ~np.isnan(x[:, column])
    if not has.any():
        raise InputError(
            "none of the {n} samples has a value of this input; choose another, or hand in more samples",
            n=len(x),
        )
    who = np.arange(len(x)) if subjects is None else subjects
    return x[has], who[has], x[has, column].astype(np.float64)


def _grid(values: Floats, points: int) -> Floats:
    """Choose values: all, where there are few; else quantiles, with some patients beyond each end."""
    each = np.unique(values)
    if len(each) <= min(_FEW, points):
        return each
    beyond = min(max(0.01, _PEOPLE / len(values)), 0.1)
    return np.unique(np.quantile(values, np.linspace(beyond, 1 - beyond, points), method="inverted_cdf"))


def _histogram(values: Floats, grid: Floats) -> tuple[Floats, Integers]:
    if len(grid) < 2:
        return grid, np.empty(0, np.int64)
    if len(grid) <= _FEW:
        middle = (grid[1:] + grid[:-1]) / 2
        edges = np.concatenate(
            [[grid[0] - (middle[0] - grid[0])], middle, [grid[-1] + (grid[-1] - middle[-1])]]
        )
    else:
        edges = np.linspace(grid[0], grid[-1], 21)
    return edges, np.histogram(values, edges)[0]


def _bars(histogram: tuple[Floats, Integers]) -> tuple[Sequence[float], Sequence[int]] | None:
    edges, counts = histogram
    if not len(counts):
        return None
    # bins differ in width: what is drawn is how dense patients are
    dense = counts / np.maximum(np.diff(edges), 1e-300)
    return edges.tolist(), np.round(1000 * dense / max(dense.max(), 1e-300)).astype(int).tolist()


def _axis(label: Text2, drawn: Sequence[float] | Floats, format: Format = "number") -> Axis:
    low, high = float(np.min(drawn)), float(np.max(drawn))
    room = 0.05 * (high - low) or abs(low) * 0.1 or (0.05 if format == "percent" else 1.0)
    return Axis(label, low - room, high + room, format)
