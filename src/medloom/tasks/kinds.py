"""The kinds of question, and what a label of each is."""

from __future__ import annotations

from typing import Final, Literal, get_args

import polars as pl

Kind = Literal[
    "binary",
    "multiclass",
    "multilabel",
    "regression",
    "survival",
    "tagging",
    "relations",
    "segmentation",
    "detection",
    "ranking",
    "generation",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PROBABLE: Final = ("binary", "multiclass", "multilabel", "survival")
"""Kinds whose answers are probabilities."""

Split = Literal["train", "tuning", "calibration", "held_out"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)

# Kinds whose labels have no column of their own type yet carry them as text (a document, an asset's digest).
LABEL_TYPES: Final[dict[Kind, pl.DataType]] = {
    "binary": pl.Boolean(),
    "multiclass": pl.String(),
    "multilabel": pl.List(pl.String()),
    "regression": pl.Float64(),
    "survival": pl.Struct({"time": pl.Float64(), "event": pl.String()}),
    "tagging": pl.String(),
    "relations": pl.String(),
    "segmentation": pl.String(),
    "detection": pl.String(),
    "ranking": pl.String(),
    "generation": pl.String(),
}
POSITIVE: Final = "true"  # `output` of a binary prediction
VALUE: Final = "value"  # `output` of a regression
