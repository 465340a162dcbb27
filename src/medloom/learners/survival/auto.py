"""The best mean of the other survival learners, weighted by what they said of patients they had not seen.

Stacking of curves by the Brier score under censoring (Wey, Connett and Rudser, Biostatistics 2015;16:537-549), bagged
over patients.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation import registry
from medloom.foundation.engines import each
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.foundation.seeds import derive
from medloom.learners.members import Member
from medloom.learners.survival.blend import BlendedCurves
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.forest import censoring_weights
from medloom.learners.survival.learner import SurvivalLearner
from medloom.learners.survival.problem import Problem
from medloom.training.descent import has_torch
from medloom.training.networks import typical_rows
from medloom.training.parameters import check_parameter
from medloom.training.preparation import Preparation

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

# Settings to try of a learner, quick ones first; of others their defaults. Fine and Gray's differs from Cox's only
# where events compete.
_SETTINGS: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    ("aft", {}),
    ("cox", {}),
    ("fine-gray", {}),
    ("survival-forest", {}),
    ("survival-forest", {"min_leaf": 5, "random_thresholds": True}),
    ("survival-forest", {"min_leaf": 1, "random_thresholds": False}),
    ("survival-gbdt", {}),
    ("survival-gbdt", {"num_leaves": 31, "min_leaf": 5}),
    ("deepsurv", {}),
    ("discrete-hazard", {}),
)
_COMPETING: Final = ("fine-gray",)
_DEEP: Final = ("deepsurv", "discrete-hazard")
_TIMES: Final = 20  # at which curves are judged
_BAGS: Final = 20
_HELD: Final = 1e4  # how hard weights are held to sum to 1
_LEAST: Final = 0.05  # share of a member


@dataclass(frozen=True)
class SurvivalAutoLearner(SurvivalLearner):
    """The best mean of the other survival learners' curves, found within a time budget.

    All are judged on the same folds by patient of train and tuning together; held-out patients are never seen. The
    weights are those whose mean errs least of patients left out; the few learners that count learn again from all.
    Learners that need PyTorch are tried where it is installed.

    Args:
        minutes: for trying; the setting that runs is finished, and learning the blend comes on top.
        folds: to judge by.
        members: models in the blend at most.
        learners: names to choose from; None: all of prognosis that are registered.
        blend: a blend that was found before, `learner`, `parameters` and `weight` of each member; nothing is searched
            then. Refits of a model on folds or resamples take the blend it has.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "survival-auto"
    estimator: ClassVar[type[SurvivalEstimator]] = BlendedCurves
    prepares: ClassVar[bool] = False

    minutes: float = 10.0
    folds: int = 5
    members: int = 6
    learners: Sequence[str] | None = None
    blend: Sequence[dict[str, Any]] | None = None
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(self.name, "minutes", self.minutes, self.minutes > 0, tr("above 0"))
        check_parameter(self.name, "folds", self.folds, self.folds >= 2, tr("2 or more"))
        check_parameter(self.name, "members", self.members, self.members >= 1, tr("1 or more"))
        fits = all(set(one) == {"learner", "parameters", "weight"} for one in self.blend or ())
        check_parameter(
            self.name,
            "blend",
            self.blend,
            self.blend is None or (bool(self.blend) and fits),
            tr("a list of learner, parameters and weight"),
        )

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        chosen, tried = self._chosen(problem)
        known = [(replace(one, errors=None), weight) for one, weight in chosen]
        members = list(each(partial(_learned_again, problem), known))
        x = problem.together()[0]
        nothing = np.empty((0, x.shape[1]), np.float32)
        scores = BlendedCurves(problem.times, members, nothing).scores(x)
        background = typical_rows(x, scores).astype(np.float32)
        return BlendedCurves(problem.times, members, background, [one.to_json() for one in tried])

    def _chosen(self, problem: Problem) -> tuple[list[tuple[Tried, float]], list[Tried]]:
        """Give the members of the blend with their weights, and all that was tried on the way."""
        if self.blend is not None:
            known = {kind.name: kind for kind, _ in _candidates([one["learner"] for one in self.blend], 2)}
            again = [
                (Tried(known[one["learner"]](**one["parameters"]), one["parameters"], None), one["weight"])
                for one in self.blend
            ]
            return again, []
        candidates = list(_candidates(self.learners, problem.outcomes.causes))
        tried = _tried(problem, candidates, self.folds, 60 * self.minutes)
        usable = [(one, one.errors) for one in tried if one.errors is not None]
        if not usable:
            raise InputError(
                "no learner could be learned from these samples; the first said: {why}", why=tried[0].why
            )
        errors = np.stack([one for _, one in usable], axis=1)
        groups = np.concatenate([problem.groups, problem.groups_tuning])
        products = np.einsum("nia,nja->nij", errors, errors)
        weights = stacked(products, groups, self.members, derive(problem.seed, "bags"))
        chosen = [(one, weight) for (one, _), weight in zip(usable, weights, strict=True) if weight > 0]
        said = ", ".join(f"{one.made.name}={weight:.2f}" for one, weight in chosen)
        _log.info("searched trials=%d blend=%s", len(tried), said)
        return chosen, tried


@dataclass(frozen=True)
class Tried:
    """One setting and how it did.

    Attributes:
        made: the learner.
        parameters: those that differ from its defaults.
        errors: (n, k · t) of curves of samples not learned from, each by the root of what it stands for, as others
            were censored; None: it failed.
        why: it failed, in words; empty otherwise.
    """

    made: SurvivalLearner
    parameters: Mapping[str, Any]
    errors: NDArray[np.float32] | None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give what a table of trials shows; the loss is the Brier score, over times, summed over events."""
        loss = None
        if self.errors is not None:
            loss = float(f"{(self.errors.astype(np.float64) ** 2).sum(axis=1).mean():.6g}")
        return {
            "learner": self.made.name,
            "parameters": dict(self.parameters),
            "loss": loss,
            "why": self.why,
        }


def stacked(products: Floats, groups: NDArray[np.int64], members: int, seed: int) -> Floats:
    """Find the weights (m,) of a mean that errs least; they sum to 1.

    Bagged over groups, which draws them towards equal shares where chance decides. The least of them fall away
    until at most so many, and none below 5 %, are left.

    Args:
        products: (n, m, m) of each sample's errors, each model's with each other's.
        groups: (n,) what is resampled together.
        members: at most.
        seed: of the bags.

    >>> errors = np.array([[0.1, 0.5], [0.2, 0.6]])
    >>> stacked(errors[:, :, None] * errors[:, None, :], np.arange(2), 2, 0).tolist()
    [1.0, 0.0]
    """
    rng = np.random.default_rng(seed)
    numbers = np.unique(groups, return_inverse=True)[1]
    n = int(numbers.max()) + 1
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=_BAGS)
    bags = np.einsum("bn,nij->bij", drawn[:, numbers], products)
    kept = np.arange(products.shape[1])
    while True:
        weights = np.mean([_least(bag[np.ix_(kept, kept)]) for bag in bags], axis=0)
        least = int(np.argmin(weights))
        if len(kept) == 1 or (len(kept) <= members and weights[least] >= _LEAST):
            found = np.zeros(products.shape[1])
            found[kept] = weights
            return found
        kept = np.delete(kept, least)


def _least(product: Floats) -> Floats:
    """Find weights (m,) ≥ 0 that sum to 1 and make w' product w least."""
    from scipy.optimize import nnls

    m, size = len(product), float(np.trace(product)) / len(product)
    value, vector = np.linalg.eigh(product / max(size, np.finfo(np.float64).tiny))
    root = np.sqrt(np.maximum(value, 0))[:, None] * vector.T
    found, _ = nnls(np.vstack([root, np.full((1, m), _HELD)]), np.append(np.zeros(m), _HELD))
    shares: Floats = found / found.sum()
    return shares


def _tried(
    problem: Problem,
    candidates: Sequence[tuple[type[SurvivalLearner], Mapping[str, Any]]],
    folds: int,
    seconds: float,
) -> list[Tried]:
    """Try settings on the same folds, one after the other, until all are tried or time is used up."""
    x, outcomes = problem.together()
    groups = np.concatenate([problem.groups, problem.groups_tuning])
    happened = outcomes.time[outcomes.happened]
    times = np.unique(np.quantile(happened, np.linspace(0, 1, _TIMES + 2)[1:-1]))
    root = np.sqrt(censoring_weights(outcomes, times) / len(times))[:, None]
    came = np.stack([outcomes.cause == one for one in range(1, outcomes.causes + 1)], axis=1)
    truth = came[:, :, None] & (outcomes.time[:, None] <= times)[:, None]
    divided = problem.folds(folds)
    prepared: dict[tuple[int, bool], Floats] = {}
    none = np.empty(0, np.int64)

    def of_fold(made: SurvivalLearner, place: int) -> tuple[Problem, Floats]:
        """Give what to learn from, and the inputs of those left out."""
        inside, outside = divided[place]
        own = x
        if made.prepares:
            key = (place, made.curved)
            if key not in prepared:
                prepared[key] = Preparation.fit(x[inside], curved=made.curved).transform(x)
            own = prepared[key]
        part = Problem(
            own[inside],
            outcomes[inside],
            groups[inside],
            own[:0],
            outcomes[none],
            groups[:0],
            problem.times,
            derive(problem.seed, "fold", str(place)),
        )
        return part, own[outside]

    started, tried = time.monotonic(), list[Tried]()
    with progress(tr("Searching"), total=len(candidates)) as advance:
        for kind, parameters in candidates:
            if tried and time.monotonic() - started > seconds:
                break
            # of a sample that no fold leaves out all learners err alike
            made, errors = kind(**parameters), np.zeros(truth.shape)
            try:
                found = each(
                    partial(_said, made, times), (of_fold(made, place) for place in range(len(divided)))
                )
                for (_, outside), said in zip(divided, found, strict=True):
                    errors[outside] = root[outside] * (truth[outside] - said)
                tried.append(Tried(made, parameters, errors.reshape(len(errors), -1).astype(np.float32)))
            except InputError as error:
                tried.append(Tried(made, parameters, None, str(error)))
            advance(1)
    return tried


def _candidates(
    names: Sequence[str] | None, causes: int
) -> Iterator[tuple[type[SurvivalLearner], Mapping[str, Any]]]:
    """Find the settings to choose from; without names, those of other packages too."""
    known = [name for name, _ in _SETTINGS]
    asked = registry.registered("medloom.learners") if names is None else names
    for name in sorted(asked, key=lambda one: known.index(one) if one in known else len(known)):
        kind: Any = registry.load("medloom.learners", name)
        fits = issubclass(kind, SurvivalLearner) and kind is not SurvivalAutoLearner
        if names is None and (
            not fits
            or not kind.needs_inputs
            or (name in _COMPETING and causes == 1)
            or (name in _DEEP and not has_torch())
        ):
            continue
        if not fits:
            raise InputError(
                "learner {name!r} does not answer survival questions; choose among those that do", name=name
            )
        for parameters in [one for own, one in _SETTINGS if own == name] or [{}]:
            yield kind, parameters


def _said(made: SurvivalLearner, times: Floats, task: tuple[Problem, Floats]) -> Floats:
    """Learn, and give what is said of those left out at some times: (n, k, t)."""
    part, asked = task
    said: Floats = made._learn(part).curves(asked).at(times)
    return said


def _learned_again(problem: Problem, chosen: tuple[Tried, float]) -> Member[SurvivalEstimator]:
    """Learn a chosen setting, which has a weight, from all samples of train and tuning."""
    tried, weight = chosen
    preparation, part = None, problem
    if tried.made.prepares:
        preparation = Preparation.fit(problem.together()[0], curved=tried.made.curved)
        tuning = preparation.transform(problem.x_tuning)
        part = replace(problem, x=preparation.transform(problem.x), x_tuning=tuning)
    estimator = tried.made._learn(part)
    return Member(tried.made.name, dict(tried.parameters), float(weight), preparation, estimator)
