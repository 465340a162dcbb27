"""What a reader may suppose about a patient: another latest value of a code, or that it was recorded or never was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from medloom.explanation.levers import is_fixed
from medloom.explanation.wording import amount, code_name, usual_range
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, language
from medloom.knowledge.limits import limits
from medloom.loop.serving import Served
from medloom.tasks.history import STATIC, History
from medloom.tasks.samples import Samples

_MOST: Final = 200  # that are offered
_FOUND: Final = 20  # that a search shows


@dataclass(frozen=True)
class Changeable:
    """A code whose facts may be supposed to be others.

    Attributes:
        code, name: which, and what it is called.
        value: the latest number; None: it has none, or was never recorded.
        said: that number with its unit.
        unit: UCUM; None: none is known.
        when: of its latest fact; None: never recorded, or it has no time.
        recorded: whether there is any fact of it.
        numeric: whether it can have another number.
        low, high: what is possible; None: not known.
    """

    code: str
    name: Text2
    value: float | None
    said: Text2 | None
    unit: str | None
    when: datetime | None
    recorded: bool
    numeric: bool
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Addable:
    """A code without a value, such as a diagnosis or a drug, that the patient does not have and may be supposed to."""

    code: str
    name: Text2


def changeable(served: Served, sample: Samples, first: Sequence[str | None] = ()) -> list[Changeable]:
    """List what may be supposed about the patient of one sample.

    Who somebody is cannot change. What the model does not look at is left out, where that is known; what it looks at
    and was never measured can be supposed where physiological limits are known.

    Args:
        served: the model.
        sample: exactly one.
        first: codes that stand first, such as those of the reasons.
    """
    catalogue = served.site.record.catalogue
    descriptions, units = catalogue.descriptions(), catalogue.units()
    looked_at = served.model.codes
    latest = _latest(sample.held().history())
    offered = [code for code in latest if (not looked_at or code in looked_at) and _can_change(code)]
    absent = sorted(
        code
        for code in looked_at
        if code not in latest and _can_change(code) and usual_range(code, units.get(code)) is not None
    )
    weight = {code: place for place, code in enumerate(dict.fromkeys(first))}
    offered.sort(
        key=lambda code: (weight.get(code, len(weight)), math.isnan(latest[code][1]), -latest[code][0])
    )
    return [_changeable(code, latest.get(code), descriptions, units) for code in [*offered, *absent][:_MOST]]


def addable(served: Served, sample: Samples) -> dict[str, Addable]:
    """Give, by code, what may be supposed to be recorded of the patient of one sample, at the moment of prediction.

    These are the codes without a value that the model looks at, all of the record's where that is not known, and
    that the patient does not have.
    """
    catalogue = served.site.record.catalogue
    descriptions, units = catalogue.descriptions(), catalogue.units()
    present = {*_latest(sample.held().history()), *units}
    looked_at = served.model.codes
    return {
        code: Addable(code, code_name(code, descriptions))
        for code in catalogue.frame["code"]
        if (not looked_at or code in looked_at) and code not in present and _can_change(code)
    }


def found_among(offered: Iterable[Addable], typed: str) -> tuple[list[Addable], int]:
    """Search codes by what they are called in either language, or by the code: those shown, and how many there are."""
    words = typed.casefold().split()

    def fits(one: Addable) -> bool:
        said = f"{one.code} {one.name.en} {one.name.zh}".casefold()
        return all(word in said for word in words)

    found = sorted((one for one in offered if fits(one)), key=lambda one: (len(one.name.en), one.name.en))
    return found[:_FOUND], len(found)


def changes_of(
    offered: Sequence[Changeable],
    codes: Sequence[str],
    values: Sequence[str],
    without: Set[str],
    added: Sequence[Addable] = (),
) -> dict[str, float | None]:
    """Read what was supposed in a form: code → value; None: never recorded; NaN: recorded, without a value.

    Args:
        offered: what may be supposed.
        codes: of the fields, in order.
        values: what was typed into them; empty: as it is.
        without: codes that are to be left out.
        added: what is supposed to be recorded.

    Raises:
        InputError: something else was supposed, or a value is no number or impossible.
    """
    known = {one.code: one for one in offered}
    if not {*codes, *without} <= set(known) or len(codes) != len(values):
        raise InputError("this cannot be supposed of this patient")
    changes: dict[str, float | None] = dict.fromkeys(without)
    changes.update((one.code, math.nan) for one in added)
    for code, typed in zip(codes, values, strict=True):
        if typed.strip() and code not in without:
            changes[code] = _number(known[code], typed)
    return changes


def _number(one: Changeable, typed: str) -> float:
    name = one.name.zh if language() == "zh" else one.name.en
    try:
        value = float(typed.strip().replace("−", "-"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not one.numeric:
        raise InputError("{name}: this is no number", name=name)
    if (one.low is not None and value < one.low) or (one.high is not None and value > one.high):
        raise InputError(
            "{name}: possible is what lies between {low:g} and {high:g}",
            name=name,
            low=one.low,
            high=one.high,
        )
    return value


def _latest(history: History) -> dict[str, tuple[int, float]]:
    """Give the time of the latest fact of each code and its latest number, NaN where it has none."""
    found: dict[str, tuple[int, float]] = {}
    for code, time, value in zip(history.code, history.time, history.value, strict=True):
        name = history.vocabulary[code]
        before = found.get(name, (int(time), math.nan))[1]
        found[name] = (int(time), before if np.isnan(value) else float(value))
    return found


def _can_change(code: str) -> bool:
    return not is_fixed(code.partition("=")[0]) and not code.startswith(("MEDS_", "RACE//", "ETHNICITY//"))


def _changeable(
    code: str,
    latest: tuple[int, float] | None,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
) -> Changeable:
    unit = units.get(code)
    bounds = usual_range(code, unit) and limits(code)
    time, value = latest if latest is not None else (STATIC, math.nan)
    number = None if math.isnan(value) else value
    return Changeable(
        code=code,
        name=code_name(code, descriptions),
        value=number,
        said=None if number is None else amount(number, unit),
        unit=unit,
        when=None if time == STATIC else np.datetime64(time, "us").astype(datetime),
        recorded=latest is not None,
        numeric=number is not None or latest is None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
    )
