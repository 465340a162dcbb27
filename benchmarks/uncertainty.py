"""What uncertainty in every prediction costs, and whether it is true where the truth is known.

Risks: would the one risk joined from Venn-Abers bounds (out of five folds) order patients as well as the model's own?
Curves: how often does the true risk lie in the band around a Cox model's curve, on generated patients?
"""

from __future__ import annotations

import lifelines
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medloom.cli.bench import Bench
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.curve_bands import CurveBands, band_times
from medloom.training.venn_abers import VennAbers

Floats = NDArray[np.float64]
DRAWS = 8
LEVEL = 0.9
FOLDS = 5
SIZES = ((200, 4), (200, 10), (500, 4), (500, 10), (1500, 4), (1500, 10))  # patients, inputs
GRID = np.linspace(0.05, 1.5, 60)
EFFECTS = np.array([0.8, 0.5, 0.3, 0, 0, 0, 0, 0, 0, 0])


def run(bench: Bench) -> None:
    """Measure both on generated patients, and the first on scikit-learn's breast cancers too."""
    bench.data["generated"] = {"draws": DRAWS, "level": LEVEL}
    for name in ("generated-600", "breast-cancer"):
        for learner in ("logistic", "forest"):
            found = np.mean([_joined(name, learner, bench.seed + draw) for draw in range(DRAWS)], axis=0)
            for figure, value in zip(("auroc", "joined.auroc", "brier", "joined.brier"), found, strict=True):
                bench.figures[f"{name}.{learner}.{figure}"] = float(value)
    for patients, inputs in SIZES:
        each = [_band(patients, inputs, bench.seed + draw) for draw in range(DRAWS)]
        held, width = np.mean(each, axis=0)
        bench.figures |= {
            f"band.{patients}.{inputs}.held": float(held),
            f"band.{patients}.{inputs}.width": float(width),
        }
    for figure in ("held", "width"):
        every = [bench.figures[f"band.{patients}.{inputs}.{figure}"] for patients, inputs in SIZES]
        bench.figures |= {f"band.{figure}.least": min(every), f"band.{figure}.most": max(every)}


def _joined(name: str, learner: str, seed: int) -> tuple[float, float, float, float]:
    x, y = load_breast_cancer(return_X_y=True) if name == "breast-cancer" else _ill(600, seed)
    learned, x_test, labels, y_test = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
    made = (
        make_pipeline(StandardScaler(), LogisticRegression())
        if learner == "logistic"
        else RandomForestClassifier(200, min_samples_leaf=3, random_state=seed)
    )
    unseen = cross_val_predict(made, learned, labels, cv=FOLDS, method="predict_proba")[:, 1]
    own = made.fit(learned, labels).predict_proba(x_test)[:, 1]
    bounds = VennAbers.fit(unseen, labels.astype(np.float64)).bounds(own)
    joined = bounds[:, 1] / (1 - bounds[:, 0] + bounds[:, 1])  # Vovk, Petej and Fedorova 2015, section 4
    return (
        roc_auc_score(y_test, own),
        roc_auc_score(y_test, joined),
        brier_score_loss(y_test, own),
        brier_score_loss(y_test, joined),
    )


def _ill(n: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 5))
    risk = 1 / (1 + np.exp(1.5 - x @ np.array([1, 0.6, 0.3, 0, 0])))
    return x, (random.random(n) < risk).astype(np.int64)


def _band(n: int, inputs: int, seed: int) -> tuple[float, float]:
    """Give the share of new patients' true risks that lie inside, over time, and how wide bands are."""
    x, outcomes, _ = _world(n, inputs, seed)
    fold, said = np.arange(n) % FOLDS, np.zeros((n, len(GRID)))
    for one in range(FOLDS):
        said[fold == one] = _cox(x[fold != one], outcomes[fold != one], x[fold == one])
    bands = CurveBands.fit(
        Curves(GRID, said[:, None]), outcomes, np.arange(n), LEVEL, band_times(outcomes, ())
    )
    new, _, true = _world(1000, inputs, seed + 1000)
    around = bands.around(Curves(GRID, _cox(x, outcomes, new)[:, None]))
    assert around.low is not None and around.high is not None
    low, high = around.low[:, 0], around.high[:, 0]
    told = ~np.isnan(low[0])
    inside = (low <= true) & (true <= high)
    return float(inside[:, told].mean()), float((high - low)[:, told].mean())


def _world(n: int, inputs: int, seed: int) -> tuple[Floats, Outcomes, Floats]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, inputs))
    rate = np.exp(x @ EFFECTS[:inputs])
    time, censored = (random.exponential(size=n) / rate) ** (1 / 1.3), random.uniform(0.1, 3, n)
    outcomes = Outcomes(np.minimum(time, censored), (time <= censored).astype(np.int64))
    return x, outcomes, -np.expm1(-(GRID**1.3) * rate[:, None])


def _cox(x: Floats, outcomes: Outcomes, new: Floats) -> Floats:
    frame = pd.DataFrame(x).assign(time=outcomes.time, seen=outcomes.cause)
    made = lifelines.CoxPHFitter().fit(frame, "time", "seen")
    survival = made.predict_survival_function(pd.DataFrame(new), times=GRID)
    return np.asarray(1 - survival.T.to_numpy(), dtype=np.float64)
