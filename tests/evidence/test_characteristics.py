"""Who the patients are: the numbers, and whom they must not give away."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from medloom.evidence.characteristics import has_outcome, summarise_inputs, summarise_people
from medloom.evidence.characteristics_section import inputs_section, people_section
from medloom.evidence.counts import FEW, HIDDEN
from medloom.evidence.subgroups import Subgroup, persons_shown, split_by
from medloom.features.matrix import FeatureMatrix
from medloom.foundation.messages import Text2


def test_few_persons_are_not_told_nor_can_they_be_reckoned() -> None:
    # 60 women, 5 men; of 65, 20 with the outcome, of whom 2 are men
    sex = ["F"] * 60 + ["M"] * 5
    outcome = np.array([True] * 18 + [False] * 42 + [True] * 2 + [False] * 3)
    frame = pl.DataFrame({"sample_id": range(65), "group": range(65), "split": ["train"] * 65})
    people = pl.DataFrame({"sample_id": range(65), "sex": sex, "age": [40.0] * 65})
    found = summarise_people(frame, people, outcome).splits["train"]
    assert {key: one.persons.shown for key, one in found.items()} == {
        "all": "65",
        "with": "20",
        "without": "45",
    }
    shown = {key: {name: n.shown for name, n in one.groups["sex"].items()} for key, one in found.items()}
    assert shown == {key: {"F": HIDDEN, "M": FEW} for key in ("all", "with", "without")}
    text = str(people_section(summarise_people(frame, people, outcome), ["train"]).to_json())
    assert "'60'" not in text and "'18'" not in text and "'42'" not in text


def test_a_person_counts_once_and_ages_have_mean_and_deviation() -> None:
    frame = pl.DataFrame(
        {"sample_id": range(40), "group": [n // 2 for n in range(40)], "split": ["train"] * 40}
    )
    people = pl.DataFrame({"sample_id": range(40), "sex": ["F"] * 40, "age": [30.0, 50.0] * 20})
    found = summarise_people(frame, people, None).splits["train"]["all"]
    assert (found.persons.n, found.age) == (20, (40.0, 10.0))
    assert found.groups["sex"]["F"].n == 20


def test_inputs_are_described_with_and_without_the_outcome() -> None:
    outcome = np.array([True] * 20 + [False] * 20)
    value = np.where(outcome, 3.0, 1.0) + np.tile([-1.0, 1.0], 20)
    rare = np.where(np.arange(40) < 5, 1.0, 0.0)
    dense = np.stack([value, np.where(np.arange(40) % 2, np.nan, value), rare], axis=1).astype(np.float32)
    counts = sp.csr_matrix(np.where(outcome, 2.0, 0.0).reshape(-1, 1).astype(np.float32))
    names = ("LOINC//1 last 24h", "LOINC//2 last 24h", "flag", "ICD//3 count ever")
    matrix = FeatureMatrix(dense, counts, names, (None,) * 4)
    last, half, flag, often = summarise_inputs(matrix, np.arange(40), outcome, matrix)
    assert (last.present, last.mean["with"], last.mean["without"], last.sd["with"]) == (1.0, 3.0, 1.0, 1.0)
    assert last.smd == pytest.approx(2.0) and last.shift == pytest.approx(0.0)
    assert half.present == 0.5
    assert flag.present is None and flag.mean == {"all": None, "with": None, "without": None}
    assert (often.present, often.mean["all"]) == (0.5, 1.0)
    section = inputs_section([last, half, flag, often], 40, lambda name: Text2(name, name))
    first = [cell.text.en for cell in section.tables[0].rows[0]]
    assert first == ["LOINC//1 last 24h", "100%", "3.00 (1.00)", "1.00 (1.00)", "+2.00", "+0.00"]
    assert ["flag", FEW, FEW, FEW, "–", "–"] in [
        [cell.text.en for cell in row] for row in section.tables[0].rows
    ]


def test_means_of_all_and_of_most_do_not_tell_those_of_a_few() -> None:
    outcome = np.arange(40) < 3
    frame = pl.DataFrame({"sample_id": range(40), "group": range(40), "split": ["train"] * 40})
    people = pl.DataFrame({"sample_id": range(40), "sex": ["F"] * 40, "age": [40.0] * 40})
    found = summarise_people(frame, people, outcome).splits["train"]
    assert {key: one.age for key, one in found.items()} == {"all": (40.0, 0.0), "with": None, "without": None}
    value = np.arange(40.0, dtype=np.float32).reshape(-1, 1)
    matrix = FeatureMatrix(value, sp.csr_matrix((40, 0)), ("x",), (None,))
    (one,) = summarise_inputs(matrix, np.arange(40), outcome)
    assert one.mean == {"all": 19.5, "with": None, "without": None} and one.smd is None


def test_a_shift_is_not_told_of_samples_of_a_few_patients() -> None:
    matrix = FeatureMatrix(
        np.arange(40.0, dtype=np.float32).reshape(-1, 1), sp.csr_matrix((40, 0)), ("x",), (None,)
    )
    (many,) = summarise_inputs(matrix, np.arange(40), None, matrix, np.arange(40))
    (few,) = summarise_inputs(matrix, np.arange(40), None, matrix, np.arange(40) % 2)
    assert (many.shift, few.shift) == (0.0, None)


def test_prognosis_has_an_outcome_where_an_event_was_seen() -> None:
    label = pl.Series([{"time": 2.0, "event": "death"}, {"time": 5.0, "event": None}])
    found = has_outcome("survival", label)
    assert found is not None and found.tolist() == [True, False]
    assert has_outcome("regression", pl.Series([1.0])) is None


def test_groups_are_those_of_the_evaluation_and_are_hidden_alike() -> None:
    languages = [*"abcdefg" * 12, *"hhhhhhhhhhhhhiiiiiiiiiiiiijjjjjjjjjjjjkkkkkkkkkkkllllllllllmmmmmmmmmm"]
    split = ["train"] * 84 + ["held_out"] * 68
    n = len(split)
    frame = pl.DataFrame({"sample_id": range(n), "group": range(n), "split": split})
    people = pl.DataFrame({"sample_id": range(n), "age": [50.0] * n, "language": languages[:n]})
    summary = summarise_people(frame, people, None, "held_out")
    held_out = frame.filter(pl.col("split") == "held_out")["sample_id"]
    judged = [name for dimension, name, _ in split_by(held_out, people) if dimension == "language"]
    assert [*judged, "other"] == list(summary.splits["held_out"]["all"].groups["language"])
    part = Subgroup(38, 38, 6 / 38, {})
    assert part.prevalence_shown is None and Subgroup(380, 380, 0.2, {}).prevalence_shown == 0.2
    shown = persons_shown({"18-44": Subgroup(535, 535, 0.2, {}), "45-64": Subgroup(9, 9, None, {})}, 544)
    assert shown == {"18-44": HIDDEN, "45-64": FEW}
