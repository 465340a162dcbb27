"""What was predicted beside what came true, as arrays, checked at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from medloom.evidence.tally import Floats
from medloom.foundation.errors import InputError
from medloom.tasks.question import Question

Kind = Literal["binary", "multiclass", "multilabel", "regression"]
KINDS: tuple[Kind, ...] = ("binary", "multiclass", "multilabel", "regression")


@dataclass(frozen=True)
class Answers:
    """Predictions beside outcomes, one row a sample.

    `truth`: (n,) bool for binary, (n,) class numbers for multiclass, (n, k) bool for
    multilabel, (n,) float for regression. `predicted`: (n,), or (n, k) with classes.
    `group`: (n,) numbers of what is resampled together (subjects).
    """

    kind: Kind
    truth: NDArray[Any]
    predicted: Floats
    group: NDArray[np.intp]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.truth.shape[0])

    @property
    def groups(self) -> int:
        """How many distinct groups (subjects) there are."""
        return int(self.group.max()) + 1 if self.group.size else 0

    def where(self, chosen: NDArray[np.bool_]) -> "Answers":
        """Keep the samples where `chosen`: (n,) bool."""
        return replace(
            self,
            truth=self.truth[chosen],
            predicted=self.predicted[chosen],
            group=np.unique(self.group[chosen], return_inverse=True)[1],
        )

    def saying(self, predicted: Floats) -> "Answers":
        """Put other predictions beside the same outcomes."""
        return replace(self, predicted=predicted)


def binary_answers(outcome: ArrayLike, risk: ArrayLike, group: ArrayLike | None = None) -> Answers:
    """Make answers from arrays: `outcome` (n,) 0 or 1, `risk` (n,), `group` (n,) or None (each its own).

    >>> len(binary_answers([0, 1], [0.2, 0.9]))
    2
    """
    truth = np.asarray(outcome, dtype=bool)
    return Answers("binary", truth, np.asarray(risk, dtype=np.float64), _numbered(group, truth.size))


def regression_answers(observed: ArrayLike, predicted: ArrayLike, group: ArrayLike | None = None) -> Answers:
    """Make answers from arrays: `observed`, `predicted` (n,), `group` (n,) or None (each its own)."""
    truth = np.asarray(observed, dtype=np.float64)
    return Answers("regression", truth, np.asarray(predicted, dtype=np.float64), _numbered(group, truth.size))


def read_answers(question: Question, samples: pl.DataFrame, predictions: pl.DataFrame) -> Answers:
    """Put predictions beside the labels of `samples`, in the order of `samples`.

    Raises:
        InputError: the task's kind cannot be evaluated here, a label is missing, a sample
            has no prediction or two, or an output the task needs is absent.
    """
    kind = next((known for known in KINDS if known == question.kind), None)
    if kind is None:
        raise InputError(
            "task {task!r} is of kind {kind!r}, which cannot be evaluated; kinds that can: {kinds}",
            task=question.task,
            kind=question.kind,
            kinds=KINDS,
        )
    missing = samples["label"].null_count()
    if missing:
        raise InputError(
            "{missing} of {total} samples of task {task!r} have no label; evaluate labelled samples only",
            missing=missing,
            total=samples.height,
            task=question.task,
        )
    outputs = {"binary": ("true",), "regression": ("value",)}.get(kind, tuple(question.classes))
    predicted = _wide(question.task, samples, predictions, outputs)
    if kind in ("binary", "regression"):
        predicted = predicted[:, 0]
    classes = () if kind in ("binary", "regression") else outputs
    return Answers(
        kind, _truth(kind, question, samples), predicted, _numbered(_group(samples), samples.height), classes
    )


def _wide(task: str, samples: pl.DataFrame, predictions: pl.DataFrame, outputs: tuple[str, ...]) -> Floats:
    """(n, outputs) values in the order of `samples`."""
    said = predictions.filter(pl.col("output").is_in(outputs)).select("sample_id", "output", "value")
    said = said.join(samples.select("sample_id"), on="sample_id", how="semi")
    if said.select("sample_id", "output").is_duplicated().any():
        raise InputError("task {task!r}: a sample has two predictions for one output; keep one", task=task)
    columns: list[Floats] = []
    for output in outputs:
        one = said.filter(pl.col("output") == output)
        if one.height != samples.height:
            raise InputError(
                "task {task!r}: {missing} of {total} samples have no prediction for output {output!r};"
                " predict the same samples that are evaluated",
                task=task,
                missing=samples.height - one.height,
                total=samples.height,
                output=output,
            )
        joined = samples.select("sample_id").join(one, on="sample_id", how="left", maintain_order="left")
        columns.append(joined["value"].cast(pl.Float64).fill_null(np.nan).to_numpy())
    return np.stack(columns, axis=1) if columns else np.empty((samples.height, 0))


def _truth(kind: Kind, question: Question, samples: pl.DataFrame) -> NDArray[Any]:
    label = samples["label"]
    if kind == "binary":
        return label.cast(pl.Boolean).to_numpy()
    if kind == "regression":
        return label.cast(pl.Float64).to_numpy()
    number: Mapping[str, int] = {name: at for at, name in enumerate(question.classes)}
    named = label.explode(empty_as_null=False) if kind == "multilabel" else label
    if not set(named.drop_nulls().unique().to_list()) <= number.keys():
        raise InputError(
            "task {task!r}: a label is none of the classes {classes}; name every class in the task",
            task=question.task,
            classes=question.classes,
        )
    if kind == "multiclass":
        return np.array([number[name] for name in label.to_list()], dtype=np.intp)
    truth = np.zeros((samples.height, len(number)), dtype=bool)
    for row, names in enumerate(label.to_list()):
        truth[row, [number[name] for name in names if name is not None]] = True
    return truth


def _group(samples: pl.DataFrame) -> NDArray[Any] | None:
    """What is resampled together: the sample's group, which holds all samples of a subject, or else the subject."""
    for column in ("group", "subject_id"):
        if column in samples.columns and samples.height and samples[column].null_count() == 0:
            return samples[column].to_numpy()
    return None


def _numbered(group: ArrayLike | None, size: int) -> NDArray[np.intp]:
    if group is None:
        return np.arange(size, dtype=np.intp)
    return np.asarray(np.unique(np.asarray(group), return_inverse=True)[1], dtype=np.intp)
