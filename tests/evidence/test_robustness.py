"""What remains of a model when things are not as they were; the truth of these models is known."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from medloom.evidence.attack import attacked
from medloom.evidence.changes import Asked
from medloom.evidence.perturbation import Facts
from medloom.evidence.robustness import Robustness, _of_some_subjects, robustness
from medloom.evidence.robustness_section import robustness_section, worst_in_words
from medloom.evidence.section import Section
from medloom.foundation.messages import text2
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.inputs import dense_inputs
from tests.explanation.known_models import Floats, KnownModel, known_model, risk, samples_of, table

UNKNOWN = text2("the model does not tell how unusual a patient is")


def known_risk(x: dict[str, Floats]) -> Floats:
    """Take an age that is not known as 55."""
    return risk({**x, "age": np.nan_to_num(x["age"], nan=55.0)})


def tried(
    frame: pl.DataFrame, truth: Callable[[dict[str, Floats]], Floats] = known_risk, **more: object
) -> Robustness:
    samples = samples_of(frame, kind="binary")
    model = known_model(samples, truth)
    unusual = more.pop("unusual", UNKNOWN)
    return robustness(samples, said(model, samples), asked(model, samples), unusual, replicates=50, **more)  # type: ignore[arg-type]


def said(model: KnownModel, samples: Samples) -> Predictions:
    answers = model.answer(dense_inputs(model.inputs(samples).values))
    return Predictions.of_matrix(samples.frame["sample_id"], samples.question.outputs, answers)


def asked(model: KnownModel, samples: Samples) -> Asked:
    def inputs(some: Samples) -> np.ndarray:
        return dense_inputs(model.inputs(some).values)

    facts = Facts.of(model.features.names, model.features.codes, inputs(samples), model.features.flags)
    return Asked(inputs, model.answer, model.answer, facts)


def people(n: int = 800, seed: int = 0) -> pl.DataFrame:
    """Make patients who fall ill as `risk` says."""
    frame = table(n, seed)
    columns = {
        name: frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("LOINC//2160-0", "age")
    }
    ill = np.random.default_rng(seed + 1).random(n) < risk(columns)[:, 0]
    return frame.with_columns(ill=pl.Series(ill))


def values(found: Robustness, family: str, metric: str) -> list[float]:
    each = [one.metrics[metric].value for one in found.trials[family]]  # type: ignore[index]
    assert all(value is not None for value in each)
    return each  # type: ignore[return-value]


@pytest.fixture(scope="module")
def found() -> Robustness:
    return tried(people())


def test_the_less_is_known_and_the_noisier_it_is_the_worse(found: Robustness) -> None:
    for family in ("missing", "noise"):
        aurocs = [found.whole.metrics["auroc"].value, *values(found, family, "auroc")]
        assert aurocs == sorted(aurocs, reverse=True)
        assert found.trials[family][-1].difference.high < 0  # type: ignore[index,operator]


def test_a_wrong_unit_of_what_decides_hurts_and_of_what_does_not_matter_leaves_all_as_it_is(
    found: Robustness,
) -> None:
    by_code = {one.code: one for one in found.trials["units"]}
    creatinine = by_code["LOINC//2160-0"]
    assert creatinine.name.en == "Creatinine in µmol/L"
    assert creatinine.strength == pytest.approx(88.4, abs=0.1)
    assert creatinine.difference.high is not None and creatinine.difference.high < -0.1
    assert set(by_code) == {"LOINC//2160-0"}, "of age no unit is tried, and the others move nothing"
    assert found.worst is not None and "Creatinine" in found.worst.name.en + worst_in_words(found).en


def test_a_rarer_outcome_moves_calibration_by_its_odds_and_leaves_the_ranking(found: Robustness) -> None:
    half = {one.strength: one for one in found.trials["prevalence"]}[0.5]
    whole = {one.strength: one for one in found.trials["prevalence"]}[1.0]
    before = float(np.mean(people()["ill"].to_numpy()))
    odds = np.log(before / 2 / (1 - before / 2)) - np.log(before / (1 - before))
    moved = half.metrics["calibration_intercept"].value - whole.metrics["calibration_intercept"].value  # type: ignore[operator]
    assert moved == pytest.approx(odds, abs=0.1)
    assert half.difference.value == pytest.approx(0, abs=1e-12)
    assert half.metrics["ppv"].value < whole.metrics["ppv"].value  # type: ignore[operator]


def test_a_very_common_outcome_can_only_become_rarer() -> None:
    frame = people(400).with_columns(ill=pl.Series(np.arange(400) % 20 > 0))
    found = tried(frame).trials["prevalence"]
    assert [one.strength for one in found] == [0.25, 0.5, 1.0]
    assert found[-1].difference.value == 0


def test_one_patient_with_more_samples_than_are_asked_for_is_tried_all_the_same() -> None:
    assert _of_some_subjects(np.zeros(50, np.int64), 20, 0).sum() == 50


def test_an_attack_on_a_straight_line_finds_its_worst_corner() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    x[5, 1] = np.nan
    facts = Facts.of(["age", "a", "b"], ["MEDS_BIRTH", "a", "b"], x)
    weights = np.array([5.0, 2.0, -3.0])

    def answer(inputs: np.ndarray) -> Floats:
        return (np.nan_to_num(inputs.astype(np.float64)) @ weights)[:, None]

    changed = attacked(answer, x, facts, facts.continuous, lambda said: said[:, 0], 0.25)
    gained = (answer(changed) - answer(x))[:, 0]
    spread = np.nanstd(x, axis=0)
    known = ~np.isnan(x)
    closed = 0.25 * (2 * spread[1] * known[:, 1] + 3 * spread[2])
    np.testing.assert_allclose(gained, closed, rtol=1e-4)
    np.testing.assert_array_equal(changed[:, 0], x[:, 0])  # nobody becomes younger


def test_a_harmful_change_costs_more_the_further_it_reaches_and_trees_have_none(found: Robustness) -> None:
    aurocs = values(found, "attack", "auroc")
    assert aurocs == sorted(aurocs, reverse=True)
    assert found.trials["attack"][-1].crossed.value > 0  # type: ignore[union-attr,operator]

    def steps(x: dict[str, Floats]) -> Floats:
        return np.round(known_risk(x) * 4) / 4

    assert "not differentiable" in tried(people(200), steps).reasons["attack"].en


def test_years_and_unusual_patients_are_compared(found: Robustness) -> None:
    assert found.reasons["periods"].en == "all were asked at the same moment"
    frame = people(400)
    samples = samples_of(frame)
    days = [datetime(2015, 1, 1) + timedelta(days=3 * at) for at in range(400)]
    # from the third year on the outcome has nothing to do with what is known
    shuffled = np.where(
        np.arange(400) < 200, frame["ill"], np.random.default_rng(0).permutation(frame["ill"])
    )
    dated = Samples(
        samples.frame.with_columns(prediction_time=pl.Series(days).cast(pl.Datetime("us")), label=pl.Series(shuffled)),
        samples.question, samples._record, samples._visibility,
    )  # fmt: skip
    model = known_model(samples, risk)
    answers = said(model, samples)
    later = robustness(
        dated, answers, text2("the model cannot be asked about changed inputs"), np.linspace(0, 100, 400),
        replicates=50, today=datetime(2026, 1, 1),
    )  # fmt: skip
    first, *_, last = later.trials["periods"]
    assert first.name.en.startswith("2015-01-01 to") and last.difference.high < 0  # type: ignore[operator]
    assert later.beyond[90].value == pytest.approx(0.1, abs=0.01)
    assert [one.name.en for one in later.trials["unusual"]] == [
        "the other nine tenths",
        "the most unusual tenth",
    ]
    assert later.reasons["missing"].en == "the model cannot be asked about changed inputs"
    early = robustness(dated, answers, UNKNOWN, UNKNOWN, replicates=20, today=datetime(2017, 1, 1))
    assert "shifted" in early.reasons["periods"].en


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (people(40).head(3), "too few subjects"),
        (people(60).with_columns(ill=pl.lit(True)), "everybody had the outcome"),
    ],
)
def test_what_cannot_be_told_says_why(spoiled: pl.DataFrame, reason: str) -> None:
    found = tried(spoiled)
    assert not found.trials
    assert all(reason in found.reasons[family].en for family in ("missing", "noise", "units", "prevalence"))
    assert reason in worst_in_words(found).en


def test_of_patients_of_whom_nothing_is_known_nothing_can_be_withheld() -> None:
    samples = samples_of(people(60))
    model = known_model(samples, known_risk)
    one = asked(model, samples)
    blank = Asked(lambda some: np.tile(one.facts.blank, (len(some), 1)), one.answer, one.inner, one.facts)
    found = robustness(samples, said(model, samples), blank, UNKNOWN, replicates=20)
    assert "nothing is known of these samples" in found.reasons["missing"].en


def test_the_section_keeps_what_was_found_in_both_languages(found: Robustness) -> None:
    section = robustness_section(found)
    assert Section.from_json(section.to_json()) == section
    assert len(section.figures) == 2 and all("band" in figure.svg for figure in section.figures)
    assert any("肌酐" in row[0].text.zh for row in section.tables[0].rows)
    kept = found.to_json()
    assert kept["metric"] == "auroc" and kept["missing"][0]["strength"] == 0.1
    assert "not estimable" not in str(kept)
