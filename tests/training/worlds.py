"""Small tables as samples, in which it is known what the outcome depends on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.tasks.explanation import Explanation
from medloom.tasks.external import from_frame
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

Floats = NDArray[np.float64]


def frame_of(kind: Kind, n: int = 600, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    """Make n rows: the outcome follows `lab`; `shift` moves it without any input showing it."""
    random = np.random.default_rng(seed)
    lab, noise = random.normal(size=n), random.normal(size=n)
    score = 1.5 * lab + shift + random.logistic(size=n)
    outcome = {
        "binary": score > 0,
        "regression": 100 + 5 * score,
        "multiclass": np.where(score > 1, "high", np.where(score < -1, "low", "middle")),
    }[kind]
    sex = np.where(random.random(n) < 0.5, "F", "M")
    return pl.DataFrame({"lab": lab, "noise": noise, "sex": sex, "outcome": outcome})


def samples_of(kind: Kind, n: int = 600, seed: int = 0, shift: float = 0.0) -> Samples:
    """Make samples: half train, a tenth tuning, a fifth each calibration and held out."""
    samples = from_frame(frame_of(kind, n, seed, shift), "outcome", kind=kind)
    place = np.arange(n) % 10
    split = np.select([place < 5, place < 6, place < 8], ["train", "tuning", "calibration"], "held_out")
    return replace(samples, frame=samples.frame.with_columns(split=pl.Series(split.tolist())))


@dataclass(frozen=True)
class Said(Model):
    """A model that says what it was told to say, by sample."""

    origin: Origin
    said: dict[int, Floats]

    def predict(self, samples: Samples) -> Predictions:
        ids = samples.frame["sample_id"]
        values = [self.said[one] for one in ids]
        outputs = self.origin.question.outputs
        return Predictions.of_matrix(ids, outputs, np.array(values).reshape(-1, len(outputs)))

    def explain(self, samples: Samples) -> Explanation:
        raise NotImplementedError

    def save(self, directory: Path) -> str:
        raise NotImplementedError


def saying(samples: Samples, values: Floats) -> Said:
    """Make a model that answers these samples with values (n, k)."""
    origin = Origin(samples.question, "said", {}, 0, samples.digest(), samples.split_rule)
    return Said(origin, dict(zip(samples.frame["sample_id"], values, strict=True)))
