"""What a row holds of each code when it is asked: counted by hand, and the same for networks and for graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medloom.learners.timeline.batches import Gathering, Timelines
from medloom.learners.timeline.charting import COLUMNS, LEAST_SPREAD, RECENT
from tests.learners.tabular.worlds import samples_of

torch = pytest.importorskip("torch")


def timelines() -> Timelines:
    from medloom.features.token_vocabulary import TokenVocabulary
    from medloom.learners.timeline.model import Reading

    samples = samples_of("binary", n=60)
    return Reading(TokenVocabulary.fit(samples, min_subjects=1), Gathering(1.0, 64)).timelines(samples)


def held(rows: Timelines, sample: int, weights: Any = None) -> Any:
    from medloom.learners.timeline.chart import charted

    batch = rows.batch(np.array([sample])).as_double()
    shown = torch.ones_like(batch.value) if weights is None else torch.from_numpy(weights)
    return charted(batch, shown, len(rows.vocabulary)).numpy().reshape(COLUMNS, -1)


def test_a_chart_says_of_each_code_how_often_first_last_and_between() -> None:
    rows = timelines()
    tokens = rows.tokens
    sample = int(np.argmax(tokens.lengths))
    facts = slice(*tokens.offsets[[sample, sample + 1]])
    code, value, hours = (one[facts].astype(np.float64) for one in (tokens.code, tokens.value, tokens.hours))
    chart = held(rows, sample)
    for number in np.unique(code).astype(int):
        of, when = value[code == number], hours[code == number]
        spread = np.sqrt(of.var() + LEAST_SPREAD**2) - LEAST_SPREAD
        expected = [np.log1p(len(of)), of.mean(), of.min(), of.max(), of[0], of[-1], spread]
        assert chart[:7, number - 1] == pytest.approx(expected, abs=1e-6)
        if not np.isnan(when[-1]):
            assert 0 < chart[7, number - 1] <= 1
            # facts of a step stand at the time of its last one
            assert chart[7, number - 1] == pytest.approx(1 / (1 + when[-1] / RECENT), rel=0.2)
    absent = np.setdiff1d(np.arange(len(rows.vocabulary)), code.astype(int) - 1)
    assert not chart[:, absent].any()


def test_a_fact_of_no_weight_is_as_if_it_had_not_been() -> None:
    rows = timelines()
    sample = int(np.argmax(rows.lengths))
    n = int(rows.lengths[sample])
    shown = np.ones(n)
    shown[n // 2 :] = 0
    kept = np.zeros(len(rows.tokens.code), bool)
    kept[rows.tokens.offsets[sample] : rows.tokens.offsets[sample] + n // 2] = True
    from medloom.learners.timeline.chart import charted

    without = rows.batch(np.array([sample]), kept=kept.__getitem__).as_double()
    expected = charted(without, torch.ones_like(without.value), len(rows.vocabulary)).numpy()
    assert held(rows, sample, shown)[:7].ravel() == pytest.approx(expected.reshape(COLUMNS, -1)[:7].ravel())


def test_graphs_read_the_chart_that_networks_read() -> None:
    from medloom.learners.timeline.body import BodyConfig, TimelineBody, size_named
    from medloom.learners.timeline.graph import row_form

    rows = timelines()
    form = row_form(TimelineBody(BodyConfig.of(size_named("nano"), rows.vocabulary)))
    rng = np.random.default_rng(0)
    for sample in range(10):
        array = rows.arrays(np.array([sample]))
        for shown in (None, rng.integers(0, 2, len(array["value"])).astype(np.float32)):
            chart = form.arrays(array, shown)["chart"].reshape(COLUMNS, -1)
            weights = None if shown is None else shown.astype(np.float64)
            assert chart == pytest.approx(held(rows, sample, weights), abs=1e-6)


def test_working_out_twice_what_blocks_make_gives_the_same_course() -> None:
    from medloom.learners.timeline.pretraining import Pretraining, pretrain
    from medloom.training.schedule import Schedule

    samples = samples_of("binary", n=120)
    schedule = Schedule(epochs=1, batch=32, patience=None, learning_rate=2e-3)
    courses = []
    for recompute in (False, True):
        how = Pretraining("time-to-event", "nano", 1.0, 32, schedule, recompute)
        made = pretrain(samples.in_split("train"), samples.in_split("tuning"), how, seed=1)
        assert made.course is not None
        courses.append(made.course.curve)
    assert courses[0] == courses[1]
