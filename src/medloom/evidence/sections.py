"""The sections of a report that an evaluation itself holds."""

from collections.abc import Mapping, Sequence

from medloom.evidence import words
from medloom.evidence.drawings import drawings
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.fairness_section import fairness_section
from medloom.evidence.section import Cell, Figure, Said, Section, Table, cell, marked, number, table
from medloom.evidence.subgroups import persons_shown
from medloom.foundation.messages import Text2, text2

_WITHIN = {
    "binary": ("auroc", "auprc", "brier", "calibration_slope"),
    "multiclass": ("auroc_macro", "accuracy", "f1_macro", "log_loss"),
    "multilabel": ("auroc_macro", "auprc_macro", "f1_macro", "brier"),
    "regression": ("mae", "rmse", "r2", "calibration_slope"),
}
"""What the table of subgroups shows."""

_DIGITS = {"flagged_per_100": 1, "number_needed_to_evaluate": 1}

_RATES = ("flagged_per_100", "sensitivity", "specificity", "ppv", "npv", "number_needed_to_evaluate")


def sections_of(evaluation: Evaluation) -> list[Section]:
    """Tell everything that was measured, in the order a reader asks for it; what there is none of is left out."""
    made = (
        _curves(evaluation),
        _measures(evaluation),
        _thresholds(evaluation),
        _paired(evaluation),
        _subgroups(evaluation),
        fairness_section(evaluation.fairness, evaluation.kind),
        _confusion(evaluation),
    )
    return [one for one in made if one is not None]


def measures_section(
    rows: Sequence[Sequence[Text2 | Estimate | None]], outside: Text2 | None = None
) -> Section:
    """List measures: name, value, meaning; a reason stands where there is no value."""
    made = []
    for name, one, meaning in rows:
        assert isinstance(one, Estimate)
        said = one.reason if one.value is None and one.reason else meaning
        made.append((cell(name), number(one), cell(Text2("", "") if said is None else said)))
    head = (text2("measure"), text2("value (95 % interval)"), text2("what it means"))
    method = text2(
        "Every interval is a 95 % percentile interval of a bootstrap over subjects:"
        " all samples of a subject are drawn together."
    )
    note = method if outside is None else Text2(f"{method.en} {outside.en}", f"{method.zh}{outside.zh}")
    return Section("measures", text2("All measures"), tables=(Table(head, tuple(made), (2,)),), note=note)


def subgroups_section(rows: Sequence[Sequence[Cell]], head: Sequence[Text2]) -> Section:
    """List the same numbers within subgroups: name, subjects, and what `head` names after these two."""
    names = (text2("subgroup"), text2("subjects"), *head)
    return Section("subgroups", text2("The same numbers within subgroups"), tables=(table(names, rows),))


def _curves(evaluation: Evaluation) -> Section | None:
    figures = tuple(Figure(*one) for one in drawings(evaluation))
    title = (
        text2("How it separates, and whether its risks are true")
        if evaluation.kind == "binary"
        else text2("Whether its predictions are true")
    )
    tested = evaluation.curves.get("calibration", {}).get("hosmer_lemeshow")
    note = None
    if tested is not None:
        note = text2(
            "Hosmer–Lemeshow test over {bins} groups of risk: χ² {statistic}, p {p}. It finds nothing in small samples"
            " and something in any large one; the curve says more.",
            bins=tested["bins"],
            statistic=f"{tested['statistic']:.1f}",
            p=p_value(tested["p_value"]),
        )
    return Section("curves", title, figures=figures, note=note) if figures else None


def _measures(evaluation: Evaluation) -> Section:
    rows = [
        (words.metric_name(name), one, words.metric_meaning(name)) for name, one in evaluation.metrics.items()
    ]
    return measures_section(rows, words.outside_note(evaluation.metrics))


def _thresholds(evaluation: Evaluation) -> Section | None:
    if not evaluation.thresholds:
        return None
    rows = [
        (
            Cell(words.threshold_name(one.name), Text2(f"≥ {one.value:.3g}", f"≥ {one.value:.3g}")),
            *(number(one.found[name], _DIGITS.get(name, 2)) for name in _RATES),
        )
        for one in evaluation.thresholds
    ]
    return Section(
        "thresholds",
        text2("If everybody at or above a risk is flagged"),
        tables=(table((text2("flagged at"), *map(words.metric_name, _RATES)), rows),),
        note=text2(
            "PPV: share of the flagged who had the outcome. NPV: share of the others who did not."
            " A threshold for use must be chosen on other data than these."
        ),
    )


def _paired(evaluation: Evaluation) -> Section | None:
    """Tell how the model differs from others, patient by patient."""
    tested = {name: one for name, one in evaluation.compared_with.items() if one.reclassified is not None}
    if not tested:
        return None
    rows: list[tuple[Said | Cell, ...]] = []
    for name, one in tested.items():
        moved, test = one.reclassified, one.delong
        assert moved is not None
        rows.append(
            (
                words.compared_name(name),
                one.difference["auroc"],
                "–" if test is None else p_value(test.p_value),
                *(
                    f"{100 * share:+.1f}".replace("-", "−")
                    for share in (moved.nri_events, moved.nri_nonevents)
                ),
                f"{100 * moved.idi:+.1f}".replace("-", "−"),
            )
        )
    head = (
        text2("model"),
        text2("difference in AUROC"),
        text2("p (DeLong)"),
        text2("of 100 with the outcome, net moved up"),
        text2("of 100 without, net moved down"),
        text2("integrated discrimination improvement, points"),
    )
    return Section(
        "paired",
        text2("Against others, patient by patient"),
        tables=(table(head, rows),),
        note=text2(
            "Moved: from one side of the first threshold above to the other, by this model instead of the other one."
            " DeLong's test takes samples as independent and is left out where patients have several."
            " Reclassification says nothing of harm and benefit: see the decision curve."
        ),
    )


def _subgroups(evaluation: Evaluation) -> Section | None:
    if not evaluation.subgroups:
        return None
    names = _WITHIN[evaluation.kind]
    binary = evaluation.kind == "binary"
    rows = []
    for dimension, group in evaluation.subgroups.items():
        persons = persons_shown(group, evaluation.n_subjects)
        for name, part in group.items():
            share = cell(None if part.prevalence_shown is None else f"{part.prevalence_shown:.1%}")
            head = [
                cell(words.subgroup_name(dimension, name)),
                cell(persons[name]),
                *([share] if binary else []),
            ]
            rows.append([*head, *(number(part.metrics[one]) for one in names)])
    return subgroups_section(
        rows, [*([text2("outcome in")] if binary else []), *map(words.metric_name, names)]
    )


def _confusion(evaluation: Evaluation) -> Section | None:
    found: Mapping[str, Sequence[Sequence[int]]] | None = evaluation.curves.get("confusion")
    if found is None:
        return None
    classes = [str(name) for name in found["classes"]]
    rows = [
        (cell(name), *(marked(cell(int(n))) if at == place else cell(int(n)) for at, n in enumerate(counts)))
        for place, (name, counts) in enumerate(zip(classes, found["counts"], strict=True))
    ]
    return Section(
        "confusion",
        text2("What came true (rows) and what was chosen (columns)"),
        tables=(table(("", *classes), rows),),
    )


def p_value(p: float) -> str:
    """Write a p-value as journals do.

    >>> p_value(0.0421), p_value(0.00001)
    ('0.042', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
