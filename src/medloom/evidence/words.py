"""The names of metrics, subgroups, thresholds and comparisons, and plain sentences, in both languages."""

from typing import TYPE_CHECKING

from medloom.evidence.estimate import Estimate
from medloom.evidence.metrics import PRIMARY, no_solution
from medloom.evidence.subgroups import UNKNOWN
from medloom.foundation.messages import Text2, text2

if TYPE_CHECKING:
    from medloom.evidence.evaluation import Evaluation


def metric_name(name: str) -> Text2:
    """Name a metric for a person; an unknown name stays as it is."""
    names = {
        "auroc": text2("AUROC"),
        "auprc": text2("AUPRC"),
        "brier": text2("Brier score"),
        "log_loss": text2("log loss"),
        "ece": text2("calibration error (ECE)"),
        "calibration_slope": text2("calibration slope"),
        "calibration_intercept": text2("calibration in the large"),
        "auroc_macro": text2("AUROC, mean over classes"),
        "auroc_micro": text2("AUROC, all pooled"),
        "auprc_macro": text2("AUPRC, mean over classes"),
        "auprc_micro": text2("AUPRC, all pooled"),
        "f1_macro": text2("F1, mean over classes"),
        "f1_micro": text2("F1, all pooled"),
        "accuracy": text2("accuracy"),
        "mae": text2("mean absolute error"),
        "rmse": text2("root mean squared error"),
        "r2": text2("R²"),
        "sensitivity": text2("sensitivity"),
        "specificity": text2("specificity"),
        "ppv": text2("PPV"),
        "npv": text2("NPV"),
        "f1": text2("F1"),
        "min_se_ppv": text2("min(sensitivity, PPV)"),
        "flagged_per_100": text2("flagged of 100"),
    }
    return names.get(name, Text2(name, name))


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    meanings = {
        "auroc": text2(
            "how often a patient with the outcome is ranked above one without; 1 is ideal, 0.5 is chance"
        ),
        "auprc": text2("precision averaged over all recalls; 1 is ideal, chance is the prevalence"),
        "brier": text2("mean squared error of the risks; 0 is ideal"),
        "log_loss": text2("mean surprise at what happened; 0 is ideal"),
        "ece": text2("mean distance between predicted and observed risk in ten groups; 0 is ideal"),
        "calibration_slope": text2("1 is ideal; below 1 the predictions are too extreme, above 1 too timid"),
        "calibration_intercept": text2(
            "0 is ideal; above 0 the predictions are too low on average, below 0 too high"
        ),
        "mae": text2("how far off a prediction is on average; 0 is ideal"),
        "rmse": text2("like the mean absolute error, but large errors weigh more; 0 is ideal"),
        "r2": text2("share of the variation that is explained; 1 is ideal, 0 is no better than the mean"),
        "accuracy": text2("share of samples whose likeliest class is right; 1 is ideal"),
    }
    return meanings.get(name)


def subgroup_name(dimension: str, name: str) -> Text2:
    """Name a subgroup: a sex, or an age band."""
    if name == UNKNOWN:
        return text2("unknown")
    if dimension == "age":
        return text2("{band} years", band=name)
    sexes = {"F": text2("female"), "M": text2("male"), "other": text2("other")}
    return sexes.get(name.upper()[:1] if name.upper() in ("FEMALE", "MALE") else name, Text2(name, name))


def dimension_name(dimension: str) -> Text2:
    """Name what subgroups differ in."""
    return {"sex": text2("Sex"), "age": text2("Age")}.get(dimension, Text2(dimension, dimension))


def threshold_name(name: str) -> Text2:
    """Name a threshold: ours in both languages, the user's as it is."""
    if name == "prevalence":
        return text2("prevalence")
    if name.startswith("risk ") and name.endswith("%"):
        return text2("risk of {percent}", percent=name.removeprefix("risk "))
    return Text2(name, name)


def compared_name(name: str) -> Text2:
    """Name what the model is compared with."""
    return text2("the same for everybody") if name == "prevalence" else Text2(name, name)


def headline(evaluation: "Evaluation") -> Text2:
    """Say in one sentence how good the model is."""
    name = PRIMARY[evaluation.kind]
    one = evaluation.metrics[name]
    if one.value is None:
        reason = one.reason or no_solution()
        named = metric_name(name)
        said = [
            text2(
                "How good the model is cannot be said from these data: {reason} ({metric}).",
                reason=reason[at],
                metric=named[at],
            )[at]
            for at in (0, 1)
        ]
        return Text2(*said)
    values: dict[str, object] = {"right": round(100 * one.value), "value": _span(one)}
    match evaluation.kind:
        case "binary":
            return text2(
                "Of 100 pairs of one patient with and one without the outcome,"
                " the model ranks {right} correctly (AUROC {value}).",
                **values,
            )
        case "regression":
            values["value"] = one.said(2 if one.value <= 10 else 1)
            if evaluation.unit:
                values["value"] = f"{values['value']} {evaluation.unit}"
            return text2(
                "A prediction is off by {value} on average (mean absolute error).",
                **values,
            )
        case "multiclass":
            accuracy = evaluation.metrics["accuracy"]
            values |= {"right": round(100 * (accuracy.value or 0)), "accuracy": _span(accuracy)}
            return text2(
                "For {right} of 100 samples the likeliest class is the right one"
                " (accuracy {accuracy}; mean AUROC {value}).",
                **values,
            )
        case "multilabel":
            return text2(
                "Of 100 pairs of one sample with and one without a label,"
                " the model ranks {right} correctly (mean AUROC over the labels {value}).",
                **values,
            )


def against_constant(evaluation: "Evaluation") -> Text2 | None:
    """Say whether the model beats saying the same to everybody."""
    constant = evaluation.compared_with.get("prevalence")
    name = PRIMARY[evaluation.kind]
    if constant is None or constant.difference[name].value is None:
        return None
    gained = constant.difference[name]
    if gained.low is None or gained.high is None:
        return None
    better = gained.high < 0 if evaluation.kind == "regression" else gained.low > 0
    worse = gained.low > 0 if evaluation.kind == "regression" else gained.high < 0
    if better:
        return text2("That is better than saying the same to everybody, beyond chance.")
    if worse:
        return text2("That is worse than saying the same to everybody.")
    return text2(
        "That cannot be told from saying the same to everybody: the interval includes no difference."
    )


def in_the_large(evaluation: "Evaluation") -> Text2 | None:
    """Say predicted against observed risk in people of 100."""
    calibration = evaluation.curves.get("calibration")
    if evaluation.kind != "binary" or not calibration or not isinstance(evaluation.prevalence, float):
        return None
    intercept = evaluation.metrics["calibration_intercept"]
    numbers = {
        "predicted": f"{100 * calibration['mean_predicted']:.1f}",
        "observed": f"{100 * evaluation.prevalence:.1f}",
    }
    if intercept.value is None:
        return None
    if intercept.low is not None and intercept.low > 0:
        return text2(
            "Its risks are too low on average: it expected {predicted} of 100, {observed} had the outcome.",
            **numbers,
        )
    if intercept.high is not None and intercept.high < 0:
        return text2(
            "Its risks are too high on average: it expected {predicted} of 100, {observed} had the outcome.",
            **numbers,
        )
    return text2(
        "On average its risks fit: it expected {predicted} of 100, {observed} had the outcome.", **numbers
    )


def split_name(split: str) -> Text2:
    """Name a split for a person; one of the user's own stays as it is."""
    names = {
        "train": text2("training"),
        "tuning": text2("tuning"),
        "calibration": text2("calibration"),
        "held_out": text2("held out"),
    }
    return names.get(split, Text2(split, split))


def _span(one: Estimate) -> str:
    digits = 2 if one.value is not None and abs(one.value) <= 10 else 1
    return one.said(digits).replace(" (", ", ").replace(")", "")
