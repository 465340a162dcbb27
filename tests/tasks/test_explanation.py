"""Reasons of one answer."""

from __future__ import annotations

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation


def explanation(*outputs: str) -> Explanation:
    rows = [
        {"sample_id": 1, "output": output, "input": name, "contribution": float(value)}
        for output in outputs
        for name, value in (("a", 1), ("b", -3), ("c", 2), ("d", 4))
    ]
    frame = pl.DataFrame([dict.fromkeys(EXPLANATION_SCHEMA) | row for row in rows], schema=EXPLANATION_SCHEMA)
    baseline = pl.DataFrame({"output": outputs, "value": [0.0] * len(outputs)})
    return Explanation(frame, baseline, "by hand", "log-odds")


def test_the_strongest_reasons_come_first_and_the_rest_is_summed() -> None:
    top = explanation("true").top(1, 2)
    assert top.select("input", "contribution").rows() == [("d", 4), ("b", -3), ("…", 3)]


def test_reasons_of_several_answers_are_not_mixed() -> None:
    several = explanation("home", "died")
    with pytest.raises(InputError, match="home, died"):
        several.top(1, 2)
    assert several.top(1, 2, "died")["output"].unique().to_list() == ["died"]
