"""How far diabetes will have progressed in a year, by linear regression. (Efron 2004)"""

from sklearn.datasets import load_diabetes

import medloom as ml

table = load_diabetes(as_frame=True, scaled=False).frame

model = ml.train(table, label="target", learner="linear", seed=0)
print(ml.evaluate(model, split="held_out"))

held_out = model.samples.in_split("held_out")
first = int(held_out.frame["sample_id"][0])
print(model.explain(held_out).top(first, 5).select("input", "value", "contribution"))
