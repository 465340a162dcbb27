"""Asking a model again and again: what every explainer needs that looks at a model from outside only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.contributions import Floats
from medloom.features.matrix import FeatureMatrix
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.tasks.kinds import VALUE
from medloom.tasks.model import Origin
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples

Inputs = NDArray[np.float32]
Integers = NDArray[np.int64]
Answer = Callable[[Inputs], Floats]
"""What is asked: (n, p) inputs, NaN where missing → (n, k) answers."""

_CELLS: Final = 8_000_000  # held at a time
LEAST_SUBJECTS: Final = 10  # that an interval rests on
_REPLICATES: Final = 200


class AskedModel(Protocol):
    """A model that answers for rows of numbers with names."""

    @property
    def origin(self) -> Origin:
        """Tell what it learned to answer."""
        ...

    def inputs(self, samples: Samples) -> FeatureMatrix:
        """Give what the model looks at: n samples by p inputs, as they are before any preparation."""
        ...

    def answer(self, x: Inputs) -> Floats:
        """Answer: (n, p) → (n, k) probabilities or values."""
        ...


@dataclass(frozen=True)
class Table:
    """The inputs of n samples as one array.

    Attributes:
        x: (n, p) NaN where missing.
        names: p readable names.
        codes: p codes behind the inputs.
        sample_ids: (n,).
        subjects: (n,) what must not be split: the patient.
    """

    x: Inputs
    names: tuple[str, ...]
    codes: tuple[str | None, ...]
    sample_ids: Integers
    subjects: Integers

    def column(self, name: str) -> int:
        """Find an input.

        Raises:
            InputError: there is none of this name.
        """
        if name not in self.names:
            near = [one for one in self.names if name.casefold() in one.casefold()][:5] or self.names[:5]
            raise InputError(
                "the model has no input {name!r}; it has {n}, such as: {near}",
                name=name,
                n=len(self.names),
                near=near,
            )
        return self.names.index(name)


def table_of(model: AskedModel, samples: Samples, most: int | None = None, seed: int = 0) -> Table:
    """Make the inputs of samples, or of at most so many that are drawn.

    Args:
        model: whose inputs.
        samples: whose histories.
        most: draw so many at most, each with the same chance, kept in order; None: all.
        seed: of the draw.
    """
    if most is not None and len(samples) > most:
        kept = generator(seed, "drawn samples").choice(len(samples), most, replace=False)
        drawn = samples.frame["sample_id"].gather(np.sort(kept))
        samples = samples.where(pl.col("sample_id").is_in(drawn.implode()))
    made = model.inputs(samples)
    values = made.values
    x = values if isinstance(values, np.ndarray) else values.toarray()
    ids = samples.frame["sample_id"].to_numpy()
    return Table(np.ascontiguousarray(x, np.float32), made.names, made.codes, ids, samples.groups)


def in_blocks(answer: Answer, x: Inputs) -> Floats:
    """Ask in blocks of rows that fit into memory beside what the model makes of them: (n, p) → (n, k).

    >>> in_blocks(lambda x: x.astype(float), np.ones((3, 1), np.float32)).tolist()
    [[1.0], [1.0], [1.0]]
    """
    rows = max(1, _CELLS // max(1, x.shape[1]))
    parts = [np.asarray(answer(x[at : at + rows]), np.float64) for at in range(0, max(1, len(x)), rows)]
    return parts[0] if len(parts) == 1 else np.vstack(parts)


def single(answer: Answer, output: int) -> Callable[[Inputs], Floats]:
    """Ask for one of the answers: (n, p) → (n,)."""

    def one(x: Inputs) -> Floats:
        return in_blocks(answer, x)[:, output] if len(x) else np.empty(0)

    return one


def output_place(question: Question, output: str | None) -> int:
    """Find which answer is meant; None: the only one there is.

    Raises:
        InputError: there are several and none was named, or there is none of this name.

    >>> from medloom.tasks.question import Title
    >>> output_place(Question(task="t", kind="binary", title=Title(en="t", zh="t")), None)
    0
    """
    outputs = question.outputs
    if output is None and len(outputs) > 1:
        raise InputError("say of which answer the reasons are wanted: {outputs}", outputs=outputs)
    if output is not None and output not in outputs:
        raise InputError(
            "there is no answer {output!r} to task {task!r}; there are: {outputs}",
            output=output,
            task=question.task,
            outputs=outputs,
        )
    return 0 if output is None else outputs.index(output)


def answer_scale(question: Question) -> str:
    """Name what answers are measured in: `probability`, or the unit of a value."""
    return question.unit or VALUE if question.kind == "regression" else "probability"


def differ(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell where values differ; missing is the same as missing.

    >>> differ(np.array([1.0, np.nan, 2.0]), np.array([1.0, np.nan, np.nan])).tolist()
    [False, False, True]
    """
    apart: NDArray[np.bool_] = (a != b) & ~(np.isnan(a) & np.isnan(b))
    return apart


def by_code(names: Sequence[str], codes: Sequence[str | None]) -> tuple[Integers, tuple[str, ...]]:
    """Number the inputs by what they are about: all windows and statistics of a code are one.

    Returns:
        the number of each input, (p,); and for each number the code, or the name of an input that stands alone.

    >>> by_code(["age", "A count ever", "A count 24h"], ["MEDS_BIRTH", "A", "A"])
    (array([0, 1, 1]), ('age', 'A'))
    """
    known: dict[str, int] = {}
    pairs = list(zip(names, codes, strict=True))
    numbers = np.array([known.setdefault(code or name, len(known)) for name, code in pairs], np.int64)
    words = list(known)
    for group, columns in enumerate(members(numbers)):
        if len(columns) == 1:
            words[group] = names[columns[0]]
    return numbers, tuple(words)


def members(groups: Integers) -> Iterator[Integers]:
    """Give the columns of each group, in the order of their numbers."""
    order = np.argsort(groups, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(groups) else []


def resampled(subjects: Integers, seed: int, *names: str) -> list[Floats]:
    """Draw as many subjects as there are, with replacement, 200 times; give how often each sample is drawn: (n,) each.

    Args:
        subjects: (n,) who each sample is of; fewer than 10 different ones give no resamples.
        seed: of the draws.
        names: what they are for.
    """
    who = np.unique(subjects, return_inverse=True)[1]
    n = int(who.max()) + 1 if len(who) else 0
    if n < LEAST_SUBJECTS:
        return []
    rng = generator(seed, "resamples", *names)
    drawn = [np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64) for _ in range(_REPLICATES)]
    return [weights[who] for weights in drawn]


def interval_of(draws: Sequence[Floats], size: int) -> tuple[Floats, Floats]:
    """Give 95 % percentile intervals of resampled arrays (size,), NaN left out; all NaN where there are none."""
    if not draws or np.isnan(draws).all():
        return np.full(size, np.nan), np.full(size, np.nan)
    low, high = np.nanquantile(np.stack(draws), (0.025, 0.975), axis=0)
    return low, high
