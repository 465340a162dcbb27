"""Agreement of those who marked places in the same notes, against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from medloom.evidence.annotators import MarkedNote, annotator_agreement
from medloom.learners.text.words import words_of
from medloom.tasks.spans import Span, span

TEXT = "left lung nodule and pleural effusion without fever"
WORDS = [(int(a), int(b)) for a, b in words_of(TEXT)]


def note(subject: int = 1, **marked: list[Span]) -> MarkedNote:
    return MarkedNote(subject, WORDS, marked)


def test_who_marks_the_same_agrees_wholly() -> None:
    same = [span(0, 16, "nodule"), span(46, 51, "fever")]
    (pair,) = annotator_agreement([note(ann=same, bert=list(same))])
    assert (pair.strict.value, pair.touching.value, pair.kappa.value) == (1, 1, 1)
    assert (pair.notes, pair.subjects, pair.places) == (1, 1, (2, 2))
    assert pair.strict.low is None and "interval" in (pair.strict.reason or ("", ""))[0]


def test_a_moved_edge_is_touching_and_another_name_is_not() -> None:
    ann = [span(0, 16, "nodule"), span(21, 37, "effusion")]
    bert = [span(5, 16, "nodule"), span(21, 37, "oedema")]
    (pair,) = annotator_agreement([note(ann=ann, bert=bert)])
    assert pair.strict.value == 0
    assert pair.touching.value == pytest.approx(0.5)  # one of two of each


def test_kappa_of_words_is_cohens() -> None:
    ann = [span(0, 16, "nodule"), span(21, 37, "effusion")]
    bert = [span(5, 16, "nodule"), span(46, 51, "fever")]
    (pair,) = annotator_agreement([note(ann=ann, bert=bert)])
    first = ["nodule"] * 3 + [""] + ["effusion"] * 2 + ["", ""]
    second = ["", "nodule", "nodule", "", "", "", "", "fever"]
    assert pair.kappa.value == pytest.approx(cohen_kappa_score(first, second))


def test_each_pair_is_told_of_the_notes_that_both_read() -> None:
    one, other = [span(0, 4, "a")], [span(5, 9, "a")]
    found = annotator_agreement([note(1, ann=one, bert=one), note(2, ann=one, cara=other), note(3, bert=one)])
    assert [(pair.first, pair.second, pair.notes) for pair in found] == [
        ("ann", "bert", 1),
        ("ann", "cara", 1),
    ]


def test_of_many_subjects_there_are_intervals_by_subject() -> None:
    rng = np.random.default_rng(0)
    notes = []
    for subject in range(40):
        there = [span(start, end, "word") for start, end in WORDS if rng.random() < 0.5]
        seen = [one for one in there if rng.random() < 0.8]
        notes.append(note(subject, ann=there, bert=seen))
    (pair,) = annotator_agreement(notes, replicates=200)
    for found in (pair.strict, pair.touching, pair.kappa):
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low < found.value < found.high


def test_where_nobody_marked_anything_there_is_a_reason_and_no_number() -> None:
    (pair,) = annotator_agreement([note(ann=[], bert=[])])
    assert pair.strict.value is None and pair.kappa.value is None
    assert pair.strict.reason is not None and pair.kappa.reason is not None
