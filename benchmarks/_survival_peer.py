"""scikit-survival (GPL, never a dependency), in an environment of its own: reads data, fits, and checks our metrics.

_survival_peer.py data FOLDER OUT      HDF5 files with published splits, and the package's own data sets, as CSV
_survival_peer.py fit CSV TASK OUT     Cox and a random survival forest, for each split of the task
_survival_peer.py metrics IN OUT       metrics of outcomes and predictions that were made elsewhere
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

PUBLISHED = {
    "gbsg": "gbsg_cancer",
    "metabric": "metabric_IHC4_clinical",
    "support": "support",
    "whas": "whas",
}


def data(folder, out):
    import h5py
    from sksurv import datasets

    for name, stem in PUBLISHED.items():
        frames = []
        with h5py.File(Path(folder) / f"{stem}_train_test.h5") as file:
            for part in ("train", "test"):
                frame = pd.DataFrame(file[part]["x"][:]).add_prefix("x")
                frames.append(frame.assign(time=file[part]["t"][:], event=file[part]["e"][:], part=part))
        pd.concat(frames).to_csv(Path(out) / f"{name}.csv", index=False)
    for name in ("gbsg2", "whas500", "flchain"):
        x, y = getattr(datasets, f"load_{name}")()
        event, when = y.dtype.names
        # the chapter of the cause of death is known only of the dead
        x = x.drop(columns="chapter", errors="ignore")
        x.assign(event=y[event].astype(int), time=y[when]).to_csv(Path(out) / f"{name}.csv", index=False)


def fit(csv, task, out):
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    asked = json.loads(Path(task).read_text())
    frame = pd.read_csv(csv)
    y = Surv.from_arrays(frame.pop("event").astype(bool), frame.pop("time").astype(float))
    for column in asked["texts"]:
        frame[column] = frame[column].astype(str)
    x = pd.get_dummies(frame, drop_first=True, dtype=float)
    found = {}
    for number, split in enumerate(asked["splits"]):
        train, test = np.array(split["train"]), np.array(split["test"])
        times = np.array(split["times"])
        median = x.iloc[train].median()
        known = x.fillna(median)
        varies = known.iloc[train].std() > 0
        known = known.loc[:, varies]
        scaled = (known - known.iloc[train].mean()) / known.iloc[train].std()
        forest = RandomSurvivalForest(
            n_estimators=asked["n_trees"], random_state=number, n_jobs=1, low_memory=False
        )
        cox = CoxPHSurvivalAnalysis(alpha=1e-4)
        for name, learner, inputs in (("rsf", forest, known), ("cox", cox, scaled)):
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                learner.fit(inputs.to_numpy()[train], y[train])
            seconds = time.perf_counter() - began
            asked_of = inputs.to_numpy()[test]
            curves = learner.predict_survival_function(asked_of, return_array=True)
            # a step function, read at our times
            known_times = learner.unique_times_
            place = np.searchsorted(known_times, times, "right") - 1
            survival = np.where(place >= 0, curves[:, np.maximum(place, 0)], 1.0)
            found[f"{number}.{name}.incidence"] = 1 - survival
            found[f"{number}.{name}.risk"] = learner.predict(asked_of)
            found[f"{number}.{name}.train_s"] = np.array(seconds)
            del curves
    np.savez_compressed(out, **found)


def metrics(given, out):
    from sksurv.metrics import (
        brier_score,
        concordance_index_censored,
        concordance_index_ipcw,
        cumulative_dynamic_auc,
        integrated_brier_score,
    )
    from sksurv.util import Surv

    asked, found = np.load(given), {}
    for number in range(int(asked["cases"])):
        time_, event, risk, incidence, times, until = (
            asked[f"{number}.{name}"] for name in ("time", "event", "risk", "incidence", "times", "until")
        )
        y = Surv.from_arrays(event.astype(bool), time_)
        found[f"{number}.harrell"] = concordance_index_censored(event.astype(bool), time_, risk)[0]
        found[f"{number}.uno"] = concordance_index_ipcw(y, y, risk, tau=float(until))[0]
        found[f"{number}.auc"] = cumulative_dynamic_auc(y, y, risk, times)[0]
        found[f"{number}.brier"] = brier_score(y, y, 1 - incidence, times)[1]
        found[f"{number}.ibs"] = integrated_brier_score(y, y, 1 - incidence, times)
    np.savez(out, **found)


if __name__ == "__main__":
    {"data": data, "fit": fit, "metrics": metrics}[sys.argv[1]](*sys.argv[2:])
