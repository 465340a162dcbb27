"""The report of an evaluation: one HTML file in both languages that needs nothing else.

Its first screen answers: how good, for whom, compared with what. No script, nothing
from elsewhere: languages are switched by two radio buttons and CSS.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from medloom.evidence import words
from medloom.evidence.detection_evaluation import DetectionEvaluation
from medloom.evidence.detection_report import detection_reasons, detection_screen, detection_sections
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.first_screen import first_screen
from medloom.evidence.metrics import METRICS
from medloom.evidence.provenance import provenance_of
from medloom.evidence.section import Section, table
from medloom.evidence.sections import sections_of
from medloom.evidence.segmentation_evaluation import SegmentationEvaluation
from medloom.evidence.segmentation_report import (
    segmentation_reasons,
    segmentation_screen,
    segmentation_sections,
)
from medloom.evidence.survival_evaluation import SurvivalEvaluation
from medloom.evidence.survival_report import survival_reasons, survival_screen, survival_sections
from medloom.evidence.tagging_evaluation import TaggingEvaluation
from medloom.evidence.tagging_report import tagging_reasons, tagging_screen, tagging_sections
from medloom.foundation.files import write_text
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import render_page
from medloom.tasks.labelling import FlowStep

AnyEvaluation = Evaluation | SurvivalEvaluation | SegmentationEvaluation


def write_report(
    path: Path,
    evaluation: AnyEvaluation,
    *,
    title: Text2 | None = None,
    sections: Sequence[Section] = (),
    important: Sequence[tuple[Text2, float]] | None = None,
    rests_on: tuple[str, Text2] | None = None,
    others: Mapping[str, Evaluation] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write the report to `path`, replacing it whole.

    Arguments:
        evaluation: of any kind of question, prognosis among them.
        title: of the page; None takes the task's.
        sections: what else was found, after what the evaluation holds: who was asked about, what was withheld,
            coverage, robustness, ….
        important: inputs with signed or unsigned weights, most important first.
        rests_on: a drawing of what the model rests on (SVG), and what it must be said of it.
        others: name → evaluation of another model of the same task; shown beside, not paired.
        provenance: what the numbers come from: digests, versions, dates, by name.
    """
    html = report_html(evaluation, title, sections, important, rests_on, others, provenance)
    write_text(path, html)


def report_html(
    evaluation: AnyEvaluation,
    title: Text2 | None = None,
    sections: Sequence[Section] = (),
    important: Sequence[tuple[Text2, float]] | None = None,
    rests_on: tuple[str, Text2] | None = None,
    others: Mapping[str, Evaluation] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> str:
    """Compose the report; arguments as in `write_report`."""
    if isinstance(evaluation, SurvivalEvaluation):
        screen, own, reasons = (
            survival_screen(evaluation),
            survival_sections(evaluation),
            survival_reasons(evaluation),
        )
    elif isinstance(evaluation, SegmentationEvaluation):
        screen, own, reasons = (
            segmentation_screen(evaluation),
            segmentation_sections(evaluation),
            segmentation_reasons(evaluation),
        )
    elif isinstance(evaluation, DetectionEvaluation):
        screen, own, reasons = (
            detection_screen(evaluation),
            detection_sections(evaluation),
            detection_reasons(evaluation),
        )
    elif isinstance(evaluation, TaggingEvaluation):
        screen, own, reasons = (
            tagging_screen(evaluation),
            tagging_sections(evaluation),
            tagging_reasons(evaluation),
        )
    else:
        screen, own, reasons = first_screen(evaluation, others), sections_of(evaluation), _reasons(evaluation)
    return render_page(
        "medloom.evidence",
        "report.html.j2",
        "report.css",
        words=_words(),
        title=title or evaluation.title,
        facts=_facts(evaluation),
        screen=screen,
        sections=[*own, *sections],
        important=_important(important or ()),
        rests_on=rests_on,
        reasons=reasons,
        provenance=provenance_of(evaluation, provenance or {}),
    )


def flow_section(steps: Sequence[FlowStep]) -> Section:
    """Tell who was asked about: the steps with how many came in and how many remained."""
    came = [steps[0].samples, *(step.samples for step in steps[:-1])] if steps else []
    rows = []
    for n, step in zip(came, steps, strict=True):
        # repeated questions make more samples than there are subjects: nobody is left out by being asked again
        most = max(n, step.samples)
        rows.append((step.step, most, most - step.samples, step.samples))
    head = (text2("step"), text2("came in"), text2("left out"), text2("remained"))
    return Section("flow", text2("Who was asked about"), tables=(table(head, rows),))


def withheld_section(withheld: Sequence[tuple[str, int]]) -> Section:
    """Tell what came to be known only afterwards and was not used, with how many samples have it."""
    return Section(
        "withheld",
        text2("Known only afterwards, and therefore not used"),
        tables=(table((text2("fact"), text2("samples")), withheld),),
        note=text2("The record holds these of so many samples, but not yet when the question was put."),
    )


def _words() -> dict[str, Text2]:
    return {
        "how_good": text2("How good"),
        "for_whom": text2("For whom"),
        "compared": text2("Compared with what"),
        "contents": text2("Further on:"),
        "paired": text2(
            "A difference is this model minus the other, both on the same resampled subjects (paired)."
            " “–” means not estimable, or not measured in the same run."
        ),
        "important": text2("Inputs that matter most"),
        "important_note": text2(
            "What the model uses, not what causes the outcome: changing an input need not change the risk."
        ),
        "rests_on": text2("What it rests on"),
        "reasons": text2("What could not be estimated, and why"),
        "provenance": text2("Where the numbers come from"),
    }


def _facts(evaluation: AnyEvaluation) -> list[tuple[Text2, Text2]]:
    said = [(text2("samples"), f"{evaluation.n:,}"), (text2("subjects"), f"{evaluation.n_subjects:,}")]
    if isinstance(evaluation.prevalence, float):
        said.append((text2("outcome in"), f"{evaluation.prevalence:.1%}"))
    facts = [(name, Text2(value, value)) for name, value in said]
    facts.append((text2("split"), words.split_name(evaluation.split)))
    facts.append((text2("model"), Text2(evaluation.model, evaluation.model)))
    return [(name, value) for name, value in facts if value.en]


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
