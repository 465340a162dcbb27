"""Whether there was enough to develop a model on, as a section of its report."""

from medloom.evidence.evaluation import Evaluation
from medloom.evidence.sample_size import SampleSize, cox_snell, for_binary, for_regression
from medloom.evidence.section import Section, table
from medloom.foundation.messages import text2


def development(evaluation: Evaluation, n: int, inputs: int) -> SampleSize | None:
    """Check the development data by what the evaluated samples show can be explained.

    Args:
        evaluation: of a binary or a regression question.
        n: samples the model was developed on.
        inputs: offered to it.

    Returns:
        None where the criteria do not speak: another kind of question, or nothing explained.
    """
    if evaluation.kind == "binary" and isinstance(evaluation.prevalence, float):
        loss, share = evaluation.metrics["log_loss"].value, evaluation.prevalence
        r2 = cox_snell(loss, share) if loss is not None and 0 < share < 1 else 0.0
        return for_binary(n, inputs, share, r2) if 0 < r2 < 1 and n and inputs else None
    if evaluation.kind == "regression":
        r2 = evaluation.metrics["r2"].value or 0.0
        return for_regression(n, inputs, r2) if 0 < r2 < 1 and n and inputs else None
    return None


def development_section(found: SampleSize) -> Section:
    """Tell how many samples each criterion asks for, and how many there were."""
    named = {
        "shrinkage": text2("little overfitting: calibration slope on new patients at least 0.9"),
        "optimism": text2("apparent and true explained variation within 0.05"),
        "overall": text2("the average risk, or the spread of errors, known closely"),
    }
    enough = text2(
        "Developed on {n:,} samples with {inputs:,} inputs on offer;"
        " a regression without penalty would need {needed:,}.",
        n=found.n,
        inputs=found.parameters,
        needed=max(found.needed.values()),
    )
    return Section(
        "development",
        text2("Was there enough to learn from"),
        sentences=(enough,),
        tables=(
            table(
                (text2("criterion"), text2("samples needed"), text2("met")),
                [
                    (named[name], n, text2("yes") if found.n >= n else text2("no"))
                    for name, n in found.needed.items()
                ],
            ),
        ),
        note=text2(
            "Criteria of Riley (2019, 2020), by the explained variation that these samples show. They speak of"
            " regression without penalty: penalised models need fewer samples, boosted trees and networks more."
        ),
    )
