"""LoRA on a pretrained timeline: a body that learned without labels, adapted to a question. The stays are simulated."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

import medloom as ml
from medloom.tasks.task import Task

start, rng, facts = datetime(2024, 1, 1), np.random.default_rng(0), []
for stay in range(300):
    dies = rng.random() < 0.3
    facts += [(stay, start, "ENCOUNTER//icu//START", None)]
    for h in rng.uniform(0, 48, rng.integers(5, 25)):  # of those who die, the heart races more and more
        facts += [(stay, start + timedelta(hours=h), "LOINC//8867-4", rng.normal(80 + 0.4 * h * dies, 12))]
    facts += [(stay, start + timedelta(days=4), "MEDS_DEATH" if dies else "ENCOUNTER//icu//END", None)]
columns = ["subject_id", "time", "code", "numeric_value"]
record = ml.Record.from_events(pl.DataFrame(facts, columns, orient="row", infer_schema_length=None))
when, what = {"event": ["ENCOUNTER//icu//START"], "offset": "48h"}, {"event": ["MEDS_DEATH"], "within": "7d"}
asked = {"name": "dies", "title": {"en": "death", "zh": "死亡"}, "kind": "binary"}
task = Task.model_validate({**asked, "prediction_time": when, "predict": what})
ml.pretrain(record, epochs=4).save(Path("encoder"))  # of training patients alone
model = ml.train(ml.ask(record, task), "timeline", encoder="encoder", adapt="lora", epochs=8, ranges=False)
model.save("adapter")
print("AUROC", ml.evaluate(model).metrics["auroc"])
for name in ("encoder", "adapter"):
    print(f"{name}: {sum(path.stat().st_size for path in Path(name).rglob('*') if path.is_file()):,} bytes")
