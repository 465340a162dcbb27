"""Rates by group and the gaps between groups."""

import numpy as np
import polars as pl
import pytest

from medloom.evidence.answers import binary_answers
from medloom.evidence.fairness import fairness


def world(n: int = 600, unfair: float = 0.0, seed: int = 0) -> tuple[object, pl.Series, pl.DataFrame]:
    """Outcomes with the same risks in both sexes; the model says `unfair` less log-odds for women."""
    random = np.random.default_rng(seed)
    sex = np.where(random.random(n) < 0.5, "F", "M")
    score = random.normal(-0.5, 1.5, n)
    truth = random.random(n) < 1 / (1 + np.exp(-score))
    risk = 1 / (1 + np.exp(-(score - unfair * (sex == "F"))))
    ids = pl.Series("sample_id", np.arange(n))
    people = pl.DataFrame({"sample_id": ids, "sex": sex, "age": random.uniform(20, 90, n)})
    return binary_answers(truth, risk), ids, people


def test_rates_are_those_counted_by_hand() -> None:
    answers, ids, people = world()
    found = fairness(answers, ids, people, 0.5, replicates=50)["sex"]
    women = (people["sex"] == "F").to_numpy()
    flagged = answers.predicted >= 0.5
    by_hand = {
        "selection_rate": flagged[women].mean(),
        "sensitivity": flagged[women & answers.truth].mean(),
        "false_positive_rate": flagged[women & ~answers.truth].mean(),
        "ppv": answers.truth[women & flagged].mean(),
        "observed_to_expected": answers.truth[women].sum() / answers.predicted[women].sum(),
    }
    for name, value in by_hand.items():
        assert found.groups["F"][name].value == pytest.approx(value), name
    assert found.gaps["sensitivity"].value == pytest.approx(
        abs(found.groups["F"]["sensitivity"].value - found.groups["M"]["sensitivity"].value)
    )


def test_a_model_that_understates_women_is_seen() -> None:
    answers, ids, people = world(2000, unfair=1.5)
    found = fairness(answers, ids, people, 0.5, replicates=200)["sex"]
    assert found.gaps["equalised_odds"].low > 0.1
    assert found.between["sensitivity"] == ("F", "M")
    assert found.groups["F"]["observed_to_expected"].low > 1.2


def test_pairs_are_compared_where_they_are_large_enough() -> None:
    answers, ids, people = world(2000)
    assert "sex × age" in fairness(answers, ids, people, 0.5, replicates=20)
    few, ids, people = world(60)
    assert "sex × age" not in fairness(few, ids, people, 0.5, replicates=20)


def test_a_group_of_two_is_not_compared() -> None:
    answers, ids, people = world(100)
    two = people.with_columns(
        sex=pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("F")).otherwise(pl.lit("M"))
    )
    assert "sex" not in fairness(answers, ids, two, 0.5, replicates=20)


def test_a_group_without_outcomes_has_no_sensitivity_but_a_reason() -> None:
    answers, ids, people = world(200)
    truth = answers.truth & (people["sex"] == "M").to_numpy()
    found = fairness(binary_answers(truth, answers.predicted), ids, people, 0.5, replicates=20)["sex"]
    assert found.groups["F"]["sensitivity"].value is None
    assert "with the outcome" in found.groups["F"]["sensitivity"].reason.en
    assert found.gaps["sensitivity"].value is None
    assert found.gaps["equalised_odds"].value is None


def test_json_is_plain() -> None:
    import json

    answers, ids, people = world(200)
    json.dumps(
        {name: one.to_json() for name, one in fairness(answers, ids, people, 0.5, replicates=20).items()}
    )


def test_of_many_groups_the_rare_ones_are_one() -> None:
    from medloom.evidence.subgroups import split_by

    sizes = {name: 40 - 4 * at for at, name in enumerate("ABCDEFGH")}
    texts = [name for name, n in sizes.items() for _ in range(n)]
    ids = pl.Series("sample_id", range(len(texts)))
    found = {
        name: int(chosen.sum())
        for _, name, chosen in split_by(ids, pl.DataFrame({"sample_id": ids, "site": texts}))
    }
    assert found == {**{name: sizes[name] for name in "ABCDEF"}, "other": sizes["G"] + sizes["H"]}
