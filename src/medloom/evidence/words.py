"""The names of metrics, subgroups, thresholds and comparisons, and plain sentences, in both languages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from medloom.evidence import survival_words
from medloom.evidence.estimate import Estimate
from medloom.evidence.metrics import PRIMARY, no_solution
from medloom.foundation.messages import Text2, text2
from medloom.tasks.demographics import UNKNOWN

if TYPE_CHECKING:
    from medloom.evidence.evaluation import Evaluation


def metric_name(name: str, unit: str | None = None) -> Text2:
    """Name a metric for a person, one of a class (`CLASS: auroc`) with its class; an unknown name stays as it is.

    `unit` is that of times of a survival question.
    """
    names = {
        "auroc": text2("AUROC"),
        "auprc": text2("AUPRC"),
        "brier": text2("Brier score"),
        "scaled_brier": text2("Brier score gained (scaled)"),
        "log_loss": text2("log loss"),
        "e_avg": text2("mean distance from the calibration curve (Eavg)"),
        "e90": text2("90th percentile of that distance (E90)"),
        "e_max": text2("largest distance from the calibration curve (Emax)"),
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
        "mean_error": text2("mean error (predicted − observed)"),
        "r2": text2("R²"),
        "sensitivity": text2("sensitivity"),
        "specificity": text2("specificity"),
        "ppv": text2("PPV"),
        "npv": text2("NPV"),
        "f1": text2("F1"),
        "min_se_ppv": text2("min(sensitivity, PPV)"),
        "flagged_per_100": text2("flagged of 100"),
        "number_needed_to_evaluate": text2("flagged for one found"),
        "selection_rate": text2("flagged"),
        "false_positive_rate": text2("false alarms"),
        "observed_to_expected": text2("observed / expected"),
        "equalised_odds": text2("equalised odds"),
        "net_benefit": text2("net benefit"),
    }
    of_class, colon, own = name.rpartition(": ")
    if colon and own in names:
        return Text2(f"{of_class}: {names[own].en}", f"{of_class}：{names[own].zh}")
    return names[name] if name in names else survival_words.metric_name(name, unit)


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    meanings = {
        "auroc": text2(
            "how often a patient with the outcome is ranked above one without; 1 is ideal, 0.5 is chance"
        ),
        "auprc": text2("precision averaged over all recalls; 1 is ideal, chance is the prevalence"),
        "brier": text2("mean squared error of the risks; 0 is ideal"),
        "scaled_brier": text2(
            "share of the Brier score of the prevalence that is gained; 1 is ideal, 0 no gain"
        ),
        "e_avg": text2("how far predicted lies from smoothly observed risk on average; 0 is ideal"),
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
    return meanings[name] if name in meanings else survival_words.metric_meaning(name)


def subgroup_name(dimension: str, name: str) -> Text2:
    """Name a subgroup: a sex, or an age band."""
    if name == UNKNOWN:
        named = dimension_name(dimension)
        return Text2(*(text2("{dimension} unknown", dimension=named[at].lower())[at] for at in (0, 1)))
    if dimension == "age":
        return text2("{band} years", band=name)
    sexes = {"F": text2("female"), "M": text2("male"), "other": text2("other")}
    return sexes.get(name.upper()[:1] if name.upper() in ("FEMALE", "MALE") else name, Text2(name, name))


def dimension_name(dimension: str) -> Text2:
    """Name what subgroups differ in."""
    names = {
        "sex": text2("Sex"),
        "age": text2("Age"),
        "race": text2("Race"),
        "ethnicity": text2("Ethnicity"),
        "language": text2("Language"),
        "insurance": text2("Insurance"),
        "site": text2("Site"),
    }
    parts = [names.get(part, Text2(part, part)) for part in dimension.split(" × ")]
    return Text2(" × ".join(part.en for part in parts), " × ".join(part.zh for part in parts))


def between(dimension: str, lowest: str, highest: str) -> Text2:
    """Name the groups with the lowest and the highest value."""
    parts = dimension.split(" × ")
    named = [
        [subgroup_name(part, name) for part, name in zip(parts, group.split(" × "), strict=True)]
        for group in (lowest, highest)
    ]
    low, high = (Text2(*(" ".join(one[at] for one in group) for at in (0, 1))) for group in named)
    return Text2(f"{low.en} – {high.en}", f"{low.zh} – {high.zh}")


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
    return None if constant is None else verdict(constant.difference[name], evaluation.kind == "regression")


def verdict(gained: Estimate, less_is_better: bool) -> Text2 | None:
    """Say whether a difference from saying the same to everybody is one; None: it was not measured."""
    if gained.value is None or gained.low is None or gained.high is None:
        return None
    better = gained.high < 0 if less_is_better else gained.low > 0
    worse = gained.low > 0 if less_is_better else gained.high < 0
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
    if of_slope(evaluation.metrics) is not None:
        return text2(
            "Its risks fit only on average: it expected {predicted} of 100, {observed} had the outcome.",
            **numbers,
        )
    return text2(
        "On average its risks fit: it expected {predicted} of 100, {observed} had the outcome.", **numbers
    )


def of_slope(metrics: Mapping[str, Estimate]) -> Text2 | None:
    """Say that predictions are too timid or too extreme, where the interval of their slope leaves out 1."""
    slope = metrics.get("calibration_slope")
    if slope is None or slope.low is None or slope.high is None or slope.low <= 1 <= slope.high:
        return None
    said = slope.said2(2)
    if slope.low > 1:
        one = text2("Its predictions are too timid: the high ones should be higher, the low ones lower")
    else:
        one = text2("Its predictions are too extreme: the high ones should be lower, the low ones higher")
    numbers = [
        text2("(calibration slope {value}; 1 is ideal).", value=value.replace(" (", ", ").rstrip(")"))
        for value in said
    ]
    return Text2(f"{one.en} {numbers[0].en}", f"{one.zh}{numbers[1].zh}")


def of_highest(evaluation: "Evaluation") -> Text2 | None:
    """Say what became of the tenth with the highest risks, where its interval leaves out what was expected."""
    tenths = _tenths(evaluation.curves.get("calibration", {})) if evaluation.kind == "binary" else []
    if not tenths or tenths[-1].fits:
        return None
    return text2(
        "Of the tenth with the highest risks it expected {predicted} of 100; {observed} had the outcome.",
        predicted=f"{100 * tenths[-1].predicted:.0f}",
        observed=f"{100 * tenths[-1].observed:.0f}",
    )


def caveats(metrics: Mapping[str, Estimate], calibration: Mapping[str, Any]) -> list[tuple[float, Text2]]:
    """Say beside risks what testing found of such, where slope or intercept leave out the ideal.

    Args:
        metrics: of the evaluation.
        calibration: the curve in tenths, as in `Evaluation.curves`.

    Returns:
        the risk of each tenth, and what is said of those nearest to it; nothing: they are as they say.
    """
    slope, intercept = of_slope(metrics), metrics.get("calibration_intercept")
    parts = [slope] if slope is not None else []
    if intercept is not None and intercept.low is not None and intercept.low > 0:
        parts.append(text2("Its risks were too low on average."))
    elif intercept is not None and intercept.high is not None and intercept.high < 0:
        parts.append(text2("Its risks were too high on average."))
    if not parts:
        return []
    near = [
        (
            tenth.predicted,
            text2(
                "Of the tested patients with risks nearest to this one it expected {predicted} of 100;"
                " {observed} of 100 ({low}–{high}) had the outcome.",
                predicted=f"{100 * tenth.predicted:.0f}",
                observed=f"{100 * tenth.observed:.0f}",
                low=f"{100 * tenth.low:.0f}",
                high=f"{100 * tenth.high:.0f}",
            ),
        )
        for tenth in _tenths(calibration)
    ]
    return [(risk, _joined(*parts, said)) for risk, said in near] or [(0.0, _joined(*parts))]


def outside_note(metrics: Mapping[str, Estimate]) -> Text2 | None:
    """Say why a value lies outside of its own interval, where one does."""
    names = [metric_name(name) for name, one in metrics.items() if one.outside]
    if not names:
        return None
    return Text2(
        *(
            text2(
                "{names}: the value lies outside of its interval. Resamples repeat patients, which makes such a"
                " measure larger (or smaller) than it is; read this interval as shifted, the value as it stands.",
                names=", ".join(name[at] for name in names)
                if at == 0
                else "、".join(name[at] for name in names),
            )[at]
            for at in (0, 1)
        )
    )


def split_name(split: str) -> Text2:
    """Name a split for a person; one of the user's own stays as it is."""
    names = {
        "train": text2("training"),
        "tuning": text2("tuning"),
        "calibration": text2("calibration"),
        "held_out": text2("held out"),
        "elsewhere": text2("elsewhere"),
    }
    return names.get(split, Text2(split, split))


def kind_name(kind: str) -> Text2:
    """Name a kind of question: in English by the word of task files."""
    names = {
        "binary": text2("binary"),
        "multiclass": text2("multiclass"),
        "multilabel": text2("multilabel"),
        "regression": text2("regression"),
        "survival": text2("survival"),
        "segmentation": text2("segmentation"),
        "detection": text2("detection"),
    }
    return names.get(kind, Text2(kind, kind))


def split_with_code(split: str) -> Text2:
    """Name a split by the word that commands take, in Chinese beside its name."""
    said = split_name(split)
    return Text2(split, split if said.zh == split else f"{said.zh}（{split}）")


class _Tenth(NamedTuple):
    predicted: float
    observed: float
    low: float
    high: float

    @property
    def fits(self) -> bool:
        return self.low <= self.predicted <= self.high


def _joined(*parts: Text2) -> Text2:
    return Text2(" ".join(part.en for part in parts), "".join(part.zh for part in parts))


def _tenths(calibration: Mapping[str, Any]) -> list[_Tenth]:
    columns = [calibration.get(name) or [] for name in ("predicted", "observed", "low", "high")]
    rows = zip(*columns, strict=False)
    return [_Tenth(*row) for row in rows if all(value is not None for value in row)]


def _span(one: Estimate) -> str:
    digits = 2 if one.value is not None and abs(one.value) <= 10 else 1
    return one.said(digits).replace(" (", ", ").replace(")", "")
