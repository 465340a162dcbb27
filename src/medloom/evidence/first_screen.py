"""The first screen of a report: how good, for whom, compared with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medloom.evidence import words
from medloom.evidence.drawings import forest
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.section import Cell, Table, cell, number
from medloom.foundation.messages import Text2, text2

COMPARED = {
    "binary": ("auroc", "auprc", "brier"),
    "multiclass": ("auroc_macro", "accuracy", "log_loss"),
    "multilabel": ("auroc_macro", "auprc_macro", "brier"),
    "regression": ("mae", "rmse", "r2"),
}
"""What has room on the first screen; the first stands for all."""

NARROW = 340
"""Width of a drawing on a phone."""


@dataclass(frozen=True)
class FirstScreen:
    """What a reader sees first.

    Attributes:
        headline: how good, in one sentence.
        cautions: what must not be read past.
        sentences: what else is said at once.
        compared: this model, in the first row, and others.
        forest: drawing of the metric that stands for the kind, for all and by subgroup.
        narrow_forest: the same for a phone.
    """

    headline: Text2
    cautions: tuple[Text2, ...]
    sentences: tuple[Text2, ...]
    compared: Table
    forest: str
    narrow_forest: str


def first_screen(evaluation: Evaluation, others: Mapping[str, Evaluation] | None = None) -> FirstScreen:
    """Compose the first screen; `others` are evaluations of other models of the task, shown beside, not paired."""
    sentences = (words.against_constant(evaluation), words.in_the_large(evaluation))
    return FirstScreen(
        words.headline(evaluation),
        tuple(cautions(evaluation)),
        tuple(one for one in sentences if one),
        _compared(evaluation, others or {}),
        forest(evaluation),
        forest(evaluation, width=NARROW),
    )


def cautions(evaluation: Evaluation) -> list[Text2]:
    """Say what must not be read past: that risks are too timid or too extreme, and where the highest do not fit."""
    slope = words.of_slope(evaluation.metrics)
    highest = words.of_highest(evaluation)
    return [] if slope is None else [slope] if highest is None else [slope, highest]


def this_model(name: str) -> Cell:
    """Head the row of the model that the report is about."""
    return Cell(text2("this model"), Text2(name, name) if name else None)


def _compared(evaluation: Evaluation, others: Mapping[str, Evaluation]) -> Table:
    names = COMPARED[evaluation.kind]
    primary = words.metric_name(names[0])
    # one text a language, as the metric is named in each
    difference = Text2(*(text2("difference in {metric}", metric=primary[at])[at] for at in (0, 1)))
    rows = [(this_model(evaluation.model), *_cells(evaluation.metrics, names), cell(None))]
    ordered = sorted(evaluation.compared_with.items(), key=lambda item: item[0] == "prevalence")
    rows += [
        (cell(words.compared_name(name)), *_cells(other.metrics, names), number(other.difference[names[0]]))
        for name, other in ordered
    ]
    rows += [
        (cell(name), *_cells(other.metrics, names), cell(None))
        for name, other in others.items()
        if name not in evaluation.compared_with and other.kind == evaluation.kind
    ]
    return Table((text2("model"), *map(words.metric_name, names), difference), tuple(rows))


def _cells(found: Mapping[str, Estimate], names: Sequence[str]) -> list[Cell]:
    return [number(found[name]) for name in names]
