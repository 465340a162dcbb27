"""A diagnosis from ten measurements by a small network: is a breast mass malignant? (Wisconsin, Street 1993)"""

from sklearn.datasets import load_breast_cancer

import medloom as ml

table = load_breast_cancer(as_frame=True).frame
ten = [name for name in table.columns if name.startswith("mean ")]  # radius, texture, … of the cells' nuclei
table["malignant"] = table["target"] == 0

model = ml.train(table[[*ten, "malignant"]], label="malignant", learner="mlp", seed=0)
print(ml.evaluate(model, split="held_out"))
