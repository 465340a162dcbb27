"""Small hospitals in which it is known what the time to an event depends on."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from medloom.record.record import Record
from medloom.tasks.history import Visibility
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import Samples

DAY = datetime(2020, 6, 1)
ASKED = DAY + timedelta(days=2)
LAB, NOISE, DISEASE, SOMETIMES = "LOINC//lab", "LOINC//noise", "ICD10CM//disease", "LOINC//sometimes"
ONE, TWO = ("death",), ("death", "transplant")
HORIZONS = (3.0, 8.0)


def question_of(events: tuple[str, ...]) -> Question:
    """Ask when some events will happen."""
    return Question(
        task="prognosis",
        kind="survival",
        title=Title(en="prognosis", zh="预后"),
        classes=events,
        unit="d",
        horizons=HORIZONS,
    )


def samples_of(events: tuple[str, ...] = ONE, n: int = 400, seed: int = 0) -> Samples:
    """Make n patients, three quarters of them to train on, the others for tuning.

    Death follows the last value of LAB and, more weakly, DISEASE; a transplant the lowest values of LAB. NOISE
    means nothing; SOMETIMES is measured in half of the patients, and means nothing.
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
    record = Record.from_events(
        pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
    )
    hazards = [np.exp(1.8 * lab + 1.0 * disease - 2.5), np.exp(-1.2 * lab - 3.0)][: len(events)]
    waits = np.column_stack([rng.exponential(1 / hazard) for hazard in hazards])
    end = np.minimum(rng.exponential(30, n), 25)
    cause = np.where(waits.min(axis=1) <= end, waits.argmin(axis=1), -1)
    times_ = np.ceil(10 * np.minimum(waits.min(axis=1), end)) / 10
    labels = [
        {"time": float(time), "event": events[which] if which >= 0 else None}
        for time, which in zip(times_, cause, strict=True)
    ]
    return samples_in(record, events, labels, n)


def samples_in(
    record: Record, events: tuple[str, ...], labels: list[dict[str, object]], n: int, first_subject: int = 0
) -> Samples:
    """Wrap labels of consecutive subjects of a record as samples."""
    frame = pl.DataFrame(
        {
            "sample_id": np.arange(n) + 1000,
            "subject_id": np.arange(n) + first_subject,
            "prediction_time": [ASKED] * n,
            "item": pl.Series([None] * n, dtype=pl.String),
            "group": np.arange(n) + first_subject,
            "split": ["tuning" if subject % 4 == 0 else "train" for subject in range(n)],
            "label": pl.Series(labels, dtype=LABEL_TYPES["survival"], strict=False),
        }
    )
    return Samples(frame, question_of(events), record, Visibility())
