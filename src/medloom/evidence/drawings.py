"""The charts of a report, drawn from an evaluation."""

from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.metrics import PRIMARY
from medloom.evidence.subgroups import persons_shown
from medloom.evidence.words import dimension_name, metric_name, subgroup_name
from medloom.foundation.charts import Axis, Guide, Interval, Line, forest_plot, line_chart, nice_high
from medloom.foundation.messages import Text2, text2

Drawing = tuple[Text2, str, Text2]
"""Title, SVG, and one line on how to read it."""


def forest(evaluation: Evaluation, width: int = 470) -> str:
    """Draw the metric that stands for the kind, for all and within every subgroup."""
    name = PRIMARY[evaluation.kind]
    rows = [_row(text2("All"), f"{evaluation.n_subjects:,}", evaluation.metrics[name], strong=True)]
    for dimension, group in evaluation.subgroups.items():
        persons = persons_shown(group, evaluation.n_subjects)
        rows.append(Interval(dimension_name(dimension), heading=True))
        rows += [
            _row(subgroup_name(dimension, key), persons[key], part.metrics[name])
            for key, part in group.items()
        ]
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    if evaluation.kind == "regression":
        axis = Axis(metric_name(name), 0.0, nice_high(max(ends, default=1.0)))
    else:
        # Half is chance; the axis shows it unless an interval falls below.
        lowest = min([0.5, *ends])
        axis = Axis(metric_name(name), max(0.0, int(lowest * 10 + 1e-9) / 10), 1.0)
    title = text2("{metric} by subgroup", metric=metric_name(name).en)
    return forest_plot(
        Text2(title.en, text2("{metric} by subgroup", metric=metric_name(name).zh).zh),
        text2("Squares are values, lines their 95 % intervals; the dotted line is the value for all."),
        rows,
        axis,
        evaluation.metrics[name].value,
        width,
    )


def drawings(evaluation: Evaluation) -> list[Drawing]:
    """Draw the curves the evaluation holds."""
    curves, out = evaluation.curves, []
    if "roc" in curves:
        out.append(_roc(evaluation))
    if "pr" in curves:
        out.append(_precision_recall(evaluation))
    if "calibration" in curves:
        out.append(
            _risk_calibration(evaluation) if evaluation.kind == "binary" else _value_calibration(evaluation)
        )
    if "decision" in curves:
        out.append(_decision(evaluation))
    return out


def _row(label: Text2, subjects: str, one: Estimate, strong: bool = False) -> Interval:
    note = text2("not estimable") if one.value is None else one.said2(2)
    return Interval(label, one.value, one.low, one.high, note, Text2(subjects, subjects), strong)


def _roc(evaluation: Evaluation) -> Drawing:
    roc = evaluation.curves["roc"]
    title = text2("ROC curve")
    line = Line(text2("model, with 95 % band"), roc["fpr"], roc["tpr"], roc.get("low"), roc.get("high"))
    one = evaluation.metrics["auroc"].said(2)
    svg = line_chart(
        title,
        text2("Sensitivity against the share of false alarms; AUROC {value}.", value=one),
        [line],
        Axis(text2("false alarms among those without the outcome"), format="percent"),
        Axis(text2("found among those with it"), format="percent"),
        [Guide(text2("chance"), 0, 0, 1, 1)],
    )
    return title, svg, text2("The higher above the dotted line, the better it separates.")


def _precision_recall(evaluation: Evaluation) -> Drawing:
    pr = evaluation.curves["pr"]
    share = evaluation.prevalence if isinstance(evaluation.prevalence, float) else 0.0
    title = text2("Precision and recall")
    line = Line(text2("model, with 95 % band"), pr["recall"], pr["precision"], pr.get("low"), pr.get("high"))
    one = evaluation.metrics["auprc"].said(2)
    svg = line_chart(
        title,
        text2("Share of the flagged with the outcome against the share found; AUPRC {value}.", value=one),
        [line],
        Axis(text2("found among those with the outcome"), format="percent"),
        Axis(text2("with the outcome among the flagged"), format="percent"),
        [Guide(text2("chance (prevalence)"), 0, share, 1, share)],
    )
    return title, svg, text2("To find more of those with the outcome, more are flagged in vain.")


def _risk_calibration(evaluation: Evaluation) -> Drawing:
    found, smooth = evaluation.curves["calibration"], evaluation.curves["flexible"]
    reach = [v for key in ("predicted", "observed", "high") for v in found.get(key, ()) if v is not None]
    end = min(1.0, nice_high(max(reach, default=1.0)))
    title = text2("Calibration")
    svg = line_chart(
        title,
        text2(
            "Observed share against predicted risk, in ten groups of equal size and smoothed;"
            " beneath, how many have each risk."
        ),
        [
            Line(text2("model, ten groups"), found["predicted"], found["observed"], found.get("low"),
                 found.get("high"), points=True),
            Line(text2("smoothed"), *_within(smooth["predicted"], smooth["observed"], end)),
        ],
        Axis(text2("predicted risk"), 0.0, end, "percent"),
        Axis(text2("observed share"), 0.0, end, "percent"),
        [Guide(text2("ideal"), 0, 0, end, end)],
        histogram=_finer(evaluation.curves["histogram"]),
    )  # fmt: skip
    return (
        title,
        svg,
        text2("On the dotted line, a risk of 20 % comes true for 20 of 100. Above it, risks are too low."),
    )


def _decision(evaluation: Evaluation) -> Drawing:
    found = evaluation.curves["decision"]
    share = evaluation.prevalence if isinstance(evaluation.prevalence, float) else 0.0
    spread = evaluation.curves["histogram"]
    # thresholds above every risk say nothing, and little where nearly nobody is
    end = max(
        0.1, min(1.0, max(edge for edge, n in zip(spread["edges"][1:], spread["counts"], strict=True) if n))
    )
    low, high = -0.25 * share, 1.1 * share
    bands = {key: found[key] for key in ("low", "high") if key in found}

    def line(
        name: Text2, values: list[float | None], band: dict[str, list[float | None]] | None = None
    ) -> Line:
        kept = [
            at
            for at, value in enumerate(values)
            if found["threshold"][at] <= end and value is not None and value >= low
        ]
        limits = {
            key: [None if each[at] is None else max(each[at] or 0.0, low) for at in kept]
            for key, each in (band or {}).items()
        }
        x, y = ([each[at] for at in kept] for each in (found["threshold"], values))
        return Line(name, x, y, limits.get("low"), limits.get("high"))

    rivals = [line(Text2(name, name), values) for name, values in found.get("rivals", {}).items()]
    title = text2("Decision curve")
    svg = line_chart(
        title,
        text2("Net benefit of acting on the model, on everybody and on nobody, against the risk from which one acts."),
        [line(text2("model, with 95 % band"), found["model"], bands), line(text2("act on everybody"), found["all"]),
         *rivals],
        Axis(text2("risk from which one acts"), 0.0, end, "percent"),
        Axis(text2("net benefit"), low, high),
        [Guide(text2("act on nobody"), 0, 0, end, 0)],
    )  # fmt: skip
    useful = found["useful"]
    if useful is None:
        return title, svg, text2("Nowhere is the model surely better than acting on everybody or on nobody.")
    reading = text2(
        "Surely better than acting on everybody or on nobody where one would act at a risk from {low} to {high}.",
        low=f"{useful[0]:.0%}",
        high=f"{useful[1]:.0%}",
    )
    return title, svg, reading


def _within(
    x: list[float | None], y: list[float | None], end: float
) -> tuple[list[float | None], list[float | None]]:
    """Keep the points of a curve that lie inside a square from 0 to `end`."""
    kept = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None and max(a, b) <= end]
    return [a for a, _ in kept], [b for _, b in kept]


def _value_calibration(evaluation: Evaluation) -> Drawing:
    found, spread = evaluation.curves["calibration"], evaluation.curves["histogram"]
    seen = [
        v for key in ("predicted", "observed", "low", "high") for v in found.get(key, ()) if v is not None
    ]
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    room = 0.05 * ((high - low) or 1.0)
    low, high = low - room, high + room
    title = text2("Calibration")
    svg = line_chart(
        title,
        text2("Mean observed value against mean predicted value, in ten groups of equal size."),
        [
            Line(text2("model, ten groups"), found["predicted"], found["observed"], found.get("low"),
                 found.get("high"), points=True)
        ],
        Axis(text2("predicted value"), low, high),
        Axis(text2("mean observed value"), low, high),
        [Guide(text2("ideal"), low, low, high, high)],
        histogram=(spread["edges"], spread["counts"]),
    )  # fmt: skip
    return title, svg, text2("On the dotted line, predictions are right on average.")


def _finer(spread: dict[str, list[float]]) -> tuple[list[float], list[int]]:
    return spread["edges"], [int(count) for count in spread["counts"]]
