"""Small hospitals in which it is known what the outcome depends on."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from medloom.record.record import Record
from medloom.tasks.history import Visibility
from medloom.tasks.kinds import LABEL_TYPES, Kind
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import Samples

DAY = datetime(2020, 6, 1)
ASKED = DAY + timedelta(days=2)
LAB, NOISE, DISEASE, SOMETIMES = "LOINC//lab", "LOINC//noise", "ICD10CM//disease", "LOINC//sometimes"
CLASSES = ("high", "low", "middle")


def question_of(kind: Kind) -> Question:
    """Ask a question of some kind."""
    classes = CLASSES if kind == "multiclass" else ("sick", "worse") if kind == "multilabel" else ()
    return Question(
        task="outcome", kind=kind, title=Title(en="outcome", zh="结局"), classes=classes, unit=None
    )


def samples_of(kind: Kind, n: int = 400, seed: int = 0) -> Samples:
    """Make n patients, three quarters of them to train on, the others for tuning.

    The outcome follows the last value of LAB and, more weakly, DISEASE. NOISE means nothing; SOMETIMES is
    measured in half of the patients, and means nothing.
    """
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    disease = rng.random(n) < 0.4
    rows = []
    for subject in range(n):
        times = [DAY + timedelta(hours=int(hour)) for hour in np.sort(rng.choice(48, 3, replace=False))]
        values = np.append(lab[subject] + 0.3 * rng.normal(size=2), lab[subject])
        rows += [(subject, time, LAB, 50 + 10 * value) for time, value in zip(times, values, strict=True)]
        rows += [(subject, time, NOISE, float(rng.lognormal())) for time in times[:2]]
        if disease[subject]:
            rows.append((subject, DAY, DISEASE, None))
        if rng.random() < 0.5:
            rows.append((subject, times[0], SOMETIMES, float(rng.normal())))
    events = pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
    score = 2.5 * lab + 1.5 * disease - 0.6 + 0.3 * rng.logistic(size=n)
    return samples_in(Record.from_events(events), kind, labels_of(kind, score, lab), n)


def samples_in(record: Record, kind: Kind, labels: list[object], n: int, first_subject: int = 0) -> Samples:
    """Wrap labels of consecutive subjects of a record as samples."""
    frame = pl.DataFrame(
        {
            "sample_id": np.arange(n) + 1000,
            "subject_id": np.arange(n) + first_subject,
            "prediction_time": [ASKED] * n,
            "item": pl.Series([None] * n, dtype=pl.String),
            "group": np.arange(n) + first_subject,
            "split": ["tuning" if subject % 4 == 0 else "train" for subject in range(n)],
            "label": pl.Series(labels, dtype=LABEL_TYPES[kind], strict=False),
        }
    )
    return Samples(frame, question_of(kind), record, Visibility())


def labels_of(kind: Kind, score: np.ndarray, lab: np.ndarray) -> list[object]:
    """Turn a score into labels of some kind."""
    if kind == "binary":
        return [bool(value > 0) for value in score]
    if kind == "regression":
        return [float(100 + 5 * value) for value in score]
    if kind == "multiclass":
        return ["high" if value > 1 else "low" if value < -1.5 else "middle" for value in score]
    return [
        [name for name, has in (("sick", value > 0), ("worse", measured < -0.5)) if has]
        for value, measured in zip(score, lab, strict=True)
    ]
