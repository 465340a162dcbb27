"""The names of metrics of what is named in notes, and what they mean, in both languages."""

from medloom.foundation.messages import Text2, text2


def metric_name(name: str) -> Text2:
    """Name a metric for a person: `f1`, `disease.sensitivity`; an unknown name stays as it is.

    >>> metric_name("disease.sensitivity").en
    'disease: places found'
    """
    structure, _, own = name.rpartition(".")
    names = {
        "f1": text2("F1 of places"),
        "precision": text2("places that are right"),
        "sensitivity": text2("places found"),
        "touching_f1": text2("F1 of places that touch"),
    }
    said = names.get(own, Text2(own, own))
    return Text2(f"{structure}: {said.en}", f"{structure}：{said.zh}") if structure else said


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    meanings = {
        "f1": text2("between the next two: 2 · right / (named by people + named by the model); 1 is ideal"),
        "precision": text2("share of the places it names that are right in place and name; 1 is ideal"),
        "sensitivity": text2("share of the places people named that it names alike; 1 is ideal"),
        "touching_f1": text2("the same where it is enough that places of a name touch; 1 is ideal"),
    }
    return meanings.get(name.rpartition(".")[2])
