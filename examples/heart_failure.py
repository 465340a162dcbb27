"""Prognosis in end-stage heart failure from one table: survival after acceptance for transplantation. (Crowley 1977)"""

from importlib.resources import files

import polars as pl

import medloom as ml

spells = pl.read_csv(files("lifelines.datasets") / "stanford_heart.csv")  # one or two rows a patient
table = spells.group_by("id", maintain_order=True).agg(
    days=pl.col("stop").max(),
    died=pl.col("event").max(),
    age=pl.col("age").first() + 48,  # the table gives years above 48
    accepted=1967 + pl.col("year").first(),
    surgery_before=pl.col("surgery").first(),  # whether there was a transplant is known only later: left out
)
question = {"time": "days", "event": "died", "unit": "d", "horizons": [90, 365], "drop": ["id"]}
for learner in ("kaplan-meier", "cox"):
    model = ml.train(table, learner=learner, seed=0, **question)
    print(ml.evaluate(model, split="held_out"), end="\n\n")

patients = pl.DataFrame({"age": [30, 60], "accepted": [1970.0, 1970.0], "surgery_before": [0, 0]})
risk = model.predict(patients).frame.filter(pl.col("end").is_in([90, 365]))
print(risk.select("sample_id", "output", "end", "value"))
