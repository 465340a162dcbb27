"""Whether a model is as good for some as for others: rates within groups, and the gaps between them.

Equal opportunity and equalised odds (Hardt, Price and Srebro, NeurIPS 2016), demographic parity, predictive parity and
calibration within groups (Kleinberg, Mullainathan and Raghavan, ITCS 2017, who show that they cannot all hold where
groups differ in how often the outcome occurs). Which of them matters is a person's to decide; so all are shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.discrimination import auroc
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_EACH, FEWEST_SUBJECTS
from medloom.evidence.subgroups import split_by
from medloom.evidence.tally import Floats, Tally, rank, ratio
from medloom.evidence.threshold import at_threshold
from medloom.foundation.messages import Text2, text2

RATES: Final = (
    "selection_rate",
    "sensitivity",
    "false_positive_rate",
    "ppv",
    "observed_to_expected",
    "auroc",
)
"""What is measured in every group, when predictions ≥ a threshold are flagged."""

_NEEDS_EVENTS: Final = {"sensitivity", "auroc"}
_NEEDS_OTHERS: Final = {"false_positive_rate", "auroc"}
# Pairs of groups ("women of 80 and more") are compared only where a rate among them means something.
_FEWEST_IN_PAIR: Final = 50


@dataclass(frozen=True)
class Fairness:
    """One dimension (sex, age, …): rates by group, and how far the groups lie apart.

    Attributes:
        threshold: predictions at or above it are flagged.
        groups: group → rate → estimate.
        gaps: rate → largest difference between two groups, and `equalised_odds`: the larger of the gaps in
            sensitivity and false positive rate.
        between: rate → the groups with the lowest and the highest value.
    """

    threshold: float
    groups: dict[str, dict[str, Estimate]]
    gaps: dict[str, Estimate]
    between: dict[str, tuple[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Answer {"threshold", "groups", "gaps", "between"}."""
        return {
            "threshold": self.threshold,
            "groups": {
                group: {name: one.to_json() for name, one in rates.items()}
                for group, rates in self.groups.items()
            },
            "gaps": {name: one.to_json() for name, one in self.gaps.items()},
            "between": {name: list(pair) for name, pair in self.between.items()},
        }


def fairness(
    answers: Answers,
    sample_id: pl.Series,
    demographics: pl.DataFrame,
    threshold: float,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Fairness]:
    """Measure every dimension of `demographics`, and every pair of them with groups that are large enough.

    Args:
        answers: binary.
        sample_id: (n,), in the order of `answers`.
        demographics: `sample_id` and a column a dimension (`split_by`).
        threshold: predictions at or above it are flagged.
        replicates, seed: of the bootstrap; groups are resampled together, so that gaps have intervals.

    Gives a dimension only where at least two of its groups can be compared.
    """
    groups: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for dimension, name, chosen in split_by(sample_id, demographics):
        groups.setdefault(dimension, {})[name] = chosen
    found: dict[str, Fairness] = {}
    for dimension, parts in {**groups, **dict(_pairs(groups, answers))}.items():
        large = {
            name: chosen for name, chosen in parts.items() if _people(answers, chosen) >= FEWEST_SUBJECTS
        }
        if len(large) > 1:
            found[dimension] = _compared(answers, large, threshold, replicates, seed, dimension)
    return found


def _pairs(
    groups: Mapping[str, Mapping[str, NDArray[np.bool_]]], answers: Answers
) -> Iterator[tuple[str, dict[str, NDArray[np.bool_]]]]:
    for one, other in combinations(groups, 2):
        both = {
            f"{first} × {second}": chosen & also
            for first, chosen in groups[one].items()
            for second, also in groups[other].items()
        }
        large = {name: chosen for name, chosen in both.items() if _people(answers, chosen) >= _FEWEST_IN_PAIR}
        if len(large) > 1:
            yield f"{one} × {other}", large


def _people(answers: Answers, chosen: NDArray[np.bool_]) -> int:
    return int(np.unique(answers.group[chosen]).size)


class _Rates:
    """Measures all groups of a dimension with weights (b, n); a sample is in one group at most.

    Every sample has one cell: its group, step of risk, and outcome. A resample is counted once for all groups.
    """

    def __init__(self, answers: Answers, groups: Mapping[str, NDArray[np.bool_]], threshold: float) -> None:
        self._threshold = threshold
        self._steps: dict[str, tuple[int, Floats]] = {}
        self._cell = np.zeros(len(answers), dtype=np.intp)  # the first cell holds who is in no group
        self._cells = 1
        for name, chosen in groups.items():
            ranking = rank(answers.truth[chosen], answers.predicted[chosen]).coarse([threshold])
            self._steps[name] = self._cells, ranking.score
            self._cell[chosen] = self._cells + ranking.cell
            self._cells += 2 * ranking.score.size

    def __call__(self, weight: Floats) -> dict[str, Floats]:
        counted = np.asarray([np.bincount(self._cell, row, self._cells) for row in weight], np.float64)
        out: dict[str, Floats] = {}
        for name, (first, score) in self._steps.items():
            own = counted[:, first : first + 2 * score.size].reshape(len(weight), -1, 2)
            found = self._rates(Tally(score, own[..., 1], own[..., 0]))
            out |= {f"{rate}.{name}": value for rate, value in found.items()}
        return out

    def _rates(self, counted: Tally) -> dict[str, Floats]:
        at = at_threshold(counted, self._threshold)
        return {
            "selection_rate": at["flagged_per_100"] / 100,
            "sensitivity": at["sensitivity"],
            "false_positive_rate": 1 - at["specificity"],
            "ppv": at["ppv"],
            "observed_to_expected": ratio(counted.positive.sum(axis=-1), counted.total @ counted.score),
            "auroc": auroc(counted),
        }


def _compared(
    answers: Answers,
    groups: Mapping[str, NDArray[np.bool_]],
    threshold: float,
    replicates: int,
    seed: int,
    dimension: str,
) -> Fairness:
    measure = _Rates(answers, groups, threshold)
    whole = measure(np.ones((1, len(answers))))
    drawn = bootstrap(measure, answers.group, replicates, seed, "fairness", dimension)
    reasons = {name: _too_few(answers, chosen) for name, chosen in groups.items()}
    rates: dict[str, dict[str, Estimate]] = {name: {} for name in groups}
    for rate in RATES:
        for name in groups:
            reason = reasons[name].get(rate)
            at = f"{rate}.{name}"
            rates[name][rate] = (
                estimate(whole[at][0], drawn.get(at)) if reason is None else Estimate(None, reason=reason)
            )
    gaps: dict[str, Estimate] = {}
    between: dict[str, tuple[str, str]] = {}
    spreads: dict[str, Floats] = {}
    for rate in RATES:
        usable = [name for name in groups if rates[name][rate].value is not None]
        if len(usable) < 2:
            gaps[rate] = Estimate(None, reason=text2("fewer than two groups can be compared"))
            continue
        values = np.array([rates[name][rate].value for name in usable], dtype=np.float64)
        each = np.stack([drawn[f"{rate}.{name}"] for name in usable]) if drawn else None
        spreads[rate] = np.ptp(each, axis=0) if each is not None else np.empty(0)
        gaps[rate] = estimate(np.ptp(values), spreads[rate] if drawn else None)
        between[rate] = (usable[int(values.argmin())], usable[int(values.argmax())])
    gaps["equalised_odds"] = _equalised_odds(gaps, spreads)
    return Fairness(threshold, rates, gaps, between)


def _equalised_odds(gaps: Mapping[str, Estimate], spreads: Mapping[str, Floats]) -> Estimate:
    parts = [gaps["sensitivity"], gaps["false_positive_rate"]]
    unknown = next((part for part in parts if part.value is None), None)
    if unknown is not None:
        return unknown
    value = max(float(part.value or 0.0) for part in parts)
    each = [spreads["sensitivity"], spreads["false_positive_rate"]]
    return estimate(value, np.maximum(*each) if each[0].size else None)


def _too_few(answers: Answers, chosen: NDArray[np.bool_]) -> dict[str, Text2]:
    """Say which rates of a group rest on too few people, and why."""
    events = _people(answers, chosen & answers.truth)
    others = _people(answers, chosen & ~answers.truth)
    reasons: dict[str, Text2] = {}
    if others < FEWEST_EACH:
        few = text2("too few subjects without the outcome: {n}; at least {least} are needed",
                    n=others, least=FEWEST_EACH)  # fmt: skip
        reasons |= dict.fromkeys(_NEEDS_OTHERS, few)
    if events < FEWEST_EACH:
        few = text2("too few subjects with the outcome: {n}; at least {least} are needed",
                    n=events, least=FEWEST_EACH)  # fmt: skip
        reasons |= dict.fromkeys(_NEEDS_EVENTS, few)
    return reasons
