"""A search for the best blend: learners and settings tried on folds by patient, the best of them averaged.

Settings are drawn by Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011). The blend is chosen by
forward selection with replacement, bagged over patients, on what models said of those they had not seen (Caruana et
al., ICML 2004).
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation import registry
from medloom.foundation.engines import each
from medloom.foundation.errors import InputError
from medloom.foundation.files import write_text
from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.foundation.seeds import derive, generator
from medloom.learners.members import Member
from medloom.learners.tabular.answers import Floats, answers_of, loss, scores_of
from medloom.learners.tabular.blend import BlendEstimator
from medloom.learners.tabular.estimator import Estimator
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.problem import Problem
from medloom.learners.tabular.spaces import AGAIN, COSTS, LIGHT, draw, starts
from medloom.tasks.kinds import Kind
from medloom.training.parameters import check_parameter
from medloom.training.preparation import Preparation
from medloom.training.tracking import TRACKERS, Tracker, tracking

if TYPE_CHECKING:
    import optuna

_log = logging.getLogger(__name__)

_ROUNDS: Final = 15  # of forward selection
_BAGS: Final = 20  # resamples of patients that it is done on
_EVEN: Final = 0.5  # of the weight, for good trials alike
_NEAR: Final = 1.1  # times the best loss is near it
_HOPELESS: Final = 1.2  # times the loss of the best in the first fold: such a trial is not gone on with
_EARLY: Final = 0.5  # of the time: so long a learner of which nothing is known is tried, dear as it may be
_MISFITS: Final = 20  # settings drawn in a row that there is no time for: then the search is over
_MOST_KEPT: Final = 1_000_000_000  # bytes of prepared folds held at a time
_LEAST_FOLDS: Final = 3  # one to judge by, one to choose settings by, one to learn from
_FAMILY: Final = 4  # trials of one learner that may enter a blend


@dataclass(frozen=True)
class AutoLearner(TabularLearner):
    """The best blend of the other learners, found within a time budget.

    Every learner is first tried with settings that are known to do well, cheap ones before dear ones; then settings are
    drawn where they promise most. All trials are judged on the same folds by patient of train and tuning together;
    held-out patients are never seen. The best few are learned again from all of these and averaged.

    Args:
        minutes: for search and learning together; a trial begins only if earlier ones tell that there is time for it
            and for learning the blend, but each learner has one in the first half; what runs is finished.
        trials: at most.
        folds: to judge by.
        members: models in the blend at most.
        learners: names to choose from; None: all of this kind that are registered.
        folder: keeps trials, so that a search that was cut off goes on from there; None: nothing is kept. Beside them
            `trials.csv` tells of each.
        track: `tensorboard` or `mlflow`: each trial is logged there too, under `folder`; None: nowhere else.
        blend: a blend that was found before, `learner`, `parameters` and `weight` of each member; nothing is searched
            then. Refits of a model on folds or resamples take the blend it has.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "auto"
    kinds: ClassVar = frozenset({"binary", "multiclass", "regression"})
    estimator: ClassVar[type[Estimator]] = BlendEstimator
    prepares: ClassVar[bool] = False

    minutes: float = 10.0
    trials: int = 60
    folds: int = 5
    members: int = 6
    learners: Sequence[str] | None = None
    folder: str | None = None
    track: Literal["tensorboard", "mlflow"] | None = None
    blend: Sequence[dict[str, Any]] | None = None
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(self.name, "minutes", self.minutes, self.minutes > 0, tr("above 0"))
        for name, least in (("trials", 1), ("folds", 3), ("members", 1)):
            value = getattr(self, name)
            said = tr("1 or more") if least == 1 else tr("3 or more")
            check_parameter(self.name, name, value, value >= least, said)
        check_parameter(self.name, "track", self.track, self.track in (None, *TRACKERS), " / ".join(TRACKERS))
        check_parameter(
            self.name,
            "folder",
            self.folder,
            self.track is None or bool(self.folder),
            tr("a folder, to track in"),
        )
        fits = all(set(one) == {"learner", "parameters", "weight"} for one in self.blend or ())
        check_parameter(
            self.name,
            "blend",
            self.blend,
            self.blend is None or (bool(self.blend) and fits),
            tr("a list of learner, parameters and weight"),
        )

    def _learn(self, problem: Problem) -> Estimator:
        if self.blend is not None:
            known = _candidates(problem.kind, [one["learner"] for one in self.blend])
            again = [_learned_again(problem, known[one["learner"]], **one) for one in self.blend]
            return BlendEstimator(problem.kind, problem.x.shape[1], again)
        candidates = _candidates(problem.kind, self.learners)
        with tracking(self.track, self.folder) as tracker:
            search = _Search(problem, candidates, self.folds, self.folder, tracker)
            search.run(self.trials, 60 * self.minutes)
        chosen = search.blend(self.members)
        weights = ", ".join(f"{one.learner}={weight:.2f}" for one, weight in chosen)
        _log.info("searched trials=%d blend=%s", len(search.tried), weights)
        relearn = partial(_member, problem)
        members = list(
            each(
                relearn,
                [(candidates[one.learner], one.learner, one.parameters, share) for one, share in chosen],
            )
        )
        return BlendEstimator(
            problem.kind, problem.x.shape[1], members, [one.to_json() for one in search.tried]
        )


@dataclass(frozen=True)
class Tried:
    """One setting and how it did.

    Attributes:
        number: of the trial.
        learner: its registered name.
        parameters: those that differ from its defaults.
        loss: log loss or mean squared error over all folds; None: it was given up after the first, or failed.
        seconds: it took.
        scores: (n, k) of samples not learned from; None without a loss.
        why: it failed, in words; empty otherwise.
    """

    number: int
    learner: str
    parameters: dict[str, Any]
    loss: float | None
    seconds: float
    scores: Floats | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give what a table of trials shows; seconds are left out, since they differ from run to run."""
        return {
            "trial": self.number,
            "learner": self.learner,
            "parameters": self.parameters,
            "loss": None if self.loss is None else float(f"{self.loss:.6g}"),
            "why": self.why,
        }


class _Search:
    """Tries settings on the same folds, one after the other."""

    def __init__(
        self,
        problem: Problem,
        candidates: dict[str, type[TabularLearner]],
        folds: int,
        folder: str | None,
        tracker: Tracker | None = None,
    ) -> None:
        self._problem, self._candidates, self._tracker = problem, candidates, tracker
        self._x, self._y = problem.together()
        self._groups = np.concatenate([problem.groups, problem.groups_tuning])
        self._folds = [outside for _, outside in problem.folds(folds)]
        # a fold whose others would have no patient with some answer is left out
        if len(self._folds) < _LEAST_FOLDS or sum(map(len, self._folds)) < len(self._y):
            raise InputError(
                "too few samples to search by: each answer needs at least three patients in train; widen the task's "
                "population, merge rare classes, or name one learner"
            )
        self._prepared: dict[tuple[int, bool], tuple[Preparation, Floats]] = {}
        self._folder = None if folder is None else Path(folder) / self._name(folds)
        self.tried: list[Tried] = []

    def run(self, trials: int, seconds: float) -> None:
        """Try defaults first, then what is drawn, until trials or time are used up.

        Raises:
            InputError: nothing could be learned by any learner.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=derive(self._problem.seed, "search") & 0x7FFFFFFF)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        self._resume(study)
        ends = time.monotonic() + seconds
        first = [
            one
            for one in self._starts()
            if one not in [(done.learner, done.parameters) for done in self.tried]
        ]
        misfits = 0
        with progress(tr("Searching"), total=trials) as advance:
            advance(len(self.tried))
            while len(self.tried) < trials and misfits < _MISFITS:
                trial = study.ask()
                if first:
                    learner, parameters = first.pop(0)
                else:
                    learner = trial.suggest_categorical("learner", sorted(self._candidates))
                    parameters = draw(trial, learner)
                if self.tried and not self._fits(learner, ends - time.monotonic(), seconds):
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    misfits += not first
                    continue
                done, misfits = self._try(learner, parameters), 0
                _tell(study, trial, done)
                self.tried.append(done)
                self._keep(done, trial.params)
                if self._tracker is not None:
                    self._tracker.trial(
                        done.number, done.learner, done.parameters, done.loss, done.seconds, done.why
                    )
                advance(1)
        if not any(one.loss is not None for one in self.tried):
            raise InputError(
                "no learner could be learned from these samples; the first said: {why}", why=self.tried[0].why
            )

    def blend(self, members: int) -> list[tuple[Tried, float]]:
        """Choose trials and their weights by forward selection with replacement on their unseen answers.

        It is done on resamples of the groups, and the weights are averaged; half of all weight goes evenly to the best
        trial of each learner that comes near the best of all. Of few patients a single selection follows chance.
        """
        usable = sorted(
            (one for one in self.tried if one.loss is not None), key=lambda one: float(one.loss or 0)
        )
        pool: list[Tried] = []
        for one in usable:
            if sum(other.learner == one.learner for other in pool) < _FAMILY:
                pool.append(one)
        scores = np.stack([one.scores for one in pool if one.scores is not None])
        rng = generator(self._problem.seed, "blend")
        _, group = np.unique(self._groups, return_inverse=True)
        shares = np.zeros(len(pool))
        for _ in range(_BAGS):
            drawn = np.bincount(rng.integers(0, group.max() + 1, group.max() + 1), minlength=group.max() + 1)
            rows = np.repeat(np.arange(len(group)), drawn[group])
            shares += _selected(self._problem.kind, self._y[rows], scores[:, rows])
        shares = _EVEN * _evenly(pool) + (1 - _EVEN) * shares / _BAGS
        shares[np.argsort(-shares, kind="stable")[members:]] = 0
        shares /= shares.sum()
        return [(one, float(share)) for one, share in zip(pool, shares, strict=True) if share > 0]

    def _starts(self) -> list[tuple[str, dict[str, Any]]]:
        """List what is tried before anything is drawn: each learner once, cheap ones first, then once more."""
        rounds = {name: starts(name, len(self._y)) for name in sorted(self._candidates, key=_cost)}
        longest = max(map(len, rounds.values()), default=0)
        return [
            (name, dict(known[place]))
            for place in range(longest)
            for name, known in rounds.items()
            if place < len(known)
        ]

    def _fits(self, learner: str, left: float, seconds: float) -> bool:
        """Tell whether there is time for a trial of this learner, and for learning the blend after it."""
        if left > _EARLY * seconds and all(one.learner != learner for one in self.tried):
            return True
        return self._expected(learner) + self._set_aside() <= left

    def _expected(self, learner: str) -> float:
        """Expect so many seconds of a trial, from those of this learner, else from others' and what they cost."""
        own = [one.seconds for one in self.tried if one.learner == learner and one.loss is not None]
        if own:
            return float(np.median(own))
        known = [(one.seconds, _cost(one.learner)) for one in self.tried if one.loss is not None] or [
            (0.0, 1.0)
        ]
        seconds, costs = np.sum(known, axis=0)
        return float(seconds / costs * _cost(learner))

    def _set_aside(self) -> float:
        """Expect so many seconds of learning the blend: a member of each learner, more or less."""
        longest: dict[str, float] = {}
        for one in self.tried:
            if one.loss is not None:
                longest[one.learner] = max(one.seconds, longest.get(one.learner, 0.0))
        return sum(AGAIN.get(name, 1.0) * each for name, each in longest.items())

    def _try(self, learner: str, parameters: dict[str, Any]) -> Tried:
        number, started = len(self.tried), time.monotonic()
        made = self._candidates[learner](**{**LIGHT.get(learner, {}), **parameters})
        kind, scores = self._problem.kind, np.empty_like(self._y)
        folds = range(len(self._folds))
        try:
            # where the first fold tells that there is no hope, the others are not learned
            for some in (folds[:1], folds[1:]):
                found = each(_scored, (self._of_fold(made, place) for place in some))
                for place, own in zip(some, found, strict=True):
                    scores[self._folds[place]] = own
                if len(folds) > 2 and len(some) == 1 and self._is_hopeless(scores[self._folds[0]]):
                    return Tried(number, learner, parameters, None, time.monotonic() - started)
        except InputError as error:
            return Tried(number, learner, parameters, None, time.monotonic() - started, why=str(error))
        reached = loss(kind, self._y, answers_of(kind, scores))
        return Tried(number, learner, parameters, reached, time.monotonic() - started, scores)

    def _is_hopeless(self, scores: Floats) -> bool:
        """Tell whether these of the first fold are far worse than what the best trial so far said of it."""
        judged = [one for one in self.tried if one.loss is not None and one.scores is not None]
        if not judged:
            return False
        best, fold = min(judged, key=lambda one: float(one.loss or 0)).scores, self._folds[0]
        assert best is not None
        own, least = (
            loss(self._problem.kind, self._y[fold], answers_of(self._problem.kind, one))
            for one in (scores, best[fold])
        )
        return own > _HOPELESS * least

    def _of_fold(self, made: TabularLearner, place: int) -> tuple[TabularLearner, Problem, Floats]:
        """Give what to learn from, all folds but one, the next one choosing settings; and inputs of the other."""
        judge = self._folds[(place + 1) % len(self._folds)]
        outside = self._folds[place]
        inside = np.setdiff1d(np.arange(len(self._y)), np.concatenate([outside, judge]))
        x = self._prepared_for(made, place, np.concatenate([inside, judge])) if made.prepares else self._x
        part = Problem(
            self._problem.kind,
            x[inside],
            self._y[inside],
            self._groups[inside],
            x[judge],
            self._y[judge],
            self._groups[judge],
            derive(self._problem.seed, "fold", str(place)),
            folds_if_few=False,
        )
        return made, part, x[outside]

    def _prepared_for(self, made: TabularLearner, place: int, rows: NDArray[np.int64]) -> Floats:
        key = (place, made.curved)
        if key not in self._prepared:
            preparation = Preparation.fit(self._x[rows], curved=made.curved)
            found = preparation, preparation.transform(self._x)
            if found[1].nbytes * 2 * len(self._folds) > _MOST_KEPT:
                return found[1]
            self._prepared[key] = found
        return self._prepared[key][1]

    def _name(self, folds: int) -> str:
        """Name these samples and folds, so that another search does not go on from this one."""
        plain = np.ascontiguousarray(np.nan_to_num(self._x, nan=-9e9)).tobytes()
        asked = repr((folds, self._problem.seed, self._problem.kind, sorted(self._candidates)))
        return sha256_bytes(plain + self._y.tobytes() + asked.encode())[:16]

    def _keep(self, done: Tried, drawn: dict[str, Any]) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        content = done.to_json() | {"seconds": done.seconds, "drawn": drawn, "loss": done.loss}
        if done.scores is not None:
            np.save(self._folder / f"{done.number:04}.npy", done.scores, allow_pickle=False)
        # the scores come first: a trial counts once its line is there
        write_text(
            self._folder / f"{done.number:04}.json", json.dumps(content, ensure_ascii=False, sort_keys=True)
        )
        table = pl.DataFrame(
            [
                one.to_json() | {"seconds": one.seconds, "parameters": json.dumps(one.parameters)}
                for one in self.tried
            ],
            schema_overrides={"loss": pl.Float64},
        )
        write_text(self._folder / "trials.csv", table.write_csv())

    def _resume(self, study: "optuna.Study") -> None:
        """Take up the trials that an earlier search kept, in order; the first gap ends them."""
        while self._folder is not None and (path := self._folder / f"{len(self.tried):04}.json").is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            scores = path.with_suffix(".npy")
            if content["learner"] not in self._candidates:
                return
            done = Tried(
                content["trial"],
                content["learner"],
                content["parameters"],
                content["loss"],
                content["seconds"],
                np.load(scores, allow_pickle=False) if scores.is_file() else None,
                content["why"],
            )
            study.enqueue_trial(content["drawn"])
            trial = study.ask()
            if content["drawn"]:
                trial.suggest_categorical("learner", sorted(self._candidates))
                draw(trial, done.learner)
            _tell(study, trial, done)
            self.tried.append(done)


def _scored(fold: tuple[TabularLearner, Problem, Floats]) -> Floats:
    """Learn from a fold's problem and score the inputs left out."""
    made, part, outside = fold
    return scores_of(part.kind, made._learn(part).predict(outside))


def _selected(kind: Kind, y: Floats, scores: Floats) -> Floats:
    """Select forward with replacement: labels (n, k), scores (m, n, k) → shares (m,) that sum to 1."""
    total, counts = np.zeros_like(scores[0]), np.zeros(len(scores))
    best, best_counts = np.inf, counts
    for size in range(1, _ROUNDS + 1):
        losses = [loss(kind, y, answers_of(kind, (total + own) / size)) for own in scores]
        place = int(np.argmin(losses))
        counts = counts + (np.arange(len(scores)) == place)
        total = total + scores[place]
        if losses[place] < best:
            best, best_counts = losses[place], counts
    shares: Floats = best_counts / best_counts.sum()
    return shares


def _evenly(pool: Sequence[Tried]) -> Floats:
    """Share evenly between the best trials of learners that come near the best of all; `pool` begins with that."""
    shares, seen = np.zeros(len(pool)), set()
    for place, one in enumerate(pool):
        if one.learner not in seen and float(one.loss or 0) <= _NEAR * float(pool[0].loss or 0):
            shares[place] = 1
        seen.add(one.learner)
    even: Floats = shares / shares.sum()
    return even


def _cost(learner: str) -> float:
    return COSTS.get(learner, 1.0)


def _tell(study: "optuna.Study", trial: "optuna.Trial", done: Tried) -> None:
    import optuna

    if done.loss is None:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, done.loss)


def _candidates(kind: Kind, names: Sequence[str] | None) -> dict[str, type[TabularLearner]]:
    """Find the learners to choose from; without names, those of other packages too."""
    found: dict[str, type[TabularLearner]] = {}
    for name in registry.registered("medloom.learners") if names is None else names:
        one = registry.load("medloom.learners", name)
        if issubclass(one, TabularLearner) and one is not AutoLearner and kind in one.kinds:
            found[name] = one
        elif names is not None:
            raise InputError(
                "learner {name!r} cannot be searched for a {kind} question; choose among tabular learners that "
                "answer it",
                name=name,
                kind=kind,
            )
    return found


def _member(
    problem: Problem, chosen: tuple[type[TabularLearner], str, dict[str, Any], float]
) -> Member[Estimator]:
    return _learned_again(problem, *chosen)


def _learned_again(
    problem: Problem, made: type[TabularLearner], learner: str, parameters: dict[str, Any], weight: float
) -> Member[Estimator]:
    """Learn a chosen setting from all samples of train and tuning."""
    member, preparation = made(**parameters), None
    part = problem
    if member.prepares:
        preparation = Preparation.fit(problem.together()[0], curved=member.curved)
        tuning = preparation.transform(problem.x_tuning) if len(problem.y_tuning) else np.empty((0, 0))
        part = replace(problem, x=preparation.transform(problem.x), x_tuning=tuning)
    return Member(learner, parameters, weight, preparation, member._learn(part))
