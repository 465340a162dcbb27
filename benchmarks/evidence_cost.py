"""Full evidence on 100,000 predictions of 50,000 subjects: every metric, curve, subgroup, gap and comparison, each with
1,000 resamples of the subjects.

Beside it, what three of the metrics cost a resample with scikit-learn, on the same predictions.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import polars as pl

from medloom.cli.bench import Bench
from medloom.evidence.evaluation import evaluate
from medloom.record.record import Record
from medloom.tasks.history import Visibility
from medloom.tasks.predictions import Predictions
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import Samples

SAMPLES, SUBJECTS, REPLICATES, PEER_REPLICATES = 100_000, 50_000, 1_000, 20


def run(bench: Bench) -> None:
    """Evaluate generated predictions; nothing has to be downloaded."""
    random = np.random.default_rng(bench.seed)
    score = random.normal(-2, 1.2, SAMPLES)
    truth = random.random(SAMPLES) < _risk(score)
    ours, rival = (_risk(score + random.normal(0, noise, SAMPLES)) for noise in (0.4, 0.8))
    samples = _samples(truth)
    people = pl.DataFrame(
        {
            "sample_id": np.arange(SAMPLES),
            "sex": random.choice(["F", "M"], SAMPLES),
            "age": random.uniform(18, 95, SAMPLES),
        }
    )
    said, theirs = (
        Predictions.of_matrix(np.arange(SAMPLES), ("true",), each[:, None]) for each in (ours, rival)
    )
    bench.data["generated"] = {"samples": SAMPLES, "subjects": SUBJECTS, "replicates": REPLICATES}
    started = time.perf_counter()
    evaluation = evaluate(
        samples, said, people, compared_with={"rival": theirs}, replicates=REPLICATES, seed=bench.seed
    )
    seconds = time.perf_counter() - started
    estimates = _count(evaluation.to_json())
    bench.figures |= {
        "full.seconds_s": seconds,
        "full.peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "full.estimates": estimates,
        "full.replicate_s": seconds / REPLICATES,
        "peer.scikit-learn.replicate_s": _peer(truth, ours, random),
    }
    peer = bench.figures["peer.scikit-learn.replicate_s"]
    bench.figures["replicate_vs_scikit-learn"] = bench.figures["full.replicate_s"] / peer


def _samples(truth: np.ndarray) -> Samples:
    ids = np.arange(SAMPLES)
    subject = ids // 2
    frame = pl.DataFrame(
        {
            "sample_id": ids,
            "subject_id": subject,
            "prediction_time": pl.Series([None] * SAMPLES, dtype=pl.Datetime("us")),
            "item": pl.Series([None] * SAMPLES, dtype=pl.String),
            "group": subject,
            "split": ["held_out"] * SAMPLES,
            "label": truth,
        }
    )
    question = Question(task="evidence-cost", kind="binary", title=Title(en="Evidence", zh="证据"))
    one = pl.DataFrame(
        {"subject_id": [0], "time": [None], "code": ["A"]}, schema_overrides={"time": pl.Datetime("us")}
    )
    return Samples(frame, question, Record.from_events(one), Visibility())


def _peer(truth: np.ndarray, risk: np.ndarray, random: np.random.Generator) -> float:
    """Time AUROC, average precision and Brier score of one resample with scikit-learn."""
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    started = time.perf_counter()
    for _ in range(PEER_REPLICATES):
        drawn = np.bincount(random.integers(SUBJECTS, size=SUBJECTS), minlength=SUBJECTS)
        rows = np.repeat(np.arange(SAMPLES), drawn[np.arange(SAMPLES) // 2])
        for metric in (roc_auc_score, average_precision_score, brier_score_loss):
            metric(truth[rows], risk[rows])
    return (time.perf_counter() - started) / PEER_REPLICATES


def _risk(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def _count(found: object) -> int:
    """Count the numbers with an interval in what was found."""
    if isinstance(found, dict):
        return int(found.keys() == {"value", "low", "high"}) + sum(map(_count, found.values()))
    return sum(map(_count, found)) if isinstance(found, list) else 0
