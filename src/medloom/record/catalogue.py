"""The record's codes: `metadata/codes.parquet`, with description, ancestors, canonical unit, and whether static."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import meds
import polars as pl

from medloom.record.generation import write_table
from medloom.record.importing import CodeInfo

_SCHEMA: Final = pl.Schema(
    {
        "code": pl.String(),
        "description": pl.String(),
        "parent_codes": pl.List(pl.String()),
        "unit": pl.String(),
        "static": pl.Boolean(),
    }
)


@dataclass(frozen=True)
class CodeCatalogue:
    """One row a code, sorted by code."""

    frame: pl.DataFrame

    @classmethod
    def empty(cls) -> CodeCatalogue:
        """Make a catalogue without codes."""
        return cls(pl.DataFrame(schema=_SCHEMA))

    @classmethod
    def read(cls, folder: Path) -> CodeCatalogue:
        """Read the catalogue of a generation."""
        return cls(pl.read_parquet(folder / meds.code_metadata_filepath))

    @classmethod
    def of_events(cls, events: pl.DataFrame) -> CodeCatalogue:
        """Derive a catalogue from events alone: codes without a time are static."""
        codes = events.group_by("code").agg(static=pl.col("time").is_null().any()).sort("code")
        return cls(
            codes.select(
                "code",
                pl.lit(None, pl.String).alias("description"),
                pl.lit(None, pl.List(pl.String)).alias("parent_codes"),
                pl.lit(None, pl.String).alias("unit"),
                "static",
            )
        )

    def updated(
        self,
        infos: Mapping[str, CodeInfo],
        units: Mapping[str, str],
        static: Iterable[str],
        codes: Iterable[str],
    ) -> CodeCatalogue:
        """Add what an import learned: all its `codes`, canonical `units`, `static` codes (met without a time)."""
        met = pl.DataFrame({"code": sorted(set(codes))}, schema={"code": pl.String})
        static_codes = sorted(set(static))
        new = met.select(
            "code",
            pl.Series(
                "description", [_info(infos, code).description for code in met["code"]], dtype=pl.String
            ),
            pl.Series(
                "parent_codes",
                [list(_info(infos, code).parents) or None for code in met["code"]],
                dtype=pl.List(pl.String),
            ),
            pl.Series("unit", [units.get(code) for code in met["code"]], dtype=pl.String),
            pl.col("code").is_in(static_codes).alias("static"),
        )
        joined = self.frame.join(new, on="code", how="full", coalesce=True, suffix="_new")
        merged = joined.select(
            "code",
            *(
                pl.coalesce(name, f"{name}_new").alias(name)
                for name in ("description", "parent_codes", "unit")
            ),
            (pl.col("static").fill_null(False) | pl.col("static_new").fill_null(False)).alias("static"),
        )
        return CodeCatalogue(merged.sort("code").cast(_SCHEMA))

    def units(self) -> dict[str, str]:
        """Give the canonical unit of each code that has one."""
        known = self.frame.filter(pl.col("unit").is_not_null())
        return dict(zip(known["code"], known["unit"], strict=True))

    def static_codes(self) -> frozenset[str]:
        """Give the codes of static facts."""
        return frozenset(self.frame.filter("static")["code"])

    def descriptions(self) -> dict[str, str]:
        """Give the description of each code that has one."""
        known = self.frame.filter(pl.col("description").is_not_null())
        return dict(zip(known["code"], known["description"], strict=True))

    def with_descendants(self, code: str) -> frozenset[str]:
        """Give a code and all codes of the record below it in its ontology."""
        below = self.frame.filter(pl.col("parent_codes").list.contains(code).fill_null(False))["code"]
        return frozenset([code, *below])

    def write(self, folder: Path) -> None:
        """Write `metadata/codes.parquet`, as MEDS' own schema wants it."""
        write_table(
            folder / meds.code_metadata_filepath, meds.CodeMetadataSchema.align(self.frame.to_arrow())
        )


def _info(infos: Mapping[str, CodeInfo], code: str) -> CodeInfo:
    return infos.get(code) or CodeInfo()
