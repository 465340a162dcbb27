"""Networks of text answer about whole notes, and say which words an answer rests on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.evidence.evaluation import evaluate
from medloom.learners.text.bilstm import BilstmLearner
from medloom.learners.text.classifying.model import NoteModel
from medloom.learners.text.encoder import EncoderLearner
from medloom.learners.text.tagging.model import TaggerModel
from medloom.tasks import package
from tests.learners.text.worlds import ill, samples, small_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> NoteModel:
    encoder = small_encoder(tmp_path_factory.mktemp("encoder"))
    known = ill()
    learner = EncoderLearner(start=str(encoder), learning_rate=0.004, epochs=12, window=64, overlap=16)
    made = learner.fit(known.in_split("train"), known.in_split("tuning"))
    assert isinstance(made, NoteModel)
    return made


def test_notes_it_has_not_seen_are_told_apart(model: NoteModel) -> None:
    known = ill().in_split("held_out")
    assert (evaluate(known, model.predict(known), replicates=20).metrics["auroc"].value or 0) > 0.95


def test_words_share_an_answer_out_and_those_that_matter_most_come_first(model: NoteModel) -> None:
    known = ill().in_split("held_out").at(0)
    (text,) = known.texts()
    found = model.explain(known)
    scores = model.predict(known).frame["value"][0]
    total = found.frame["contribution"].sum() + found.baseline["value"][0]
    assert 1 / (1 + np.exp(-total)) == pytest.approx(scores, abs=1e-4)
    top = found.frame.sort(pl.col("contribution").abs(), descending=True).head(4)
    said = {text[int(start) : int(end)] for start, end in top.select("start", "end").iter_rows()}
    assert said & {"reports", "She", "since", "Monday", "no", "There", "was", "had"}


def test_a_saved_model_says_the_same(model: NoteModel, tmp_path: Path) -> None:
    model.save(tmp_path / "package")
    known = ill().in_split("held_out")
    assert package.load(tmp_path / "package").predict(known).frame.equals(model.predict(known).frame)


def test_a_recurrent_network_learns_from_notes_alone_to_answer_and_to_tag(tmp_path: Path) -> None:
    known = ill()
    learner = BilstmLearner(
        vocabulary=300, width=48, epochs=20, learning_rate=0.01, average=0.0, window=64, overlap=16
    )
    made = learner.fit(known.in_split("train"), known.in_split("tuning"))
    held = known.in_split("held_out")
    assert (evaluate(held, made.predict(held), replicates=20).metrics["auroc"].value or 0) > 0.95
    named = samples(160)
    tagger = learner.fit(named.in_split("train"), named.in_split("tuning"))
    assert isinstance(tagger, TaggerModel)
    tagger.save(tmp_path / "tagger")
    again = package.load(tmp_path / "tagger")
    assert isinstance(again, TaggerModel)
    texts = named.texts()[:5]
    assert again.tag(texts) == tagger.tag(texts)
    assert any(tagger.tag(texts))
