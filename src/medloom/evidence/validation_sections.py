"""What validation designs, refits, learning curves and updates found, as sections of the report."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from medloom.evidence import words
from medloom.evidence.section import Figure, Said, Section, cell, table
from medloom.evidence.sections import p_value
from medloom.evidence.stability import Stability
from medloom.evidence.validation import External, LearningCurve, Validation
from medloom.foundation.charts import Axis, Guide, Line, line_chart, nice_high
from medloom.foundation.messages import Text2, text2
from medloom.tasks.kinds import Kind
from medloom.training.recalibration import CalibratedModel

_SHOWN: dict[Kind, tuple[str, ...]] = {
    "binary": ("auroc", "auprc", "brier", "calibration_intercept", "calibration_slope"),
    "multiclass": ("auroc_macro", "accuracy", "log_loss"),
    "multilabel": ("auroc_macro", "auprc_macro", "brier"),
    "regression": ("mae", "rmse", "r2", "calibration_slope"),
    "survival": ("c_index", "c_index_ipcw", "ibs"),
}
_MOST_DRAWN = 400  # patients in a drawing of stability


def validation_section(found: Validation) -> Section:
    """Tell what a design found, on the whole and in each part.

    The key names the design, so that each design that was carried out stands in the report.
    """
    evaluation = found.evaluation
    names = _present(evaluation.kind, evaluation.metrics)
    rows = [[cell(text2("all together")), *(cell(evaluation.metrics[name]) for name in names)]]
    if len(found.parts) > 1:
        rows += [
            [cell(part), *(cell(metrics[name]) for name in names)] for part, metrics in found.parts.items()
        ]
    return Section(
        f"validation-{evaluation.split.split(',')[0].replace(' ', '-')}",
        text2("Validation: {design}", design=evaluation.split),
        sentences=(
            text2(
                "{n:,} samples of {subjects:,} subjects, each answered by a model that had not learned from them.",
                n=evaluation.n,
                subjects=evaluation.n_subjects,
            ),
        ),
        tables=(table([text2("part"), *(words.metric_name(name) for name in names)], rows),),
        note=text2(
            "Learner {learner}, made anew for each part. Held-out subjects took no part.",
            learner=evaluation.model,
        ),
    )


def external_section(found: External) -> Section:
    """Tell how a model did elsewhere, as it came and updated there."""
    before, after = found.before, found.after
    names = _present(before.kind, before.metrics)
    difference = after.compared_with["before"].difference
    rows = [
        [words.metric_name(name), before.metrics[name], after.metrics[name], difference.get(name)]
        for name in names
    ]
    head = [text2("measure"), text2("as it came"), text2("updated"), text2("difference")]
    return Section(
        "elsewhere",
        text2("Elsewhere, before and after an update"),
        sentences=(_update(found.model),),
        tables=(table(head, rows),),
        note=text2(
            "{n:,} samples of {subjects:,} subjects of the other record, the same before and after; the update was"
            " learned from others there.",
            n=before.n,
            subjects=before.n_subjects,
        ),
    )


def recalibration_section(model: CalibratedModel) -> Section:
    """Tell how a model's answers were made to fit other samples, and the tests that led to it."""
    choice = model.basis.choice
    rows: list[list[Said]] = [
        [step.update, step.against, f"{step.statistic:.2f}", step.df, p_value(step.p)]
        for step in (() if choice is None else choice.steps)
    ]
    head: list[Said] = [text2("update"), text2("against"), "χ²", text2("degrees of freedom"), "p"]
    return Section(
        "recalibration",
        text2("Recalibration"),
        sentences=(_update(model),),
        tables=(table(head, rows),) if rows else (),
        note=None
        if choice is None
        else text2(
            "A closed test (Vergouwe et al. 2017): the smallest update that is not significantly worse than the"
            " fullest."
        ),
    )


def learning_curve_section(found: LearningCurve, kind: Kind) -> Section:
    """Tell and draw how good the learner is with how many patients, and whether more would help."""
    mean, spread = found.mean(), found.frame
    names = _present(kind, mean.columns)
    primary = names[0]
    rows = [
        [int(row["patients"]), *(None if row[name] is None else f"{row[name]:.3f}" for name in names)]
        for row in mean.iter_rows(named=True)
    ]
    sizes, values = mean["patients"].to_list(), mean[primary].to_list()
    ends = spread.group_by("patients", maintain_order=True).agg(
        low=pl.col(primary).min(), high=pl.col(primary).max()
    )
    known = [one for one in [*ends["low"], *ends["high"]] if one is not None and np.isfinite(one)]
    figures: tuple[Figure, ...] = ()
    if len(known) > 1:
        least, most = min(known), max(known)
        room = 0.1 * (most - least) or 0.01
        said = words.metric_name(primary)
        line = Line(said, sizes, values, ends["low"].to_list(), ends["high"].to_list())
        axis = Axis(text2("patients learned from"), 0, nice_high(max(sizes)))
        title = text2("Learning curve")
        svg = line_chart(title, said, [line], axis, Axis(said, least - room, most + room))
        figures = (
            Figure(title, svg, text2("Band: the worst and the best of the repeats. Where it is still rising, or falling"
                                     " for an error, more patients would help.")),
        )  # fmt: skip
    repeats = spread["repeat"].n_unique()
    return Section(
        "learning-curve",
        text2("How good with how many patients"),
        figures=figures,
        tables=(table([text2("patients learned from"), *(words.metric_name(name) for name in names)], rows),),
        note=text2("Mean of {repeats} repeats, each with other test patients.", repeats=repeats),
    )


def stability_section(found: Stability) -> Section:
    """Tell and draw how far patients' answers depend on who else was learned from (Riley and Collins 2023)."""
    rows = [[output, f"{mean:.3f}"] for output, mean in found.mean_difference.items()]
    tables = [table([text2("answer"), text2("mean difference of a refit's answer")], rows)]
    if found.reclassified:
        moved = [[name, f"{share:.1%}"] for name, share in found.reclassified.items()]
        tables.append(table([text2("threshold"), text2("put on its other side by a refit")], moved))
    return Section(
        "stability",
        text2("How much an answer depends on who was learned from"),
        sentences=tuple(
            text2(
                "A model of other patients like these would answer otherwise by {mean} on average ({output}).",
                mean=f"{mean:.3f}",
                output=output,
            )
            for output, mean in found.mean_difference.items()
            if np.isfinite(mean)
        ),
        figures=_instability(found),
        tables=tuple(tables),
        note=text2("{n} refits on resampled patients.", n=found.refits),
    )


def _instability(found: Stability) -> tuple[Figure, ...]:
    first = found.frame.filter(pl.col("output") == next(iter(found.mean_difference), "")).sort("value")
    if first.height < 2:
        return ()
    some = first.gather_every(max(1, first.height // _MOST_DRAWN))
    x, low, high = (some[name].to_list() for name in ("value", "low", "high"))
    least, most = min([*x, *low]), max([*x, *high])
    name = text2("answers of refits (middle 95 %)")
    same = Guide(text2("the model's own answer"), least, least, most, most)
    x_axis, y_axis = (
        Axis(said, least, most) for said in (text2("answer of the model"), text2("answers of refits"))
    )
    title = text2("Instability plot")
    svg = line_chart(title, name, [Line(name, x, x, low, high)], x_axis, y_axis, [same])
    return (Figure(title, svg, text2("Wide: with other patients the answer would have been another.")),)


def _update(model: CalibratedModel) -> Text2:
    method, n, groups = model.calibrator.method, model.basis.n, model.basis.n_groups
    if method == "none":
        return text2(
            "{n:,} samples of {subjects:,} subjects did not refute the model's answers; they were left as they are.",
            n=n,
            subjects=groups,
        )
    return text2(
        "Answers were updated ({method}) to fit {n:,} samples of {subjects:,} subjects.",
        method=method,
        n=n,
        subjects=groups,
    )


def _present(kind: Kind, measured: Collection[str]) -> Sequence[str]:
    """Choose what has room in a table; with several events those of each."""
    own = [name for name in _SHOWN[kind] if name in measured]
    return own or [name for name in measured if name.rpartition(": ")[2] in _SHOWN[kind]]
