"""A model of images as a graph: the same answers and reasons, without the library it was learned with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.compressing import compress
from medloom.foundation.errors import InputError
from medloom.learners.image.classifiers import CnnLearner, DenseNetLearner
from medloom.learners.image.learner import ImageLearner
from medloom.tasks.package import load
from tests.learners.image.test_contract import EVERY, learned, unseen
from tests.learners.image.worlds import samples_of


@pytest.mark.parametrize("learner", EVERY)
def test_a_graph_answers_and_explains_as_the_network_does(
    learner: type[ImageLearner], tmp_path: Path
) -> None:
    trained = ml.Trained(learned(learner), samples_of())
    made = compress(trained, "onnx", most_lost=0.01)
    made.trained.save(tmp_path / "graph")
    graph = load(tmp_path / "graph")
    few = unseen().where(pl.int_range(pl.len()) < 4)
    np.testing.assert_allclose(
        graph.predict(few).frame["value"], learned(learner).predict(few).frame["value"], atol=1e-4
    )
    mine, its = learned(learner).explain(few), graph.explain(few)
    np.testing.assert_allclose(its.frame["contribution"], mine.frame["contribution"], atol=1e-4)


@pytest.mark.parametrize("learner", [CnnLearner, DenseNetLearner])
def test_weights_of_8_bits_answer_nearly_as_those_of_32(learner: type[ImageLearner], tmp_path: Path) -> None:
    trained = ml.Trained(learned(learner), samples_of())
    made = compress(trained, "int8", most_lost=0.02)
    made.trained.save(tmp_path / "graph")
    graph = load(tmp_path / "graph")
    few = unseen().where(pl.int_range(pl.len()) < 8)
    mine, its = learned(learner).predict(few).frame["value"], graph.predict(few).frame["value"]
    assert float((mine - its).abs().max()) < 0.15  # type: ignore[arg-type]
    assert not its.equals(mine)  # it is another graph
    assert made.made.after.bytes < made.made.before.bytes


@pytest.mark.parametrize(("to", "method"), [("pruned", ""), ("int8", "dynamic")])
def test_what_a_model_of_images_cannot_be_made_into_is_refused(to: str, method: str) -> None:
    with pytest.raises(InputError, match="made into onnx"):
        compress(ml.Trained(learned(CnnLearner), samples_of()), to, method=method)
