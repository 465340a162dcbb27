"""What the report of an evaluation of outlines has to show."""

from medloom.evidence.estimate import Estimate
from medloom.evidence.first_screen import NARROW, FirstScreen
from medloom.evidence.metrics import no_solution
from medloom.evidence.places_report import by_subgroup, compared, ends_of, forest, primary_of
from medloom.evidence.section import Figure, Section, Table, cell, number, table
from medloom.evidence.sections import measures_section
from medloom.evidence.segmentation_evaluation import SHOWN, SegmentationEvaluation
from medloom.evidence.segmentation_words import metric_meaning, metric_name
from medloom.foundation.charts import Axis, Line, line_chart
from medloom.foundation.messages import Text2, text2

_COMPARED = ("dice", "hd95", "surface_dice")
_DIGITS = {"dice": 3, "iou": 3, "surface_dice": 3, "lesion_sensitivity": 3, "absent": 3, "volume_error": 1}


def segmentation_screen(evaluation: SegmentationEvaluation) -> FirstScreen:
    """Compose the first screen."""
    sentence = volume_sentence(evaluation)
    return FirstScreen(
        headline(evaluation),
        (),
        () if sentence is None else (sentence,),
        _compared(evaluation),
        _forest(evaluation),
        _forest(evaluation, NARROW),
    )


def segmentation_sections(evaluation: SegmentationEvaluation) -> list[Section]:
    """Tell everything that was measured; pictures are sections of their own, see `marked_pictures`."""
    made = [_structures(evaluation)]
    if figure := _curve(evaluation):
        made.append(Section("curves", text2("How many images are outlined how well"), figures=(figure,)))
    rows = [(metric_name(name), one, metric_meaning(name)) for name, one in evaluation.metrics.items()]
    made.append(measures_section(rows))
    names = [primary(evaluation, name) for name in _COMPARED]
    if groups := by_subgroup(evaluation, names, metric_name, _digits):
        made.append(groups)
    return made


def segmentation_reasons(evaluation: SegmentationEvaluation) -> list[tuple[Text2, Text2]]:
    """Name what could not be estimated, and why."""
    return [(metric_name(name), one.reason) for name, one in evaluation.metrics.items() if one.reason]


def headline(evaluation: SegmentationEvaluation) -> Text2:
    """Say in one sentence how good the outlines are."""
    one = evaluation.metrics[primary(evaluation, "dice")]
    if one.value is None:
        reason = one.reason or no_solution()
        said = [
            text2("How good the outlines are cannot be said from these data: {reason}.", reason=reason[at])[
                at
            ]
            for at in (0, 1)
        ]
        return Text2(*said)
    told = one.said(2).replace(" (", ", ").replace(")", "")
    return text2(
        "The outlines overlap with those of experts by a Dice of {value}; 1 would be the same outline.",
        value=told,
    )


def volume_sentence(evaluation: SegmentationEvaluation) -> Text2 | None:
    """Say whether structures are outlined too large or too small; None: it cannot be told."""
    surely = []
    for name in evaluation.structures:
        one = evaluation.metrics.get(f"{name}.volume_error")
        if one is None or one.low is None or one.high is None:
            continue
        if one.low > 0 or one.high < 0:
            large = text2("{structure} too large", structure=name)
            surely.append(large if one.low > 0 else text2("{structure} too small", structure=name))
    if not surely:
        return None
    listed = [(", ", "、")[at].join(one[at] for one in surely) for at in (0, 1)]
    said = [text2("Outlined on average: {which}.", which=listed[at])[at] for at in (0, 1)]
    return Text2(*said)


def primary(evaluation: SegmentationEvaluation, name: str) -> str:
    """Give the full name of a metric of all structures together, which of one structure is that structure's."""
    return primary_of(evaluation.structures, name)


def _structures(evaluation: SegmentationEvaluation) -> Section:
    prevalence = evaluation.prevalence if isinstance(evaluation.prevalence, dict) else {}
    rows = []
    for structure in evaluation.structures:
        share = prevalence.get(structure)
        values = [evaluation.metrics.get(f"{structure}.{name}", Estimate(None)) for name in SHOWN]
        rows.append(
            [
                cell(structure),
                cell(None if share is None else f"{share:.1%}"),
                *(number(one, _digits(name)) for one, name in zip(values, SHOWN, strict=True)),
            ]
        )
    head = (text2("structure"), text2("in images"), *map(metric_name, SHOWN))
    return Section(
        "structures",
        text2("How good the outlines are, structure by structure"),
        tables=(table(head, rows),),
        note=text2(
            "Means over images. Where a structure is in one of both outlines only, overlap is 0 and distances are the"
            " image's diagonal, the worst that could be; where it is in neither, the image is left out."
        ),
    )


def _curve(evaluation: SegmentationEvaluation) -> Figure | None:
    lines = []
    for name, scores in evaluation.curves.get("dice", {}).items():
        if len(scores) > 1:
            share = [(len(scores) - at) / len(scores) for at in range(len(scores))]
            lines.append(Line(Text2(name, name), scores, share, step=True))
    if not lines:
        return None
    title = text2("Share of images with at least this Dice")
    note = text2(
        "The further to the right a line falls, the better; a long slope on the left: some images fail."
    )
    return Figure(
        title, line_chart(title, note, lines, Axis(text2("Dice")), Axis(text2("share of images"))), note
    )


def _compared(evaluation: SegmentationEvaluation) -> Table:
    names = [primary(evaluation, name) for name in _COMPARED]
    return compared(
        evaluation, names, metric_name, (primary(evaluation, "dice"), text2("difference in Dice")), _digits
    )


def _forest(evaluation: SegmentationEvaluation, width: int = 470) -> str:
    name = primary(evaluation, "dice")
    least = max(0.0, int(min([0.8, *ends_of(evaluation, name)]) * 10 + 1e-9) / 10)
    return forest(evaluation, name, text2("Dice by subgroup"), Axis(metric_name(name), least, 1.0), width)


def _digits(name: str) -> int:
    return _DIGITS.get(name.rpartition(".")[2], 2)
