"""YAML as plain texts: what could not end is refused."""

from __future__ import annotations

import pytest

from medloom.foundation.documents import read_document
from medloom.foundation.errors import InputError


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x 1\nb: *x"])
def test_a_part_repeated_by_its_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"\*x"):
        read_document(text, "task.yaml")


def test_a_document_nested_too_deeply_is_refused() -> None:
    with pytest.raises(InputError, match="too deeply"):
        read_document("[" * 5000 + "]" * 5000, "task.yaml")
