"""A model whose answers were made to fit other samples, and which of the updates those samples warrant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model, Origin, check_none_held_out
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.answers import Floats, labels_as_numbers
from medloom.training.calibrators import (
    Calibrator,
    LinearCalibrator,
    Method,
    Used,
    fit,
    log_likelihood,
    read,
    unchanged,
)
from medloom.training.hazard_line import line_log_likelihood, moved, reached
from medloom.training.weights import one_a_patient
from medloom.training.wrapping import WrappingModel, check_open

SIGNIFICANT: Final = 0.05
_FILE: Final = "calibrator.json"
_INNER: Final = "model"
# From what changes least to what changes most; each contains the one before it.
_LADDER: Final[Mapping[Kind, tuple[Used, ...]]] = {
    "binary": ("none", "intercept", "slope", "beta"),
    "multilabel": ("none", "intercept", "slope", "beta"),
    "multiclass": ("none", "intercept", "slope"),
    "regression": ("none", "intercept", "slope"),
    "survival": ("none", "intercept", "slope"),
}


@dataclass(frozen=True)
class Step:
    """A smaller update tested against the fullest one: likelihood ratio `statistic`, χ² with `df`."""

    update: Used
    against: Used
    statistic: float
    df: int
    p: float


@dataclass(frozen=True)
class Choice:
    """The update that samples warrant, and the tests that led to it."""

    update: Used
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Basis:
    """What a recalibration was learned from: `n` samples of `n_groups` patients, named by `digest`."""

    n: int
    n_groups: int
    digest: str
    choice: Choice | None = None  # None: the method was asked for

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Basis:
        """Read back what `to_json` gave."""
        chosen = content["choice"]
        steps = None if chosen is None else tuple(Step(**step) for step in chosen["steps"])
        choice = None if steps is None else Choice(chosen["update"], steps)
        return cls(content["n"], content["n_groups"], content["digest"], choice)


@dataclass(frozen=True)
class CalibratedModel(WrappingModel):
    """A model and the recalibration of its answers; packed and loaded as one.

    Attributes:
        origin: the model's.
        model: the model as it was trained.
        calibrator: what is done to its answers.
        basis: what the calibrator was learned from.
    """

    origin: Origin
    model: Model
    calibrator: Calibrator
    basis: Basis

    def predict(self, samples: Samples) -> Predictions:
        """Answer as the model does, recalibrated."""
        return self.recalibrate(self.model.predict(samples))

    def recalibrate(self, said: Predictions) -> Predictions:
        """Recalibrate what the model inside said."""
        line = self.calibrator
        if self.origin.question.kind == "survival":
            assert isinstance(line, LinearCalibrator)
            return moved(said, float(line.intercept[0]), float(line.slope[0]))
        values = self.calibrator.apply(said.matrix(self.origin.question.outputs))
        return replace(said, frame=said.frame.with_columns(value=pl.Series(values.ravel())))

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, as the model does: contributions are scaled with the slope, the baseline moved with the intercept.

        Where the model is explained on another scale than the recalibration is a line on, its own contributions
        are given and are said not to add up (`additive` is False).
        """
        said = self.model.explain(samples)
        line = self.calibrator
        if isinstance(line, LinearCalibrator) and line.method == "none":
            return said
        if not isinstance(line, LinearCalibrator) or (
            self.origin.question.kind != "regression" and said.scale != "log-odds"
        ):
            return replace(
                said, additive=False, method=f"{said.method}; before recalibration ({line.method})"
            )
        outputs = self.origin.question.outputs
        slope, level = (
            pl.col("output").replace_strict(list(outputs), values.tolist(), return_dtype=pl.Float64)
            for values in (line.slope, line.intercept)
        )
        return replace(
            said,
            frame=said.frame.with_columns(pl.col("contribution") * slope),
            baseline=said.baseline.with_columns(pl.col("value") * slope + level),
            method=f"{said.method}; recalibrated ({line.method})",
        )

    def save(self, directory: Path) -> str:
        """Write a model package that holds the model's own; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=(), wrapper="calibrated")

    @classmethod
    def load(cls, directory: Path) -> CalibratedModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        weights = directory / "weights"
        content = json.loads((weights / _FILE).read_text(encoding="utf-8"))
        model = package.load(weights / _INNER)
        return cls(model.origin, model, read(content["calibrator"]), Basis.from_json(content["basis"]))

    def _write(self, folder: Path) -> None:
        self.model.save(folder / _INNER)
        content = {"calibrator": self.calibrator.to_json(), "basis": self.basis.to_json()}
        (folder / _FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def recalibrated(
    model: Model,
    samples: Samples,
    method: Method | Literal["auto"] = "auto",
    answers: Predictions | None = None,
) -> CalibratedModel:
    """Recalibrate a model on samples it has not learned from: its `calibration` split, or another hospital's.

    A model that was recalibrated before is recalibrated anew, not on top.

    Args:
        model: the model.
        samples: labelled; none of them held out.
        method: of `medloom.training.calibrators`; `auto`: what a closed test finds warranted, perhaps nothing.
        answers: what the model says of these samples where it must not be asked itself, such as answers out of fold.

    Raises:
        InputError: the samples do not allow it, with the remedy.
        LeakageError: some of the samples are held out.
    """
    check_none_held_out(samples)
    if isinstance(model, CalibratedModel):
        model = model.model
    check_open(model)
    question = model.origin.question
    if question.kind not in _LADDER:
        raise InputError("models of {kind} questions cannot be recalibrated", kind=question.kind)
    if not len(samples):
        raise InputError("there are no samples to recalibrate on")
    answered = model.predict(samples) if answers is None else answers
    if question.kind == "survival":
        said, labels = reached(samples, answered)
    else:
        said, labels = answered.matrix(question.outputs), labels_as_numbers(samples)
    choice = choose(question.kind, said, labels, samples.groups) if method == "auto" else None
    update: Used = method if choice is None else choice.update  # type: ignore[assignment]
    made = (
        unchanged(question.kind, len(question.outputs))
        if update == "none"
        else fit(update, question.kind, said, labels)
    )
    basis = Basis(len(samples), len(np.unique(samples.groups)), samples.digest(), choice)
    return CalibratedModel(model.origin, model, made, basis)


def choose(kind: Kind, answers: Floats, labels: Floats, groups: NDArray[np.int64] | None = None) -> Choice:
    """Choose the smallest update that the samples do not refute: a closed testing procedure.

    The model as it is, a new intercept, and a new intercept and slope are tested in turn against the fullest
    update (for risks: beta, which contains them); the first that is not significantly worse is taken. The chance
    to change a model that needs no change is at most 5 %. Vergouwe et al., Stat Med 2017;36:4529-4539.

    Several samples of one patient count together as one, which errs on the side of changing less.

    Args:
        kind: of the question.
        answers: (n, k) the model's.
        labels: (n, k).
        groups: (n,) patients; None: each sample is one.

    >>> risk = np.linspace(0.1, 0.9, 200)[:, None]
    >>> honest = np.random.default_rng(0).random((200, 1)) < risk
    >>> choose("binary", risk, honest.astype(float)).update
    'none'
    """
    from scipy.stats import chi2

    if kind not in _LADDER:
        raise InputError("models of {kind} questions cannot be recalibrated", kind=kind)
    weight = np.ones(len(labels)) if groups is None else one_a_patient(groups)
    found, refused = _fitted(kind, answers, labels, weight)
    if len(found) < 2:
        assert refused is not None
        raise refused
    fullest = next(reversed(found))
    freedom = _degrees(kind, answers.shape[1])
    steps: list[Step] = []
    for update in found:
        if update == fullest:
            break
        statistic = max(0.0, 2 * (found[fullest] - found[update]))
        df = freedom[fullest] - freedom[update]
        step = Step(update, fullest, statistic, df, float(chi2.sf(statistic, df)))
        steps.append(step)
        if step.p >= SIGNIFICANT:
            return Choice(update, tuple(steps))
    return Choice(fullest, tuple(steps))


def _fitted(
    kind: Kind, answers: Floats, labels: Floats, weight: Floats
) -> tuple[dict[Used, float], InputError | None]:
    """Fit the ladder as far as the samples allow: log likelihoods, and why it went no further."""
    same = unchanged(kind, answers.shape[1])
    found: dict[Used, float] = {"none": _likelihood(kind, same, answers, labels, weight)}
    for update in _LADDER[kind][1:]:
        assert update != "none"
        try:
            made = fit(update, kind, answers, labels, weight)
        except InputError as refused:
            return found, refused
        found[update] = _likelihood(kind, made, answers, labels, weight)
    return found, None


def _likelihood(kind: Kind, made: Calibrator, answers: Floats, labels: Floats, weight: Floats) -> float:
    if kind != "survival":
        return log_likelihood(kind, made.apply(answers), labels, weight)
    assert isinstance(made, LinearCalibrator)
    line = float(made.intercept[0]), float(made.slope[0])
    return line_log_likelihood(*line, answers[:, 0], labels[:, 0], weight)


def _degrees(kind: Kind, k: int) -> dict[Used, int]:
    """Count what each update of the ladder may choose freely."""
    if kind == "multiclass":
        return {"none": 0, "intercept": k - 1, "slope": k}
    return {"none": 0, "intercept": k, "slope": 2 * k, "beta": 3 * k}
