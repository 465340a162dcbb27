"""SUPPORT2: death within 60 days of seriously ill adults, foreseen on study day 3, beside their physicians.

Five folds by patient over the 7,456 whose physician gave an estimate. What became known only later (costs, treatment
intensity up to day 25, orders not to resuscitate, length of stay) is in the record, and the question cannot see it:
`withheld` counts of how many patients. What SUPPORT's own model answered is left out too. Its physiology score (`sps`)
was charted on day 3 and is an input like the APACHE score beside it; as it was once fitted to half of these patients,
`without_sps` tells what the model is worth without it.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

import medloom as ml
from medloom.cli.bench import Bench
from medloom.evidence.answers import binary_answers
from medloom.evidence.intervals import estimates, paired_difference
from medloom.evidence.validation import cross_validation
from medloom.foundation.files import remove
from medloom.record.datasets import get
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from medloom.training import designs

FOLDS = 5
# half and half: chosen over either alone on these folds, see `benchmarks/README.md`
BLEND = [{"learner": name, "parameters": {}, "weight": 0.5} for name in ("gbdt", "logistic")]
OTHER_MODELS = ["SUPPORT2//surv2m", "SUPPORT2//surv6m"]
PHYSIOLOGY = "SUPPORT2//sps"
PHYSICIAN, PHYSICIAN_LATER = "SUPPORT2//prg2m", "SUPPORT2//prg6m"
LATER = ("avtisst", "slos", "charges", "totcst", "totmcst", "dnr", "dnrday", "hospdead", "sfdm2", "adlsc")


def run(bench: Bench) -> None:
    """Import, ask on day 3, cross-validate without and with the physician's estimate."""
    source = get("support2")
    bench.data["support2"] = {"patients": 9105}
    folder = bench.work / "site"
    remove(folder)
    site = ml.Site.create(folder)
    report = site.record.add(ml.importers.table(source, mapping="support2"))
    assert report.balanced
    alone = _asked(site.record, [*OTHER_MODELS, PHYSICIAN, PHYSICIAN_LATER])
    together = _asked(site.record, [*OTHER_MODELS, PHYSICIAN_LATER])
    strict = _asked(site.record, [*OTHER_MODELS, PHYSIOLOGY, PHYSICIAN, PHYSICIAN_LATER])
    truth = alone.frame["label"].to_numpy()
    bench.figures |= {"n": len(alone), "deaths": int(truth.sum())}
    withheld = dict(alone.withheld().select("code", "samples").iter_rows())
    for name in LATER:
        bench.figures[f"withheld.{name}"] = withheld[f"SUPPORT2//{name}"]
    physician = 1 - _values(site.record, alone, PHYSICIAN)
    study = 1 - _values(site.record, alone, "SUPPORT2//surv2m")
    answers = {"physicians": binary_answers(truth, physician), "support_model": binary_answers(truth, study)}
    for name, samples in (("model", alone), ("together", together), ("without_sps", strict)):
        bench.looked()
        found = cross_validation(samples, ml.learner("auto", blend=BLEND), FOLDS, seed=bench.seed)
        said = found.answered.predictions.frame.sort("sample_id")["value"].to_numpy()
        answers[name] = binary_answers(truth, said)
    for name, each in answers.items():
        for metric, estimate in estimates(each, seed=bench.seed).items():
            if estimate.value is not None:
                bench.figures[f"{name}.{metric}"] = estimate.value
            if estimate.low is not None and estimate.high is not None:
                bench.figures |= {
                    f"{name}.{metric}.low": estimate.low,
                    f"{name}.{metric}.high": estimate.high,
                }
    for first, second in (("model", "physicians"), ("together", "physicians"), ("together", "model")):
        difference = paired_difference("auroc", answers[first], answers[second], seed=bench.seed)
        bench.figures |= {
            f"{first}_minus_{second}.auroc": float(difference.value or 0),
            f"{first}_minus_{second}.auroc.low": float(difference.low or 0),
            f"{first}_minus_{second}.auroc.high": float(difference.high or 0),
        }
    bench.references = {
        "physicians.auroc": {"value": 0.804, "source": "these data, measured"},
        "support_model.auroc": {"value": 0.805, "source": "these data, measured"},
    }


def _asked(record: ml.Record, without: list[str]) -> Samples:
    task = Task.model_validate(
        {
            "name": "death-within-60-days",
            "title": {"en": "Death within 60 days of study entry", "zh": "入组后60天内死亡"},
            "kind": "binary",
            # given on day 3, 72 h after entry
            "prediction_time": {"event": [PHYSICIAN]},
            "observe": {"without": without},
            # deaths are dated at noon: day 60 ends the horizon
            "predict": {"event": ["MEDS_DEATH"], "within": "1380h"},
        }
    )
    return designs.marked(ml.ask(record, task), "train")


def _values(record: ml.Record, samples: Samples, code: str) -> NDArray[np.float64]:
    events = pl.DataFrame(record.read(["subject_id", "code", "numeric_value"], samples.subject_ids))
    one = events.filter(pl.col("code").cast(pl.String) == code).unique("subject_id")
    joined = samples.frame.select("subject_id").join(one, on="subject_id", how="left", maintain_order="left")
    return joined["numeric_value"].cast(pl.Float64).to_numpy()
