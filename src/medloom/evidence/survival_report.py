"""What the report of a survival evaluation has to show."""

from collections.abc import Sequence

from medloom.evidence import words
from medloom.evidence.estimate import Estimate
from medloom.evidence.fairness_section import fairness_section
from medloom.evidence.first_screen import NARROW, FirstScreen, this_model
from medloom.evidence.metrics import no_solution
from medloom.evidence.section import Figure, Section, Table, cell, number
from medloom.evidence.sections import measures_section, subgroups_section
from medloom.evidence.subgroups import persons_shown
from medloom.evidence.survival_evaluation import SurvivalEvaluation
from medloom.evidence.survival_words import metric_meaning, metric_name
from medloom.foundation.charts import Axis, Guide, Interval, Line, forest_plot, line_chart
from medloom.foundation.messages import Text2, text2

_SHOWN = ("c_index", "ibs")


def survival_screen(evaluation: SurvivalEvaluation) -> FirstScreen:
    """Compose the first screen, of the first event."""
    names = _names(evaluation)
    return FirstScreen(
        headline(evaluation),
        (),
        (),
        _compared(evaluation, names),
        _forest(evaluation, names[0]),
        _forest(evaluation, names[0], NARROW),
    )


def survival_sections(evaluation: SurvivalEvaluation) -> list[Section]:
    """Tell everything that was measured; what there is none of is left out."""
    figures = tuple(_figures(evaluation))
    unit, names = evaluation.unit, _names(evaluation)
    rows = [(metric_name(name, unit), one, metric_meaning(name)) for name, one in evaluation.metrics.items()]
    made = [Section("curves", text2("Whether its predictions are true"), figures=figures)] if figures else []
    made.append(measures_section(rows))
    parts = [
        (
            cell(words.subgroup_name(dimension, name)),
            cell(persons[name]),
            *(number(part.metrics[one]) for one in names),
        )
        for dimension, group in evaluation.subgroups.items()
        for persons in [persons_shown(group, evaluation.n_subjects)]
        for name, part in group.items()
    ]
    if parts:
        made.append(subgroups_section(parts, [metric_name(name, unit) for name in names]))
    fair = fairness_section(evaluation.fairness, "survival", unit)
    return made if fair is None else [*made, fair]


def survival_reasons(evaluation: SurvivalEvaluation) -> list[tuple[Text2, Text2]]:
    """Name what could not be estimated, and why."""
    return [
        (metric_name(name, evaluation.unit), one.reason)
        for name, one in evaluation.metrics.items()
        if one.reason is not None
    ]


def headline(evaluation: SurvivalEvaluation) -> Text2:
    """Say in one sentence how good the model is, of the first event."""
    one = evaluation.metrics[_names(evaluation)[0]]
    if one.value is None:
        reason = one.reason or no_solution()
        said = [
            text2(
                "How well the model ranks patients cannot be said from these data: {reason}.",
                reason=reason[at],
            )[at]
            for at in (0, 1)
        ]
        return Text2(*said)
    return text2(
        "Of 100 pairs of patients of whom it is known who had the event first,"
        " the model ranks {right} correctly (C-index {value}).",
        right=round(100 * one.value),
        value=one.said(2).replace(" (", ", ").replace(")", ""),
    )


def _names(evaluation: SurvivalEvaluation) -> tuple[str, ...]:
    prefix = "" if len(evaluation.events) == 1 else f"{evaluation.events[0]}: "
    return tuple(prefix + name for name in _SHOWN)


def _compared(evaluation: SurvivalEvaluation, names: Sequence[str]) -> Table:
    rows = [(this_model(evaluation.model), *(number(evaluation.metrics[name]) for name in names), cell(None))]
    rows += [
        (
            cell(words.compared_name(name)),
            *(number(other.metrics[one]) for one in names),
            number(other.difference[names[1]]),
        )
        for name, other in evaluation.compared_with.items()
    ]
    head = [metric_name(name, evaluation.unit) for name in names]
    return Table((text2("model"), *head, text2("difference in the integrated Brier score")), tuple(rows))


def _forest(evaluation: SurvivalEvaluation, name: str, width: int = 470) -> str:
    rows = [_row(text2("All"), f"{evaluation.n_subjects:,}", evaluation.metrics[name], strong=True)]
    for dimension, group in evaluation.subgroups.items():
        persons = persons_shown(group, evaluation.n_subjects)
        rows.append(Interval(words.dimension_name(dimension), heading=True))
        rows += [
            _row(words.subgroup_name(dimension, key), persons[key], part.metrics[name])
            for key, part in group.items()
        ]
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    lowest = min([0.5, *ends])
    axis = Axis(metric_name(name, evaluation.unit), max(0.0, int(lowest * 10 + 1e-9) / 10), 1.0)
    return forest_plot(
        text2("C-index by subgroup"),
        text2("Squares are values, lines their 95 % intervals; the dotted line is the value for all."),
        rows,
        axis,
        evaluation.metrics[name].value,
        width,
    )


def _row(name: Text2, subjects: str, one: Estimate, strong: bool = False) -> Interval:
    note = text2("not estimable") if one.value is None else one.said2(2)
    return Interval(name, one.value, one.low, one.high, note, Text2(subjects, subjects), strong)


def _figures(evaluation: SurvivalEvaluation) -> list[Figure]:
    out = []
    unit = evaluation.unit or ""
    time = text2("time, {unit}", unit=unit) if unit else text2("time")
    for event in evaluation.events:
        incidence = evaluation.curves.get("incidence", {}).get(event)
        if incidence is None:
            continue
        name = text2("Share with the event: {event}", event=event)
        reading = text2("Lines that run together: on average the model says what happened.")
        lines = [
            Line(text2("predicted, mean"), incidence["time"], incidence["predicted"]),
            Line(text2("observed"), incidence["time"], incidence["observed"], step=True),
        ]
        axis = Axis(time, 0.0, max(incidence["time"]))
        out.append(Figure(name, line_chart(name, reading, lines, axis, Axis(text2("share"))), reading))
        for horizon, groups in evaluation.curves["calibration"][event].items():
            about = text2("Calibration at {time}: {event}", time=f"{horizon} {unit}".strip(), event=event)
            note = text2("Points on the dotted line: of groups with a predicted risk, so many had the event.")
            points = Line(
                text2("groups of patients"),
                [one["predicted"] for one in groups],
                [one["observed"] for one in groups],
                [one["low"] for one in groups],
                [one["high"] for one in groups],
                points=True,
            )
            ideal = Guide(text2("ideal"), 0, 0, 1, 1)
            chart = line_chart(
                about, note, [points], Axis(text2("predicted")), Axis(text2("observed")), [ideal]
            )
            out.append(Figure(about, chart, note))
    return out
