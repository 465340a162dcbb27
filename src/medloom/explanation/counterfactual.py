"""Counterfactuals: the nearest changes of a patient with which a model would answer below a threshold.

Wachter, Mittelstadt and Russell, Harv J Law Technol 2018;31:841-887; several, diverse ones: Mothilal, Sharma and Tan,
FAT* 2020; only what can change, and only where patients are: Karimi et al., ACM Comput Surv 2022;55(95), and Poyiadzi
et al., AIES 2020. They say what the model would answer about another patient, not what a treatment would achieve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.asking import AskedModel, Inputs, output_place, single, table_of
from medloom.explanation.contributions import Floats
from medloom.explanation.levers import Lever, levers_of
from medloom.explanation.numbers import percent
from medloom.explanation.wording import amount, fill, same
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.tasks.samples import Samples

_BEAM: Final = 24  # half-finished combinations that are followed
_STRONG: Final = 12  # levers that are combined
_TRIED: Final = 60  # combinations that are looked at closely
_OF_EACH: Final = 3  # of the same levers
_STEPS: Final = 12  # in which a change is taken back, twice
_AT_ONCE: Final = 2000
_NEIGHBOURS: Final = 10
_SEEN: Final = 2000  # training patients whose distances are measured
_MEASURED: Final = 300
_USUAL: Final = 0.95  # of training patients are as near to others as a counterfactual must be


@dataclass(frozen=True)
class Change:
    """One thing that would be another: an input's name, its code, its value now and then."""

    input: str
    code: str | None
    before: float
    after: float


@dataclass(frozen=True)
class Counterfactual:
    """Changes with which the answer would be on the other side.

    Attributes:
        changes: the larger one first.
        answer: of the model, then.
        distance: how far the patient would move, in distances between training quarters, summed up.
        remoteness: mean distance to the tenth-nearest training patient, relative to what is so for 95 of 100 of them:
            up to 1 there are patients like this.
        row: (p,) the inputs then.
    """

    changes: tuple[Change, ...]
    answer: float
    distance: float
    remoteness: float
    row: Inputs


@dataclass(frozen=True)
class Counterfactuals:
    """What was found for one patient.

    Attributes:
        answer: of the model now.
        threshold: that should be crossed.
        found: nearest first; empty where there is none.
        why_none: says so, and why; None where some were found.
        sample_id: None where none was given.
    """

    answer: float
    threshold: float
    found: tuple[Counterfactual, ...]
    why_none: Text2 | None = None
    sample_id: int | None = None

    def frame(self) -> pl.DataFrame:
        """Give one row a change: `way`, `input`, `code`, `before`, `after`, `answer`; ways are numbered from 1."""
        rows = [
            (way, change.input, change.code, change.before, change.after, one.answer)
            for way, one in enumerate(self.found, 1)
            for change in one.changes
        ]
        schema = {
            "way": pl.Int64,
            "input": pl.String,
            "code": pl.String,
            "before": pl.Float64,
            "after": pl.Float64,
            "answer": pl.Float64,
        }
        return pl.DataFrame(rows, schema=schema, orient="row")


def ways_below(
    model: AskedModel,
    samples: Samples,
    train: Samples,
    threshold: float,
    *,
    output: str | None = None,
    may_change: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    n: int = 3,
    most_changed: int = 3,
    most: int = 5000,
    seed: int = 0,
) -> list[Counterfactuals]:
    """Find for each sample what would have to be different for the answer to be below a threshold.

    Args:
        model: any that can be asked.
        samples: of the patients.
        train: training samples: what values there are, and what goes with what.
        threshold: of the answer.
        output: which answer; None: the only one there is.
        may_change: codes, or inputs without a time, that can change; None: measurements with known limits.
        units: UCUM units of codes, where they are not the record's canonical ones.
        n: so many ways at most, which change different things.
        most_changed: so many changes at most in one way.
        most: so many training samples are drawn at most.
        seed: of the draws.

    Raises:
        InputError: something named cannot change; or there is no such output.
    """
    place = output_place(model.origin.question, output)
    rows, known = table_of(model, samples), table_of(model, train, most, seed)
    flags = frozenset(
        name for column, name in enumerate(known.names) if np.isin(known.x[:, column], (0, 1)).all()
    )
    levers = levers_of(known, may_change, flags, units)
    ask = single(model.answer, place)
    return [
        replace(
            counterfactuals(ask, row, known.x, levers, threshold, n=n, most_changed=most_changed, seed=seed),
            sample_id=int(sample_id),
        )
        for row, sample_id in zip(rows.x, rows.sample_ids, strict=True)
    ]


def counterfactuals(
    ask: Callable[[Inputs], Floats],
    row: Inputs,
    train: Inputs,
    levers: Sequence[Lever],
    threshold: float,
    *,
    n: int = 3,
    most_changed: int = 3,
    seed: int = 0,
) -> Counterfactuals:
    """Search for the nearest changes with which the answer is below a threshold.

    First each lever alone, then the most helpful ones together. What crosses is drawn back towards the patient as far
    as it still does. It counts only if each value is one that at least 10 training patients about have, and the whole
    is no farther from its tenth-nearest training patient than 95 of 100 of these are from theirs (or than the patient
    is now). Fewer and smaller changes come first; a way that only adds to another is left out.

    Args:
        ask: (m, p) → (m,) for one answer: `asking.single`.
        row: (p,) the patient's inputs; what is missing stays missing.
        train: (t, p) training samples.
        levers: what can be changed: `levers_of`.
        threshold: of the answer.
        n: ways at most.
        most_changed: changes at most in one way.
        seed: of the training samples whose distances are measured.

    >>> from medloom.explanation.asking import Table
    >>> x = np.random.default_rng(0).uniform(0, 10, (300, 2)).astype(np.float32)
    >>> levers = levers_of(Table(x, ("a", "b"), (None, None), np.arange(300), np.arange(300)), may_change=["a"])
    >>> found = counterfactuals(lambda x: x[:, 0] + 0.0, np.array([8, 5], np.float32), x, levers, threshold=5)
    >>> [(change.input, change.before, round(change.after, 1)) for change in found.found[0].changes]
    [('a', 8.0, 5.0)]
    """
    now = float(ask(row[None])[0])
    if now < threshold:
        return Counterfactuals(now, threshold, (), text2("The answer is below the threshold already."))
    if not levers:
        said = text2("Nothing that the model looks at is known to be able to change; name what can.")
        return Counterfactuals(now, threshold, (), said)
    acting = [lever for lever in levers if np.isfinite(row[lever.column])]
    if not acting:
        said = text2("Nothing that can change has been measured in this patient.")
        return Counterfactuals(now, threshold, (), said)
    people = _People.of(train, acting, seed)
    search = _Search(ask, row, acting, threshold, most_changed)
    remote = max(1.0, people.remoteness(row))
    found: list[Counterfactual] = []
    for way in search.crossing():
        levers_moved = {acting[at].input for at, _ in way}
        if any({change.input for change in other.changes} <= levers_moved for other in found):
            continue
        for candidate in (search.drawn_back(way), way):
            one = search.described(candidate, people)
            if one.answer < threshold and one.remoteness <= remote:
                found.append(one)
                break
        if len(found) == n:
            break
    if not found:
        said = text2(
            "None found: no change of up to {n} things, to values and combinations that training patients have,"
            " takes the answer below the threshold.",
            n=most_changed,
        )
        return Counterfactuals(now, threshold, (), said)
    found.sort(key=lambda one: len(one.changes) + one.distance)
    return Counterfactuals(now, threshold, tuple(found))


def in_words(
    found: Counterfactuals,
    one: Counterfactual,
    name: Callable[[str], Text2],
    unit: Callable[[str], str | None],
    *,
    answer_unit: str | None = None,
    is_risk: bool = True,
) -> Text2:
    """Say one way in a sentence, in both languages.

    Args:
        found: for whom it was found.
        one: the way.
        name: says an input: `wording.input_name`.
        unit: gives the unit of an input: `windowed.unit_of`.
        answer_unit: of a value that is answered.
        is_risk: the answer is a probability.
    """
    parts = [
        fill(
            text2("{name} {after} instead of {before}"),
            name=name(change.input),
            after=amount(change.after, unit(change.input)),
            before=amount(change.before, unit(change.input)),
        )
        for change in one.changes
    ]

    def said(value: float) -> Text2:
        return same(percent(value)) if is_risk else amount(value, answer_unit)

    return fill(
        text2("With {changes}, the model would answer {then} instead of {now}."),
        changes=Text2(", ".join(part.en for part in parts), "，".join(part.zh for part in parts)),
        then=said(one.answer),
        now=said(found.answer),
    )


def caution() -> Text2:
    """Say what stands beside every counterfactual."""
    return text2(
        "This says what the model would answer about another patient. It does not say that changing these values"
        " would help this one."
    )


_Way = tuple[tuple[int, float], ...]
"""What would change: (place of the lever, value) pairs."""


class _Search:
    """Looks for ways of one patient across the threshold."""

    def __init__(
        self,
        ask: Callable[[Inputs], Floats],
        row: Inputs,
        levers: Sequence[Lever],
        threshold: float,
        most_changed: int,
    ) -> None:
        self._ask, self._row, self._levers = ask, row, levers
        self._threshold, self._most_changed = threshold, most_changed

    def crossing(self) -> Iterator[_Way]:
        """Give ways that cross, fewer and smaller changes first; of the same levers at most three."""
        steps = [
            (at, value)
            for at, lever in enumerate(self._levers)
            for value in lever.values
            if value != self._row[lever.column] and lever.is_near_people(value)
        ]
        ways: list[_Way] = [(step,) for step in steps]
        strong: set[int] = set()
        for changes in range(1, self._most_changed + 1):
            answers = self._answers(ways)
            if not strong:
                strong = self._strong(ways, answers)
            across = [way for way, answer in zip(ways, answers, strict=True) if answer < self._threshold]
            yield from islice(_few_of_each(sorted(across, key=self._cost)), _TRIED)
            if changes == self._most_changed:
                return
            ranked = [ways[at] for at in np.argsort(answers, kind="stable") if answers[at] >= self._threshold]
            beam = islice(_few_of_each(ranked), _BEAM)
            ways = self._longer([*beam], [step for step in steps if step[0] in strong])
            if not ways:
                return

    def drawn_back(self, way: _Way) -> _Way:
        """Take each change back as far as the answer stays below the threshold, the largest first."""
        for at, value in sorted(way, key=lambda step: -self._size(step)):
            lever = self._levers[at]
            start = float(self._row[lever.column])
            others = tuple(step for step in way if step[0] != at)
            nearest, farthest = 0.0, 1.0
            for _ in range(2):
                shares = np.linspace(nearest, farthest, _STEPS + 1)[1:]
                values = [lever.fitting(start + share * (value - start)) for share in shares]
                answers = self._answers([(*others, (at, one)) for one in values])
                fits = [
                    answer < self._threshold and one != start and lever.is_near_people(one)
                    for one, answer in zip(values, answers, strict=True)
                ]
                if not any(fits):
                    break
                first = fits.index(True)
                way = (*others, (at, values[first]))
                nearest, farthest = (
                    (nearest if first == 0 else float(shares[first - 1])),
                    float(shares[first]),
                )
        return way

    def described(self, way: _Way, people: _People) -> Counterfactual:
        """Put a way into words and numbers."""
        row = self._moved(way)
        changes = tuple(
            Change(
                self._levers[at].input,
                self._levers[at].code,
                float(self._row[self._levers[at].column]),
                float(value),
            )
            for at, value in sorted(way, key=lambda step: -self._size(step))
        )
        distance = sum(self._size(step) for step in way)
        return Counterfactual(changes, float(self._ask(row[None])[0]), distance, people.remoteness(row), row)

    def _longer(self, beam: Sequence[_Way], steps: Sequence[tuple[int, float]]) -> list[_Way]:
        longer = {
            tuple(sorted((*way, step))): None
            for way in beam
            for step in steps
            if step[0] not in {at for at, _ in way}
        }
        return list(longer)

    def _strong(self, ways: Sequence[_Way], answers: Floats) -> set[int]:
        best: dict[int, float] = {}
        for way, answer in zip(ways, answers, strict=True):
            best[way[0][0]] = min(best.get(way[0][0], np.inf), float(answer))
        return set(sorted(best, key=lambda at: best[at])[:_STRONG])

    def _answers(self, ways: Sequence[_Way]) -> Floats:
        parts = [
            self._ask(np.stack([self._moved(way) for way in ways[first : first + _AT_ONCE]]))
            for first in range(0, len(ways), _AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _moved(self, way: _Way) -> Inputs:
        row = self._row
        for at, value in way:
            row = self._levers[at].moved(row, value)
        return row

    def _size(self, step: tuple[int, float]) -> float:
        lever = self._levers[step[0]]
        return abs(step[1] - float(self._row[lever.column])) / lever.scale

    def _cost(self, way: _Way) -> float:
        return sum(self._size(step) for step in way)


@dataclass(frozen=True)
class _People:
    """Training patients, as far as levers show them: (m, d) values in units of each lever's scale."""

    columns: NDArray[np.int64]
    scales: Floats
    values: Floats
    usual: float

    @classmethod
    def of(cls, train: Inputs, levers: Sequence[Lever], seed: int) -> _People:
        columns = np.array([lever.column for lever in levers])
        scales = np.array([lever.scale for lever in levers])
        rng = generator(seed, "people")
        kept = rng.permutation(len(train))[:_SEEN]
        values = train[np.ix_(kept, columns)].astype(np.float64) / scales
        people = cls(columns, scales, values, 1.0)
        # of oneself the distance is 0, which does not count
        own = np.array([people._distance(one, _NEIGHBOURS + 1) for one in values[:_MEASURED]])
        own = own[np.isfinite(own)]
        usual = float(np.quantile(own, _USUAL)) if len(own) else 0.0
        return cls(columns, scales, values, usual or float(np.finfo(np.float64).tiny))

    def remoteness(self, row: Inputs) -> float:
        return self._distance(row[self.columns].astype(np.float64) / self.scales, _NEIGHBOURS) / self.usual

    def _distance(self, one: Floats, neighbours: int) -> float:
        """Give the distance to the so-manieth nearest: the mean over what is known of both."""
        apart = np.abs(self.values - one)
        shared = np.isfinite(apart)
        total = np.where(shared, apart, 0.0).sum(axis=1)
        distance = np.where(shared.any(axis=1), total / np.maximum(shared.sum(axis=1), 1), np.inf)
        place = min(neighbours, len(distance)) - 1
        return float(np.partition(distance, place)[place]) if place >= 0 else float("inf")


def _few_of_each(ways: Sequence[_Way]) -> Iterator[_Way]:
    seen: dict[tuple[int, ...], int] = {}
    for way in ways:
        levers = tuple(at for at, _ in way)
        seen[levers] = seen.get(levers, 0) + 1
        if seen[levers] <= _OF_EACH:
            yield way
