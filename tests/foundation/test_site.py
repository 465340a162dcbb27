"""A site's directory and settings: what is refused, and what older sites may still say."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloom.foundation.errors import InputError
from medloom.foundation.site import SETTINGS_FILE, SiteSettings, create_site


def test_a_site_is_not_made_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        create_site(tmp_path / "file", SiteSettings())


def test_shares_of_the_splits_sum_to_one(tmp_path: Path) -> None:
    site = create_site(tmp_path / "site", SiteSettings())
    path = site.root / SETTINGS_FILE
    text = path.read_text()
    path.write_text(text.replace("held_out = 0.2", "held_out = 0.3"))
    with pytest.raises(InputError, match="split.*sum to one"):
        site.settings()
    path.write_text(text.replace("held_out = 0.2", "held_out = 0.1").replace("train = 0.7", "train = 0.8"))
    assert site.settings().split.train == 0.8


def test_settings_of_an_older_site_are_read(tmp_path: Path) -> None:
    site = create_site(tmp_path / "site", SiteSettings(name="St. Mary"))
    path = site.root / SETTINGS_FILE
    path.write_text('languages = ["en", "zh"]\n' + path.read_text())
    assert site.settings().name == "St. Mary"
