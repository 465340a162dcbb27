"""A tree that a person can read: who gains CD4 cells under which HIV therapy? (ACTG 175, Hammer 1996)

Therapies were drawn by lot in this trial, so that a branch on `therapy` may be read as its effect.
"""

from importlib.resources import files

import polars as pl

import medloom as ml

trial = pl.read_csv(files("lifelines.datasets") / "ACTG175.csv", null_values="NA", infer_schema_length=None)
arms = {0: "zidovudine", 1: "zidovudine+didanosine", 2: "zidovudine+zalcitabine", 3: "didanosine"}
table = trial.select(
    *("age", "symptom"),
    cd4=pl.col("cd40"),  # cells/µL before the therapy began
    cd8=pl.col("cd80"),
    treated_before=pl.col("strat"),  # 1 never, 2 up to a year, 3 longer
    therapy=pl.col("arms").replace_strict(arms),
    gains_50=pl.col("cd420") >= pl.col("cd40") + 50,  # after 20 weeks
)
model = ml.train(table, label="gains_50", learner="tree", max_depth=3)
print(model.model.as_text(), ml.evaluate(model, split="held_out"), sep="\n\n")
