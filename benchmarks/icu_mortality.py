"""PhysioNet/CinC Challenge 2012: death in hospital from the first 48 h, learned on set a, tested on set b.

Record, question and windows go the way of any hospital's: a mapping file, a task, `train`, `evaluate`.
Learners' settings were chosen by cross-validation within set a (see `benchmarks/README.md`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

import medloom as ml
from medloom.cli.bench import Bench
from medloom.evidence.answers import binary_answers
from medloom.evidence.intervals import paired_difference
from medloom.evidence.tally import tally
from medloom.evidence.threshold import at_threshold, balanced_threshold
from medloom.foundation.files import remove
from medloom.record.datasets import get
from medloom.tasks.model import Learner
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

LEARNERS = ("gbdt", "logistic", "auto")
# Chosen by cross-validation within set a: fewer windows did no worse there, and leave time for more trials; forests
# took longest and did worst.
AUTO = {"minutes": 8.0, "windows": ("ever", "12h"), "learners": ("gbdt", "logistic", "svm", "mlp")}
FOLDS = 4
T = TypeVar("T")

TASK = Task.model_validate(
    {
        "name": "icu-mortality",
        "title": {
            "en": "Death in hospital from the first 48 h of intensive care",
            "zh": "由入ICU前48小时预测院内死亡",
        },
        "kind": "binary",
        "prediction_time": {"event": ["ENCOUNTER//icu//START"], "offset": "48h"},
        # scores the owner computed; the challenge's entrants did not have them
        "observe": {"without": ["PHYSIONET2012//SAPS-I", "PHYSIONET2012//SOFA"]},
        # the record holds deaths in hospital only, and no end of stay for 61 survivors of set a
        "predict": {"event": ["MEDS_DEATH"], "within": "1y"},
        "split": {"by": "fact", "train": ["SET//a"], "held_out": ["SET//b"]},
    }
)


def run(bench: Bench) -> None:
    """Import, label, learn on a, test on b."""
    source = get("physionet2012")
    folder = bench.work / "site"
    remove(folder)
    site = ml.Site.create(folder)
    figures = bench.figures
    importer = ml.importers.table(source, mapping="physionet2012")
    report, figures["import_s"] = _timed(lambda: site.record.add(importer))
    assert report.balanced
    figures["facts"] = report.written
    bench.data["physionet2012"] = {"sets": "a, b", "stays": _stays(site.record, ("SET//a", "SET//b"))}
    samples, figures["label_s"] = _timed(lambda: ml.ask(site.record, TASK))
    test = samples.in_split("held_out")
    figures |= {
        "train.n": len(samples.in_split("train")),
        "test.n": len(test),
        "test.deaths": int(test.frame["label"].sum()),
    }
    shared = figures["import_s"] + figures["label_s"]
    bench.looked()
    risks: dict[str, NDArray[np.float64]] = {}
    for name in LEARNERS:
        # a search that was cut off goes on from the trials it kept
        more = AUTO | {"folder": str(bench.work / "search")} if name == "auto" else {}
        trained, seconds = _timed(
            lambda name=name, more=more: ml.train(samples, name, ranges=False, seed=bench.seed, **more)
        )
        evaluation, evaluating = _timed(
            lambda trained=trained: ml.evaluate(trained, "held_out", seed=bench.seed)
        )
        for metric in (
            "auroc",
            "auprc",
            "brier",
            "log_loss",
            "calibration_slope",
            "calibration_intercept",
            "ece",
        ):
            estimate = evaluation.metrics[metric]
            figures |= {
                f"{name}.{metric}": estimate.value,
                f"{name}.{metric}.low": estimate.low,
                f"{name}.{metric}.high": estimate.high,
            }
        figures |= {
            f"{name}.train_s": seconds,
            f"{name}.evaluate_s": evaluating,
            f"{name}.total_s": shared + seconds + evaluating,
        }
        risks[name] = trained.predict(test).frame["value"].to_numpy()
        # the threshold comes from set a: from what models say of stays that they were not learned from
        learner = trained.model.relearner()
        known, said = _out_of_fold(samples.in_split("train", "tuning"), learner, bench.seed)
        figures[f"{name}.threshold"] = balanced_threshold(tally(known, said))
    truth = test.frame["label"].to_numpy()
    for name in LEARNERS:
        found = at_threshold(tally(truth, risks[name]), figures[f"{name}.threshold"])
        figures[f"{name}.min_se_ppv"] = float(found["min_se_ppv"])
    for first, second in (("gbdt", "logistic"), ("auto", "gbdt")):
        for metric in ("auroc", "auprc"):
            answers = [binary_answers(truth, risks[name], test.groups) for name in (first, second)]
            difference = paired_difference(metric, *answers, seed=bench.seed)
            figures |= {
                f"{first}_minus_{second}.{metric}": difference.value,
                f"{first}_minus_{second}.{metric}.low": difference.low,
                f"{first}_minus_{second}.{metric}.high": difference.high,
            }
    _peers(bench, site.record, test, truth)
    bench.references = {
        "saps_i.auroc": {"value": 0.638, "source": "these files, set b, measured"},
        "gru_d.auroc": {"value": 0.863, "source": "Horn et al., SeFT, ICML 2020; another split"},
        "seft.auroc": {"value": 0.851, "source": "Horn et al., SeFT, ICML 2020; another split"},
        "winner.min_se_ppv": {"value": 0.5353, "source": "Silva et al., CinC 2012;39:245-248; set c"},
    }


def _stays(record: ml.Record, sets: tuple[str, ...]) -> list[int]:
    """Count the stays of each set: each has one fact that says so."""
    parts = (pl.DataFrame(record.read(["code"], part))["code"].cast(pl.String) for part in record.parts())
    codes = pl.concat(parts)
    return [int((codes == name).sum()) for name in sets]


def _out_of_fold(
    samples: Samples, learner: Learner, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Answer for each stay of set a by a model learned from other stays: outcomes and risks, fold by fold.

    `auto` is learned again as the blend it has, without another search.
    """
    fold = np.random.default_rng(seed).permutation(len(samples)) % FOLDS
    known, said = [], []
    for number in range(FOLDS):
        left_out, judge = (_part(samples, fold == part) for part in (number, (number + 1) % FOLDS))
        rest = _part(samples, (fold != number) & (fold != (number + 1) % FOLDS))
        predictions = learner.fit(rest, judge, seed=seed).predict(left_out)
        known.append(left_out.frame["label"].to_numpy())
        said.append(predictions.frame["value"].to_numpy())
    return np.concatenate(known), np.concatenate(said)


def _part(samples: Samples, chosen: NDArray[np.bool_]) -> Samples:
    ids = samples.frame["sample_id"].filter(pl.Series(chosen))
    return samples.where(pl.col("sample_id").is_in(ids.implode()))


def _peers(bench: Bench, record: ml.Record, test: Samples, truth: NDArray[np.bool_]) -> None:
    """Score the same stays by SAPS-I, which the owner gives."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    events = pl.DataFrame(record.read(["subject_id", "code", "numeric_value"], test.subject_ids))
    saps = (
        events.filter(pl.col("code").cast(pl.String) == "PHYSIONET2012//SAPS-I")
        .group_by("subject_id")
        .agg(pl.col("numeric_value").last())
    )
    score = test.frame.select("subject_id").join(saps, on="subject_id", how="left", maintain_order="left")[
        "numeric_value"
    ]
    filled = score.fill_null(score.median()).to_numpy()
    bench.figures["peer.saps_i.auroc"] = float(roc_auc_score(truth, filled))
    bench.figures["peer.saps_i.auprc"] = float(average_precision_score(truth, filled))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started
