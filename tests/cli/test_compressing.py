"""Smaller models from the command line."""

import json
from pathlib import Path

from tests.cli.conftest import MODEL, done, refused


def test_a_smaller_model_is_the_next_version_and_names_the_one_it_was_made_from(own_site: Path) -> None:
    said = done(
        "compress", MODEL, "--to", "distilled", "--method", "gbdt", "--most-lost", "1", folder=own_site
    )
    assert "AUROC" in said and f"Kept as {MODEL}@2, made from" in said
    folder = own_site / "models" / MODEL
    content = json.loads((folder / "2" / "package" / "model.json").read_text(encoding="utf-8"))
    assert content["wrapper"] in ("compressed", "conformal")
    done("predict", f"{MODEL}@2", "--out", "answers.parquet", folder=own_site)


def test_what_cannot_be_made_smaller_leaves_nothing(own_site: Path) -> None:
    said = refused("compress", MODEL, "--to", "onnx", folder=own_site)
    assert "those of networks over timelines, images and notes can" in said
    assert [path.name for path in (own_site / "models" / MODEL).iterdir() if path.is_dir()] == ["1"]
