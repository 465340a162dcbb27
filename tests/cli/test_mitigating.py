"""Fairness bought, and its price, from the command line."""

import json
from pathlib import Path

import polars as pl

from tests.cli.conftest import MODEL, done


def test_a_model_is_made_fairer_and_the_price_is_kept_for_its_report(own_site: Path) -> None:
    said = done(
        "mitigate", MODEL, "--by", "sex", "--aim", "equal_opportunity", "--folds", "2", folder=own_site
    )
    assert "unlawful" in said and "net benefit" in said
    kept = own_site / "models" / MODEL / "2" / "evidence"
    price = json.loads((kept / "mitigation.json").read_text(encoding="utf-8"))
    assert set(price["thresholds"]) == {"F", "M"}
    assert price["model"] == f"{MODEL}@2" and price["before"] == f"{MODEL}@1"
    section = json.loads((kept / "sections" / "mitigation.json").read_text(encoding="utf-8"))
    assert section["title"]["en"] == "Made fairer, and at what price"
    done("predict", f"{MODEL}@2", "--out", "answers.parquet", folder=own_site)
    flagged = pl.read_parquet(own_site / "answers.parquet").filter("flagged")
    assert (flagged["value"] >= flagged["threshold"]).all() and set(flagged["group"]) == {"F", "M"}
