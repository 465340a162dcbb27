"""Places of several parts are learned and named as one, where that is wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.evidence.tagging_evaluation import evaluate_tagging
from medloom.foundation.hashing import sha256_bytes
from medloom.learners.text.encoder import EncoderLearner
from medloom.learners.text.tagging.linear import CrfLearner
from medloom.record.record import Record
from medloom.tasks import package
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from tests.learners.text.worlds import DRUGS, question, small_encoder


def samples(patients: int = 160) -> Samples:
    """Give notes in which drugs are named, and findings in two parts."""
    rng, rows = np.random.default_rng(0), []
    for patient in range(1, patients + 1):
        drug, side = DRUGS[rng.integers(5)], ("left", "right")[rng.integers(2)]
        text = f"The patient takes {drug}. The {side} and middle lung is dull. We saw him today. "
        side_at, lung_at, drug_at = text.index(side), text.index("lung"), text.index(drug)
        asset = "sha256:" + sha256_bytes(f"{patient} {text}".encode())
        place = f"{side_at}:{side_at + len(side)};{lung_at}:{lung_at + 4}"
        rows.append((patient, "NOTE//visit", asset, None, None, text))
        rows.append((patient, "FINDING//lung", None, asset, place, None))
        rows.append((patient, "DRUG//any", None, asset, f"{drug_at}:{drug_at + len(drug)}", None))
    names = ["subject_id", "code", "asset", "derived_from", "span", "text_value"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(time=pl.datetime(2024, 1, 1))
    return apply(Task.model_validate(question().model_dump()), Record.from_events(frame)).samples


@pytest.mark.parametrize("name", ["crf", "encoder"])
def test_parts_are_found_and_joined(name: str, tmp_path: Path) -> None:
    known = samples()
    learner = (
        CrfLearner(discontinuous=True)
        if name == "crf"
        else EncoderLearner(
            start=str(small_encoder(tmp_path / "encoder")),
            learning_rate=0.004,
            epochs=8,
            window=64,
            overlap=16,
            discontinuous=True,
        )
    )
    learner.fit(known.in_split("train"), known.in_split("tuning")).save(tmp_path / "package")
    model = package.load(tmp_path / "package")
    found = evaluate_tagging(known, model, split="held_out", replicates=20)  # type: ignore[arg-type]
    assert (found.metrics["finding.f1"].value or 0) > 0.9
    assert (found.metrics["drug.f1"].value or 0) > 0.9
    rows = model.predict(known.in_split("held_out")).frame
    assert rows.filter(pl.col("output") == "finding")["place"].str.contains(";").all()
    assert set(rows["output"]) == {"drug", "finding"}


def test_without_it_the_first_part_is_learned(tmp_path: Path) -> None:
    known = samples()
    model = CrfLearner().fit(known.in_split("train"), known.in_split("tuning"))
    rows = model.predict(known.in_split("held_out")).frame
    assert not rows["place"].str.contains(";").any()
