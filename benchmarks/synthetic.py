"""Made-up patients of intensive care: what are they worth, and can the real ones be told from them?

PhysioNet 2012, a dozen measurements. Rows of a table: age, sex, the last value of each in 48 h, and death in hospital.
Timelines: an encoder that reads fact by fact. Each is learned from about seven tenths of the stays; others are unseen.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import polars as pl

import medloom as ml
from medloom.cli.bench import Bench
from medloom.evidence.estimate import Estimate
from medloom.evidence.synthetic import SyntheticEvidence
from medloom.features.windows import WindowFeatures
from medloom.foundation.files import remove, write_text
from medloom.learners.timeline.pretraining import Encoder, Pretraining, load_encoder, pretrain
from medloom.record.record import Record
from medloom.synthesizing import synthesize, synthesize_timelines
from medloom.tasks.samples import Samples
from medloom.tasks.timelines import timelines
from medloom.training.schedule import Schedule

# Glasgow coma score, urea, creatinine, bicarbonate, lactate, platelets, white cells, sodium, potassium, glucose,
# magnesium, and being ventilated
MEASURED = (
    *(
        f"LOINC//{one}"
        for one in ("9269-2", "3094-0", "2160-0", "1963-8", "26515-7", "26464-8", "2951-2", "2823-3")
    ),
    "LOINC//2345-7",
    "PHYSIONET2012//Lactate",
    "PHYSIONET2012//Mg",
    "PHYSIONET2012//MechVent",
)
STILL = "^(MEDS_|ENCOUNTER//|GENDER//|PHYSIONET2012//(Age|ICUType))"
EPOCHS = 100  # of rows
SCHEDULE = Schedule(epochs=12, batch=64, learning_rate=3e-3, patience=None, minutes=8)
INVENTED = 3000


def run(bench: Bench) -> None:
    """Make up rows and timelines, and judge both."""
    sys.path.append(str(bench.folder))  # at the end: a script beside this one is named as a library
    from _icu_folds import TASK, shared_folder, stays  # type: ignore[import-not-found]  # beside this script

    samples = stays(shared_folder(bench))
    bench.data["physionet2012"] = {"stays": len(samples), "measurements": len(MEASURED)}
    bench.looked()
    kept = bench.work / f"wgan-{bench.seed}.json"  # what a run that was cut off had found
    if kept.is_file():
        bench.figures |= json.loads(kept.read_text(encoding="utf-8"))
    else:
        rows = synthesize(_table(samples), "died", epochs=EPOCHS, seed=bench.seed)
        _note(bench, "wgan", rows.evidence)
        write_text(kept, json.dumps(bench.figures))
    record = _narrow(ml.Site.open(shared_folder(bench) / "site").record)
    made = synthesize_timelines(_encoder(bench, record), record, TASK, n=INVENTED, seed=bench.seed)
    _note(bench, "timeline", made.evidence)
    bench.figures["real.auroc"] = bench.figures["wgan.real_auroc"]
    for one in (kept, bench.work / f"encoder-{bench.seed}"):
        remove(one)


def _note(bench: Bench, name: str, found: SyntheticEvidence) -> None:
    estimates: dict[str, Estimate] = {
        "tstr_auroc": found.utility["synthetic"],
        "real_auroc": found.utility["real"],
        "membership_auroc": found.membership,
        "nndr": found.distance_ratio,
    }
    for figure, one in estimates.items():
        for end, value in (("", one.value), (".low", one.low), (".high", one.high)):
            if value is not None:
                bench.figures[f"{name}.{figure}{end}"] = value
    bench.figures[f"{name}.copies"] = found.copies
    bench.figures[f"{name}.spread_difference"] = float(np.mean(list(found.columns.values())))
    bench.figures[f"{name}.correlation_difference"] = found.correlation


def _table(samples: Samples) -> pl.DataFrame:
    """Give a row a stay: age, sex, the last value of each measurement, and whether death in hospital followed."""
    features = WindowFeatures.fit(samples, ["ever"])
    matrix = features.transform(samples)
    columns = {
        name: matrix.dense[:, place]
        for place, (name, code) in enumerate(zip(matrix.names, matrix.codes, strict=False))
        if (code in MEASURED and name.endswith(" last ever")) or name in ("PHYSIONET2012//Age", "GENDER//F")
    }
    frame = pl.DataFrame(columns).fill_nan(None)
    return frame.with_columns(died=samples.frame["label"])


def _narrow(record: Record) -> Record:
    """Keep the measurements, what does not change, stays and deaths."""
    events = record.events().filter(pl.col("code").is_in(MEASURED) | pl.col("code").str.contains(STILL))
    return Record.from_events(events.select("subject_id", "time", "code", "numeric_value"), record.settings)


def _encoder(bench: Bench, record: Record) -> Encoder:
    folder = bench.work / f"encoder-{bench.seed}"
    if (folder / "package").is_dir():
        return load_encoder(folder / "package")
    of = timelines(record)
    how = replace(Pretraining("next-event", "nano", None, 512), schedule=SCHEDULE)
    made = pretrain(of.in_split("train"), of.in_split("tuning"), how, seed=bench.seed, folder=folder)
    made.save(folder / "package")
    return made
