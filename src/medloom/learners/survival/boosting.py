"""Boosted trees under Cox's partial likelihood, by LightGBM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import boosted_contributions
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.folded import folded_hazards
from medloom.learners.survival.hazards import Baseline
from medloom.learners.survival.partial_likelihood import PartialLikelihood
from medloom.learners.survival.problem import Problem, Trial
from medloom.tasks.survival import Curves
from medloom.training.arrays import read_array, write_arrays

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]

_LEAST_CURVATURE: Final = 1e-6


class BoostedHazards(SurvivalEstimator):
    """The mean log-hazard of several boosted models, once an event, over a baseline."""

    method = "TreeSHAP, path-dependent (Lundberg et al. 2020), by LightGBM"
    scale = "log-hazard"

    def __init__(
        self, baseline: Baseline, boosters: Sequence[Sequence[lightgbm.Booster]], slope: Floats, level: Floats
    ) -> None:
        self.times = baseline.times
        self.baseline = baseline
        self.boosters = tuple(tuple(each) for each in boosters)  # an event: its models
        self.slope, self.level = slope, level  # (k,) what raw scores are stretched and shifted by

    def curves(self, x: NDArray[np.floating]) -> Curves:
        return self.baseline.curves(self.scores(x))

    def scores(self, x: NDArray[np.floating]) -> Floats:
        raw = [_mean([_asked(one, x) for one in each]) for each in self.boosters]
        scores: Floats = np.column_stack(raw) * self.slope + self.level
        return scores

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        divided = [
            boosted_contributions(_mean([_asked(one, x, pred_contrib=True) for one in each]), 1)
            for each in self.boosters
        ]
        values = np.concatenate([one.values for one in divided], axis=1) * self.slope[:, None]
        baseline = np.concatenate([one.baseline for one in divided]) * self.slope + self.level
        return Contributions(values, baseline).gathered(sources, n_inputs)

    def importance(self) -> Floats:
        gains = [one.feature_importance("gain") for each in self.boosters for one in each]
        total: Floats = np.sum(gains, axis=0, dtype=np.float64)
        return total

    def write(self, folder: Path) -> None:
        write_arrays(
            folder, times=self.times, hazard=self.baseline.hazard, slope=self.slope, level=self.level
        )
        for event, each in enumerate(self.boosters):
            for place, one in enumerate(each):
                (folder / f"booster-{event}-{place}.txt").write_text(one.model_to_string(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        import lightgbm

        times, hazard, slope, level = (
            read_array(folder, name) for name in ("times", "hazard", "slope", "level")
        )
        boosters = [
            [
                lightgbm.Booster(
                    model_str=(folder / f"booster-{event}-{place}.txt").read_text(encoding="utf-8")
                )
                for place in range(len(list(folder.glob(f"booster-{event}-*.txt"))))
            ]
            for event in range(len(hazard))
        ]
        return cls(Baseline(times, hazard), boosters, slope, level)


@dataclass(frozen=True)
class Boosting:
    """How one model is boosted.

    Attributes:
        parameters: of LightGBM.
        max_rounds: trees at most.
        patience: trees without gain on the samples judged by before it stops.
    """

    parameters: dict[str, Any]
    max_rounds: int
    patience: int

    def boosted(self, trial: Trial, seed: int) -> lightgbm.Booster:
        """Boost log-hazards of one event, stopped early."""
        import lightgbm

        outcomes, judge = trial.outcomes, trial.judge
        likelihood, judged_by = PartialLikelihood(outcomes), PartialLikelihood(judge)

        def slopes(scores: Floats, _: Any) -> tuple[Floats, Floats]:
            _, gradient, curvature = likelihood.slopes(scores)
            return gradient * len(outcomes), np.maximum(curvature * len(outcomes), _LEAST_CURVATURE)

        def loss(scores: Floats, _: Any) -> tuple[str, float, bool]:
            return "partial likelihood", judged_by.loss(scores), False

        parameters = self.parameters | {"objective": slopes, "metric": "None", "seed": seed}
        nothing = np.zeros(len(outcomes))
        learned = lightgbm.Dataset(trial.x, nothing, params=self.parameters, free_raw_data=True)
        valid = lightgbm.Dataset(
            trial.x_judge, np.zeros(len(judge)), reference=learned, params=self.parameters
        )
        stop = lightgbm.early_stopping(self.patience, verbose=False)
        booster = lightgbm.train(
            parameters, learned, self.max_rounds, valid_sets=[valid], feval=loss, callbacks=[stop]
        )
        # only the rounds up to the best are kept, as they are when it is read back
        return lightgbm.Booster(
            model_str=booster.model_to_string(num_iteration=max(booster.best_iteration, 1))
        )


def learned_hazards(problem: Problem, boosting: Boosting, n_models: int) -> BoostedHazards:
    """Boost a model a fold for each event."""
    found = folded_hazards(problem, n_models, "boosting", boosting.boosted, _asked)
    return BoostedHazards(found.baseline, found.parts, found.slope, found.level)


def _mean(each: Sequence[Floats]) -> Floats:
    total = each[0]
    for more in each[1:]:
        total = total + more
    return total / len(each)


def _asked(booster: lightgbm.Booster, x: NDArray[np.floating], **what: bool) -> Any:
    # starting threads takes longer than a few rows do
    more: dict[str, Any] = {"num_threads": 1} if len(x) < 32 else {}
    return booster.predict(x, raw_score=not what, **what, **more)
