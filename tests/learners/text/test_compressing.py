"""A model of notes as a graph: the same answers without PyTorch, alone and in any company."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.compressing import Compressed, compress
from medloom.foundation.errors import InputError
from medloom.learners.text.bilstm import BilstmLearner
from medloom.learners.text.encoder import EncoderLearner
from medloom.learners.text.learner import TextLearner
from medloom.learners.text.tagging.graph_model import TaggerGraphModel
from medloom.learners.text.tagging.model import TaggerModel
from medloom.tasks.package import load
from medloom.training.wrapping import innermost
from tests.learners.text.worlds import FINDINGS, ill, samples, small_encoder

pytest.importorskip("onnxruntime")
LEARNERS = ["encoder", "bilstm-crf"]
LONG = "The patient takes aspirin every day. We saw him in the ward today. " * 30
STRANGE = ["", " \n ", "\U0001f600 שלום", "aspirin", LONG]


def learner(name: str) -> TextLearner:
    if name == "encoder":
        start = str(small_encoder(Path(mkdtemp())))
        return EncoderLearner(start=start, learning_rate=0.004, epochs=12, window=64, overlap=16)
    return BilstmLearner(
        vocabulary=300, width=48, epochs=20, learning_rate=0.01, average=0.0, window=64, overlap=16
    )


@cache
def tagger(name: str) -> ml.Trained:
    known = samples()
    return ml.Trained(learner(name).fit(known.in_split("train"), known.in_split("tuning")), known)


@cache
def made(name: str, to: str) -> Compressed:
    return compress(tagger(name), to, most_lost=0.02)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_graph_names_the_places_that_its_network_names(name: str, tmp_path: Path) -> None:
    compressed = made(name, "onnx")
    compressed.trained.save(tmp_path / "graph")
    graph, network = innermost(load(tmp_path / "graph")), tagger(name).model
    assert isinstance(graph, TaggerGraphModel) and isinstance(network, TaggerModel)
    texts = samples(30, seed=5).texts() + STRANGE
    mine, its = network.tag(texts), graph.tag(texts)
    assert [[one.span for one in found] for found in its] == [[one.span for one in found] for found in mine]
    sure = [[[one.confidence for one in found] for found in said] for said in (mine, its)]
    for ours, theirs in zip(*sure, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-3)
    assert compressed.made.before.f1 == compressed.made.after.f1


@pytest.mark.parametrize("name", LEARNERS)
def test_weights_of_8_bits_name_nearly_the_same_alone_and_among_others(name: str) -> None:
    compressed = made(name, "int8")
    assert abs(compressed.made.lost) <= 0.02
    graph, exact = (innermost(made(name, to).trained.model) for to in ("int8", "onnx"))
    assert isinstance(graph, TaggerGraphModel) and isinstance(exact, TaggerGraphModel)
    assert (b"MultiHeadAttention" in exact.graph.content) == (name == "encoder")
    assert b"DynamicQuantize" in graph.graph.content and b"DynamicQuantize" not in exact.graph.content
    texts = samples(10, seed=6).texts() + STRANGE
    assert [graph.tag([text])[0] for text in texts] == graph.tag(texts)


def test_a_graph_of_places_answers_where_there_is_no_pytorch(tmp_path: Path) -> None:
    made("encoder", "int8").trained.save(tmp_path / "graph")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import json; from pathlib import Path\n"
        "from medloom.tasks.package import load\n"
        f"found = load(Path({str(tmp_path / 'graph')!r})).model.tag([{LONG!r}])[0]\n"
        "print(json.dumps([one.confidence for one in found]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    graph = innermost(made("encoder", "int8").trained.model)
    assert isinstance(graph, TaggerGraphModel)
    assert json.loads(done.stdout) == [one.confidence for one in graph.tag([LONG])[0]]


def test_what_loses_more_places_than_agreed_is_refused() -> None:
    with pytest.raises(InputError, match="of its F1 .* more than the agreed -1; it was not kept"):
        compress(tagger("encoder"), "int8", most_lost=-1)


@pytest.mark.parametrize("to", ["pruned", "distilled"])
def test_what_a_model_of_notes_cannot_be_made_into_is_refused(to: str) -> None:
    with pytest.raises(InputError, match="made into onnx or int8"):
        compress(tagger("encoder"), to)
    with pytest.raises(InputError, match="is a graph already"):
        compress(made("encoder", "onnx").trained, "int8")


@pytest.mark.parametrize("name", LEARNERS)
def test_a_graph_answers_about_notes_as_its_network_and_says_why_by_leaving_words_out(
    name: str, tmp_path: Path
) -> None:
    known = ill()
    network = learner(name).fit(known.in_split("train"), known.in_split("tuning"))
    compressed = compress(ml.Trained(network, known), "onnx", most_lost=0.01)
    compressed.trained.save(tmp_path / "graph")
    graph = load(tmp_path / "graph")
    held = known.in_split("held_out")
    np.testing.assert_allclose(
        graph.predict(held).frame["value"], network.predict(held).frame["value"], atol=1e-4
    )
    one = held.at(0)
    found = graph.explain(one)
    total = found.frame["contribution"].sum() + found.baseline["value"][0]
    assert 1 / (1 + np.exp(-total)) == pytest.approx(graph.predict(one).frame["value"][0], abs=1e-6)
    (text,) = one.texts()
    top = found.frame.sort(pl.col("contribution").abs(), descending=True).head(4)
    said = {text[int(start) : int(end)] for start, end in top.select("start", "end").iter_rows()}
    assert said & {"reports", "She", "since", "Monday", "no", "There", "was", *" ".join(FINDINGS).split()}
    coarse = compress(ml.Trained(network, known), "int8", most_lost=0.02).trained.model
    apart = coarse.predict(held).frame["value"] - graph.predict(held).frame["value"]
    assert float(apart.abs().max()) < 0.15  # type: ignore[arg-type]
