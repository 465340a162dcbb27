"""The names of metrics of what is found in images, and plain sentences, in both languages."""

from medloom.foundation.messages import Text2, text2


def metric_name(name: str) -> Text2:
    """Name a metric for a person: `froc`, `nodule.sensitivity`; an unknown name stays as it is.

    >>> metric_name("nodule.sensitivity").en
    'nodule: objects found'
    """
    structure, _, own = name.rpartition(".")
    names = {
        "sensitivity": text2("objects found"),
        "precision": text2("marks that are right"),
        "false_positives": text2("marks for nothing, an image"),
        "average_precision": text2("average precision"),
        "froc": text2("FROC score"),
        "box_average_precision": text2("average precision of boxes"),
    }
    said = names.get(own, Text2(own, own))
    return Text2(f"{structure}: {said.en}", f"{structure}：{said.zh}") if structure else said


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    meanings = {
        "sensitivity": text2("share of all objects that a shown mark lies in; 1 is ideal"),
        "precision": text2("share of the shown marks that lie in an object; 1 is ideal"),
        "false_positives": text2("shown marks that lie in no object; 0 is ideal"),
        "average_precision": text2(
            "how many marks are right on average, from the surest mark to the last object found; 1 is ideal"
        ),
        "froc": text2(
            "objects found on average of seven thresholds, at 1/8 to 8 marks for nothing an image; 1 is ideal"
        ),
        "box_average_precision": text2(
            "average precision where a mark's box must share half of what both cover; 1 is ideal"
        ),
    }
    return meanings.get(name.rpartition(".")[2])
