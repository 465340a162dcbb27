"""Dynamic prediction: one model for all landmarks, asked again at each with what is known by then."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl

from medloom.evidence.survival import harrell
from medloom.learners.survival.learners import CoxLearner
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.survival import outcomes_of, read_curves
from tests.tasks.builders import DAY, task_of

VISITS = 6


def record_of_visits(n: int = 250) -> Record:
    """Make patients seen every ten days until they die; the hazard follows a value that wanders."""
    rng = np.random.default_rng(0)
    rows = []
    for subject in range(n):
        value, end = rng.normal(), 10.0 * VISITS
        for visit in range(VISITS):
            rows.append((subject, DAY + timedelta(days=10 * visit), "X//visit", None))
            rows.append((subject, DAY + timedelta(days=10 * visit), "LAB//marker", float(value)))
            wait = rng.exponential(40 * np.exp(-1.5 * value))
            if wait < 10:
                end = 10 * visit + wait
                rows.append((subject, DAY + timedelta(days=end), "MEDS_DEATH", None))
                break
            value = 0.6 * value + 0.8 * rng.normal()
        else:
            rows.append((subject, DAY + timedelta(days=end), "X//call", None))
    schema = ["subject_id", "time", "code", "numeric_value"]
    return Record.from_events(pl.DataFrame(rows, schema=schema, orient="row"))


def test_asked_again_with_newer_values_the_order_of_events_is_told_better() -> None:
    task = task_of(
        kind="survival",
        prediction_time={"event": ["X//visit"], "which": "every"},
        predict={"event": ["MEDS_DEATH"], "unit": "d", "horizons": ["10d"], "within": "20d"},
    )
    samples = apply(task, record_of_visits()).samples
    assert len(samples) > 2 * samples.frame["subject_id"].n_unique()
    by_patient = pl.col("subject_id") % 3
    split = pl.when(by_patient == 0).then(pl.lit("held_out")).otherwise(pl.lit("train")).alias("split")
    samples = replace(samples, frame=samples.frame.with_columns(split))
    train, held_out = samples.in_split("train"), samples.in_split("held_out")
    model = CoxLearner(l1_ratios=(0.1,), windows=("1d",)).fit(train, train.where(pl.lit(False)))
    outcomes = outcomes_of(held_out.frame["label"], ("event",))
    curves = read_curves(model.predict(held_out).frame, ("event",))
    lost = curves.time_lost()[:, 0]
    # what was said of each patient at the first visit, held against the same later landmarks
    of_first = held_out.frame.with_columns(lost=pl.Series(lost)).select(
        pl.col("lost").first().over("subject_id")
    )["lost"]
    later = held_out.frame["prediction_time"].to_numpy() > np.datetime64(DAY)
    assert harrell(outcomes[later], lost[later]) > harrell(outcomes[later], of_first.to_numpy()[later]) + 0.1
    # and what is said is as likely as it comes: the chance of the event within ten days of a landmark
    came = ((outcomes.time <= 10) & outcomes.happened).mean()
    assert abs(curves.at([10.0])[:, 0, 0].mean() - came) < 0.05
