"""Tokens on disk are those in memory; what is cut off is never taken for whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.features import token_vocabulary, tokens
from medloom.features.token_vocabulary import TokenVocabulary
from medloom.features.tokens import encode, open_tokens, write_tokens
from medloom.foundation.errors import IntegrityError, StorageError
from medloom.record.record import Record
from medloom.tasks.samples import Samples
from medloom.tasks.timelines import timelines
from tests.tasks.builders import at

COLUMNS = ("code", "value", "tenth", "hours", "age", "offsets")


def samples(n: int = 40) -> Samples:
    rows: list[tuple[Any, ...]] = []
    for subject in range(n):
        rows += [(subject, None, f"GENDER//{'FM'[subject % 2]}", None)]
        rows += [(subject, at(hour), f"LOINC//{hour % 3}", float(subject * hour)) for hour in range(9)]
        rows += [(subject, at(10), f"X//{subject}", None)]
    names = ["subject_id", "time", "code", "numeric_value"]
    return timelines(Record.from_events(pl.DataFrame(rows, schema=names, orient="row")))


def test_what_is_written_part_by_part_is_what_is_encoded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = samples()
    vocabulary = TokenVocabulary.fit(asked, max_codes=40)
    monkeypatch.setattr(tokens, "_AT_ONCE", 7)
    written, here = write_tokens(tmp_path, asked, vocabulary), encode(asked, vocabulary)
    known = here.code <= len(vocabulary)
    for name in ("code", "value", "tenth", "hours"):
        np.testing.assert_array_equal(getattr(written, name), getattr(here, name)[known])
    assert written.lengths.sum() == known.sum()


def test_a_full_disk_leaves_nothing_that_would_be_taken_for_whole(tmp_path: Path) -> None:
    asked = samples()
    vocabulary = TokenVocabulary.fit(asked)
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "hours.bin").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="full"):
        write_tokens(folder, asked, vocabulary)
    assert not (folder / "tokens.json").exists()
    (folder / "hours.bin").unlink()
    again = write_tokens(folder, asked, vocabulary)
    clean = write_tokens(tmp_path / "clean", asked, vocabulary)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(clean, name))


def test_files_that_were_cut_off_are_refused(tmp_path: Path) -> None:
    asked = samples()
    write_tokens(tmp_path, asked, TokenVocabulary.fit(asked))
    (tmp_path / "value.bin").write_bytes((tmp_path / "value.bin").read_bytes()[:-4])
    with pytest.raises(IntegrityError, match="cut off"):
        open_tokens(tmp_path)


def test_drawing_values_in_bounded_memory_keeps_those_with_the_lowest_lots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = samples()
    whole = TokenVocabulary.fit(asked)
    monkeypatch.setattr(token_vocabulary, "_KEPT_TOGETHER", 100)
    fewer = TokenVocabulary.fit(asked)
    assert fewer.codes == whole.codes
    has = np.isfinite(whole.edges[:, 0])
    assert np.isfinite(fewer.edges[has]).all()
    assert np.abs(fewer.centre - whole.centre).max() < 0.5 * whole.scale.max()


def test_two_hundred_thousand_facts_at_one_time_are_one_row(tmp_path: Path) -> None:
    n = 200_000
    rows = {"subject_id": np.zeros(n, np.int64), "time": [at(1)] * n, "code": ["LOINC//1"] * n}
    asked = timelines(Record.from_events(pl.DataFrame(rows | {"numeric_value": np.arange(n, dtype=float)})))
    written = write_tokens(tmp_path, asked, TokenVocabulary.fit(asked))
    assert written.lengths.tolist() == [n]
    assert not written.hours.any()
    shutil.rmtree(tmp_path)
