"""Values of several codes in the one unit of the question."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medloom.foundation.errors import InputError
from medloom.knowledge.units import factor
from medloom.record.record import Record
from medloom.tasks.task import Task


@dataclass(frozen=True)
class Scales:
    """How values of each code become values in the question's unit: value · factor + offset."""

    unit: str | None
    factors: dict[str, float]
    offsets: dict[str, float]

    @classmethod
    def none(cls) -> Scales:
        """Change nothing."""
        return cls(None, {}, {})

    @classmethod
    def of(cls, task: Task, record: Record, codes: frozenset[str]) -> Scales:
        """Find them for the codes of `predict.value`; without `predict.unit` all of them must share one.

        Raises:
            InputError: the codes are kept in different units, or one that does not convert to `predict.unit`.
        """
        units = record.catalogue.units()
        known = {units.get(code) for code in codes}
        unit = task.predict.unit
        if unit is None:
            if len(known - {None}) > 1:
                raise InputError(
                    "task {task!r}: predict.value has codes in different units ({units}); say in predict.unit which",
                    task=task.name,
                    units=sorted(one for one in known if one is not None),
                )
            return cls(known.pop() if len(known) == 1 else None, {}, {})
        factors, offsets = {}, {}
        for code in sorted(codes):
            # where the record knows no unit, the task's word stands
            found = factor(units.get(code, unit), unit, code)
            if found is None:
                raise InputError(
                    "task {task!r}: values of {code} are kept in {unit!r}, which cannot be converted to {wanted!r}; "
                    "change predict.unit",
                    task=task.name,
                    code=code,
                    unit=units.get(code, unit),
                    wanted=unit,
                )
            factors[code], offsets[code] = found
        return cls(unit, factors, offsets)

    def applied(self) -> pl.Expr:
        """Give `numeric_value` in the question's unit."""
        value, code = pl.col("numeric_value").cast(pl.Float64), pl.col("code")
        if not self.factors:
            return value
        scale = code.replace_strict(self.factors, return_dtype=pl.Float64)
        return value * scale + code.replace_strict(self.offsets, return_dtype=pl.Float64)
