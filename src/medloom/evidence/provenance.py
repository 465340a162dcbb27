"""What the numbers of an evaluation come from, for people."""

from collections.abc import Mapping

from medloom.evidence import words
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.survival_evaluation import SurvivalEvaluation
from medloom.foundation.messages import Text2, text2


def provenance_of(
    evaluation: Evaluation | SurvivalEvaluation, given: Mapping[str, str]
) -> list[tuple[Text2, Text2]]:
    """Name what the numbers come from."""
    known = {
        "task": text2("task"),
        "model": text2("model"),
        "split": text2("split"),
        "digest": text2("model digest"),
        "data": text2("data digest"),
        "date": text2("date"),
        "version": text2("version"),
        "seed": text2("seed"),
        "package": text2("package digest"),
        "learner": text2("learner"),
        "record": text2("record digest"),
        "evaluated": text2("evaluated on"),
        "medloom": text2("Medloom version"),
    }
    said = {"task": evaluation.task, "model": evaluation.model, "split": evaluation.split} | dict(given)
    values = {name: Text2(str(value), str(value)) for name, value in said.items()}
    values["split"] = words.split_with_code(str(said["split"]))
    return [(known.get(name, Text2(name, name)), value) for name, value in values.items() if value.en]
