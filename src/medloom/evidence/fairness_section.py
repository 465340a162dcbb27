"""The section of a report on whether a model is as good for some as for others, for every kind of question."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from medloom.evidence import survival_words, words
from medloom.evidence.estimate import Estimate
from medloom.evidence.fairness import EQUALISED_ODDS, Fairness
from medloom.evidence.group_rates import CALIBRATION, CLASS_RATES, OF_CLASSES, VALUES
from medloom.evidence.section import Cell, Section, Table, cell, table
from medloom.foundation.messages import Text2, text2

_FLAGGED: Final = ("sensitivity", "false_positive_rate", "ppv", "selection_rate")
_CALIBRATED: Final = ("observed_to_expected", *CALIBRATION)

Naming = Callable[[str], Text2]


def fairness_section(found: Mapping[str, Fairness], kind: str, unit: str | None = None) -> Section | None:
    """Tell how far apart groups lie, between whom, and what was measured within each; None: nothing was compared.

    Args:
        found: by dimension, as in `Evaluation.fairness`.
        kind: of the question.
        unit: of times, for survival.
    """
    if not found:
        return None
    match kind:
        case "binary":
            tables = [
                _gaps(found, (EQUALISED_ODDS, "sensitivity", "false_positive_rate")),
                _gaps(found, ("ppv", "selection_rate", "auroc")),
                _within(found, (*_FLAGGED, "auroc")),
                _gaps(found, _CALIBRATED, of="calibration_slope"),
                _within(found, _CALIBRATED),
            ]
        case "multiclass" | "multilabel":
            tables = [
                _gaps(found, (EQUALISED_ODDS, *OF_CLASSES)),
                _by_class(found),
                _within(found, OF_CLASSES),
            ]
        case "regression":
            tables = [_gaps(found, VALUES), _within(found, VALUES)]
        case _:
            rates = next(iter(next(iter(found.values())).groups.values()))
            named = _of_survival(unit)
            tables = [_gaps(found, tuple(rates), named), _within(found, tuple(rates), named)]
    return Section(
        "fairness",
        text2("Is it as good for some as for others"),
        _sentences(found, kind, unit),
        tables=tuple(one for one in tables if one is not None),
        note=_note(found, kind),
    )


def _sentences(found: Mapping[str, Fairness], kind: str, unit: str | None) -> tuple[Text2, ...]:
    """Name the gaps that chance does not make, at most three, the dimensions before their pairs."""
    gaps = next(iter(found.values())).gaps
    told = {"regression": ["mae"], "survival": [name for name in gaps if name.endswith("c_index")]}.get(
        kind, [EQUALISED_ODDS]
    )
    named = _of_survival(unit) if kind == "survival" else words.metric_name
    said = []
    for dimension, one in found.items():
        name = words.dimension_name(dimension)
        said += [_apart(name, named(rate), one.gaps[rate]) for rate in told if one.apart(rate)]
    if said:
        return tuple(said[:3])
    known = [one.gaps[rate] for one in found.values() for rate in told if rate in one.gaps]
    if any(gap.value is not None for gap in known):
        return (text2("Between no groups is the gap larger than chance alone would make it."),)
    return (text2("No two groups are large enough to be compared."),)


def _apart(dimension: Text2, rate: Text2, gap: Estimate) -> Text2:
    span = gap.said2(2)
    return Text2(
        *(
            text2(
                "Groups by {dimension} lie apart: the gap in {rate} is {gap}.",
                dimension=dimension[at].lower(),
                rate=rate[at],
                gap=span[at],
            )[at]
            for at in (0, 1)
        )
    )


def _gaps(
    found: Mapping[str, Fairness], names: Sequence[str], named: Naming = words.metric_name, of: str = ""
) -> Table | None:
    """A row a dimension; `of` keeps the dimensions of which that was measured."""
    rows: list[tuple[Text2 | Cell, ...]] = [
        (words.dimension_name(dimension), *(_gap(dimension, one, name) for name in names))
        for dimension, one in found.items()
        if not of or of in one.gaps
    ]
    head = (text2("largest gap, groups by"), *map(named, names))
    return table(head, rows) if rows else None


def _gap(dimension: str, one: Fairness, name: str) -> Cell:
    """A gap, and beneath it its interval and between whom it is; where a name is not measured, a dash."""
    if name not in one.gaps:
        return cell(None)
    made, pair = cell(one.gaps[name], 2), one.between.get(name)
    if pair is None:
        return made
    who = words.between(dimension, *pair)
    if made.detail is None:
        return Cell(made.text, who)
    return Cell(made.text, Text2(f"{made.detail.en}; {who.en}", f"{made.detail.zh}；{who.zh}"))


def _within(
    found: Mapping[str, Fairness], names: Sequence[str], named: Naming = words.metric_name
) -> Table | None:
    """A row a group; groups of pairs are left to the JSON."""
    rows: list[tuple[Text2 | Cell, ...]] = [
        (words.subgroup_name(dimension, group), *(cell(rates[name], 2) for name in names))
        for dimension, one in found.items()
        if " × " not in dimension
        for group, rates in one.groups.items()
    ]
    return table((text2("within"), *map(named, names)), rows) if rows else None


def _by_class(found: Mapping[str, Fairness]) -> Table | None:
    rows: list[tuple[Text2 | Cell, ...]] = []
    for dimension, one in found.items():
        if " × " in dimension:
            continue
        for name in dict.fromkeys(rate.partition(": ")[0] for rate in one.gaps if ": " in rate):
            about = words.dimension_name(dimension)
            label = Text2(f"{about.en} · {name}", f"{about.zh} · {name}")
            rows.append((label, *(_gap(dimension, one, f"{name}: {rate}") for rate in CLASS_RATES)))
    head = (text2("largest gap, by class"), *map(words.metric_name, CLASS_RATES))
    return table(head, rows) if rows else None


def _of_survival(unit: str | None) -> Naming:
    return lambda name: survival_words.metric_name(name, unit)


def _note(found: Mapping[str, Fairness], kind: str) -> Text2:
    parts = []
    threshold = next(iter(found.values())).threshold
    if threshold is not None:
        parts.append(text2("Flagged is everyone with a risk of {risk} or more.", risk=f"{threshold:.0%}"))
    elif kind == "multiclass":
        parts.append(text2("Each class is taken against all others; chosen is the likeliest one."))
    elif kind == "multilabel":
        parts.append(text2("Each label is taken by itself; it is chosen at a risk of one half or more."))
    parts.append(
        text2(
            "A gap is the difference between the groups with the lowest and the highest value, which stand beneath it;"
            " its interval is that of the difference between these two. Among many groups some lie apart by chance:"
            " gaps are named above that are larger than those between as many groups that do not differ, in 95 % of"
            " resamples."
        )
    )
    if kind in ("binary", "multiclass", "multilabel"):
        parts.append(
            text2(
                "Where groups differ in how often the outcome occurs, not all of these can be nought at once"
                " (Kleinberg 2017): which matters is for people to decide."
            )
        )
    if kind == "survival":
        parts.append(
            text2(
                "Errors are integrated over the same time in all groups;"
                " they also depend on how often the event occurs."
            )
        )
    return Text2(" ".join(part.en for part in parts), "".join(part.zh for part in parts))
