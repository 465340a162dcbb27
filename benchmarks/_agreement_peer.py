"""Metrics by others, in an environment of their own: scikit-learn, statsmodels, scikit-survival (GPL, never a
dependency); where no package has a metric, its definition written as loops over people.

_agreement_peer.py IN OUT      NumPy archives; IN as `agreement.py` writes it, OUT with `CASE.METRIC`
"""

import sys
import warnings

import numpy as np
from sklearn import metrics as sk


def binary(case):
    import statsmodels.api as sm

    y, p, q, cut = case["truth"].astype(int), case["risk"], case["rival"], float(case["cut"])
    flag = p >= cut
    _, fp, _, tp = sk.confusion_matrix(y, flag, labels=[0, 1]).ravel()
    share = y.mean()
    x = np.log(np.clip(p, 1e-7, 1 - 1e-7) / (1 - np.clip(p, 1e-7, 1 - 1e-7)))
    line = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
    large = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=x).fit(
        tol=1e-14, maxiter=200
    )
    weight = cut / (1 - cut)
    moved = (p >= cut).astype(int) - (q >= cut).astype(int)
    with_, without = y == 1, y == 0
    return {
        "auroc": sk.roc_auc_score(y, p),
        "auprc": sk.average_precision_score(y, p),
        "brier": sk.brier_score_loss(y, p),
        "scaled_brier": 1 - sk.brier_score_loss(y, p) / sk.brier_score_loss(y, np.full(len(y), share)),
        "log_loss": sk.log_loss(y, p, labels=[0, 1]),
        "calibration_slope": line.params[1],
        "calibration_intercept": large.params[0],
        "sensitivity": sk.recall_score(y, flag, zero_division=np.nan),
        "specificity": sk.recall_score(1 - y, ~flag, zero_division=np.nan),
        "ppv": sk.precision_score(y, flag, zero_division=np.nan),
        "npv": sk.precision_score(1 - y, ~flag, zero_division=np.nan),
        "f1": sk.f1_score(y, flag, zero_division=np.nan),
        "min_se_ppv": min(sk.recall_score(y, flag), sk.precision_score(y, flag)) if flag.any() else np.nan,
        "flagged_per_100": 100 * flag.mean(),
        "number_needed_to_evaluate": (tp + fp) / tp if tp else np.nan,
        "net_benefit": (tp - fp * weight) / len(y),
        **_in_tenths(y, p),
        **_smooth(y, p, x),
        "delong_z": _delong(y, p, q),
        "nri_events": moved[with_].mean(),
        "nri_nonevents": -moved[without].mean(),
        "idi": (p - q)[with_].mean() - (p - q)[without].mean(),
    }


def _delong(y, p, q):
    """The statistic from all pairs of people."""

    def placed(risk):
        pairs = (risk[y == 1][:, None] > risk[y == 0]) + 0.5 * (risk[y == 1][:, None] == risk[y == 0])
        return pairs.mean(axis=1), pairs.mean(axis=0)

    (a1, a0), (b1, b0) = placed(p), placed(q)
    variance = np.cov(a1, b1) / (y == 1).sum() + np.cov(a0, b0) / (y == 0).sum()
    spread = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    return (a1.mean() - b1.mean()) / spread if spread > 0 else np.nan


def _in_tenths(y, p):
    """Calibration error and Hosmer-Lemeshow over tenths, person by person; equal risks share a tenth."""
    tenth = [min(int(10 * ((p < one).sum() + (p <= one).sum()) / 2 / len(p) + 1e-12), 9) for one in p]
    error = statistic = used = 0
    for rows in (np.array(tenth) == number for number in range(10)):
        if not rows.any():
            continue
        expected, n = p[rows].mean(), rows.sum()
        gap = y[rows].mean() - expected
        error += abs(gap) * n / len(p)
        if 0 < expected < 1:
            statistic += n * gap**2 / (expected * (1 - expected))
            used += 1
    return {"ece": error, "hosmer_lemeshow": statistic if used > 2 else np.nan}


def _smooth(y, p, x):
    """Distances to a natural spline in logit(risk), fitted by Newton's method with Harrell's basis."""
    scores, counts = np.unique(p, return_counts=True)
    logits = np.array([x[p == one][0] for one in scores])
    knots = np.unique(np.interp([0.05, 0.35, 0.65, 0.95], (np.cumsum(counts) - counts / 2) / len(p), logits))
    columns = [np.ones_like(x), x]
    if len(knots) > 2:
        first, before, last = knots[0], knots[-2], knots[-1]
        for knot in knots[:-2]:
            cubes = [np.clip(x - at, 0, None) ** 3 for at in (knot, before, last)]
            bent = (
                cubes[0]
                - cubes[1] * (last - knot) / (last - before)
                + cubes[2] * (before - knot) / (last - before)
            )
            columns.append(bent / (last - first) ** 2)
    basis = np.column_stack(columns)
    ridge = np.diag([0.0] + [0.01] * (basis.shape[1] - 1))
    weights = np.zeros(basis.shape[1])
    for _ in range(200):
        risk = 1 / (1 + np.exp(-basis @ weights))
        bend = (basis.T * (risk * (1 - risk))) @ basis + ridge + 1e-9 * np.eye(len(ridge))
        step = np.linalg.solve(bend, basis.T @ (y - risk) - ridge @ weights)
        weights += np.clip(step, -4, 4)
    gap = np.abs(1 / (1 + np.exp(-basis @ weights)) - p)
    return {
        "e_avg": gap.mean(),
        "e90": np.sort(gap)[int(np.ceil(0.9 * len(gap) - 1e-9)) - 1],
        "e_max": gap.max(),
    }


def multiclass(case):
    y, p = case["truth"], case["risk"]
    chosen, classes = p.argmax(axis=1), np.arange(p.shape[1])
    each = [sk.roc_auc_score(y == k, p[:, k]) for k in classes]
    onehot = (y[:, None] == classes).astype(int)
    return {
        "auroc_macro": np.mean(each),
        "auroc_micro": sk.roc_auc_score(onehot.ravel(), p.ravel()),
        "accuracy": sk.accuracy_score(y, chosen),
        "f1_macro": sk.f1_score(y, chosen, average="macro", labels=classes),
        "f1_micro": sk.f1_score(y, chosen, average="micro", labels=classes),
        "log_loss": sk.log_loss(y, p, labels=classes),
        "brier": ((p - onehot) ** 2).sum(axis=1).mean(),
    }


def multilabel(case):
    y, p = case["truth"].astype(int), case["risk"]
    said = (p >= 0.5).astype(int)
    return {
        "auroc_macro": sk.roc_auc_score(y, p, average="macro"),
        "auroc_micro": sk.roc_auc_score(y, p, average="micro"),
        "auprc_macro": sk.average_precision_score(y, p, average="macro"),
        "auprc_micro": sk.average_precision_score(y, p, average="micro"),
        "f1_macro": sk.f1_score(y, said, average="macro", zero_division=0),
        "f1_micro": sk.f1_score(y, said, average="micro", zero_division=0),
        "brier": ((p - y) ** 2).mean(),
        "log_loss": np.mean([sk.log_loss(y[:, k], p[:, k], labels=[0, 1]) for k in range(y.shape[1])]),
    }


def regression(case):
    import statsmodels.api as sm

    y, p = case["truth"], case["risk"]
    line = sm.OLS(y, sm.add_constant(p)).fit()
    return {
        "mae": sk.mean_absolute_error(y, p),
        "rmse": sk.root_mean_squared_error(y, p),
        "r2": sk.r2_score(y, p),
        "calibration_slope": line.params[1],
        "calibration_intercept": y.mean() - p.mean(),
    }


def survival(case):
    from sksurv import nonparametric
    from sksurv.metrics import (
        brier_score,
        concordance_index_censored,
        concordance_index_ipcw,
        cumulative_dynamic_auc,
        integrated_brier_score,
    )
    from sksurv.util import Surv

    time, cause, risk, times, until = (case[name] for name in ("time", "cause", "risk", "times", "until"))
    event = cause == 1
    y = Surv.from_arrays(event, time)
    free = 1 - case["incidence"]
    steps, alive = nonparametric.kaplan_meier_estimator(event, time)
    at, hazard = nonparametric.nelson_aalen_estimator(event, time)
    inside = steps < until
    edges = np.concatenate([[0.0], steps[inside], [until]])
    found = {
        "harrell": concordance_index_censored(event, time, risk)[0],
        "uno": concordance_index_ipcw(y, y, risk, tau=float(until))[0],
        "auc": cumulative_dynamic_auc(y, y, risk, times)[0],
        "brier": brier_score(y, y, free, times)[1],
        "ibs": integrated_brier_score(y, y, free, times),
        "kaplan_meier": alive[np.searchsorted(steps, times, "right") - 1],
        "nelson_aalen": hazard[np.searchsorted(at, times, "right") - 1],
        "rmst": (np.concatenate([[1.0], alive[inside]]) * np.diff(edges)).sum(),
        "d_calibration": _d_calibration(time, event, case["own"]),
    }
    two = case["competing"]
    when, both = nonparametric.cumulative_incidence_competing_risks(two, time)
    found["aalen_johansen"] = both[1:, np.searchsorted(when, times, "right") - 1].ravel()
    return found


def _d_calibration(time, event, own, bins=10):
    """Haider's counts, person by person."""
    counts = np.zeros(bins)
    for happened, free in zip(event, own, strict=True):
        place = min(int(free * bins), bins - 1)
        if happened or free == 0:
            counts[place] += 1
            continue
        counts[place] += (free - place / bins) / free
        counts[:place] += 1 / bins / free
    return counts


def main(given, out):
    asked, found = np.load(given), {}
    for number in range(int(asked["cases"])):
        kind = str(asked[f"{number}.kind"])
        head = f"{number}."
        case = {name.removeprefix(head): asked[name] for name in asked.files if name.startswith(head)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = globals()[kind](case)
        found |= {f"{number}.{name}": value for name, value in said.items()}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
