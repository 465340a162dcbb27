"""The verbs that ask what a model rests on: for one patient, and on the whole.

What stands for other patients is the split `train`. What judges is a split that nothing was learned from: `held_out`
unless another one is named. All look at the model from outside, so that they suit every model of a table's kind;
`explain` gives the model's own reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import polars as pl

from medloom.api import Trained, asked_samples
from medloom.explanation.asking import Answer, AskedModel, Inputs, Table, output_place, table_of
from medloom.explanation.attention import Attentive
from medloom.explanation.contributions import Floats
from medloom.explanation.counterfactual import Counterfactuals, ways_below
from medloom.explanation.deletion import Deleting, Deletion
from medloom.explanation.dependence import Effects, accumulated_effects
from medloom.explanation.kernel import explain_by_shapley
from medloom.explanation.lime import explain_by_lime
from medloom.explanation.permutation import Score, rank_by_permutation
from medloom.explanation.similar import Similar, what_became
from medloom.explanation.surrogate import Surrogate, surrogate_of
from medloom.features.matrix import FeatureMatrix
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.learners.tabular.estimator import Names
from medloom.learners.tabular.model import TabularModel
from medloom.learners.tabular.trees import TreesEstimator
from medloom.tasks.explanation import Explanation
from medloom.tasks.kinds import Split
from medloom.tasks.model import Model, Origin
from medloom.tasks.samples import Samples
from medloom.training.answers import labels_as_numbers, loss
from medloom.training.compression.model import CompressedModel
from medloom.training.conformal_model import ConformalModel
from medloom.training.group_thresholds import ThresholdedModel
from medloom.training.novelty import Representing
from medloom.training.recalibration import CalibratedModel
from medloom.training.reweighing import ReweighedModel
from medloom.training.wrapping import WrappingModel, innermost, layer

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["own", "shap", "kernel", "lime", "rollout"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

_LOOKED_AT: Final = 300  # samples, to find the inputs that move answers most
_COARSE: Final = 5  # bins, for that


@dataclass(frozen=True)
class Reasons:
    """Why a model answers as it does.

    Attributes:
        explanation: contributions of inputs.
        fidelity: of `lime`: `sample_id`, `output`, `fidelity`, R² of the small model that stands for the large one;
            where it is low, the reasons mean little. None: the reasons are of the model itself.
    """

    explanation: Explanation
    fidelity: pl.DataFrame | None = None


def reasons(
    trained: Trained,
    what: Samples | pl.DataFrame | pd.DataFrame,
    method: Method = "own",
    *,
    by: Literal["input", "code"] = "input",
    seed: int = 0,
) -> Reasons:
    """Tell why, by one of several methods; where they disagree, none should be leaned on.

    Args:
        trained: the model and its samples.
        what: samples, or rows of a table.
        method: `own`, the model's; `shap`, Shapley values by walks between patients; `kernel`, the same by weighted
            coalitions, for about ten inputs; `lime`, a small linear model around each sample; `rollout`, of timeline
            models with attention: where they look, which does not add up to the answer.
        by: for `shap` and `kernel`: each input, or each code with all its windows as one.
        seed: of everything random.

    Raises:
        InputError: there is no such method, or the model cannot be asked about changed inputs, or has no attention.

    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": list(range(200)), "ill": [i > 99 for i in range(200)]})
    >>> found = reasons(train(frame, "tree", label="ill"), pl.DataFrame({"x": [190]}), "shap")
    >>> found.explanation.frame["input"].to_list(), found.explanation.frame["contribution"][0] > 0.3
    (['x'], True)
    """
    if method not in METHODS:
        raise InputError(
            "there is no method {method!r}; there are: {methods}", method=method, methods=METHODS
        )
    if method == "own":
        return Reasons(trained.explain(what))
    if method == "rollout":
        return Reasons(_attentive(trained.model).attended(asked_samples(trained.model, what)))
    model, samples = asked(trained.model), asked_samples(trained.model, what)
    background = _split(trained, "train")
    if method == "lime":
        return Reasons(*explain_by_lime(model, samples, background, seed=seed))
    chosen: Literal["kernel", "walks"] = "kernel" if method == "kernel" else "walks"
    return Reasons(explain_by_shapley(model, samples, background, method=chosen, by=by, seed=seed))


def counterfactuals(
    trained: Trained,
    what: Samples | pl.DataFrame | pd.DataFrame,
    threshold: float,
    *,
    output: str | None = None,
    may_change: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    n: int = 3,
    seed: int = 0,
) -> list[Counterfactuals]:
    """Find what would have to be different about a patient for the answer to be below a threshold.

    It tells of the model, not of what a treatment would do.

    Args:
        trained: the model and its samples.
        what: samples, or rows of a table.
        threshold: of the answer.
        output: which answer; None: the only one there is.
        may_change: codes, or columns of a table, that can change; None: measurements with known limits.
        units: UCUM units of codes, where they are not the record's canonical ones.
        n: ways at most.
        seed: of everything random.

    Raises:
        InputError: something named cannot change, or the model cannot be asked about changed inputs.
    """
    return ways_below(
        asked(trained.model),
        asked_samples(trained.model, what),
        _split(trained, "train"),
        threshold,
        output=output,
        may_change=may_change,
        units=units,
        n=n,
        seed=seed,
    )


def similar(
    trained: Trained,
    what: Samples | pl.DataFrame | pd.DataFrame,
    *,
    output: str | None = None,
    split: Split = "held_out",
    n: int = 50,
    most: int = 3000,
    seed: int = 0,
) -> list[Similar]:
    """Count what became of the patients whose answers have the most similar reasons; any model can be asked this.

    Models that sum a patient up in numbers of their own, as those of timelines do, compare these numbers.

    Args:
        trained: the model and its samples.
        what: samples, or rows of a table.
        output: compare the reasons of this answer; None: of all.
        split: whose patients are counted.
        n: so many patients, at least 10.
        most: so many samples of the split are drawn at most; 200 where reasons are found by sampling.
        seed: of everything random.

    Raises:
        InputError: fewer than 10 patients can be compared with, or the question has no such outcomes.
    """
    question = trained.samples.question
    if question.kind == "survival":
        raise InputError("what became of similar patients cannot be counted while some are still followed")
    samples = asked_samples(trained.model, what)
    most = min(most, 200) if trained.model.explains_slowly else most
    reference = _split(trained, split)
    inner = innermost(trained.model)
    represent = inner.represent if isinstance(inner, Representing) else None
    return what_became(
        trained.model, samples, reference, output=output, n=n, most=most, seed=seed, represent=represent
    )


def importance(
    trained: Trained,
    *,
    by: Literal["input", "code"] = "code",
    split: Split = "held_out",
    repeats: int = 5,
    most: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """Rank inputs by how much worse the model answers when they are another patient's.

    Worse is the log loss, or for values the mean squared error.

    Args:
        trained: the model and its samples.
        by: exchange each code with all its windows at once, or each input.
        split: whose answers are judged.
        repeats: exchanges of each.
        most: so many samples are drawn at most.
        seed: of everything random.

    Returns:
        `input`, `code`, `importance` with its 95 % interval `low`, `high`; strongest first.

    Raises:
        InputError: the split is empty, or the model cannot be asked about changed inputs.

    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": list(range(200)), "y": [1, 2] * 100, "ill": [i > 99 for i in range(200)]})
    >>> importance(train(frame, "tree", label="ill"))["input"][0]
    'x'
    """
    kind = trained.samples.question.kind

    def score(samples: Samples) -> Score:
        truth = labels_as_numbers(samples)
        return lambda answers, places: -loss(kind, truth[places], answers)

    return rank_by_permutation(
        asked(trained.model), _split(trained, split), score, by=by, repeats=repeats, most=most, seed=seed
    )


def effects(
    trained: Trained,
    inputs: Sequence[str] = (),
    *,
    output: str | None = None,
    split: Split = "train",
    n: int = 8,
    bins: int = 20,
    most: int = 2000,
    seed: int = 0,
) -> list[Effects]:
    """Tell how answers move along inputs, among the patients who have such values (accumulated local effects).

    Args:
        trained: the model and its samples.
        inputs: names of inputs; none: those that move answers most.
        output: which answer; None: the only one there is.
        split: whose patients are moved; their labels are not used.
        n: so many inputs, where none are named.
        bins: of each, at most.
        most: so many samples are drawn at most.
        seed: of everything random.

    Raises:
        InputError: there is no such input or output, or the model cannot be asked about changed inputs.
    """
    model, samples = asked(trained.model), _split(trained, split)
    place = output_place(model.origin.question, output)
    table = table_of(model, samples, most, seed)
    columns = [table.column(name) for name in inputs] or _moving(model.answer, table, place, n, seed)
    found = [
        accumulated_effects(
            model.answer, table.x, column, place, bins=bins, subjects=table.subjects, seed=seed
        )
        for column in columns
    ]
    named = model.origin.question.outputs[place]
    return [
        replace(one, input=table.names[column], output=named)
        for one, column in zip(found, columns, strict=True)
    ]


def deletion(
    trained: Trained, *, output: str | None = None, split: Split = "held_out", most: int = 100, seed: int = 0
) -> Deletion:
    """Take facts away in the order of their contributions, at random, and least first, and follow the answers.

    It tells whether a timeline model's reasons hold: of its own, and of attention rollout where it has attention.

    Args:
        trained: the model and its samples.
        output: which answer; None: the only one there is.
        split: whose facts are taken away.
        most: so many samples are drawn at most.
        seed: of everything random.

    Raises:
        InputError: the split is empty, there is no such output, or the model does not read single facts.
    """
    inner = innermost(trained.model)
    if not isinstance(inner, Deleting):
        _check_not_smaller(trained.model)
        raise InputError(
            "facts cannot be taken away one by one from a model of learner {learner!r}, which does not read single "
            "facts; what it rests on is told by --overall permutation, ale or surrogate",
            learner=trained.model.origin.learner,
        )
    samples = _split(trained, split)
    drawn = generator(seed, "drawn samples").permutation(len(samples))[:most]
    return inner.deleting(samples.among(np.sort(drawn).tolist()), output, seed)


def surrogate(
    trained: Trained,
    *,
    max_depth: int = 3,
    split: Split = "held_out",
    most: int = 20_000,
    seed: int = 0,
) -> Surrogate:
    """Make a small tree that answers as the model does, and measure how faithfully.

    Args:
        trained: the model and its samples; the tree is made from the split `train`.
        max_depth: questions it asks at most.
        split: whose answers its fidelity is measured on.
        most: so many samples are drawn at most, of either split.
        seed: of everything random.

    Raises:
        InputError: a split is empty, or the model cannot be asked about changed inputs.

    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": list(range(400)), "ill": [i > 199 for i in range(400)]})
    >>> float(surrogate(train(frame, "logistic", label="ill"), max_depth=2).fidelity[0]) > 0.5
    True
    """
    judge = _split(trained, split)
    made = _split(trained, "train")
    return surrogate_of(asked(trained.model), made, judge, max_depth=max_depth, most=most, seed=seed)


def surrogate_rules(
    trained: Trained, found: Surrogate, name: Callable[[str], str] = lambda input: input
) -> str:
    """Write a surrogate's tree as rules; `name` says an input."""
    question = trained.samples.question
    estimator = TreesEstimator(question.kind, [found.tree], np.zeros(len(found.names)), found.may_be_missing)
    flags = frozenset(name(one) for one in flags_of(trained.model))
    return estimator.as_text(Names([name(one) for one in found.names], question.outputs, flags))


def flags_of(model: Model) -> frozenset[str]:
    """Name the inputs that are 0 or 1, as far as the model knows."""
    inner = innermost(model)
    return frozenset(inner.features.flags) if isinstance(inner, TabularModel) else frozenset()


def asked(model: Model) -> AskedModel:
    """Give a model as explainers ask it: about rows of inputs, and with the answer it gives in the end.

    Raises:
        InputError: it cannot be asked so.
    """
    if isinstance(model, TabularModel):
        return model
    if isinstance(model, CalibratedModel):
        inner, calibrator = asked(model.model), model.calibrator
        return _Outer(inner, lambda x: calibrator.apply(inner.answer(x)))
    if isinstance(model, ConformalModel | ThresholdedModel | ReweighedModel):
        return asked(model.model)  # what stands around the answer leaves it as it is
    if isinstance(innermost(model), Deleting):
        raise InputError(
            "a model of learner {learner!r} reads single facts and cannot be asked about changed inputs; its own "
            "reasons: --method own; where it looks, if it has attention: --method rollout; whether these hold: "
            "--overall deletion",
            learner=model.origin.learner,
        )
    raise InputError(
        "a model of learner {learner!r} cannot be asked about changed inputs; take its own reasons: --method own",
        learner=model.origin.learner,
    )


def can_be_asked(model: Model) -> bool:
    """Tell whether explainers can ask a model (`asked`)."""
    inner = model.model if isinstance(model, WrappingModel) else None
    return isinstance(model, TabularModel) or (inner is not None and can_be_asked(inner))


def _attentive(model: Model) -> Attentive:
    inner = innermost(model)
    if not isinstance(inner, Attentive):
        _check_not_smaller(model)
        raise InputError(
            "a model of learner {learner!r} has no attention to follow; take its own reasons: --method own",
            learner=model.origin.learner,
        )
    return inner


def _check_not_smaller(model: Model) -> None:
    """Refuse to look into what a model was made smaller into."""
    if layer(model, CompressedModel) is not None:
        raise InputError(
            "this model was made smaller, into what shows neither attention nor single facts; ask the version that it "
            "was made from, or take its own reasons: --method own"
        )


@dataclass(frozen=True)
class _Outer:
    """A model as it is asked inside, and what is done to its answers."""

    inner: AskedModel
    say: Answer

    @property
    def origin(self) -> Origin:
        return self.inner.origin

    def inputs(self, samples: Samples) -> FeatureMatrix:
        return self.inner.inputs(samples)

    def answer(self, x: Inputs) -> Floats:
        return self.say(x)


def _split(trained: Trained, split: Split) -> Samples:
    samples = trained.samples.in_split(split)
    if not len(samples):
        raise InputError(
            "there are no samples in split {split!r} of task {task!r}",
            split=split,
            task=samples.question.task,
        )
    return samples


def _moving(answer: Answer, table: Table, output: int, n: int, seed: int) -> list[int]:
    """Find the inputs along which answers move most, on some samples and roughly."""
    x, subjects = table.x[:_LOOKED_AT], table.subjects[:_LOOKED_AT]
    moved = []
    for column in np.flatnonzero(~np.isnan(x).all(axis=0)).tolist():
        effect = accumulated_effects(
            answer, x, column, output, bins=_COARSE, subjects=subjects, seed=seed
        ).effect
        moved.append((float(effect.max() - effect.min()), column))
    moved.sort(key=lambda one: (-one[0], one[1]))
    return [column for size, column in moved[:n] if size > 0]
