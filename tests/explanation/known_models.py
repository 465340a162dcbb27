"""Models whose truth is known: what they answer is a function that stands in the test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.features.matrix import FeatureMatrix
from medloom.features.windows import WindowFeatures
from medloom.tasks.external import from_frame
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Origin
from medloom.tasks.samples import Samples

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KnownModel:
    """Answers by a function of columns by name."""

    origin: Origin
    features: WindowFeatures
    truth: Callable[[dict[str, Floats]], Floats]

    def inputs(self, samples: Samples) -> FeatureMatrix:
        return self.features.transform(samples)

    def answer(self, x: NDArray[np.float32]) -> Floats:
        return self.truth(dict(zip(self.features.names, x.T.astype(np.float64), strict=True)))


def table(n: int = 300, seed: int = 0) -> pl.DataFrame:
    """Make patients: age, creatinine (some missing), glucose, sex, and noise that matters to nobody."""
    rng = np.random.default_rng(seed)
    creatinine = rng.lognormal(0, 0.5, n)
    creatinine[rng.random(n) < 0.1] = np.nan
    return pl.DataFrame(
        {
            "patient": np.arange(n) // 2,
            "age": rng.integers(20, 90, n).astype(float),
            "LOINC//2160-0": pl.Series(creatinine.round(2), nan_to_null=True),
            "LOINC//2345-7": rng.normal(110, 25, n).round(),
            "noise": rng.normal(0, 1, n),
            "sex": rng.choice(["F", "M"], n),
            "ill": rng.random(n) < 0.5,
            "stay": rng.normal(5, 1, n),
            "where": rng.choice(["home", "ward", "icu"], n),
        }
    )


def samples_of(frame: pl.DataFrame, label: str = "ill", kind: Kind | None = None) -> Samples:
    drop = [name for name in ("ill", "stay", "where") if name != label]
    return from_frame(frame.drop(drop), label, kind=kind, group="patient")


def known_model(samples: Samples, truth: Callable[[dict[str, Floats]], Floats]) -> KnownModel:
    origin = Origin(samples.question, "known", {}, 0, "")
    return KnownModel(origin, WindowFeatures.fit(samples), truth)


def risk(x: dict[str, Floats]) -> Floats:
    """Rise with creatinine most, then with age; a missing creatinine counts as 1. (n, 1) probabilities."""
    creatinine = np.nan_to_num(x["LOINC//2160-0"], nan=1.0)
    score = 2.5 * (creatinine - 1) + 0.03 * (x["age"] - 55)
    return (1 / (1 + np.exp(-score)))[:, None]


def three_ways(x: dict[str, Floats]) -> Floats:
    """Answer three classes: icu by creatinine, ward by glucose, home else. (n, 3)."""
    creatinine = np.nan_to_num(x["LOINC//2160-0"], nan=1.0)
    scores = np.stack([0 * creatinine, 2 * (creatinine - 1), (x["LOINC//2345-7"] - 110) / 25], axis=1)
    shares = np.exp(scores)
    return shares / shares.sum(axis=1, keepdims=True)  # home, icu, ward: classes are sorted
