"""Surrogate trees: faithful where the model is a tree, honest where it is not, drawn for readers of both languages."""

import re
from dataclasses import replace

import numpy as np
import pytest

from medloom.explanation.shapley import TreeArrays
from medloom.explanation.surrogate import fidelity_frame, surrogate_of, surrogate_tree, tree_answers
from medloom.explanation.threshold_words import sides
from medloom.explanation.tree_drawing import TreeWords, tree_drawing
from medloom.explanation.windowed import unit_of
from medloom.explanation.wording import input_name
from medloom.foundation.errors import InputError
from medloom.tasks.question import Question, Title
from tests.explanation.known_models import Floats, known_model, risk, samples_of, table, three_ways

UNITS = {"LOINC//2160-0": "mg/dL", "LOINC//2345-7": "mg/dL"}
ILL = Question(task="ill", kind="binary", title=Title(en="ill", zh="病"))


def words(names, question, **others) -> TreeWords:
    return TreeWords(
        names,
        question,
        lambda input: input_name(input, {}, UNITS),
        lambda input: unit_of(input, UNITS),
        **others,
    )


def test_a_model_that_is_a_tree_is_found_with_its_missing_values() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3)).astype(np.float32)
    x[::5, 0] = np.nan

    def answer(x: np.ndarray) -> Floats:
        unknown = np.isnan(x[:, :1])
        return np.where(unknown, 0.9, np.where(x[:, :1] > 0, 0.6, np.where(x[:, 1:2] > 0.5, 0.3, 0.1)))

    found = surrogate_tree(answer, x[:500], x[500:], max_depth=3)
    assert found.fidelity[0] > 0.97
    assert found.agreement == pytest.approx(1, abs=0.02)
    assert found.low[0] <= found.fidelity[0] <= found.high[0]
    assert found.may_be_missing.tolist() == [True, False, False]
    assert set(found.tree.feature[found.tree.left >= 0]) <= {0, 1}
    assert tree_answers(found.tree, x[:1]) == pytest.approx(np.array([[0.9]]))


def test_a_model_that_is_no_tree_is_said_to_be_none() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 6)).astype(np.float32)

    def parity(x: np.ndarray) -> Floats:
        return (np.prod(np.sign(x), axis=1, keepdims=True) > 0).astype(np.float64)

    assert surrogate_tree(parity, x[:500], x[500:], max_depth=2).fidelity[0] < 0.1


def test_what_cannot_be_said_is_not() -> None:
    x = np.arange(40, dtype=np.float32)[:, None]
    constant = surrogate_tree(lambda x: np.full((len(x), 1), 0.3), x, x)
    assert np.isnan(constant.fidelity).all() and np.isnan(constant.low).all()
    assert fidelity_frame(constant, ("true",)).row(0) == ("true", None, None, None)
    none = surrogate_tree(lambda x: x.astype(float), x, x[:0])
    assert np.isnan(none.fidelity).all() and none.agreement is None and none.judged == 0
    assert np.isfinite(surrogate_tree(lambda x: x.astype(float), x, x[:5], "regression").fidelity[0])
    assert surrogate_tree(lambda x: x.astype(float), x, x, "regression").agreement is None
    with pytest.raises(InputError, match="there are none"):
        surrogate_tree(lambda x: x.astype(float), x[:0], x)


def test_patients_do_not_judge_what_was_made_from_them() -> None:
    samples = samples_of(table())
    with pytest.raises(InputError, match="hand in two splits"):
        surrogate_of(known_model(samples, risk), samples, samples.in_split("held_out"))


def test_classes_are_told_apart_and_drawn() -> None:
    samples = samples_of(table(900), "where")
    model = known_model(samples, three_ways)
    found = surrogate_of(model, samples.in_split("train"), samples.in_split("held_out"), max_depth=2)
    assert (found.fidelity > 0.3).all() and found.agreement > 0.6
    drawn = tree_drawing(found.tree, words(found.names, samples.question, flags=model.features.flags))
    for said in ("Creatinine", "肌酐", "mg/dL", "icu", "or not known", "或不详", "个样本"):
        assert said in drawn


def test_flags_counts_and_ages_are_said_as_people_do() -> None:
    assert [side.en for side in sides("A count 24h", 2.5, None)] == ["≤ 2", "≥ 3"]
    assert [side.zh for side in sides("A hours since last ever", 100, "h")] == ["≤ 4.2 天", "> 4.2 天"]
    names = ["GENDER//F", "ICD10CM//I10 count ever"]
    children = np.array([1, -1, -1]), np.array([2, -1, -1])
    values, cover = np.array([[0.2], [0.1], [0.3]]), np.array([30.0, 25, 5])
    tree = TreeArrays(
        *children, np.array([0, -2, -2]), np.array([0.5, 0, 0]), np.zeros(3, bool), values, cover
    )
    drawn = tree_drawing(tree, words(names, ILL, flags={"GENDER//F"}, may_be_missing=np.zeros(2, bool)))
    assert ">yes<" in drawn and ">否<" in drawn and "not known" not in drawn
    # so few could be told who they are
    assert "fewer than 10 samples" in drawn and "5 samples" in drawn.replace("25 samples", "5 samples")
    assert not re.search(r">5 samples", drawn)
    counted = replace(tree, feature=np.array([1, -2, -2]))
    assert ">none<" in tree_drawing(counted, words(names, ILL))


def test_a_question_whether_something_is_known_is_said_so() -> None:
    x = np.arange(200, dtype=np.float32)[:, None]
    x[::2] = np.nan
    found = surrogate_tree(lambda x: np.isnan(x).astype(float), x, x)
    assert found.fidelity.tolist() == [1.0]
    drawn = tree_drawing(found.tree, words(["LOINC//2160-0"], ILL))
    assert (
        ">known<" in drawn and ">not known<" in drawn and "inf" not in drawn and "or not known" not in drawn
    )


def test_a_tree_without_a_question_is_one_answer_and_a_huge_one_is_refused() -> None:
    leaf = TreeArrays(
        np.array([-1]), np.array([-1]), np.array([-2]), np.zeros(1), np.zeros(1, bool), np.array([[0.4]]),
        np.array([50.0]),
    )  # fmt: skip
    assert "40 %" in tree_drawing(leaf, words(["age"], ILL))
    x = np.arange(200, dtype=np.float32)[:, None]
    large = surrogate_tree(lambda x: x.astype(float), x, x, max_depth=8, min_leaf=1)
    with pytest.raises(InputError, match="too large to be drawn"):
        tree_drawing(large.tree, words(["age"], ILL))


def test_a_name_cannot_break_the_drawing() -> None:
    children = np.array([1, -1, -1]), np.array([2, -1, -1])
    tree = TreeArrays(
        *children, np.array([0, -2, -2]), np.zeros(3), np.zeros(3, bool), np.full((3, 1), 0.5), np.ones(3)
    )
    drawn = tree_drawing(tree, words(["<script>alert(1)</script>"], ILL))
    assert "<script" not in drawn
