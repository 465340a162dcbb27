"""An evaluation as a table for the terminal, in the current language."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from medloom.evidence.metrics import METRICS, PRIMARY
from medloom.foundation.messages import here, tr

if TYPE_CHECKING:
    from medloom.evidence.evaluation import Evaluation


def as_table(evaluation: "Evaluation") -> str:
    """Write metrics, comparisons, subgroups and thresholds as aligned text."""
    from medloom.evidence.words import (
        compared_name,
        metric_name,
        of_slope,
        outside_note,
        split_with_code,
        subgroup_name,
        threshold_name,
    )

    said = here
    lines = [
        f"{said(evaluation.title)} · {evaluation.model or evaluation.task} · "
        f"{said(split_with_code(evaluation.split))}",
        tr("{n:,} samples of {subjects:,} subjects", n=evaluation.n, subjects=evaluation.n_subjects),
    ]
    if isinstance(evaluation.prevalence, float):
        lines[-1] += tr("; outcome in {share:.1%}", share=evaluation.prevalence)
    primary = PRIMARY[evaluation.kind]
    rows = [(said(metric_name(name)), str(one)) for name, one in evaluation.metrics.items()]
    blocks = [aligned([(tr("measure"), tr("value (95 % interval)")), *rows])]
    if evaluation.compared_with:
        rivals = [
            (said(compared_name(name)), str(other.metrics[primary]), str(other.difference[primary]))
            for name, other in evaluation.compared_with.items()
        ]
        head = (tr("compared with"), said(metric_name(primary)), tr("difference (ours − theirs)"))
        blocks.append(aligned([head, *rivals]))
    parts = [
        (said(subgroup_name(dimension, name)), f"{part.n_subjects:,}", str(part.metrics[primary]))
        for dimension, group in evaluation.subgroups.items()
        for name, part in group.items()
    ]
    if parts:
        blocks.append(aligned([(tr("subgroup"), tr("subjects"), said(metric_name(primary))), *parts]))
    if evaluation.thresholds:
        columns = ("sensitivity", "specificity", "ppv", "npv")
        rows_of = [
            (
                f"{said(threshold_name(one.name))} ≥ {one.value:.3g}",
                *(one.found[name].said(2) for name in columns),
                one.found["flagged_per_100"].said(0),
            )
            for one in evaluation.thresholds
        ]
        head_of = (tr("flagged at"), *(said(metric_name(name)) for name in columns), tr("flagged of 100"))
        blocks.append(aligned([head_of, *rows_of]))
    reasons = [
        tr("{name}: {reason}", name=said(metric_name(name)), reason=said(one.reason))
        for name in METRICS[evaluation.kind]
        if (one := evaluation.metrics[name]).reason is not None
    ]
    notes = [said(one) for one in (of_slope(evaluation.metrics), outside_note(evaluation.metrics)) if one]
    if notes:
        blocks.insert(1, "\n".join(notes))
    if reasons:
        blocks.append("\n".join([tr("not estimable"), *("  " + reason for reason in reasons)]))
    return "\n".join(lines) + "\n\n" + "\n\n".join(blocks)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(_width(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _width(text: str) -> int:
    """Columns a text takes in a terminal: Chinese characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
