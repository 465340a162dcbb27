"""A plug-in of another package that cannot be loaded is said, and the others are there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medloom.cli.app import app
from medloom.foundation import registry
from medloom.foundation.errors import InputError


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package on the path whose learner cannot be imported."""
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[medloom.learners]\nwonder = elsewhere.gone:Learner\n", encoding="utf-8"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def test_what_cannot_be_loaded_names_its_package(broken: None) -> None:
    with pytest.raises(InputError, match="elsewhere, but cannot be loaded"):
        registry.load("medloom.learners", "wonder")


def test_the_list_of_learners_goes_on_without_it(broken: None) -> None:
    done = CliRunner().invoke(app, ["learners"])
    assert done.exit_code == 0
    assert "gbdt" in done.output
