"""Coverage, widths and sizes of sets, by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from medloom.evidence.coverage import Coverage, coverage
from medloom.evidence.coverage_section import coverage_section
from medloom.evidence.estimate import Estimate
from medloom.evidence.stability import stability
from medloom.foundation.errors import InputError
from medloom.tasks.demographics import demographics
from medloom.tasks.external import from_frame
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves
from tests.learners.tabular.worlds import samples_of as many_risks
from tests.training.worlds import samples_of


def bounded(samples: Samples, low: np.ndarray, high: np.ndarray) -> Predictions:
    said = Predictions.of_matrix(
        samples.frame["sample_id"], samples.question.outputs, np.zeros((len(samples), 1))
    )
    return Predictions(said.frame.with_columns(low=pl.Series(low), high=pl.Series(high)))


def test_values_by_hand() -> None:
    """Truths 0 … 99, ranges 10 … 79: 70 of 100 inside, width 69; misses of 1 … 10 and 1 … 20 cost 2 / 0.1 each."""
    samples = samples_of("regression", n=100)
    samples = replace(samples, frame=samples.frame.with_columns(label=pl.Series(np.arange(100.0))))
    found = coverage(samples, bounded(samples, np.full(100, 10.0), np.full(100, 79.0)), 0.9, replicates=200)
    assert found.metrics["coverage"].value == pytest.approx(0.7)
    assert found.metrics["coverage"].low is not None
    assert 0.55 < found.metrics["coverage"].low < 0.65
    assert found.metrics["width"].value == pytest.approx(69)
    assert found.metrics["interval_score"].value == pytest.approx(69 + 20 * (55 + 210) / 100)


def test_sets_by_hand() -> None:
    """Every set holds "high" and "low": right for those who are, two classes each."""
    samples = samples_of("multiclass", n=60)
    said = Predictions.of_matrix(
        samples.frame["sample_id"], samples.question.outputs, np.full((60, 3), 1 / 3)
    )
    sets = said.frame.with_columns(in_set=pl.col("output") != "middle")
    found = coverage(samples, said, 0.9, sets=sets, replicates=50).metrics
    assert found["coverage"].value == pytest.approx((samples.frame["label"] != "middle").mean())
    assert (found["set_size"].value, found["singletons"].value) == (2.0, 0.0)


def test_risks_by_hand() -> None:
    samples = samples_of("binary", n=60)
    found = coverage(
        samples, bounded(samples, np.full(60, 0.2), np.full(60, 0.5)), None, replicates=50
    ).metrics
    assert found["width"].value == pytest.approx(0.3)
    assert found["observed"].value == pytest.approx(samples.frame["label"].mean())


def test_curves_by_hand() -> None:
    """Forty patients, an event a day: by day 10 ten have had it, of bounds 20 % to 30 %."""
    frame = pl.DataFrame({"x": range(40), "days": [float(i + 1) for i in range(40)], "died": [True] * 40})
    samples = from_frame(frame, None, time="days", event="died", unit="d", horizons=[10])
    values = np.full((40, 1, 2), 0.25)
    said = Curves(np.array([10.0, 30.0]), values, values - 0.05, values + 0.05)
    predictions = said.predictions(samples.frame["sample_id"], samples.question.outputs)
    found = coverage(samples, predictions, 0.9, replicates=50)
    assert {name: round(one.value or 0, 3) for name, one in found.metrics.items()} == {
        "width.10": 0.1,
        "low.10": 0.2,
        "observed.10": 0.25,
        "high.10": 0.3,
    }
    assert (
        "By 10 d, risks were said to lie between 20.0% and 30.0%" in coverage_section(found).sentences[0].en
    )
    later = coverage(samples, predictions, 0.9, replicates=50, horizons=(10.0, 90.0))
    never = later.metrics["observed.90"]
    assert never.value is None and never.reason is not None and "followed for so long" in never.reason.en
    assert len(coverage_section(later).sentences) == 1


def test_who_is_less_often_covered_is_seen() -> None:
    samples = samples_of("regression", n=200)
    who = demographics(samples)
    half = np.where(who["sex"] == "F", 1.0, 0.0)
    truth = samples.frame["label"].to_numpy()
    found = coverage(samples, bounded(samples, truth - half + 0.5, truth + half), 0.9, who, replicates=50)
    assert found.subgroups["sex"]["F"]["coverage"].value == 1
    assert found.subgroups["sex"]["M"]["coverage"].value == 0
    assert set(found.to_json()) == {"level", "n", "n_subjects", "metrics", "subgroups", "reasons"}


def test_three_patients_give_a_reason_instead_of_a_number() -> None:
    samples = samples_of("regression", n=3)
    found = coverage(samples, bounded(samples, np.zeros(3), np.ones(3)), 0.9)
    assert found.metrics["coverage"].value is None
    assert "too few subjects" in found.to_json()["reasons"]["metrics.coverage"]


def test_predictions_without_bounds_are_refused() -> None:
    samples = samples_of("regression", n=20)
    said = Predictions.of_matrix(samples.frame["sample_id"], ["value"], np.zeros((20, 1)))
    with pytest.raises(InputError, match="20 of 20 predictions have no bounds"):
        coverage(samples, said, 0.9)


def test_scatter_of_refits_by_hand() -> None:
    found = stability(
        [1, 2], ["true"], np.array([[0.2], [0.8]]), np.array([[[0.1], [0.8]], [[0.6], [0.8]]]), {"half": 0.5}
    )
    assert found.frame["mean_difference"].to_list() == pytest.approx([0.25, 0.0])
    assert found.mean_difference["true"] == pytest.approx(0.125)
    assert found.reclassified == {"half": 0.25}
    assert "sample_id" not in found.to_json()["plot"]


def test_refits_of_other_patients_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected is \(refits, 1, 1\)"):
        stability([1], ["true"], np.zeros((1, 1)), np.zeros((4, 2, 1)))


def test_several_risks_of_a_sample_are_averaged() -> None:
    samples = many_risks("multilabel", n=40)
    said = Predictions.of_matrix(samples.frame["sample_id"], samples.question.outputs, np.full((40, 2), 0.5))
    frame = said.frame.with_columns(
        low=pl.lit(0.4), high=pl.when(pl.col("output") == "sick").then(0.5).otherwise(0.7)
    )
    found = coverage(samples, Predictions(frame), None, replicates=50).metrics
    assert found["width"].value == pytest.approx(0.2)
    assert found["observed"].value == pytest.approx(samples.frame["label"].list.len().sum() / 80)


def test_a_part_of_the_risks_that_does_not_come_true_is_named() -> None:
    def told(low: float, seen: tuple[float, float, float], high: float) -> dict[str, Estimate]:
        return {"low": Estimate(low), "observed": Estimate(*seen), "high": Estimate(high)}

    parts = {
        "risk": {
            "lowest": told(0.1, (0.08, 0.04, 0.12), 0.12),
            "highest": told(0.25, (0.36, 0.3, 0.43), 0.29),
        }
    }
    found = Coverage(None, 100, 100, told(0.16, (0.18, 0.15, 0.21), 0.19), parts, "binary")
    _, missed = coverage_section(found).sentences
    assert missed.en == (
        "Not so in one part: said 25.0% to 29.0%, observed 36.0% (30.0%–43.0%) (highest third)."
    )
