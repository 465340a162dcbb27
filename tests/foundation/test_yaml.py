"""What is said of a file that does not fit: the unknown key first, in words, with what was meant."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from medloom.foundation.errors import InputError
from medloom.foundation.messages import speaking
from medloom.foundation.yaml import parse_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Sheet(_Strict):
    pages: int = 1
    share: float = 0.5
    draft: bool = False


class Book(_Strict):
    title: str = Field(min_length=1)
    cover: Literal["hard", "soft"] = "hard"
    tags: tuple[str, ...] = ()
    sheet: Sheet = Sheet()


def said(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, Book, "book", "b.yaml")
    return str(caught.value)


def test_a_misspelled_key_is_named_before_the_key_that_it_leaves_missing() -> None:
    assert said("titel: x") == (
        "book 'b.yaml' line 1: titel: unknown key; did you mean title? known here: cover, sheet, tags, title"
    )


def test_a_key_like_no_other_is_answered_with_the_known_ones() -> None:
    assert said("title: x\nqqq: 1").endswith(
        "line 2: qqq: unknown key; known here: cover, sheet, tags, title"
    )


def test_a_misspelled_key_inside_a_part_is_compared_with_the_keys_there() -> None:
    assert "line 2: sheet.page: unknown key; did you mean pages?" in said("title: x\nsheet: {page: 3}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cover: hard", "title: is missing"),
        ("title: x\ncover: hart", "'hart' is none of hard, soft; did you mean hard?"),
        ("title: x\ncover: '7'", "'7' is none of hard, soft"),
        ("title: x\ntags: new", "must be a list: write [new]"),
        ("title: x\ntags: {a: b}", "must be a list: begin each entry with -"),
        ("title: x\nsheet: big", "sheet: needs keys of its own, each with a value; 'big' has none"),
        ("title: [x]", "must be one text"),
        ("title: ''", "must not be empty"),
        ("title: x\nsheet: {pages: two}", "must be a whole number, not 'two'"),
        ("title: x\nsheet: {share: half}", "must be a number, not 'half'"),
        ("title: x\nsheet: {draft: maybe}", "must be true or false, not 'maybe'"),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_words(text: str, words: str) -> None:
    assert words in said(text)


def test_it_is_told_in_chinese_too() -> None:
    with speaking("zh"):
        assert "您是否想写 title" in said("titel: x")
