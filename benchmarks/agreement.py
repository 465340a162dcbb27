"""Whether every metric is what others compute: random answers of every kind, with ties, extremes and lone classes.

Ours, by the functions that reports use, against scikit-learn, statsmodels and scikit-survival in an environment of
their own, or against the definition written as loops where no package has it. The largest absolute difference of each
metric is kept; where one side has no number the other must have none either, which `disagreements` counts. Answers of
one class, constant ones and three people must have reasons in place of numbers: `numbers_where_none_can_be` counts
failures.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medloom.cli.bench import Bench
from medloom.evidence.answers import Answers, binary_answers
from medloom.evidence.calibration import hosmer_lemeshow
from medloom.evidence.comparing import delong, reclassification
from medloom.evidence.metrics import measure_of, not_estimable
from medloom.evidence.survival import (
    Brier,
    Censoring,
    DynamicAuc,
    d_calibration,
    harrell,
    integrated,
    time_lost,
    uno,
)
from medloom.evidence.tally import tally
from medloom.evidence.threshold import at_threshold
from medloom.evidence.utility import net_benefit
from medloom.tasks.survival import Outcomes
from medloom.training.nonparametric import Timeline, step_at

CASES = 60  # of each kind
PEER = "scikit-survival"
REQUIREMENTS = (
    f"{PEER}==0.28.0",
    "scikit-learn==1.9.1",
    "statsmodels==0.14.6",
    "numpy==2.4.6",
    "pandas==3.1.1",
)
Given = dict[str, Any]
Found = Mapping[str, Any]


def run(bench: Bench) -> None:
    """Draw answers, measure them here and there, keep the largest differences."""
    sys.path.insert(0, str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this script

    python = peer_python(bench, PEER, REQUIREMENTS)
    asked: dict[str, Any] = {}
    ours: list[tuple[str, Found]] = []
    for kind, draw in KINDS.items():
        for number in range(CASES):
            random = np.random.default_rng([bench.seed, number])
            given, found = draw(random)
            asked |= {f"{len(ours)}.{name}": value for name, value in ({"kind": kind} | given).items()}
            ours.append((kind, found))
    given_to, said = bench.work / "asked.npz", bench.work / "found.npz"
    np.savez(given_to, cases=len(ours), **asked)
    subprocess.run(
        [str(python), str(bench.folder / "_agreement_peer.py"), str(given_to), str(said)], check=True
    )
    theirs = np.load(said)
    largest: dict[str, float] = {}
    disagreements = 0
    for number, (kind, found) in enumerate(ours):
        for name, value in found.items():
            one, other = np.asarray(value, dtype=np.float64), theirs[f"{number}.{name}"]
            disagreements += int((np.isfinite(one) != np.isfinite(other)).sum())
            both = np.isfinite(one) & np.isfinite(other)
            gap = float(np.abs(one - other)[both].max()) if both.any() else 0.0
            largest[f"{kind}.{name}"] = max(largest.get(f"{kind}.{name}", 0.0), gap)
    bench.data["generated"] = {"cases": len(ours), "metrics": len(largest)}
    bench.figures |= {f"{name}.largest_difference": gap for name, gap in largest.items()}
    bench.figures |= {
        "largest_difference": max(largest.values()),
        "disagreements": disagreements,
        "numbers_where_none_can_be": sum(map(_numbers, _hopeless())),
    }


def _binary(random: np.random.Generator) -> tuple[Given, Found]:
    n, digits = int(random.integers(20, 400)), int(random.integers(1, 5))
    score = random.normal(0, 1.5, n)
    truth = random.random(n) < _risk(score - random.uniform(0, 2))
    truth[:2] = True, False
    # coarse risks tie, and some are 0 and 1
    p, q = (np.round(_risk(score + random.normal(0, 1.0, n)), digits) for _ in range(2))
    cut = float(random.choice([0.1, 0.25, 0.5]))
    counted = tally(truth, p)
    measured = measure_of(binary_answers(truth, p))()
    test = delong(truth, p, q) if min(truth.sum(), (~truth).sum()) > 1 else None
    moved = reclassification(truth, q, p, [cut])
    found: dict[str, Any] = dict(measured)
    found |= at_threshold(counted, cut)
    found |= {
        "hosmer_lemeshow": hosmer_lemeshow(counted)[0],
        "net_benefit": net_benefit(counted, np.array([cut]))[0],
        "delong_z": test.difference / test.standard_error if test and test.standard_error > 0 else np.nan,
        "nri_events": moved.nri_events,
        "nri_nonevents": moved.nri_nonevents,
        "idi": moved.idi,
    }
    return {"truth": truth, "risk": p, "rival": q, "cut": cut}, found


def _multiclass(random: np.random.Generator) -> tuple[Given, Found]:
    n, classes = int(random.integers(30, 300)), int(random.integers(3, 6))
    truth = np.concatenate([np.arange(classes), random.integers(classes, size=n - classes)])
    score = random.normal(0, 1, (n, classes)) + 1.5 * (truth[:, None] == np.arange(classes))
    risk = np.exp(np.round(score, int(random.integers(0, 3))))
    risk /= risk.sum(axis=1, keepdims=True)
    answers = Answers("multiclass", truth, risk, np.arange(n), tuple(map(str, range(classes))))
    return {"truth": truth, "risk": risk}, measure_of(answers)()


def _multilabel(random: np.random.Generator) -> tuple[Given, Found]:
    n, labels = int(random.integers(30, 300)), int(random.integers(2, 5))
    score = random.normal(0, 1.5, (n, labels))
    truth = random.random((n, labels)) < _risk(score)
    truth[0], truth[1] = True, False
    risk = np.round(_risk(score + random.normal(0, 1, (n, labels))), int(random.integers(1, 4)))
    answers = Answers("multilabel", truth, risk, np.arange(n), tuple(map(str, range(labels))))
    return {"truth": truth, "risk": risk}, measure_of(answers)()


def _regression(random: np.random.Generator) -> tuple[Given, Found]:
    n, scale = int(random.integers(10, 400)), float(random.choice([1.0, 100.0]))
    truth = np.round(scale * (5 + random.normal(0, 1, n)), int(random.integers(0, 3)))
    predicted = truth + scale * random.normal(0.2, 0.5, n)
    answers = Answers("regression", truth, predicted, np.arange(n), ())
    return {"truth": truth, "risk": predicted}, measure_of(answers)()


def _survival(random: np.random.Generator) -> tuple[Given, Found]:
    n = int(random.integers(40, 400))
    latent, censored = random.exponential(10, n), random.exponential(14, n)
    step = float(random.choice([1.0, 0.5, 0.01]))  # coarse times tie
    time = np.ceil(np.minimum(latent, censored) / step) * step
    cause = (latent <= censored).astype(np.int64)
    # the peer refuses an event at a time by which all are censored
    time[0], cause[0] = time.max() + 1, 1
    competing = cause * random.integers(1, 3, n)
    competing[0] = 1
    outcomes = Outcomes(time, cause)
    risk = np.round(random.normal(0, 6, n) - latent, int(random.integers(0, 3)))
    until = float(np.quantile(time, 0.85))
    times = np.linspace(time[cause == 1].min() + step, until, 12)
    incidence = 1 - np.exp(-np.exp(risk / 20)[:, None] * times / 12)
    own = np.exp(-np.exp(risk / 20) * time / 12)
    censoring = Censoring.of(Timeline.of(outcomes))
    counted = Timeline.of(outcomes).counted()
    two = Timeline.of(Outcomes(time, competing, 2)).counted()
    brier = Brier(outcomes, 1, times, incidence)(censoring)
    found = {
        "harrell": harrell(outcomes, risk),
        "uno": uno(outcomes, risk, until=until),
        "auc": np.array([DynamicAuc(outcomes, 1, one, risk)(censoring) for one in times]),
        "brier": brier,
        "ibs": integrated(brier, times),
        "kaplan_meier": step_at(counted.steps, counted.survival, times, 1.0),
        "nelson_aalen": step_at(counted.steps, counted.hazard[0], times, 0.0),
        "rmst": until - time_lost(counted, until)[0],
        "d_calibration": d_calibration(outcomes, own)[0],
        "aalen_johansen": step_at(two.steps, two.incidence, times, 0.0).ravel(),
    }
    given = {
        "time": time,
        "cause": cause,
        "competing": competing,
        "risk": risk,
        "times": times,
        "until": until,
    }
    return given | {"incidence": incidence, "own": own}, found


def _hopeless() -> list[tuple[Answers, tuple[str, ...]]]:
    """Give answers of which nothing, or not these, can be estimated."""
    rows, half = np.arange(40), np.arange(40) % 2 == 0
    spread = np.linspace(0.1, 0.9, 40)
    everything = ("auroc", "auprc", "brier", "calibration_slope", "ece")
    return [
        (binary_answers(np.zeros(40), spread), everything),
        (binary_answers(np.ones(40), spread), everything),
        (binary_answers(half, np.full(40, np.nan)), everything),
        (binary_answers([0, 1, 1], [0.1, 0.2, 0.3]), everything),
        (binary_answers(half, np.full(40, 0.5)), ("calibration_slope",)),
        (Answers("regression", np.ones(40), spread, rows, ()), ("r2",)),
        (Answers("regression", spread, np.ones(40), rows, ()), ("calibration_slope",)),
        (Answers("multiclass", np.zeros(40, np.intp), np.full((40, 3), 1 / 3), rows, ("a", "b", "c")),
         ("auroc_macro", "accuracy")),
        (Answers("multilabel", np.zeros((40, 2), bool), np.full((40, 2), 0.5), rows, ("a", "b")),
         ("auroc_macro", "f1_macro")),
    ]  # fmt: skip


def _numbers(hopeless: tuple[Answers, tuple[str, ...]]) -> int:
    """Count the metrics that have no reason although they can have no number."""
    answers, names = hopeless
    reasons = not_estimable(answers)
    return sum(name not in reasons for name in names)


def _risk(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-score))


KINDS: dict[str, Callable[[np.random.Generator], tuple[Given, Found]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "multilabel": _multilabel,
    "regression": _regression,
    "survival": _survival,
}
