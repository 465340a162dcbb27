"""The names of metrics of what is named in notes, and what they mean, in both languages."""

from medloom.foundation.messages import Text2, text2


def metric_name(name: str) -> Text2:
    """Name a metric for a person: `f1`, `disease.sensitivity`; an unknown name stays as it is.

    >>> metric_name("disease.sensitivity").en
    'disease: share found'
    """
    structure, _, own = name.rpartition(".")
    names = {
        "f1": text2("F1"),
        "precision": text2("share that is right"),
        "sensitivity": text2("share found"),
        "touching_f1": text2("F1 where touching is enough"),
    }
    said = names.get(own, Text2(own, own))
    return Text2(f"{structure}: {said.en}", f"{structure}：{said.zh}") if structure else said


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    meanings = {
        "f1": text2("between the next two: 2 · right / (named by people + named by the model); 1 is ideal"),
        "precision": text2("share of what it names that is right in place and name; 1 is ideal"),
        "sensitivity": text2("share of what people named that it names alike; 1 is ideal"),
        "touching_f1": text2("F1 where it is enough that places of a name touch; 1 is ideal"),
    }
    return meanings.get(name.rpartition(".")[2])
