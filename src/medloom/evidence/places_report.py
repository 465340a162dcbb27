"""What reports of outlines, found objects and named places show alike: comparisons, subgroups, a forest."""

from collections.abc import Callable, Sequence

from medloom.evidence import words
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.first_screen import this_model
from medloom.evidence.section import Cell, Section, Table, cell, number
from medloom.evidence.sections import subgroups_section
from medloom.evidence.subgroups import persons_shown
from medloom.foundation.charts import Axis, Interval, forest_plot
from medloom.foundation.messages import Text2, text2

Digits = Callable[[str], int]
"""Of a metric, how many stand after the point."""


def primary_of(structures: Sequence[str], name: str) -> str:
    """Give the full name of a metric of all structures together, which of one structure is that structure's.

    >>> primary_of(["liver"], "dice"), primary_of(["liver", "spleen"], "dice")
    ('liver.dice', 'dice')
    """
    return name if len(structures) > 1 else f"{structures[0]}.{name}"


def compared(
    evaluation: Evaluation,
    names: Sequence[str],
    metric_name: Callable[[str], Text2],
    different: tuple[str, Text2],
    digits: Digits,
) -> Table:
    """Set the model beside its rivals; `different`: the metric whose difference is told, and its name."""
    metric, head = different
    rows: list[tuple[Cell, ...]] = [
        (
            this_model(evaluation.model),
            *(number(evaluation.metrics[name], digits(name)) for name in names),
            cell(None),
        )
    ]
    rows += [
        (
            cell(words.compared_name(name)),
            *(number(other.metrics[one], digits(one)) for one in names),
            number(other.difference[metric]),
        )
        for name, other in evaluation.compared_with.items()
    ]
    return Table((text2("model"), *map(metric_name, names), head), tuple(rows))


def by_subgroup(
    evaluation: Evaluation, names: Sequence[str], metric_name: Callable[[str], Text2], digits: Digits
) -> Section | None:
    """List the same numbers within subgroups; None: there are no subgroups."""
    parts = [
        (
            cell(words.subgroup_name(dimension, name)),
            cell(persons[name]),
            *(number(part.metrics[one], digits(one)) for one in names),
        )
        for dimension, group in evaluation.subgroups.items()
        for persons in [persons_shown(group, evaluation.n_subjects)]
        for name, part in group.items()
    ]
    return subgroups_section(parts, [metric_name(name) for name in names]) if parts else None


def forest(evaluation: Evaluation, name: str, title: Text2, axis: Axis, width: int) -> str:
    """Draw one metric of all, and of each subgroup."""
    rows = [_row(text2("All"), f"{evaluation.n_subjects:,}", evaluation.metrics[name], strong=True)]
    for dimension, group in evaluation.subgroups.items():
        persons = persons_shown(group, evaluation.n_subjects)
        rows.append(Interval(words.dimension_name(dimension), heading=True))
        rows += [
            _row(words.subgroup_name(dimension, key), persons[key], part.metrics[name])
            for key, part in group.items()
        ]
    note = text2("Squares are values, lines their 95 % intervals; the dotted line is the value for all.")
    return forest_plot(title, note, rows, axis, evaluation.metrics[name].value, width)


def ends_of(evaluation: Evaluation, name: str) -> list[float]:
    """List the values of a metric and the ends of its intervals, of all and of each subgroup."""
    parts = [part for group in evaluation.subgroups.values() for part in group.values()]
    found = [evaluation.metrics[name], *(part.metrics[name] for part in parts)]
    return [end for one in found for end in (one.value, one.low, one.high) if end is not None]


def of_hundred(one: Estimate) -> str:
    """Write a share as so many of a hundred.

    >>> of_hundred(Estimate(0.873, 0.8, 0.912))
    '87 (80–91)'
    """
    assert one.value is not None
    said = f"{100 * one.value:.0f}"
    if one.low is None or one.high is None:
        return said
    return f"{said} ({100 * one.low:.0f}–{100 * one.high:.0f})"


def _row(name: Text2, subjects: str, one: Estimate, strong: bool = False) -> Interval:
    note = text2("not estimable") if one.value is None else one.said2(2)
    return Interval(name, one.value, one.low, one.high, note, Text2(subjects, subjects), strong)
