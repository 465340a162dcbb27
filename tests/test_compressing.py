"""Smaller models answer about as before, say what they were made from, and are not kept where they lose too much."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.api import Trained
from medloom.compressing import compress
from medloom.foundation.errors import InputError
from medloom.learners.timeline.graph_model import GraphModel
from medloom.learners.timeline.model import TimelineModel
from medloom.learners.timeline.transformer import TransformerLearner
from medloom.record.record import Record
from medloom.tasks.package import load
from medloom.training.answers import scores_of
from medloom.training.compression.model import CompressedModel
from medloom.training.compression.plan import Plan
from medloom.training.wrapping import innermost
from tests.learners.tabular.worlds import ASKED, LAB, NOISE, samples_in, samples_of

PLANS = [
    Plan("onnx"),
    Plan("int8"),
    Plan("pruned", share=0.3),
    Plan("pruned", "weights", share=0.6),
    Plan("distilled"),
    Plan("distilled", "gbdt"),
]
GRAPH, EIGHT_BITS, UNITS, WEIGHTS, SMALLER, TREES = range(6)
ALL = [pytest.param(plan, id=f"{plan.to}-{plan.way}") for plan in PLANS]
MOST_LOST = 0.05  # of tiny networks, learned in seconds


@cache
def trained() -> Trained:
    samples = samples_of("binary", n=240)
    learner = TransformerLearner(epochs=6, learning_rate=0.01, batch=32, hidden_facts=0.0, most=32)
    return Trained(learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed=1), samples)


@cache
def smaller(plan: Plan) -> CompressedModel:
    how = {"method": plan.method, "share": plan.share, "epochs": 5, "learning_rate": 0.01}
    made = ml.compress(trained(), plan.to, most_lost=MOST_LOST, **how).trained.model
    assert isinstance(made, CompressedModel)
    return made


@pytest.mark.parametrize("plan", ALL)
def test_a_smaller_model_is_a_package_of_its_own_that_names_what_it_was_made_from(
    plan: Plan, tmp_path: Path
) -> None:
    model, samples = smaller(plan), samples_of("binary", n=40, seed=9)
    digest = model.save(tmp_path / "one")
    assert model.base_digest == trained().model.save(tmp_path / "base")
    again = load(tmp_path / "one", digest)
    assert again.predict(samples).frame.equals(model.predict(samples).frame)
    assert again.save(tmp_path / "two") == digest
    assert isinstance(again, CompressedModel) and again.base_digest == model.base_digest
    assert model.made.after.bytes < model.made.before.bytes or plan.way == "gbdt"
    assert model.made.lost <= MOST_LOST


def test_a_graph_answers_as_its_network_whatever_the_timeline() -> None:
    rows = [(0, ASKED, LAB, 50.0)]
    rows += [(1, ASKED, LAB, float(value)) for value in range(3000)]
    rows += [(2, ASKED, LAB, 1e30), (2, ASKED, LAB, float("nan")), (2, ASKED, "LOINC//never-seen", 1.0)]
    events = pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
    strange = samples_in(Record.from_events(events), "binary", [True] * 4, 4)  # nothing is known of the last
    graph = innermost(smaller(PLANS[GRAPH]))
    assert isinstance(graph, GraphModel)
    for samples in (samples_of("binary", n=60, seed=9), strange):
        ours, theirs = (
            scores_of("binary", one.predict(samples).matrix(("true",))) for one in (graph, trained().model)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    together = graph.predict(strange).frame["value"].to_list()
    assert [graph.predict(strange.at(place)).frame["value"].item() for place in range(4)] == together


@pytest.mark.parametrize("plan", [ALL[GRAPH], ALL[TREES]])
def test_a_smaller_model_says_why(plan: Plan) -> None:
    model, samples = smaller(plan), samples_of("binary", n=4, seed=9)
    explanation = model.explain(samples)
    assert explanation.scale == "log-odds"
    summed = explanation.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    expected = scores_of("binary", model.predict(samples).matrix(("true",)))[:, 0]
    baseline = explanation.baseline["value"].item()
    np.testing.assert_allclose(baseline + summed["contribution"].to_numpy(), expected, atol=1e-5)
    sizes = explanation.frame.drop_nulls("code").group_by("code").agg(pl.col("contribution").abs().sum())
    by_code = dict(sizes.iter_rows())
    assert by_code[LAB] > by_code.get(NOISE, 0)


@pytest.mark.parametrize("plan", [ALL[GRAPH], ALL[EIGHT_BITS]])
def test_a_graph_knows_who_is_unlike_its_patients(plan: Plan, tmp_path: Path) -> None:
    samples, network, graph = samples_of("binary", n=40, seed=9), trained().model, innermost(smaller(plan))
    assert isinstance(network, TimelineModel) and isinstance(graph, GraphModel)
    if plan.to == "onnx":
        np.testing.assert_allclose(graph.represent(samples), network.represent(samples), atol=1e-3)
    ours, theirs = (ml.unusual(one, samples)["percentile"].to_numpy() for one in (graph, network))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
    graph.save(tmp_path / "graph")
    assert ml.unusual(load(tmp_path / "graph"), samples)["percentile"].to_list() == ours.tolist()


def test_a_smaller_network_of_one_block_is_made_a_graph_too(tmp_path: Path) -> None:
    network = smaller(PLANS[SMALLER])
    made = compress(Trained(network, trained().samples), Plan("onnx"), most_lost=MOST_LOST).trained.model
    assert isinstance(made, CompressedModel) and made.base_digest == network.save(tmp_path / "network")
    samples = samples_of("binary", n=5, seed=9)
    ours, theirs = (one.predict(samples).frame["value"].to_numpy() for one in (made, network))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_what_loses_more_than_was_agreed_is_refused() -> None:
    nothing_left = Plan("pruned", "weights", share=0.999, epochs=1, learning_rate=1e-9)
    with pytest.raises(InputError, match="more than the agreed 0.003; it was not kept"):
        compress(trained(), nothing_left)


def test_a_pruned_network_has_fewer_units_and_a_pruned_matrix_mostly_zeros() -> None:
    units, weights = (innermost(smaller(PLANS[place])) for place in (UNITS, WEIGHTS))
    assert isinstance(units, TimelineModel) and isinstance(weights, TimelineModel)
    assert [tuple(one) for one in units.built["kept"]] == [(3, 120), (3, 120)]
    query = weights.network.body.blocks[0].query.weight
    assert float((query == 0).double().mean()) == pytest.approx(0.6, abs=0.01)


def test_what_cannot_be_made_smaller_is_said() -> None:
    with pytest.raises(InputError, match="there are: onnx, int8, pruned, distilled"):
        compress(trained(), Plan("tiny"))
    with pytest.raises(InputError, match="is a graph already"):
        compress(replace(trained(), model=smaller(PLANS[GRAPH])), Plan("int8"))
    tree = Trained(innermost(smaller(PLANS[TREES])), trained().samples)
    with pytest.raises(InputError):
        compress(tree, Plan("onnx"))


def test_a_graph_answers_where_there_is_no_pytorch(tmp_path: Path) -> None:
    smaller(PLANS[EIGHT_BITS]).save(tmp_path / "package")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from medloom.tasks.package import load\n"
        "from tests.learners.tabular.worlds import samples_of\n"
        f"model = load(Path({str(tmp_path / 'package')!r}))\n"
        "print(model.predict(samples_of('binary', n=40, seed=9)).frame['value'].to_list())"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    here = smaller(PLANS[EIGHT_BITS]).predict(samples_of("binary", n=40, seed=9)).frame["value"].to_list()
    assert json.loads(done.stdout.splitlines()[-1]) == here


def test_a_graph_says_that_the_version_it_was_made_from_can_be_looked_into() -> None:
    made = replace(trained(), model=smaller(PLANS[GRAPH]))
    for verb in (
        lambda one: ml.deletion(one, split="tuning"),
        lambda one: ml.reasons(one, one.samples.at(0), "rollout"),
    ):
        with pytest.raises(InputError, match="ask the version that it was made from"):
            verb(made)
    for method in ("shap", "kernel", "lime"):
        with pytest.raises(InputError, match="its own reasons: --method own"):
            ml.reasons(made, made.samples.at(0), method)  # type: ignore[arg-type]
