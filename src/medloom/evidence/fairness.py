"""Whether a model is as good for some as for others: what is measured within groups, and the gaps between them.

Equal opportunity and equalised odds (Hardt, Price and Srebro, NeurIPS 2016), demographic parity, predictive parity and
calibration within groups (Kleinberg, Mullainathan and Raghavan, ITCS 2017, who show that they cannot all hold where
groups differ in how often the outcome occurs). Which of them matters is a person's to decide; so all are shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.group_rates import RATES, GroupRates, Groups, rates_of
from medloom.evidence.intervals import LEVEL, REPLICATES, bootstrap, estimate
from medloom.evidence.subgroups import split_by
from medloom.evidence.tally import Floats
from medloom.foundation.messages import text2

__all__ = ["RATES", "Fairness", "compare", "dimensions_of", "fairness"]

EQUALISED_ODDS = "equalised_odds"
# Pairs of groups ("women of 80 and more") are compared only where a rate among them means something.
_FEWEST_IN_PAIR = 50


@dataclass(frozen=True)
class Fairness:
    """One dimension (sex, age, …): what was measured by group, and how far the groups lie apart.

    Attributes:
        threshold: risks at or above it are flagged; None where there are no risks to flag.
        groups: group → rate → estimate.
        gaps: rate → difference between the groups with the highest and the lowest value; and `equalised_odds`, where
            something is chosen: the larger of the gaps in sensitivity and false positive rate, over all classes. The
            interval is that of the difference between the same two groups, and so may reach below nought.
        between: rate → the groups with the lowest and the highest value.
        chance: gap → share of resamples in which as many groups of these sizes that do not differ lie as far apart;
            the more groups there are, the further apart some of them lie, which the interval of a gap does not tell.
    """

    threshold: float | None
    groups: dict[str, dict[str, Estimate]]
    gaps: dict[str, Estimate]
    between: dict[str, tuple[str, str]]
    chance: dict[str, float] = field(default_factory=dict)

    def apart(self, name: str) -> bool:
        """Tell whether a gap is larger than chance makes that of as many groups."""
        gap = self.gaps.get(name)
        return gap is not None and (gap.low or 0) > 0 and self.chance.get(name, 1.0) < 1 - LEVEL

    def to_json(self) -> dict[str, Any]:
        """Answer {"threshold", "groups", "gaps", "between", "chance"}."""
        return {
            "threshold": self.threshold,
            "groups": {
                group: {name: one.to_json() for name, one in rates.items()}
                for group, rates in self.groups.items()
            },
            "gaps": {name: one.to_json() for name, one in self.gaps.items()},
            "between": {name: list(pair) for name, pair in self.between.items()},
            "chance": self.chance,
        }


def fairness(
    answers: Answers,
    sample_id: pl.Series,
    demographics: pl.DataFrame,
    threshold: float = 0.5,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Fairness]:
    """Measure every dimension of `demographics`, and every pair of them with groups that are large enough.

    Args:
        answers: of any kind; see `group_rates` for what is measured of each.
        sample_id: (n,), in the order of `answers`.
        demographics: `sample_id` and a column a dimension (`split_by`).
        threshold: of a binary question: predictions at or above it are flagged.
        replicates, seed: of the bootstrap; groups are resampled together, so that gaps have intervals.

    A dimension is there where it has two groups; a group that is too small is named with the reason.

    >>> from medloom.evidence.answers import regression_answers
    >>> answers = regression_answers(np.arange(40.0), np.arange(40.0) + np.tile([0.0, 2.0], 20))
    >>> people = pl.DataFrame({"sample_id": range(40), "sex": ["F", "M"] * 20})
    >>> found = fairness(answers, people["sample_id"], people, replicates=20)["sex"]
    >>> found.gaps["mean_error"].value, found.between["mean_error"]
    (2.0, ('F', 'M'))
    """
    single, pairs = dimensions_of(answers.group, sample_id, demographics)
    measures = {name: rates_of(answers, groups, threshold) for name, groups in single.items()}
    # Calibration takes longest, and pairs have the fewest people for it.
    measures |= {
        name: rates_of(answers, groups, threshold, calibrated=False) for name, groups in pairs.items()
    }
    return compare(measures, answers.group, threshold if answers.kind == "binary" else None, replicates, seed)


def dimensions_of(
    group: NDArray[np.intp], sample_id: pl.Series, demographics: pl.DataFrame
) -> tuple[dict[str, Groups], dict[str, Groups]]:
    """Give the groups (n,) of every dimension that has two, and of every pair of dimensions with two large ones.

    `group`: (n,) numbers of what is resampled together (subjects); `sample_id`: (n,).
    """
    single: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for dimension, name, chosen in split_by(sample_id, demographics):
        single.setdefault(dimension, {})[name] = chosen
    pairs = dict(_pairs(single, group))
    return {name: groups for name, groups in single.items() if len(groups) > 1}, dict(pairs)


def compare(
    measures: Mapping[str, GroupRates],
    group: NDArray[np.intp],
    threshold: float | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Fairness]:
    """Compare the groups of each dimension, all on the same resamples of `group` (n,)."""
    measured = {name: one for name, one in measures.items() if _usable(one)}

    def together(weight: Floats) -> dict[str, Floats]:
        return {
            _place(dimension, *at): value
            for dimension, measure in measured.items()
            for at, value in measure(weight).items()
        }

    whole = {name: float(one[0]) for name, one in together(np.ones((1, group.size))).items()}
    drawn = bootstrap(together, group, replicates, seed, "fairness") if whole else {}
    return {
        dimension: _compared(dimension, measure, threshold, whole, drawn)
        for dimension, measure in measures.items()
    }


def _usable(measure: GroupRates) -> bool:
    return any(len(reasons) < len(measure.rates) for reasons in measure.reasons.values())


def _place(dimension: str, rate: str, name: str) -> str:
    return "\x1f".join((dimension, rate, name))


def _pairs(
    groups: Mapping[str, Mapping[str, NDArray[np.bool_]]], subject: NDArray[np.intp]
) -> Iterator[tuple[str, Groups]]:
    for one, other in combinations(groups, 2):
        both = {
            f"{first} × {second}": chosen & also
            for first, chosen in groups[one].items()
            for second, also in groups[other].items()
        }
        large = {
            name: chosen
            for name, chosen in both.items()
            if np.unique(subject[chosen]).size >= _FEWEST_IN_PAIR
        }
        if len(large) > 1:
            yield f"{one} × {other}", large


def _compared(
    dimension: str,
    measure: GroupRates,
    threshold: float | None,
    whole: Mapping[str, float],
    drawn: Mapping[str, Floats],
) -> Fairness:
    groups: dict[str, dict[str, Estimate]] = {name: {} for name in measure.reasons}
    gaps: dict[str, Estimate] = {}
    between: dict[str, tuple[str, str]] = {}
    noise: dict[str, Floats] = {}
    for rate in measure.rates:
        for name, reasons in measure.reasons.items():
            at, reason = _place(dimension, rate, name), reasons.get(rate)
            groups[name][rate] = (
                estimate(whole[at], drawn.get(at)) if reason is None else Estimate(None, reason=reason)
            )
        values = {name: value for name, rates in groups.items() if (value := rates[rate].value) is not None}
        if len(values) < 2:
            gaps[rate] = Estimate(None, reason=text2("fewer than two groups can be compared"))
            continue
        low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
        each = (_place(dimension, rate, high), _place(dimension, rate, low))
        gaps[rate] = estimate(values[high] - values[low], drawn[each[0]] - drawn[each[1]] if drawn else None)
        between[rate] = (low, high)
        if drawn:
            around = [drawn[_place(dimension, rate, name)] - value for name, value in values.items()]
            noise[rate] = np.ptp(np.stack(around), axis=0)
    if measure.odds:
        known = [name for pair in measure.odds if all(one in between for one in pair) for name in pair]
        gaps[EQUALISED_ODDS] = _largest(gaps, known, measure.odds)
        if known and drawn:
            noise[EQUALISED_ODDS] = np.max([noise[name] for name in known], axis=0)
    chance = {name: share for name, one in noise.items() if (share := _chance(gaps[name], one)) is not None}
    return Fairness(threshold, groups, gaps, between, chance)


def _largest(
    gaps: Mapping[str, Estimate], known: Sequence[str], odds: tuple[tuple[str, str], ...]
) -> Estimate:
    """Take the largest of the gaps in sensitivity and false positive rate, of the classes of which both are known."""
    if known:
        return max((gaps[name] for name in known), key=lambda one: one.value or 0.0)
    return next(gaps[name] for pair in odds for name in pair if gaps[name].value is None)


def _chance(gap: Estimate, noise: Floats) -> float | None:
    """Give the share of resamples (r,) that spread groups of the same value as far; None where no interval is given."""
    if gap.value is None or gap.low is None:
        return None
    return float((noise[np.isfinite(noise)] >= gap.value).mean())
