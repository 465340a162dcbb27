"""What the report of an evaluation of named places in notes has to show."""

import polars as pl

from medloom.evidence.estimate import Estimate
from medloom.evidence.first_screen import NARROW, FirstScreen
from medloom.evidence.metrics import no_solution
from medloom.evidence.places_report import by_subgroup, compared, forest, of_hundred, primary_of
from medloom.evidence.section import Section, cell, number, table
from medloom.evidence.sections import measures_section
from medloom.evidence.tagging_evaluation import METRICS, TaggingEvaluation
from medloom.evidence.tagging_words import metric_meaning, metric_name
from medloom.foundation.charts import Axis
from medloom.foundation.messages import Text2, text2

_COMPARED = ("f1", "precision", "sensitivity")


def tagging_screen(evaluation: TaggingEvaluation) -> FirstScreen:
    """Compose the first screen."""
    sentence = wrong_sentence(evaluation)
    names = [primary(evaluation, name) for name in _COMPARED]
    different = (primary(evaluation, "f1"), text2("difference in F1"))
    name = primary(evaluation, "sensitivity")
    title, axis = text2("Found, by subgroup"), Axis(metric_name(name), 0.0, 1.0)
    return FirstScreen(
        headline(evaluation),
        (),
        () if sentence is None else (sentence,),
        compared(evaluation, names, metric_name, different, _digits),
        forest(evaluation, name, title, axis, 470),
        forest(evaluation, name, title, axis, NARROW),
    )


def tagging_sections(evaluation: TaggingEvaluation) -> list[Section]:
    """Tell everything that was measured."""
    rows = [(metric_name(name), one, metric_meaning(name)) for name, one in evaluation.metrics.items()]
    made = [_names(evaluation), measures_section(rows)]
    names = [primary(evaluation, name) for name in _COMPARED]
    if groups := by_subgroup(evaluation, names, metric_name, _digits):
        made.append(groups)
    return made


def tagging_reasons(evaluation: TaggingEvaluation) -> list[tuple[Text2, Text2]]:
    """Name what could not be estimated, and why."""
    return [(metric_name(name), one.reason) for name, one in evaluation.metrics.items() if one.reason]


def headline(evaluation: TaggingEvaluation) -> Text2:
    """Say in one sentence how many places are found."""
    one = evaluation.metrics[primary(evaluation, "sensitivity")]
    if one.value is None:
        reason = one.reason or no_solution()
        return text2("How much is found cannot be said from these data: {reason}.", reason=reason)
    if evaluation.of_relations:
        return text2("Of 100 relations that people named, {value} are found.", value=of_hundred(one))
    return text2("Of 100 places that people named, {value} are found.", value=of_hundred(one))


def wrong_sentence(evaluation: TaggingEvaluation) -> Text2 | None:
    """Say how much of what it names is right; None: it cannot be told."""
    one = evaluation.metrics[primary(evaluation, "precision")]
    if one.value is None:
        return None
    if evaluation.of_relations:
        return text2("Of 100 relations that it names, {value} are right.", value=of_hundred(one))
    return text2("Of 100 places that it names, {value} are right.", value=of_hundred(one))


def primary(evaluation: TaggingEvaluation, name: str) -> str:
    """Give the full name of a metric of all names together, which of one name is that name's."""
    return primary_of(evaluation.structures, name)


def _names(evaluation: TaggingEvaluation) -> Section:
    prevalence = evaluation.prevalence if isinstance(evaluation.prevalence, dict) else {}
    assert evaluation.cases is not None
    counts = dict(evaluation.cases.group_by("structure").agg(pl.col("there").sum()).iter_rows())
    rows = []
    for name in evaluation.structures:
        share = prevalence.get(name)
        values = [evaluation.metrics.get(f"{name}.{one}", Estimate(None)) for one in METRICS]
        rows.append(
            [
                cell(name),
                cell(None if share is None else f"{share:.1%}"),
                cell(f"{counts.get(name, 0):,}"),
                *(number(one) for one in values),
            ]
        )
    head = (text2("name"), text2("in notes"), text2("named by people"), *map(metric_name, METRICS))
    return Section(
        "structures",
        text2("What is found, name by name"),
        tables=(table(head, rows),),
        note=text2(
            "A place is right where its first and last character and its name are those that people gave it; a "
            "relation where its name and both of its places are."
        ),
    )


def _digits(name: str) -> int:
    del name
    return 3
