"""`medloom demo imaging` goes the whole way without anything from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from medloom.cli.app import app


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments])
    return result.exit_code, result.output


@pytest.mark.timeout(600)
def test_the_demo_imports_learns_tests_and_draws(tmp_path: Path) -> None:
    code, output = said("demo", "imaging", "--into", str(tmp_path / "demo"))
    assert code == 0, output
    for part in ("de-identification", "records in", "AUROC", "darker: gamma", "try next"):
        assert part in output
    page = (tmp_path / "demo" / "patient.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "of the picture" in page
    report = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "gamma" in report and "伽马" in report


def test_an_unknown_demo_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    code, _ = said("demo", "genomes", "--into", str(tmp_path / "demo"))
    assert code != 0 and not (tmp_path / "demo").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    code, _ = said("demo", "imaging", "--into", str(tmp_path / "own"))
    assert code != 0 and (tmp_path / "own" / "thesis.txt").read_text() == "mine"
