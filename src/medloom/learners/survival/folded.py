"""Hazards learned a model a fold and an event; what each says of the samples left out makes slope and baseline.

Scores of the samples that a model learned from are too extreme, and a baseline made from them would be too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.seeds import derive
from medloom.learners.survival.hazards import Baseline
from medloom.learners.survival.partial_likelihood import PartialLikelihood
from medloom.learners.survival.problem import Problem, Trial
from medloom.tasks.survival import Outcomes

Floats = NDArray[np.float64]
Part = TypeVar("Part")


@dataclass(frozen=True)
class FoldedHazards(Generic[Part]):
    """Models a fold for each of k events, and how their mean scores become hazards.

    Attributes:
        parts: an event: its models.
        slope, level: (k,) what mean scores are multiplied by and shifted by.
        baseline: for a score of 0 after that.
    """

    parts: list[list[Part]]
    slope: Floats
    level: Floats
    baseline: Baseline


def folded_hazards(
    problem: Problem,
    folds: int,
    name: str,
    learned: Callable[[Trial, int], Part],
    asked: Callable[[Part, Any], Floats],
) -> FoldedHazards[Part]:
    """Learn a model a fold for each event.

    Args:
        problem: to learn.
        folds: and models an event.
        name: of what is drawn at random.
        learned: learns one event's log-hazards from a trial and a seed.
        asked: gives a model's log-hazards (n,) for inputs (n, c).
    """
    x, outcomes = problem.together()
    divided = problem.folds(folds)
    left_out = np.sort(np.concatenate([outside for _, outside in divided]))
    parts: list[list[Part]] = []
    unseen = np.zeros((len(outcomes), outcomes.causes))
    for cause in range(1, outcomes.causes + 1):
        own, each = outcomes.of(cause), []
        for place, (inside, outside) in enumerate(divided):
            seed = derive(problem.seed, name, str(cause), str(place)) & 0x7FFFFFFF
            part = learned(Trial(x[inside], own[inside], x[outside], own[outside]), seed)
            unseen[outside, cause - 1] = asked(part, x[outside])
            each.append(part)
        parts.append(each)
    unseen, known = unseen[left_out], outcomes[left_out]
    slope = np.array([_slope(unseen[:, column], known.of(column + 1)) for column in range(known.causes)])
    level = -slope * unseen.mean(axis=0)
    return FoldedHazards(parts, slope, level, Baseline.of(known, unseen * slope + level, problem.times))


def _slope(scores: Floats, outcomes: Outcomes) -> float:
    """Find what log-hazards must be multiplied by to fit best, from 0.05 to 2: calibration's slope."""
    from scipy.optimize import minimize_scalar

    if np.ptp(scores) == 0:
        return 1.0
    likelihood = PartialLikelihood(outcomes)
    found = minimize_scalar(
        lambda slope: likelihood.loss(scores * slope), bounds=(0.05, 2.0), method="bounded"
    )
    return float(found.x)
