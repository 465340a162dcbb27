"""What making a model fairer changes, and what it costs: before and after, for all and within groups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.calibration import calibration_intercept
from medloom.evidence.discrimination import auroc
from medloom.evidence.estimate import Estimate
from medloom.evidence.fairness import EQUALISED_ODDS
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_EACH, why_nothing
from medloom.evidence.tally import Floats, Ranking, rank, ratio
from medloom.foundation.messages import Text2, text2

PRICED: Final = (
    "auroc",
    "sensitivity",
    "false_positive_rate",
    "ppv",
    "net_benefit",
    "selection_rate",
    "observed_to_expected",
    "calibration_intercept",
)
"""What is measured before and after, of all and within each group."""

GAPS: Final = (
    EQUALISED_ODDS,
    "sensitivity",
    "false_positive_rate",
    "selection_rate",
    "ppv",
    "observed_to_expected",
)
GOALS: Final = {
    "equalised_odds": EQUALISED_ODDS,
    "equal_opportunity": "sensitivity",
    "demographic_parity": "selection_rate",
}
"""Aim → the gap that is to close."""

EVERYBODY: Final = ""
_ODDS: Final = ("sensitivity", "false_positive_rate")
_WHEN: Final = ("before", "after")


@dataclass(frozen=True)
class Change:
    """One number before and after, and by how much it is larger after (paired)."""

    before: Estimate
    after: Estimate
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Answer {"before", "after", "difference"}."""
        return {name: getattr(self, name).to_json() for name in (*_WHEN, "difference")}


@dataclass(frozen=True)
class Decisions:
    """Risks (n,) and who is flagged (n,) bool."""

    risk: Floats
    flagged: NDArray[np.bool_]


@dataclass(frozen=True)
class Price:
    """What a mitigation changed, on samples that nothing was learned from.

    Attributes:
        by: what people are grouped by.
        method, aim: what was done, and what for.
        threshold: the one that flagged before; what a false alarm costs in net benefit follows from it.
        thresholds: group → threshold afterwards; empty where it is the same for all.
        n, n_subjects: how many it was measured on.
        overall: rate → change, of all.
        groups: group → rate → change.
        gaps: rate → change of the difference between the groups with the highest and the lowest value.
        between: rate → those two groups, before and after.
        model, before: names of the new and the old model.
    """

    by: str
    method: str
    aim: str
    threshold: float
    thresholds: dict[str, float]
    n: int
    n_subjects: int
    overall: dict[str, Change]
    groups: dict[str, dict[str, Change]]
    gaps: dict[str, Change]
    between: dict[str, tuple[tuple[str, str], tuple[str, str]]]
    model: str = ""
    before: str = ""

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values; reasons in English."""
        return {
            **{name: getattr(self, name) for name in ("by", "method", "aim", "threshold", "thresholds")},
            **{name: getattr(self, name) for name in ("n", "n_subjects", "model", "before")},
            "overall": {name: one.to_json() for name, one in self.overall.items()},
            "groups": {
                group: {name: one.to_json() for name, one in rates.items()}
                for group, rates in self.groups.items()
            },
            "gaps": {name: one.to_json() for name, one in self.gaps.items()},
            "between": {
                name: dict(zip(_WHEN, map(list, pairs), strict=True)) for name, pairs in self.between.items()
            },
            "reasons": {
                f"{place}.{name}": one.after.reason.en
                for place, rates in {"overall": self.overall, "gaps": self.gaps, **self.groups}.items()
                for name, one in rates.items()
                if one.after.reason is not None
            },
        }


def price(
    answers: Answers,
    names: NDArray[np.str_],
    before: Decisions,
    after: Decisions,
    *,
    by: str,
    method: str,
    aim: str,
    threshold: float,
    thresholds: Mapping[str, float] | None = None,
    model: str = "",
    earlier: str = "",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Price:
    """Measure what changed between two ways to decide about the same samples.

    Args:
        answers: the outcomes of a binary question; who is resampled together.
        names: (n,) each sample's group.
        before, after: the decisions.
        by, method, aim, threshold, thresholds, model: as in `Price`.
        earlier: the name of the old model.
        replicates, seed: of the bootstrap over patients.
    """
    groups = {EVERYBODY: np.ones(len(answers), dtype=bool)}
    groups |= {name: names == name for name in np.unique(names).tolist()}
    both = dict(zip(_WHEN, (before, after), strict=True))
    reasons = {
        name: {when: _reasons(answers.where(chosen), one.flagged[chosen]) for when, one in both.items()}
        for name, chosen in groups.items()
    }
    measures = {
        (when, name): _Measure(answers.truth[chosen], one.risk[chosen], one.flagged[chosen], threshold)
        for when, one in both.items()
        for name, chosen in groups.items()
        if len(reasons[name][when]) < len(PRICED)
    }

    def together(weight: Floats) -> dict[str, Floats]:
        return {
            _place(when, rate, name): value
            for (when, name), measure in measures.items()
            for rate, value in measure(weight[:, groups[name]]).items()
            if rate not in reasons[name][when]
        }

    whole = {name: float(one[0]) for name, one in together(np.ones((1, len(answers)))).items()}
    drawn = bootstrap(together, answers.group, replicates, seed, "mitigation") if whole else {}

    def change(rate: str, name: str) -> Change:
        found = []
        for when in _WHEN:
            why, at = reasons[name][when].get(rate), _place(when, rate, name)
            found.append(estimate(whole[at], drawn.get(at)) if why is None else Estimate(None, reason=why))
        return _change(found[0], found[1], *(drawn.get(_place(when, rate, name)) for when in _WHEN))

    within = {name: {rate: change(rate, name) for rate in PRICED} for name in groups}
    overall = within.pop(EVERYBODY)
    gaps: dict[str, Change] = {}
    between: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {}
    spreads: dict[str, tuple[_Gap, _Gap]] = {}
    for rate in GAPS[1:]:
        ends = tuple(_gap(within, rate, when, drawn) for when in _WHEN)
        if ends[0] is None or ends[1] is None:
            gaps[rate] = _unknown(text2("fewer than two groups can be compared"))
            continue
        spreads[rate] = ends[0], ends[1]
        gaps[rate] = _between(ends[0], ends[1])
        between[rate] = ends[0].pair, ends[1].pair
    missing = next((gaps[rate] for rate in _ODDS if rate not in spreads), None)
    gaps[EQUALISED_ODDS] = missing or _between(
        *(_larger(*(spreads[rate][at] for rate in _ODDS)) for at in (0, 1))
    )
    return Price(
        by, method, aim, threshold, dict(thresholds or {}), len(answers), answers.groups, overall, within,
        {rate: gaps[rate] for rate in GAPS}, between, model, earlier,
    )  # fmt: skip


class _Measure:
    """Everything that is priced, of one group and one way to decide."""

    def __init__(
        self, truth: NDArray[np.bool_], risk: Floats, flagged: NDArray[np.bool_], threshold: float
    ) -> None:
        columns = [truth & flagged, ~truth & flagged, truth, ~truth, risk]
        self._columns = np.stack(columns, axis=1).astype(np.float64)
        self._ranking: Ranking = rank(truth, risk).coarse()
        self._cost = threshold / (1 - threshold)
        self._start = float(np.nan_to_num(calibration_intercept(self._ranking.tally())))

    def __call__(self, weight: Floats) -> dict[str, Floats]:
        found, alarms, events, others, expected = np.moveaxis(weight @ self._columns, -1, 0)
        counted, everyone = self._ranking.tally(weight), events + others
        return {
            "auroc": auroc(counted),
            "sensitivity": ratio(found, events),
            "false_positive_rate": ratio(alarms, others),
            "ppv": ratio(found, found + alarms),
            "net_benefit": ratio(found - alarms * self._cost, everyone),
            "selection_rate": ratio(found + alarms, everyone),
            "observed_to_expected": ratio(events, expected),
            "calibration_intercept": calibration_intercept(counted, self._start),
        }


@dataclass(frozen=True)
class _Gap:
    """How far groups lie apart: between the lowest and the highest, in each resample too.

    `spread`: between whichever two are farthest apart in the resample. Of a change that is the better measure, as it
    does not jump where another group comes last.
    """

    pair: tuple[str, str]
    value: float
    draws: Floats | None
    spread: Floats | None


def _gap(
    within: Mapping[str, Mapping[str, Change]], rate: str, when: str, drawn: Mapping[str, Floats]
) -> _Gap | None:
    values = {
        name: value
        for name, rates in within.items()
        if (value := getattr(rates[rate], when).value) is not None
    }
    if len(values) < 2:
        return None
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    if not drawn:
        return _Gap((low, high), values[high] - values[low], None, None)
    each = {name: drawn[_place(when, rate, name)] for name in values}
    return _Gap(
        (low, high),
        values[high] - values[low],
        each[high] - each[low],
        np.ptp(np.stack(list(each.values())), axis=0),
    )


def _between(before: _Gap, after: _Gap) -> Change:
    return _change(
        estimate(before.value, before.draws), estimate(after.value, after.draws), before.spread, after.spread
    )


def _larger(one: _Gap, other: _Gap) -> _Gap:
    kept = max(one, other, key=lambda gap: gap.value)
    both = None if one.spread is None or other.spread is None else np.maximum(one.spread, other.spread)
    return replace(kept, spread=both)


def _change(before: Estimate, after: Estimate, old: Floats | None, new: Floats | None) -> Change:
    if before.value is None or after.value is None:
        return Change(before, after, Estimate(None, reason=before.reason or after.reason))
    draws = None if old is None or new is None else new - old
    return Change(before, after, estimate(after.value - before.value, draws))


def _unknown(why: Text2) -> Change:
    none = Estimate(None, reason=why)
    return Change(none, none, none)


def _place(when: str, rate: str, name: str) -> str:
    return "\x1f".join((when, rate, name))


def _reasons(part: Answers, flagged: NDArray[np.bool_]) -> dict[str, Text2]:
    nothing = why_nothing(part)
    if nothing is not None:
        return dict.fromkeys(PRICED, nothing)
    reasons: dict[str, Text2] = {}
    events, others = (int(np.unique(part.group[which]).size) for which in (part.truth, ~part.truth))
    if others < FEWEST_EACH:
        few = text2("too few subjects without the outcome; at least {least} are needed",
                    least=FEWEST_EACH)  # fmt: skip
        reasons |= dict.fromkeys(("auroc", "false_positive_rate", "calibration_intercept"), few)
    if events < FEWEST_EACH:
        few = text2("too few subjects with the outcome; at least {least} are needed",
                    least=FEWEST_EACH)  # fmt: skip
        reasons |= dict.fromkeys(("auroc", "sensitivity", "calibration_intercept"), few)
    if not flagged.any():
        reasons["ppv"] = text2("there is nobody to take this share of")
    return reasons
