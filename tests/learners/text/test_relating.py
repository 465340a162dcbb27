"""The encoder learns which of what notes name is related, and is the same model after it was saved."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.evidence.relation_evaluation import evaluate_relations
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import sha256_bytes
from medloom.learners.text.encoder import EncoderLearner
from medloom.learners.text.relating.model import RelationModel
from medloom.learners.text.relating.pairs import learned
from medloom.learners.text.tagging.linear import CrfLearner
from medloom.record.record import Record
from medloom.tasks import package
from medloom.tasks.labelling import apply
from medloom.tasks.relations import Entity, as_relation_label, entities_in, relations_in
from medloom.tasks.samples import Samples
from medloom.tasks.spans import span
from medloom.tasks.task import Task
from tests.learners.text.worlds import DRUGS, FINDINGS, small_encoder

PATTERNS = (
    ("{drug} was stopped because of {finding}.", True),
    ("After {drug} there was no {finding}.", False),
    ("She reports {finding} since Monday. The patient takes {drug} every day.", False),
)


def samples(patients: int = 240, entities: str = "place", seed: int = 0) -> Samples:
    rng, rows = np.random.default_rng(seed), []
    for patient in range(1, patients + 1):
        text, said = "", []
        for _ in range(2):
            pattern, holds = PATTERNS[rng.integers(len(PATTERNS))]
            words = {"drug": DRUGS[rng.integers(5)], "finding": FINDINGS[rng.integers(5)]}
            base, places = len(text), {}
            text += pattern.format(**words) + " "
            for name, one in words.items():
                start = text.index(one, base)
                places[name] = f"{start}:{start + len(one)}"
                said.append((f"{name.upper()}//{one}", places[name]))
            if holds:
                said.append(("ADE//causes", f"{places['drug']}>{places['finding']}"))
        asset = "sha256:" + sha256_bytes(f"{patient} {text}".encode())
        rows.append((patient, "NOTE//visit", asset, None, None, text))
        rows += [(patient, code, None, asset, place, None) for code, place in said]
    names = ["subject_id", "code", "asset", "derived_from", "span", "text_value"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(time=pl.datetime(2024, 1, 1))
    task = {
        "name": "caused",
        "kind": "relations",
        "title": {"en": "What drugs caused", "zh": "药物所致"},
        "prediction_time": {"event": ["NOTE//*"], "which": "every"},
        "predict": {
            "of": "note",
            "spans": {"drug": ["DRUG//*"], "finding": ["FINDING//*"]},
            "relations": {"causes": {"head": "drug", "tail": "finding", "codes": ["ADE//causes"]}},
            "entities": entities,
        },
    }
    return apply(Task.model_validate(task), Record.from_events(frame)).samples


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> EncoderLearner:
    encoder = small_encoder(tmp_path_factory.mktemp("encoder"))
    return EncoderLearner(start=str(encoder), learning_rate=0.004, epochs=10, window=64, overlap=16)


@pytest.fixture(scope="module")
def model(learner: EncoderLearner) -> RelationModel:
    known = samples()
    return learner.fit(known.in_split("train"), known.in_split("tuning"))


def test_relations_are_found_in_notes_it_has_not_seen(model: RelationModel) -> None:
    found = evaluate_relations(samples(), model, split="held_out", replicates=50)
    assert (found.metrics["f1"].value or 0) > 0.85  # of relations: the name and both ends right
    assert (found.metrics["drug.f1"].value or 0) > 0.9
    assert found.metrics["f1"].value == found.metrics["causes.f1"].value
    assert "Of 100 relations" in str(_headline(found))


def test_of_entities_that_are_known_relations_alone_are_told(model: RelationModel) -> None:
    found = evaluate_relations(samples(), model, split="held_out", replicates=50, known_entities=True)
    assert found.structures == ("causes",)
    assert (found.metrics["causes.f1"].value or 0) > 0.85


def test_a_saved_model_says_the_same(model: RelationModel, tmp_path: Path) -> None:
    model.save(tmp_path / "package")
    known = samples().in_split("held_out")
    again = package.load(tmp_path / "package")
    ours = model.predict(known).frame
    assert again.predict(known).frame.equals(ours)
    related = ours.filter(pl.col("output") == "causes")
    assert related.height and related["place"].str.contains(">").all()


def test_notes_without_pairs_and_empty_ones_have_no_relations(model: RelationModel) -> None:
    assert [one.relations for one in model.read(["", "The patient takes aspirin every day."])] == [(), ()]
    assert model.relate([""], [()]) == [()]


def test_a_relation_never_holds_between_names_that_the_task_does_not_relate(model: RelationModel) -> None:
    text = "heparin was stopped because of aspirin."
    entities = [Entity((span(0, 7, "drug"),)), Entity((span(31, 38, "drug"),))]
    assert model.relate([text], [entities]) == [()]


def test_mentions_of_the_same_words_are_one_entity_where_codes_are_related(learner: EncoderLearner) -> None:
    known = samples(entities="code")
    model = learner.fit(known.in_split("train"), known.in_split("tuning"))
    text = "heparin was stopped because of rash. heparin was stopped because of rash."
    (read,) = model.read([text])
    assert [len(one.relation.head.mentions) for one in read.relations] == [2]
    assert all(len({one.name}) == 1 for one in entities_in(known.frame["label"][0]))


def test_the_linear_tagger_relates_what_it_names_without_a_network(tmp_path: Path) -> None:
    known = samples()
    model = CrfLearner().fit(known.in_split("train"), known.in_split("tuning"))
    model.save(tmp_path / "package")
    found = evaluate_relations(known, package.load(tmp_path / "package"), split="held_out", replicates=50)  # type: ignore[arg-type]
    assert (found.metrics["f1"].value or 0) > 0.9


def test_what_is_named_together_in_all_notes_is_related(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.learners.text.test_relating.PATTERNS", PATTERNS[:1])
    known = samples(60)
    train = known.in_split("train")
    one_each = train.asking(train.question, pl.Series([_first(label) for label in train.frame["label"]]))
    made = learned(one_each)
    text = "heparin was stopped because of rash."
    (found,) = made.relate([text], [[Entity((span(0, 7, "drug"),)), Entity((span(31, 35, "finding"),))]])
    assert [one.relation.place for one in found] == ["0:7>31:35"]


def test_notes_that_name_nothing_to_relate_are_refused() -> None:
    known = samples(40)
    nothing = known.asking(known.question, pl.Series([as_relation_label((), ())] * len(known)))
    with pytest.raises(InputError, match="no note to learn from"):
        CrfLearner().fit(nothing.in_split("train"), nothing.in_split("tuning"))


def test_a_long_note_of_many_drugs_and_findings_is_read_in_time(model: RelationModel) -> None:
    text = "heparin was stopped because of rash. " * 3000
    entities = [
        Entity((span(at + start, at + end, name),))
        for at in range(0, len(text), 37)
        for start, end, name in ((0, 7, "drug"), (31, 35, "finding"))
    ]
    begun = time.perf_counter()
    (found,) = model.relate([text], [entities])
    assert len(found) >= 3000
    assert time.perf_counter() - begun < 60


def _first(label: str) -> str:
    """Keep one relation of a note, and what it is between: all pairs are related then."""
    one = relations_in(label)[0]
    return as_relation_label([one.head, one.tail], [one])


def _headline(found: object) -> object:
    from medloom.evidence.card.naming import headline

    return headline(found)  # type: ignore[arg-type]
