"""A tree that a person can read: under which HIV therapy does the CD4 count rise? (ACTG 175, Hammer 1996)

Therapies were drawn by lot in this trial, so that branches on `therapy` may be read as its effect.
"""

from importlib.resources import files

import polars as pl

import medloom as ml

trial = pl.read_csv(files("lifelines.datasets") / "ACTG175.csv", null_values="NA", infer_schema_length=None)
known = ["age", "wtkg", "karnof", "strat", "symptom", "cd40", "cd80"]  # before the therapy began
arms = {0: "zidovudine", 1: "zidovudine+didanosine", 2: "zidovudine+zalcitabine", 3: "didanosine"}
table = trial.select(
    *known,
    therapy=pl.col("arms").replace_strict(arms),
    rises=pl.col("cd420") > pl.col("cd40"),  # 20 weeks later
)
model = ml.train(table, label="rises", learner="tree", max_depth=3)
print(model.model.as_text())
print(ml.evaluate(model, split="held_out"))
