"""What can be changed about a patient, and what a change of it means for the inputs of a model.

Age, sex and what has happened cannot change; a measurement can. That the latest value of a code were another moves
all inputs that hold it, in all windows, together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from medloom.explanation.asking import Inputs, Table
from medloom.explanation.contributions import Floats
from medloom.explanation.windowed import AGE, COUNT, SINCE, windowed
from medloom.foundation.errors import InputError
from medloom.knowledge.limits import limits
from medloom.record.schema import BIRTH

# LOINC's age that came as a number, and height; a table's own columns are told by name.
_FIXED_CODES: Final = frozenset(
    [BIRTH, "LOINC//30525-0", "LOINC//8302-2", "LOINC//46098-0", "LOINC//21112-8"]
)
_FIXED_NAMES: Final = frozenset(
    ["age", "sex", "gender", "birth", "race", "ethnicity", "height", "年龄", "性别", "民族", "身高"]
)
_PEOPLE: Final = 10  # who must be near a value
_VALUES: Final = 13  # tried first


@dataclass(frozen=True)
class Lever:
    """Something about a patient that can be another.

    Attributes:
        input: the input whose value is shown: the latest one of a code, or a value without a time.
        code: behind it.
        column: of that input.
        low, high: what it may become: within what at least 10 training patients reach, and physiological limits.
        scale: the distance between the quarters of training values: 1 is a change from usual to unusual.
        seen: (m,) training values, ascending.
        windows: of a measured code: window → statistic → column; empty for a value without a time.
    """

    input: str
    code: str | None
    column: int
    low: float
    high: float
    scale: float
    seen: Floats
    windows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def values(self) -> Floats:
        """Give values to try, spread as patients are."""
        inside = self.seen[(self.seen >= self.low) & (self.seen <= self.high)]
        if not len(inside):
            return inside
        spread = np.quantile(inside, np.linspace(0, 1, _VALUES), method="inverted_cdf")
        return np.unique([self.fitting(value) for value in spread])

    def fitting(self, value: float) -> float:
        """Round to what a person would write, within the bounds."""
        return float(min(max(float(f"{value:.3g}"), self.low), self.high))

    def is_near_people(self, value: float) -> bool:
        """Tell whether at least 10 training patients (a tenth, where that is fewer) have about this value."""
        about = 0.25 * self.scale
        near = np.searchsorted(self.seen, [value - about, value + about], side="left")
        return bool(near[1] - near[0] >= min(_PEOPLE, max(1, len(self.seen) // 10)))

    def moved(self, row: Inputs, value: float) -> Inputs:
        """Give a patient's inputs had this been `value`: (p,) → (p,).

        Of a measured code the latest value changes; first, lowest, highest and mean follow as far as they can be told
        from what the model sees: of three or more values the second lowest is not known, and the trend stays.

        >>> seen = np.array([1.0, 2.0])
        >>> at = {"ever": {"count": 0, "first": 1, "last": 2, "min": 3, "max": 4, "mean": 5}}
        >>> lever = Lever("A last ever", "A", 2, 0, 9, 1.0, seen, at)
        >>> lever.moved(np.array([2, 4, 8, 4, 8, 6], np.float32), 2.0).tolist()
        [2.0, 4.0, 2.0, 2.0, 4.0, 3.0]
        """
        changed = row.copy()
        changed[self.column] = value
        for columns in self.windows.values():
            self._move(changed, row, columns, value)
        return changed

    def _move(self, changed: Inputs, row: Inputs, columns: Mapping[str, int], value: float) -> None:
        old = {statistic: float(row[column]) for statistic, column in columns.items()}
        last = old["last"]
        if np.isnan(last):
            return
        first, n = old.get("first", last), max(1.0, old.get(COUNT, 1.0))
        lowest, highest = old.get("min", last), old.get("max", last)
        new = {"last": value}
        # facts are counted, with a value or without; a single value has no trend
        if n == 1 or np.isnan(old.get("slope", 0.0)):
            new |= {"first": value, "min": value, "max": value, "mean": value}
        else:
            new["mean"] = old.get("mean", last) + (value - last) / n
            new["min"] = min(value, first if last == lowest else lowest)
            new["max"] = max(value, first if last == highest else highest)
            if n == 2 and last != first and "slope" in old:
                new["slope"] = old["slope"] * (value - first) / (last - first)
        for statistic, one in new.items():
            if statistic in columns:
                changed[columns[statistic]] = one


def levers_of(
    train: Table,
    may_change: Sequence[str] | None = None,
    flags: Set[str] = frozenset(),
    units: Mapping[str, str] | None = None,
) -> list[Lever]:
    """Find what can be changed.

    Args:
        train: the inputs of training samples.
        may_change: codes, or names of inputs without a time, that can change; None: every measurement whose
            physiological limits are known (`knowledge.limits`).
        flags: inputs that are 0 or 1.
        units: UCUM units of codes; limits in another unit are not applied. None: as the record's.

    Raises:
        InputError: something named cannot change, or is no input with values.
    """
    measured: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    plain: dict[str, int] = {}
    for column, name in enumerate(train.names):
        found = windowed(name)
        if found is not None:
            measured[found.code][found.window][found.statistic] = column
        elif name != AGE and name not in flags and "=" not in name:
            plain[name] = column
    families = {
        code: {window: columns for window, columns in windows.items() if "last" in columns}
        for code, windows in measured.items()
    }
    families = {code: windows for code, windows in families.items() if windows}
    if may_change is None:
        chosen = [code for code in (*families, *plain) if limits(code) is not None and not is_fixed(code)]
    else:
        chosen = list(dict.fromkeys(_code_named(one) for one in may_change))
        _check(chosen, families, plain, flags)
    levers = []
    for code in chosen:
        windows = families.get(code, {})
        if windows:
            known = {window: np.isfinite(train.x[:, at["last"]]).sum() for window, at in windows.items()}
            column = windows[max(known, key=lambda window: known[window])]["last"]
        else:
            column = plain[code]
        lever = _lever(train, code, column, windows, units)
        if lever is not None:
            levers.append(lever)
    return levers


def is_fixed(code: str) -> bool:
    """Tell whether something is what a person is, and cannot be changed.

    >>> is_fixed("GENDER//F"), is_fixed("Age"), is_fixed("LOINC//8480-6")
    (True, True, False)
    """
    return code in _FIXED_CODES or code.startswith("GENDER//") or code.casefold() in _FIXED_NAMES


def _code_named(one: str) -> str:
    found = windowed(one)
    if found is not None and found.statistic in (COUNT, SINCE):
        raise InputError("{name!r} says what has happened; that cannot change", name=one)
    return one if found is None else found.code


def _check(
    chosen: Sequence[str], families: Mapping[str, object], plain: Mapping[str, int], flags: Set[str]
) -> None:
    for code in chosen:
        if is_fixed(code.partition("=")[0]) or code == AGE:
            raise InputError("{name!r} says who a patient is; that cannot change", name=code)
        if code not in families and code not in plain:
            raise InputError(
                "{name!r} is no input with values, so there is no other value it could have; name one of: {known}",
                name=code,
                known=[*families, *plain][:20] or "-",
            )


def _lever(
    train: Table,
    code: str,
    column: int,
    windows: Mapping[str, Mapping[str, int]],
    units: Mapping[str, str] | None,
) -> Lever | None:
    values = np.sort(train.x[:, column].astype(np.float64))
    seen = values[np.isfinite(values)]
    if len(seen) < 2:
        return None
    beyond = min(max(0.01, _PEOPLE / len(seen)), 0.1)
    low, lower, upper, high = np.quantile(seen, (beyond, 0.25, 0.75, 1 - beyond), method="inverted_cdf")
    possible = limits(code)
    if possible is not None and (units is None or units.get(code) == possible.unit):
        low, high = max(low, possible.low), min(high, possible.high)
    scale = float(upper - lower) or float(seen.std())
    if not scale or low >= high:
        return None
    return Lever(
        train.names[column], train.codes[column], column, float(low), float(high), scale, seen, windows
    )
