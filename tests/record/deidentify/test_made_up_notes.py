"""The benchmark's notes say where their identifiers stand, and hold nothing of the held-out ones; rules find theirs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
TEMPLATES = BENCHMARKS / "_identity"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import _identity_notes

    yield _identity_notes
    for name in [one for one in sys.modules if one.startswith(("_identity", "_deidentify"))]:
        del sys.modules[name]


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_places_are_those_of_the_values(made: ModuleType, language: str) -> None:
    for note in made.notes(TEMPLATES, language, False, 6, 3):
        assert "{" not in note.text
        ends = [one.end for one in note.known]
        assert all(end <= one.start for end, one in zip(ends, note.known[1:], strict=False))
        for one in note.known:
            words = note.text[one.start : one.end]
            assert words.strip()
            if one.kind == "email":
                assert "@" in words.replace("\n", "")


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_held_out_notes_have_templates_and_people_of_their_own(made: ModuleType, language: str) -> None:
    parts = [list(made.notes(TEMPLATES, language, held_out, 8, 3)) for held_out in (False, True)]
    assert not {one.template for one in parts[0]} & {one.template for one in parts[1]}
    names = [
        {
            one.text[k.start : k.end].lower()
            for one in part
            for k in one.known
            if k.kind == "name" and k.end - k.start > 2
        }
        for part in parts
    ]
    assert names[0] and names[1] and not names[0] & names[1]


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_rules_find_what_they_were_made_by(made: ModuleType, language: str) -> None:
    from _deidentify_rules import measured

    figures, _, _ = measured(list(made.notes(TEMPLATES, language, False, 6, 5)))
    assert figures["ruled.recall"] >= 0.99 and figures["precision"] >= 0.97
    assert figures["ruled.recall.low"] <= figures["ruled.recall"] <= figures["ruled.recall.high"]
