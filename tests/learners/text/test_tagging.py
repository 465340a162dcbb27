"""The encoder learns to name places in notes, says how sure it is, and is the same model after it was saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medloom.evidence.tagging_evaluation import evaluate_tagging
from medloom.foundation.errors import InputError
from medloom.learners.text.encoder import EncoderLearner
from medloom.learners.text.tagging.chains import Chain, best_row, chances
from medloom.learners.text.tagging.model import TaggerModel
from medloom.learners.text.words import words_of
from medloom.tasks import package
from medloom.tasks.spans import span, spans_in
from tests.learners.text.worlds import samples, small_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def learner(encoder: Path) -> EncoderLearner:
    return EncoderLearner(start=str(encoder), learning_rate=0.004, epochs=12, window=64, overlap=16)


@pytest.fixture(scope="module")
def model(learner: EncoderLearner) -> TaggerModel:
    known = samples()
    return learner.fit(known.in_split("train"), known.in_split("tuning"))


def test_places_are_found_in_notes_it_has_not_seen(model: TaggerModel) -> None:
    found = evaluate_tagging(samples(), model, split="held_out", replicates=50)
    assert (found.metrics["f1"].value or 0) > 0.9
    assert found.metrics["drug.f1"].low is not None
    assert found.metrics["touching_f1"].value >= found.metrics["f1"].value  # type: ignore[operator]


def test_a_long_note_is_read_in_windows_and_says_what_its_parts_say(model: TaggerModel) -> None:
    text = "The patient takes aspirin every day. We saw him in the ward today. " * 40
    places = [one.span for one in model.tag([text])[0] if one.span.name == "drug"]
    first = text.index("aspirin")
    length = len(text) // 40
    assert places == [span(first + n * length, first + n * length + 7, "drug") for n in range(40)]


def test_an_empty_note_a_blank_one_and_one_of_unknown_signs_have_no_places(model: TaggerModel) -> None:
    assert model.tag(["", "  \n ", "\U0001f600 \u05e9\u05dc\u05d5\u05dd"])[:2] == [(), ()]


def test_how_sure_it_is_lies_between_0_and_1_and_answers_are_alike_alone_and_among_others(
    model: TaggerModel,
) -> None:
    texts = samples(20, seed=5).texts()
    together = model.tag(texts)
    assert all(0 < one.confidence <= 1 for found in together for one in found)
    alone = [model.tag([text])[0] for text in texts]
    assert [[one.span for one in found] for found in alone] == [
        [one.span for one in found] for found in together
    ]


def test_a_saved_model_says_the_same(model: TaggerModel, tmp_path: Path) -> None:
    model.save(tmp_path / "package")
    known = samples().in_split("held_out")
    again = package.load(tmp_path / "package")
    assert again.predict(known).frame.equals(model.predict(known).frame)
    assert model.predict(known).frame.columns == list(again.predict(known).frame.columns)


def test_the_same_seed_learns_the_same(encoder: Path) -> None:
    known = samples(40)
    quick = EncoderLearner(start=str(encoder), epochs=1, window=64, overlap=16)
    one, other = (quick.fit(known.in_split("train"), known.in_split("tuning"), seed=3) for _ in range(2))
    assert one.predict(known).frame.equals(other.predict(known).frame)


@pytest.mark.parametrize("way", ["head", "lora", "adalora", "adapter"])
def test_it_learns_by_few_weights_too_and_is_saved_whole(encoder: Path, way: str, tmp_path: Path) -> None:
    known = samples(60)
    learner = EncoderLearner(start=str(encoder), adapt=way, rank=4, epochs=2, window=64, overlap=16)
    made = learner.fit(known.in_split("train"), known.in_split("tuning"))
    made.save(tmp_path / way)
    texts = known.texts()[:5]
    again = package.load(tmp_path / way)
    assert isinstance(again, TaggerModel)
    assert again.tag(texts) == made.tag(texts)


def test_names_that_may_overlap_are_tagged_by_themselves(encoder: Path) -> None:
    known = samples(60)
    made = EncoderLearner(start=str(encoder), nested=True, epochs=1, window=64, overlap=16).fit(
        known.in_split("train"), known.in_split("tuning")
    )
    assert [one.names for one in made.chains] == [("drug",), ("finding",)]


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    known = samples(40)
    with pytest.raises(InputError, match="no folder with an encoder"):
        EncoderLearner(start=str(tmp_path)).fit(known.in_split("train"), known.in_split("tuning"))


def test_spans_become_tags_and_tags_spans() -> None:
    text = "Takes 5-fluorouracil for colon cancer, not aspirin."
    words, chain = words_of(text), Chain(("drug", "finding"))
    true = [span(6, 20, "drug"), span(25, 37, "finding"), span(43, 50, "drug")]
    made = [one for one, _, _ in chain.spans(words, chain.tagged(words, true))]
    assert [one.words(text) for one in made] == ["5-fluorouracil", "colon cancer", "aspirin"]
    assert made == true


def test_the_best_row_and_its_chances_are_those_of_all_rows_counted_out() -> None:
    rng, chain = np.random.default_rng(1), Chain(("a",))
    moves = np.where(chain.allowed(), rng.normal(size=(6, 6)), -1e4)
    scores = rng.normal(size=(4, 5))
    rows = np.stack(np.meshgrid(*[np.arange(5)] * 4, indexing="ij"), -1).reshape(-1, 4)
    value = scores[np.arange(4), rows].sum(1) + moves[5, rows[:, 0]] + moves[rows[:, -1], 5]
    value += moves[rows[:, :-1], rows[:, 1:]].sum(1)
    assert best_row(scores, moves).tolist() == rows[value.argmax()].tolist()
    chance = np.exp(value - value.max())
    chance /= chance.sum()
    expected = np.array([[chance[rows[:, place] == tag].sum() for tag in range(5)] for place in range(4)])
    np.testing.assert_allclose(chances(scores, moves), expected, atol=1e-12)


def test_labels_of_the_world_are_where_the_words_are() -> None:
    known = samples(10)
    for text, label in zip(known.texts(), known.frame["label"], strict=True):
        assert all(one.words(text)[0] != " " for one in spans_in(label))


def test_a_window_longer_than_the_encoder_reads_is_refused_before_anything_is_learned(encoder: Path) -> None:
    known = samples(20)
    learner = EncoderLearner(start=str(encoder), window=129, overlap=16)
    with pytest.raises(InputError, match="128 or less"):
        learner.fit(known.in_split("train"), known.in_split("tuning"))
