"""What the report of an evaluation of found objects has to show."""

from medloom.evidence.detection_evaluation import METRICS, DetectionEvaluation
from medloom.evidence.detection_words import metric_meaning, metric_name
from medloom.evidence.estimate import Estimate
from medloom.evidence.first_screen import NARROW, FirstScreen
from medloom.evidence.metrics import no_solution
from medloom.evidence.places_report import by_subgroup, compared, forest, of_hundred, primary_of
from medloom.evidence.section import Figure, Section, Table, cell, number, table
from medloom.evidence.sections import measures_section
from medloom.foundation.charts import Axis, Line, line_chart
from medloom.foundation.messages import Text2, text2

_COMPARED = ("sensitivity", "false_positives", "froc")
_MOST_RATE = 8.0  # marks for nothing an image, where the curve ends


def detection_screen(evaluation: DetectionEvaluation) -> FirstScreen:
    """Compose the first screen."""
    sentence = marks_sentence(evaluation)
    return FirstScreen(
        headline(evaluation),
        (),
        () if sentence is None else (sentence,),
        _compared(evaluation),
        _forest(evaluation),
        _forest(evaluation, NARROW),
    )


def detection_sections(evaluation: DetectionEvaluation) -> list[Section]:
    """Tell everything that was measured; pictures are sections of their own, see `evidence.marked_pictures`."""
    made = [_structures(evaluation)]
    if figure := _curve(evaluation):
        made.append(
            Section("curves", text2("What is found for how many marks for nothing"), figures=(figure,))
        )
    rows = [(metric_name(name), one, metric_meaning(name)) for name, one in evaluation.metrics.items()]
    made.append(measures_section(rows))
    names = [primary(evaluation, name) for name in _COMPARED]
    if groups := by_subgroup(evaluation, names, metric_name, _digits):
        made.append(groups)
    return made


def detection_reasons(evaluation: DetectionEvaluation) -> list[tuple[Text2, Text2]]:
    """Name what could not be estimated, and why."""
    return [(metric_name(name), one.reason) for name, one in evaluation.metrics.items() if one.reason]


def headline(evaluation: DetectionEvaluation) -> Text2:
    """Say in one sentence how many objects are found."""
    one = evaluation.metrics[primary(evaluation, "sensitivity")]
    if one.value is None:
        reason = one.reason or no_solution()
        told = [
            text2("How many objects are found cannot be said from these data: {reason}.", reason=reason[at])[
                at
            ]
            for at in (0, 1)
        ]
        return Text2(*told)
    return text2("Of 100 objects that experts outlined, {value} are found.", value=of_hundred(one))


def marks_sentence(evaluation: DetectionEvaluation) -> Text2 | None:
    """Say how often something is marked for nothing; None: it cannot be told."""
    one = evaluation.metrics[primary(evaluation, "false_positives")]
    if one.value is None:
        return None
    return text2("In 100 images it marks {value} places where there is nothing.", value=of_hundred(one))


def primary(evaluation: DetectionEvaluation, name: str) -> str:
    """Give the full name of a metric of all structures together, which of one structure is that structure's."""
    return primary_of(evaluation.structures, name)


def _structures(evaluation: DetectionEvaluation) -> Section:
    prevalence = evaluation.prevalence if isinstance(evaluation.prevalence, dict) else {}
    rows = []
    for structure, threshold in zip(evaluation.structures, evaluation.marked_from, strict=True):
        share = prevalence.get(structure)
        values = [evaluation.metrics.get(f"{structure}.{name}", Estimate(None)) for name in METRICS]
        rows.append(
            [
                cell(structure),
                cell(None if share is None else f"{share:.1%}"),
                cell(f"{threshold:.2f}"),
                *(number(one) for one in values),
            ]
        )
    head = (text2("structure"), text2("in images"), text2("shown from"), *map(metric_name, METRICS))
    return Section(
        "structures",
        text2("What is found, structure by structure"),
        tables=(table(head, rows),),
        note=text2(
            "An object is what hangs together in an expert's outline. It is found where the middle of a mark lies in"
            " the box around it; each mark finds one object at most. Marks are shown from a score on that was chosen on"
            " tuning images."
        ),
    )


def _curve(evaluation: DetectionEvaluation) -> Figure | None:
    lines = []
    for name, places in evaluation.curves.get("froc", {}).items():
        within = [(rate, share) for rate, share in places if rate <= _MOST_RATE]
        if len(within) > 1:
            rates, shares = zip(*within, strict=True)
            lines.append(Line(Text2(name, name), list(rates), list(shares), step=True))
    if not lines:
        return None
    title = text2("Objects found, by marks for nothing an image")
    note = text2("The further up and to the left, the better: more is found for fewer marks for nothing.")
    across, up = Axis(text2("marks for nothing, an image")), Axis(text2("objects found"))
    return Figure(title, line_chart(title, note, lines, across, up), note)


def _compared(evaluation: DetectionEvaluation) -> Table:
    names = [primary(evaluation, name) for name in _COMPARED]
    return compared(
        evaluation,
        names,
        metric_name,
        (primary(evaluation, "froc"), text2("difference in FROC score")),
        _digits,
    )


def _forest(evaluation: DetectionEvaluation, width: int = 470) -> str:
    name = primary(evaluation, "sensitivity")
    axis = Axis(metric_name(name), 0.0, 1.0)
    return forest(evaluation, name, text2("Objects found by subgroup"), axis, width)


def _digits(name: str) -> int:
    del name
    return 3
