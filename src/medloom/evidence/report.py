"""The report of an evaluation: one HTML file in both languages that needs nothing else.

Its first screen answers: how good, for whom, compared with what. No script, nothing
from elsewhere: languages are switched by two radio buttons and CSS.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medloom.evidence import words
from medloom.evidence.answers import Kind
from medloom.evidence.drawings import drawings, forest
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.metrics import METRICS
from medloom.foundation.files import write_text
from medloom.foundation.messages import LANGUAGES, Text2, speaking, text2, tr
from medloom.foundation.pages import intended_use, render_page
from medloom.tasks.labelling import FlowStep

_COMPARED = {
    "binary": ("auroc", "auprc", "brier"),
    "multiclass": ("auroc_macro", "accuracy", "log_loss"),
    "multilabel": ("auroc_macro", "auprc_macro", "brier"),
    "regression": ("mae", "rmse", "r2"),
}
"""What has room on the first screen; the first stands for all."""

_WITHIN = {
    "binary": ("auroc", "auprc", "brier", "calibration_slope"),
    "multiclass": ("auroc_macro", "accuracy", "f1_macro", "log_loss"),
    "multilabel": ("auroc_macro", "auprc_macro", "f1_macro", "brier"),
    "regression": ("mae", "rmse", "r2", "calibration_slope"),
}
"""What the table of subgroups shows."""


_DIGITS = {"flagged_per_100": 1, "number_needed_to_evaluate": 1}


def write_report(
    path: Path,
    evaluation: Evaluation,
    *,
    title: Text2 | None = None,
    cohort_flow: Sequence[FlowStep] | None = None,
    withheld: Sequence[tuple[str, int]] | None = None,
    important: Sequence[tuple[Text2, float]] | None = None,
    rests_on: tuple[str, Text2] | None = None,
    others: Mapping[str, Evaluation] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write the report to `path`, replacing it whole.

    Arguments:
        title: of the page; None takes the task's.
        cohort_flow: who fell out at each step.
        withheld: what came to be known only afterwards and was not used, with how many samples have it.
        important: inputs with signed or unsigned weights, most important first.
        rests_on: a drawing of what the model rests on (SVG), and what it must be said of it.
        others: name → evaluation of another model of the same task; shown beside, not paired.
        provenance: what the numbers come from: digests, versions, dates, by name.
    """
    html = report_html(evaluation, title, cohort_flow, withheld, important, rests_on, others, provenance)
    write_text(path, html)


def report_html(
    evaluation: Evaluation,
    title: Text2 | None = None,
    cohort_flow: Sequence[FlowStep] | None = None,
    withheld: Sequence[tuple[str, int]] | None = None,
    important: Sequence[tuple[Text2, float]] | None = None,
    rests_on: tuple[str, Text2] | None = None,
    others: Mapping[str, Evaluation] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> str:
    """Compose the report; arguments as in `write_report`."""
    return render_page(
        "medloom.evidence",
        "report.html.j2",
        "report.css",
        words=_words(evaluation.kind),
        title=title or evaluation.title,
        evaluation=evaluation,
        headline=words.headline(evaluation),
        sentences=[s for s in (words.against_constant(evaluation), words.in_the_large(evaluation)) if s],
        cautions=_cautions(evaluation),
        facts=_facts(evaluation),
        compared=_compared(evaluation, others or {}),
        forest=forest(evaluation),
        narrow_forest=forest(evaluation, width=340),
        drawings=drawings(evaluation),
        measures=_measures(evaluation),
        outside=words.outside_note(evaluation.metrics),
        thresholds=_thresholds(evaluation),
        subgroups=_subgroups(evaluation),
        fairness=_fairness(evaluation),
        confusion=evaluation.curves.get("confusion"),
        cohort_flow=_flow(cohort_flow or ()),
        withheld=[(name, f"{n:,}") for name, n in withheld or ()],
        important=_important(important or ()),
        rests_on=rests_on,
        reasons=_reasons(evaluation),
        provenance=_provenance(evaluation, provenance or {}),
    )


def write_card(
    path: Path,
    evaluation: Evaluation,
    *,
    title: Text2 | None = None,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a short model card in Markdown, English first, then Chinese."""
    parts: list[str] = []
    for at, spoken in enumerate(LANGUAGES):
        with speaking(spoken):
            parts.append(_card(at, evaluation, title or evaluation.title, provenance or {}))
    write_text(path, "\n".join(parts))


def _card(at: int, evaluation: Evaluation, title: Text2, provenance: Mapping[str, str]) -> str:
    sentences = (
        words.headline(evaluation),
        words.against_constant(evaluation),
        words.in_the_large(evaluation),
        *_cautions(evaluation),
    )
    lines = [f"# {title[at]}", "", " ".join(one[at] for one in sentences if one), ""]
    lines += [f"> {intended_use()[at]}", "", f"## {tr('How good')}", ""]
    lines += [f"| {tr('measure')} | {tr('value (95 % interval)')} |", "|---|---|"]
    lines += [
        f"| {words.metric_name(name)[at]} | {one.reason[at] if one.value is None and one.reason else one} |"
        for name, one in evaluation.metrics.items()
    ]
    outside = words.outside_note(evaluation.metrics)
    lines += ["", outside[at]] if outside else []
    if evaluation.subgroups:
        primary = _COMPARED[evaluation.kind][0]
        lines += ["", f"## {tr('For whom')}", ""]
        lines += [
            f"| {tr('subgroup')} | {tr('subjects')} | {words.metric_name(primary)[at]} |",
            "|---|---|---|",
        ]
        for dimension, group in evaluation.subgroups.items():
            for name, part in group.items():
                one = part.metrics[primary]
                said = one.reason[at] if one.value is None and one.reason else str(one)
                lines.append(f"| {words.subgroup_name(dimension, name)[at]} | {part.n_subjects:,} | {said} |")
    if evaluation.compared_with:
        primary = _COMPARED[evaluation.kind][0]
        lines += ["", f"## {tr('Compared with')}", ""]
        head = (tr("compared with"), words.metric_name(primary)[at], tr("difference (ours − theirs)"))
        lines += [f"| {' | '.join(head)} |", "|---|---|---|"]
        lines += [
            f"| {words.compared_name(name)[at]} | {other.metrics[primary]} | {other.difference[primary]} |"
            for name, other in evaluation.compared_with.items()
        ]
    lines += ["", f"## {tr('Where the numbers come from')}", ""]
    lines += [
        "- " + tr("{name}: {value}", name=name[at], value=value[at])
        for name, value in _provenance(evaluation, provenance)
    ]
    return "\n".join(lines) + "\n"


def _words(kind: Kind) -> dict[str, Text2]:
    return {
        "how_good": text2("How good"),
        "for_whom": text2("For whom"),
        "compared": text2("Compared with what"),
        "measure": text2("measure"),
        "meaning": text2("what it means"),
        "value": text2("value (95 % interval)"),
        "model": text2("model"),
        "paired": text2(
            "A difference is this model minus the other, both on the same resampled subjects (paired)."
            " “–” means not estimable, or not measured in the same run."
        ),
        "curves": text2("How it separates, and whether its risks are true")
        if kind == "binary"
        else text2("Whether its predictions are true"),
        "all_measures": text2("All measures"),
        "thresholds": text2("If everybody at or above a risk is flagged"),
        "threshold": text2("flagged at"),
        "threshold_note": text2(
            "PPV: share of the flagged who had the outcome. NPV: share of the others who did not."
            " A threshold for use must be chosen on other data than these."
        ),
        "subgroup_table": text2("The same numbers within subgroups"),
        "subgroup": text2("subgroup"),
        "subjects": text2("subjects"),
        "prevalence": text2("outcome in"),
        "fairness": text2("Is it as good for some as for others"),
        "differs": text2("groups by"),
        "confusion": text2("What came true (rows) and what was chosen (columns)"),
        "flow": text2("Who was asked about"),
        "step": text2("step"),
        "withheld": text2("Known only afterwards, and therefore not used"),
        "withheld_note": text2(
            "The record holds these of so many samples, but not yet when the question was put."
        ),
        "came": text2("came in"),
        "left_out": text2("left out"),
        "remained": text2("remained"),
        "important": text2("Inputs that matter most"),
        "important_note": text2(
            "What the model uses, not what causes the outcome: changing an input need not change the risk."
        ),
        "rests_on": text2("What it rests on"),
        "reasons": text2("What could not be estimated, and why"),
        "provenance": text2("Where the numbers come from"),
        "method": text2(
            "Every interval is a 95 % percentile interval of a bootstrap over subjects:"
            " all samples of a subject are drawn together."
        ),
    }


def _facts(evaluation: Evaluation) -> list[tuple[Text2, Text2]]:
    said = [(text2("samples"), f"{evaluation.n:,}"), (text2("subjects"), f"{evaluation.n_subjects:,}")]
    if isinstance(evaluation.prevalence, float):
        said.append((text2("outcome in"), f"{evaluation.prevalence:.1%}"))
    facts = [(name, Text2(value, value)) for name, value in said]
    facts.append((text2("split"), words.split_name(evaluation.split)))
    facts.append((text2("model"), Text2(evaluation.model, evaluation.model)))
    return [(name, value) for name, value in facts if value.en]


def _compared(evaluation: Evaluation, others: Mapping[str, Evaluation]) -> dict[str, Any]:
    names = _COMPARED[evaluation.kind]
    primary = names[0]
    rows: list[dict[str, Any]] = [
        {
            "name": text2("this model"),
            "detail": evaluation.model,
            "cells": _cells(evaluation.metrics, names),
            "difference": None,
        }
    ]
    ordered = sorted(evaluation.compared_with.items(), key=lambda item: item[0] == "prevalence")
    rows += [
        {
            "name": words.compared_name(name),
            "cells": _cells(other.metrics, names),
            "detail": "",
            "difference": _parts(other.difference[primary]),
        }
        for name, other in ordered
    ]
    rows += [
        {"name": Text2(name, name), "detail": "", "cells": _cells(other.metrics, names), "difference": None}
        for name, other in others.items()
        if name not in evaluation.compared_with and other.kind == evaluation.kind
    ]
    return {
        "metrics": [words.metric_name(name) for name in names],
        "rows": rows,
        "difference": _difference(words.metric_name(primary)),
    }


def _difference(metric: Text2) -> Text2:
    """Head the column of paired differences; one text a language, as the metric is named in each."""
    return Text2(
        text2("difference in {metric}", metric=metric.en).en,
        text2("difference in {metric}", metric=metric.zh).zh,
    )


def _cautions(evaluation: Evaluation) -> list[Text2]:
    """Say on the first screen what must not be read past: that risks are too timid or too extreme."""
    slope = words.of_slope(evaluation.metrics)
    highest = words.of_highest(evaluation)
    return [] if slope is None else [slope] if highest is None else [slope, highest]


def _cells(found: Mapping[str, Estimate], names: Sequence[str]) -> list[tuple[str, Text2]]:
    return [_parts(found[name]) for name in names]


def _parts(one: Estimate, digits: int = 3) -> tuple[str, Text2]:
    """A number and its interval apart, so that a page can set them on two lines."""
    said = one.said2(digits)
    return said.en.partition(" (")[0], Text2(*(text.partition(" (")[2].removesuffix(")") for text in said))


def _measures(evaluation: Evaluation) -> list[tuple[Text2, Text2 | None, Estimate, tuple[str, Text2]]]:
    return [
        (words.metric_name(name), words.metric_meaning(name), one, _parts(one))
        for name, one in evaluation.metrics.items()
    ]


def _thresholds(evaluation: Evaluation) -> dict[str, Any] | None:
    if not evaluation.thresholds:
        return None
    names = ("flagged_per_100", "sensitivity", "specificity", "ppv", "npv", "number_needed_to_evaluate")
    rows = [
        (
            words.threshold_name(one.name),
            f"{one.value:.3g}",
            [_parts(one.found[name], _DIGITS.get(name, 2)) for name in names],
        )
        for one in evaluation.thresholds
    ]
    return {"metrics": [words.metric_name(name) for name in names], "rows": rows}


def _subgroups(evaluation: Evaluation) -> dict[str, Any] | None:
    if not evaluation.subgroups:
        return None
    names = _WITHIN[evaluation.kind]
    rows = [
        (
            words.subgroup_name(dimension, name),
            f"{part.n_subjects:,}",
            f"{part.prevalence:.1%}" if isinstance(part.prevalence, float) else "–",
            _cells(part.metrics, names),
        )
        for dimension, group in evaluation.subgroups.items()
        for name, part in group.items()
    ]
    return {"metrics": [words.metric_name(name) for name in names], "rows": rows}


def _fairness(evaluation: Evaluation) -> dict[str, Any] | None:
    """Tell for each dimension how far apart the groups lie, and between whom."""
    if not evaluation.fairness:
        return None
    names = ("equalised_odds", "sensitivity", "false_positive_rate", "ppv", "selection_rate", "auroc")
    rows = []
    for dimension, one in evaluation.fairness.items():
        cells = []
        for name in names:
            pair = one.between.get(name)
            between = None if pair is None else words.between(dimension, *pair)
            cells.append((*_parts(one.gaps[name], 2), between))
        rows.append((words.dimension_name(dimension), cells))
    threshold = next(iter(evaluation.fairness.values())).threshold
    note = text2(
        "Largest differences between two groups when everyone with a risk of {risk} or more is flagged; beneath, which "
        "group has the lowest and which the highest value. Where groups differ in how often the outcome occurs, not "
        "all of these can be nought at once (Kleinberg 2017): which matters is for people to decide.",
        risk=f"{threshold:.0%}",
    )
    return {"metrics": [words.metric_name(name) for name in names], "rows": rows, "note": note}


def _flow(steps: Sequence[FlowStep]) -> list[tuple[Text2, int, int]]:
    """Steps with how many came in and how many remained; the first, all subjects, opens the table."""
    came = [steps[0].samples, *(step.samples for step in steps[:-1])] if steps else []
    # repeated questions make more samples than there are subjects: nobody is left out by being asked again
    return [(step.step, max(n, step.samples), step.samples) for n, step in zip(came, steps, strict=True)]


def _important(inputs: Sequence[tuple[Text2, float]]) -> list[tuple[Text2, str, float]]:
    """Names with weights as written and as a share of the largest, 0 to 100."""
    longest = max((abs(weight) for _, weight in inputs), default=0.0) or 1.0
    return [(name, f"{weight:.3g}".replace("-", "−"), 100 * abs(weight) / longest) for name, weight in inputs]


def _reasons(evaluation: Evaluation) -> list[tuple[Text2, Text2]]:
    """Reasons gathered by what they are about, each place once."""
    gathered: dict[tuple[Text2, Text2], list[Text2]] = {}

    def note(place: Text2, found: Mapping[str, Estimate]) -> None:
        for name, one in found.items():
            if one.reason is not None:
                gathered.setdefault((place, one.reason), []).append(words.metric_name(name))

    note(text2("all"), evaluation.metrics)
    for dimension, group in evaluation.subgroups.items():
        for name, part in group.items():
            note(words.subgroup_name(dimension, name), part.metrics)
    for threshold in evaluation.thresholds:
        note(words.threshold_name(threshold.name), threshold.found)
    for name, other in evaluation.compared_with.items():
        note(words.compared_name(name), other.metrics)
    every = len(METRICS[evaluation.kind])
    out: list[tuple[Text2, Text2]] = []
    for (place, reason), metrics in gathered.items():
        everything = text2("everything")
        named = (
            everything
            if len(metrics) >= every
            else Text2(*(", ".join(m[at] for m in metrics) for at in (0, 1)))
        )
        out.append((Text2(f"{place.en}: {named.en}", f"{place.zh}：{named.zh}"), reason))
    return out


def _provenance(evaluation: Evaluation, given: Mapping[str, str]) -> list[tuple[Text2, Text2]]:
    known = {
        "task": text2("task"),
        "model": text2("model"),
        "split": text2("split"),
        "digest": text2("model digest"),
        "data": text2("data digest"),
        "date": text2("date"),
        "version": text2("version"),
        "seed": text2("seed"),
        "package": text2("package digest"),
        "learner": text2("learner"),
        "record": text2("record digest"),
        "evaluated": text2("evaluated on"),
        "medloom": text2("Medloom version"),
    }
    said = {"task": evaluation.task, "model": evaluation.model, "split": evaluation.split} | dict(given)
    values = {name: Text2(str(value), str(value)) for name, value in said.items()}
    values["split"] = words.split_with_code(str(said["split"]))
    return [(known.get(name, Text2(name, name)), value) for name, value in values.items() if value.en]
