"""What can go wrong with the inputs of a model: facts withheld, values that are off, values in another unit.

Everything known of one code is one fact, with all its windows and statistics: they are lost together, and an error
of a device or of an interface moves them together.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.asking import Answer, Inputs, Integers, in_blocks
from medloom.explanation.levers import is_fixed
from medloom.explanation.windowed import AGE, COUNT, SINCE, SLOPE, windowed
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.knowledge.loinc import group_of, observable, observables
from medloom.knowledge.units import GLYCATED, factor, preferred
from medloom.record.schema import BIRTH

Floats = NDArray[np.float64]

_MOST_RANKED: Final = 100  # facts, those that are known most often
_ASKED: Final = 100  # samples, to rank facts by
# In what else values are sent that are kept in a unit, where the same measurement is not kept in two units anyway.
_SENT_IN: Final = {
    "Cel": "[degF]", "[degF]": "Cel", "kg": "[lb_av]", "[lb_av]": "kg", "cm": "[in_i]", "[in_i]": "cm",
    "mm[Hg]": "kPa", "kPa": "mm[Hg]", "g/dL": "g/L", "g/L": "g/dL", "mg/L": "mg/dL", "ug/dL": "umol/L",
    "ng/mL": "ng/L", "ng/L": "ng/mL", "pg/mL": "pmol/L", "ng/dL": "pmol/L", "mmol/L": "mg/dL", "mg/dL": "mmol/L",
    "mmol/mol": "%", "%": "mmol/mol", "10*3/uL": "/uL",
}  # fmt: skip
_NOTABLE: Final = 1.2  # a unit whose numbers differ by less is no error that matters


@dataclass(frozen=True)
class Fact:
    """All that a model sees of one code.

    Attributes:
        code: it, or the name of an input that has none.
        columns: of all inputs that come from it.
        values: of those that hold a value in its unit.
        slopes: of those that hold a change of it an hour.
        fixed: whether it says who a patient is.
    """

    code: str
    columns: Integers
    values: Integers
    slopes: Integers
    fixed: bool


@dataclass(frozen=True)
class Facts:
    """The facts behind p inputs, and what is known of them from the patients a model learned from.

    Attributes:
        each: the f facts.
        of_column: (p,) the fact behind each input.
        blank: (p,) what an input is where nothing of its fact is known: a count of 0, else missing.
        spread: (f,) the standard deviation of the latest value; 0: it has no values that could be off.
        positive: (f,) whether no value is below 0.
    """

    each: tuple[Fact, ...]
    of_column: Integers
    blank: Inputs
    spread: Floats
    positive: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        codes: Sequence[str | None],
        train: Inputs,
        flags: Set[str] = frozenset(),
    ) -> Facts:
        """Gather inputs by code.

        Args:
            names, codes: of p inputs (`features.windows`).
            train: (m, p) inputs of training samples.
            flags: inputs that are 0 or 1.

        >>> x = np.array([[50, 1, 2.0], [50, 0, np.nan], [50, 2, 5.0], [50, 1, 8.0]], np.float32)
        >>> facts = Facts.of(["age", "A count ever", "A last ever"], ["MEDS_BIRTH", "A", "A"], x)
        >>> [one.code for one in facts.each], facts.blank.tolist(), facts.spread.round(1).tolist()
        (['MEDS_BIRTH', 'A'], [nan, 0.0, nan], [0.0, 2.4])
        """
        number: dict[str, int] = {}
        of_column = np.array(
            [number.setdefault(code or name, len(number)) for name, code in zip(names, codes, strict=True)],
            np.int64,
        )
        what = np.array([_what(name, flags) for name in names], dtype=object)
        blank = np.where((what == "count") | (what == "flag"), 0.0, np.nan).astype(np.float32)
        each, spread, positive = [], np.zeros(len(number)), np.zeros(len(number), bool)
        for place, code in enumerate(number):
            columns = np.flatnonzero(of_column == place)
            values = columns[what[columns] == "value"]
            slopes = columns[what[columns] == "slope"]
            fixed = is_fixed(code) or any(names[column] == AGE for column in columns.tolist())
            each.append(Fact(code, columns, values, slopes, fixed))
            spread[place], positive[place] = _spread(names, values, train)
        return cls(tuple(each), of_column, blank, spread, positive)

    @property
    def continuous(self) -> Integers:
        """Give the facts whose values can be off: measured, and not who a patient is."""
        fixed = np.array([one.fixed for one in self.each], bool)
        return np.flatnonzero((self.spread > 0) & ~fixed)

    def known(self, x: Inputs) -> NDArray[np.bool_]:
        """Tell which facts are known: (n, p) → (n, f)."""
        there = ~(np.isnan(x) | (x == self.blank))
        known = np.zeros((len(x), len(self.each)), bool)
        for place, one in enumerate(self.each):
            known[:, place] = there[:, one.columns].any(axis=1)
        return known

    def without(self, x: Inputs, lost: NDArray[np.bool_]) -> Inputs:
        """Lose facts, (n, f) or (f,), of (n, p) inputs."""
        return np.where(lost[..., self.of_column], self.blank, x).astype(np.float32)

    def moved(self, x: Inputs, by: Floats) -> Inputs:
        """Move the values of facts by (n, f) standard deviations; what is missing stays so, nothing falls below 0.

        First, latest, lowest, highest and mean value of all windows move together, as a device is off by as much
        each time; how the values change over time stays.
        """
        out = x.copy()
        for place in np.flatnonzero((by != 0).any(axis=0) & (self.spread > 0)).tolist():
            columns = self.each[place].values
            shifted = out[:, columns] + (by[:, place] * self.spread[place])[:, None].astype(np.float32)
            out[:, columns] = np.maximum(shifted, 0) if self.positive[place] else shifted
        return out

    def converted(self, x: Inputs, place: int, scale: float, offset: float = 0.0) -> Inputs:
        """Give inputs (n, p) had all values of a fact come in another unit."""
        one, out = self.each[place], x.copy()
        out[:, one.values] = out[:, one.values] * np.float32(scale) + np.float32(offset)
        out[:, one.slopes] *= np.float32(scale)
        return out

    def by_weight(self, answer: Answer, x: Inputs, seed: int = 0) -> Integers:
        """Rank facts by how far answers move when a fact is another patient's; those that move nothing are left out."""
        known = self.known(x).mean(axis=0)
        asked = x[generator(seed, "asked").permutation(len(x))[:_ASKED]]
        before = in_blocks(answer, asked)
        moved = np.zeros(len(self.each))
        for place in np.argsort(-known, kind="stable")[:_MOST_RANKED].tolist():
            columns = self.each[place].columns
            other = asked.copy()
            other[:, columns] = np.roll(asked[:, columns], 1, axis=0)
            moved[place] = np.abs(in_blocks(answer, other) - before).mean()
        order = np.argsort(-moved, kind="stable")
        return order[moved[order] > 0]


def another_unit(code: str, unit: str | None) -> tuple[str, float, float] | None:
    """Name the unit in which values of a code are likeliest sent by mistake, with value · scale + offset.

    Args:
        code: of the values.
        unit: in which they are kept (UCUM); None: the one agreed for the code.

    >>> unit, scale, offset = another_unit("LOINC//2160-0", "mg/dL")
    >>> unit, round(scale, 4), offset
    ('umol/L', 88.4017, 0.0)
    >>> another_unit("LOINC//9269-2", "{score}") is None
    True
    """
    own = unit or preferred(code)
    if own is None:
        return None
    other = _elsewhere(code, own)
    found = None if other is None else factor(own, other, code)
    if other is None or found is None or (1 / _NOTABLE < found[0] < _NOTABLE and not found[1]):
        return None
    return other, *found


def system_of(code: str) -> tuple[str, Text2] | None:
    """Name the group of facts that come from one source, and are lost together: key and name; None: it has none.

    >>> system_of("LOINC//2160-0")[0], system_of("RxNorm//1191")[0], system_of("crea")
    ('laboratory', 'RxNorm', None)
    """
    if code == BIRTH or code.startswith("GENDER//"):
        return "demographics", text2("age and sex")
    group = group_of(code)
    if group == "vitals":
        return "vitals", text2("all vital signs")
    if group is not None or code.startswith("LOINC//"):
        return "laboratory", text2("all laboratory values")
    system, between, _ = code.partition("//")
    if not between:
        return None
    return system, text2("all entries of {system}", system=system)


def _elsewhere(code: str, own: str) -> str | None:
    """Name the unit that other hospitals keep the same measurement in."""
    row = observable(code)
    for other in observables().values() if row is not None else ():
        if row is not None and other.en == row.en and other.unit != own:
            return other.unit
    if row is not None and own == "%" and row.code not in GLYCATED:
        return "1"  # a share: 0.98 for 98 %
    return None if row is not None and row.valence is not None else _SENT_IN.get(own)


def _what(name: str, flags: Set[str]) -> str:
    found = windowed(name)
    if found is not None:
        if found.statistic == COUNT:
            return "count"
        return "slope" if found.statistic == SLOPE else "since" if found.statistic == SINCE else "value"
    if "=" in name:
        return "text"
    return "flag" if name in flags else "value"


def _spread(names: Sequence[str], values: Integers, train: Inputs) -> tuple[float, bool]:
    """Give the standard deviation of a fact's latest values in training samples, and whether none is negative."""
    if not len(values) or not len(train):
        return 0.0, False
    latest = [
        at for at in values.tolist() if (found := windowed(names[at])) is None or found.statistic == "last"
    ]
    best = max(latest or values.tolist(), key=lambda at: int(np.isfinite(train[:, at]).sum()))
    seen = train[:, best][np.isfinite(train[:, best])].astype(np.float64)
    if len(np.unique(seen)) < 3:  # yes and no, written as numbers
        return 0.0, False
    return float(seen.std()), bool((seen >= 0).all())
