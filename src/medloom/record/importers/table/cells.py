"""From rows to cells: one piece of a row that is one fact, with its code and value.

A column is treated as a code with a name of its own, so that wide and long
tables go the same way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping as PyMapping

import polars as pl

from medloom.record.importers.table import problems
from medloom.record.importers.table.conditions import all_of
from medloom.record.importers.table.mapping import Item, Mapping, Table
from medloom.record.importers.table.numbers import read_numbers

# What cannot be told apart by its text: 0, 0.0 and 0.00 are the same coded cell.
_WHOLE = r"^(-?\d+)\.0+$"
_NOTHING = pl.lit(None, dtype=pl.String)
_SAID = pl.Schema(
    {
        "code": pl.String(),
        "template": pl.Boolean(),
        "unit": pl.String(),
        "role": pl.String(),
        "static": pl.Boolean(),
        "as_text": pl.Boolean(),
        "ignore": pl.Boolean(),
    }
)


class Cells:
    """Takes the cells that are facts out of rows, as one table of a mapping says."""

    def __init__(self, mapping: Mapping, table: Table) -> None:
        self.mapping = mapping
        self.table = table
        listed = table.long.codes if table.long else {}
        self.items: list[tuple[str, Item]] = [*listed.items(), *table.columns.items()]
        self.first_column = len(listed)
        self._said = self._properties()

    def take(self, frame: pl.DataFrame, notes: Counter[str]) -> pl.DataFrame:
        """Give a row for each fact: `_i` (its row in `frame`), code, values, unit, role, static, part."""
        cells = self._without_missing(pl.concat([*self._long(frame), *self._columns(frame)]))
        said = self._said.select(pl.all().gather(cells["item"]))
        cells = cells.hstack(said).with_columns(
            pl.col("template", "static", "as_text", "ignore").fill_null(False),
            pl.col("role").fill_null(self.table.role),
        )
        cells = self._meeting_conditions(cells.filter(~pl.col("ignore")), frame)
        read = read_numbers(cells["cell"], self.table.decimal, self.table.thousands)
        if doubtful := int((read["doubtful"] & ~cells["as_text"]).sum()):
            notes[problems.DOUBTFUL] += doubtful
        cells = cells.hstack(read.select("number", "text")).with_columns(mapped=self._mapped(cells, notes))
        return cells.select("_i", "role", "static", "part", **self._values(cells))

    def _long(self, frame: pl.DataFrame) -> list[pl.DataFrame]:
        long = self.table.long
        if long is None:
            return []
        names = [name for name, _ in self.items[: self.first_column]]
        number = pl.col(long.code).replace_strict(
            names, range(len(names)), default=None, return_dtype=pl.UInt32
        )
        cells = frame.select(
            "_i",
            item=number if names else pl.lit(None, dtype=pl.UInt32),
            source=pl.col(long.code),
            cell=pl.col(long.value) if long.value else _NOTHING,
            row_unit=pl.col(long.unit) if long.unit else _NOTHING,
            companion=pl.col(long.text) if long.text else _NOTHING,
            part=pl.lit(0, dtype=pl.Int32),
        )
        if not long.keep_empty and (long.value or long.text):
            cells = cells.filter(pl.col("cell").is_not_null() | pl.col("companion").is_not_null())
        if long.others == "ignore":
            cells = cells.filter(pl.col("item").is_not_null())
        if self.table.subject.row is not None:
            cells = cells.filter(pl.col("source").ne_missing(self.table.subject.row))
        return [cells]

    def _columns(self, frame: pl.DataFrame) -> list[pl.DataFrame]:
        order = {
            n: name for n, (name, item) in enumerate(self.items) if n >= self.first_column and not item.ignore
        }
        if not order:
            return []
        # A column may have any name, also one of ours: let numbers stand for them.
        numbered = frame.select("_i", *(pl.col(name).alias(str(n)) for n, name in order.items()))
        cells = numbered.unpivot(index="_i", variable_name="item", value_name="cell").drop_nulls("cell")
        number = pl.col("item").cast(pl.UInt32)
        return [
            cells.select(
                "_i",
                item=number,
                source=number.replace_strict(order, default=None, return_dtype=pl.String),
                cell="cell",
                row_unit=_NOTHING,
                companion=_NOTHING,
                part=number.cast(pl.Int32) - self.first_column + 1,
            )
        ]

    def _properties(self) -> pl.DataFrame:
        """What the items say of their facts, one row an item."""
        rows = [
            {
                "code": full_code(self.mapping, item.code or name),
                "template": "{value}" in (item.code or ""),
                "unit": item.unit,
                "role": item.role or ("demographic" if item.static else self.table.role),
                "static": item.static,
                "as_text": item.text,
                "ignore": item.ignore,
            }
            for name, item in self.items
        ]
        return pl.DataFrame(rows, schema=_SAID)

    def _without_missing(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Leave out the cells that their item calls missing."""
        marks = {
            (n, _canonical(mark)): True for n, (_, item) in enumerate(self.items) for mark in item.missing
        }
        found = self._listed(cells, marks, pl.Boolean())
        return cells if found is None else cells.filter(found.is_null())

    def _meeting_conditions(self, cells: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
        for n, (_, item) in enumerate(self.items):
            if item.when:
                met = frame.select(all_of(item.when)).to_series()
                cells = cells.filter((pl.col("item") != n).fill_null(True) | met[cells["_i"]])
        return cells

    def _mapped(self, cells: pl.DataFrame, notes: Counter[str]) -> pl.Series:
        """The code that an item lists for the cell, or null."""
        codes = {
            (n, _canonical(cell)): full_code(self.mapping, code)
            for n, (_, item) in enumerate(self.items)
            for cell, code in item.values.items()
        }
        mapped = self._listed(cells, codes, pl.String())
        if mapped is None:
            return pl.Series([None], dtype=pl.String).new_from_index(0, cells.height)
        if lacking := int((cells["item"].is_in(list({n for n, _ in codes})) & mapped.is_null()).sum()):
            notes[problems.UNMAPPED] += lacking
        return mapped

    def _listed(
        self, cells: pl.DataFrame, found: PyMapping[tuple[int, str], object], kind: pl.DataType
    ) -> pl.Series | None:
        """Look cells up by (item, cell): null where they are not listed, None if nothing is."""
        if not found:
            return None
        # few items have such lists: look only at their cells
        places = cells["item"].is_in(list({n for n, _ in found})).fill_null(False).arg_true()
        table = pl.DataFrame(
            {"item": [n for n, _ in found], "cell": [cell for _, cell in found], "found": [*found.values()]},
            schema={"item": pl.UInt32(), "cell": pl.String(), "found": kind},
        )
        asked = cells[places].select("item", pl.col("cell").str.replace(_WHOLE, "$1"))
        answers = asked.join(table, on=["item", "cell"], how="left", maintain_order="left")["found"]
        return pl.Series([None], dtype=kind).new_from_index(0, cells.height).scatter(places, answers)

    def _values(self, cells: pl.DataFrame) -> dict[str, pl.Expr]:
        """How code, values and unit come from what was found of a cell; only what the cells need."""
        code, text, unit = pl.col("code"), pl.col("text"), pl.col("unit")
        if cells["template"].any():
            before = code.str.split("{value}").list.get(0)
            after = code.str.split("{value}").list.get(1, null_on_oob=True).fill_null("")
            code = pl.when("template").then(pl.concat_str(before, "cell", after)).otherwise(code)
        if cells["item"].null_count():
            named = pl.col("source").str.contains("//", literal=True)
            own = pl.concat_str(pl.lit(self.mapping.code_system + "//"), "source")
            code = pl.coalesce(code, pl.when(named).then("source").otherwise(own))
        if cells["as_text"].any():
            text = pl.when("as_text").then("cell").otherwise(text)
        if cells["companion"].null_count() < cells.height:
            text = pl.coalesce(text, "companion")
        if cells["row_unit"].null_count() < cells.height:
            unit = pl.coalesce("row_unit", unit)
        verbatim = pl.col("mapped").is_not_null() | pl.col("template")
        return {
            "code": pl.coalesce("mapped", code),
            "numeric_value": pl.when(~verbatim & ~pl.col("as_text")).then("number"),
            "text_value": pl.when(~verbatim).then(text),
            "unit": pl.when(~verbatim).then(unit),
        }


def full_code(mapping: Mapping, code: str) -> str:
    """Put the code system before a code that has none; MEDS' own stand alone."""
    return code if "//" in code or code.startswith("MEDS_") else f"{mapping.code_system}//{code}"


def _canonical(cell: str) -> str:
    return re.sub(_WHOLE, r"\1", cell)
