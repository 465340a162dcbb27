"""How good predicted curves of survival are: ranking, error and calibration under censoring.

Whoever is censored before a horizon is stood for by those like them who were followed
(inverse probability of censoring, the chance of it by Kaplan-Meier on the same samples,
an event before a censoring at the same time). All metrics take sample weights with
leading axes, one row a bootstrap replicate, and estimate that chance anew for each.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medloom.evidence.concordance import Concordance
from medloom.evidence.discrimination import auroc
from medloom.evidence.tally import Floats, Ranking, rank, ratio
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.nonparametric import Counted, Timeline, interval, step_at

FEWEST_AT_RISK: Final = 5
"""Samples that must still be followed at a horizon for anything to be said of it."""

_SHARE_AT_RISK: Final = 0.02
_D_BINS: Final = 10


def followed_until(outcomes: Outcomes) -> float:
    """Tell up to when enough samples are followed for errors to be measured: 5, and one in fifty.

    >>> followed_until(Outcomes(np.arange(1.0, 101.0), np.ones(100, dtype=np.int64)))
    95.0
    """
    time = np.sort(outcomes.time)
    needed = max(FEWEST_AT_RISK, int(np.ceil(_SHARE_AT_RISK * len(time))))
    if len(time) <= needed:
        return 0.0
    # strictly later than the answer there must be so many
    place = int(np.searchsorted(time, time[len(time) - needed], "left"))
    return float(time[place - 1]) if place else 0.0


@dataclass(frozen=True)
class Censoring:
    """The chance not to be censored, for some weights.

    Attributes:
        counted: at each distinct time.
        own: (..., n) by each sample's time.
    """

    counted: Counted
    own: Floats

    @classmethod
    def of(cls, timeline: Timeline, weight: Floats | None = None) -> "Censoring":
        """Estimate by Kaplan-Meier, censoring as the event."""
        counted = timeline.counted(weight)
        return cls(counted, step_at(counted.steps, counted.uncensored, timeline.outcomes.time, 1.0))

    def by(self, times: ArrayLike) -> Floats:
        """Read it at other times (t,): (..., t)."""
        return step_at(self.counted.steps, self.counted.uncensored, times, 1.0)

    @property
    def weight(self) -> Floats:
        """Give how many samples each stands for whose event is seen: (..., n); 0 where none can be."""
        return np.divide(1.0, self.own, out=np.zeros_like(self.own), where=self.own > 0)


def harrell(outcomes: Outcomes, risk: ArrayLike, cause: int = 1) -> float:
    """Compute Harrell's concordance. `risk`: (n,), higher: sooner. See `Concordance`.

    >>> harrell(Outcomes(np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1])), [3.0, 2.0, 1.0])
    1.0
    """
    return float(Concordance(outcomes, cause, np.asarray(risk, dtype=np.float64))())


def uno(outcomes: Outcomes, risk: ArrayLike, cause: int = 1, until: float | None = None) -> float:
    """Compute Uno's concordance of events before `until`, censoring estimated on the same samples."""
    censoring = Censoring.of(Timeline.of(outcomes))
    return float(
        Concordance(outcomes, cause, np.asarray(risk, dtype=np.float64))(
            uncensored=censoring.own, until=until
        )
    )


class DynamicAuc:
    """AUC of having had the event by a horizon, against being free of any event after it.

    With competing events whoever had another one is a control: Blanche, Stat Med
    2013;32:5381-5397, definition (ii). Cases stand for those censored before.

    Args:
        outcomes: of n samples.
        cause: numbered from 1.
        horizon: in the unit of time.
        risk: (n,) of the event by then.
    """

    def __init__(self, outcomes: Outcomes, cause: int, horizon: float, risk: Floats) -> None:
        early = outcomes.time <= horizon
        self._case = early & (outcomes.cause == cause)
        self._other = early & outcomes.happened & ~self._case
        self._free = ~early
        self._horizon = horizon
        self._ranking: Ranking = rank(self._case, risk)

    def __call__(self, censoring: Censoring, weight: Floats | None = None) -> Floats:
        """Compute it with sample weights (..., n)."""
        w = np.ones(len(self._case)) if weight is None else weight
        by = censoring.by([self._horizon])
        free = np.divide(1.0, by, out=np.zeros_like(by), where=by > 0)
        seen = np.where(self._case | self._other, censoring.weight, 0.0) + self._free * free
        return auroc(self._ranking.tally(w * seen))


class Brier:
    """Mean squared error of the chance of an event by each time. Graf, Stat Med 1999;18:2529-2545.

    Competing events: Schoop, Biom J 2011;53:88-112.

    Args:
        outcomes: of n samples.
        cause: numbered from 1.
        times: (t,).
        incidence: (n, t) chance of the event by each of them.
    """

    def __init__(self, outcomes: Outcomes, cause: int, times: Floats, incidence: Floats) -> None:
        early = outcomes.time[:, None] <= times
        case = early & (outcomes.cause == cause)[:, None]
        other = early & outcomes.happened[:, None] & ~case
        self._times = times
        self._seen = np.where(case, (1 - incidence) ** 2, 0.0) + np.where(other, incidence**2, 0.0)
        self._free = np.where(early, 0.0, incidence**2)

    def __call__(self, censoring: Censoring, weight: Floats | None = None) -> Floats:
        """Compute it with sample weights (..., n): (..., t)."""
        w = np.ones(len(self._seen)) if weight is None else weight
        by = censoring.by(self._times)
        seen = (w * censoring.weight) @ self._seen
        free = ratio(w @ self._free, by)
        error: Floats = (seen + np.where(by > 0, free, np.nan)) / w.sum(axis=-1)[..., None]
        return error


def integrated(values: Floats, times: Floats) -> Floats:
    """Average values (..., t) over time, by trapezia from the first time to the last.

    >>> float(integrated(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])))
    0.2
    """
    if len(times) < 2:
        return np.full(values.shape[:-1], np.nan)
    area = ((values[..., 1:] + values[..., :-1]) / 2 * np.diff(times)).sum(axis=-1)
    averaged: Floats = area / (times[-1] - times[0])
    return averaged


def time_lost(counted: Counted, until: float) -> Floats:
    """Give the time each event took away before `until`, of those observed: (..., k).

    The area under Aalen-Johansen's curve; for one event `until` less this is the restricted
    mean survival time. Royston and Parmar, BMC Med Res Methodol 2013;13:152.
    """
    inside = counted.steps < until
    edges = np.append(counted.steps[inside], until)
    lost: Floats = (counted.incidence[..., inside] * np.diff(edges)).sum(axis=-1)
    return lost


def d_calibration(outcomes: Outcomes, free: Floats, bins: int = _D_BINS) -> tuple[Floats, float]:
    """Count samples by the predicted chance to be event-free at their own time; test that bins are even.

    Whoever is censored counts in part in their own bin and in all lower ones. Haider, JMLR
    2020;21(85), section 3.5.

    Args:
        outcomes: of n samples and one event.
        free: (n,) predicted chance to be free of it at each sample's own time.
        bins: of equal width.

    Returns:
        counts (bins,), from the lowest chance on, and the p-value of Pearson's chi-square test.

    >>> outcomes = Outcomes(np.arange(10.0), np.ones(10, dtype=np.int64))
    >>> d_calibration(outcomes, np.linspace(0.05, 0.95, 10))
    (array([1., 1., 1., 1., 1., 1., 1., 1., 1., 1.]), 1.0)
    """
    from scipy.stats import chi2

    place = np.clip((free * bins).astype(np.int64), 0, bins - 1)
    happened = outcomes.happened
    counts = np.bincount(place[happened], minlength=bins).astype(np.float64)
    left, at = free[~happened], place[~happened]
    some = left > 0
    share = np.divide(1.0, left, out=np.zeros_like(left), where=some)
    lower = at / bins
    counts += np.bincount(at, np.where(some, (left - lower) * share, 1.0), minlength=bins)
    spread = np.where(some, share / bins, 0.0)
    counts += np.array([(spread * (at > one)).sum() for one in range(bins)])
    expected = len(outcomes) / bins
    statistic = ((counts - expected) ** 2 / expected).sum()
    return counts, float(chi2.sf(statistic, bins - 1))


def calibration_groups(
    outcomes: Outcomes, cause: int, horizon: float, predicted: Floats, groups: int = 10
) -> list[dict[str, float]]:
    """Put predicted beside observed incidence by a horizon, in groups of equal size by the prediction.

    Args:
        outcomes: of n samples.
        cause: numbered from 1.
        horizon: in the unit of time.
        predicted: (n,) chance of the event by then.
        groups: how many; fewer where there are fewer than 20 samples a group.

    Returns:
        for each group `n`, mean `predicted`, `observed` by Aalen-Johansen with `low` and `high`.
    """
    found = []
    order = np.argsort(predicted, kind="stable")
    for rows in np.array_split(order, max(1, min(groups, len(order) // 20))):
        counted = Timeline.of(outcomes[rows]).counted()
        observed = step_at(counted.steps, counted.incidence, [horizon], 0.0)[cause - 1, 0]
        spread = step_at(counted.steps, counted.spread, [horizon], 0.0)[cause - 1, 0]
        low, high = interval(np.array(observed), np.array(spread))
        found.append(
            {
                "n": len(rows),
                "predicted": float(predicted[rows].mean()),
                "observed": float(observed),
                "low": float(low),
                "high": float(high),
            }
        )
    return found


class SurvivalMeasure:
    """All metrics of one event. Names: `c_index`, `c_index_ipcw`, `ibs`, `rmst_difference`, and at each horizon
    `auc.H`, `brier.H`, `observed_expected.H`.

    Args:
        outcomes: of n samples.
        cause: numbered from 1.
        curves: predicted, on a grid.
        horizons: within follow-up and grid.
        until: up to when errors are integrated and time is counted.
    """

    def __init__(
        self,
        outcomes: Outcomes,
        cause: int,
        curves: Curves,
        horizons: tuple[float, ...],
        until: float,
    ) -> None:
        self._cause, self._horizons, self._until = cause, horizons, until
        column = cause - 1
        risk = curves.time_lost(until)[:, column]
        self.constant = bool(np.ptp(risk) == 0) if len(risk) else True
        self._lost = risk
        self._concordance = Concordance(outcomes, cause, risk)
        at = curves.at(horizons)[:, column] if horizons else np.empty((len(outcomes), 0))
        self.at = at
        self._aucs = [DynamicAuc(outcomes, cause, h, at[:, place]) for place, h in enumerate(horizons)]
        self._brier = Brier(outcomes, cause, np.asarray(horizons, dtype=np.float64), at)
        self.times = error_times(curves.times, outcomes, until)
        self._errors = Brier(outcomes, cause, self.times, curves.at(self.times)[:, column])

    def __call__(self, censoring: Censoring, weight: Floats | None = None) -> dict[str, Floats]:
        """Compute every metric with sample weights (..., n)."""
        n = len(self._lost)
        w = np.ones(n) if weight is None else weight
        mass = w.sum(axis=-1)
        counted, column = censoring.counted, self._cause - 1
        out = {
            "c_index": self._concordance(w),
            "c_index_ipcw": self._concordance(w, censoring.own, float(np.nextafter(self._until, np.inf))),
            "ibs": integrated(self._errors(censoring, w), self.times),
            "rmst_difference": time_lost(counted, self._until)[..., column] - w @ self._lost / mass,
        }
        errors = self._brier(censoring, w)
        observed = step_at(counted.steps, counted.incidence, self._horizons, 0.0)[..., column, :]
        expected = (w @ self.at) / mass[..., None]
        for place, (horizon, auc) in enumerate(zip(self._horizons, self._aucs, strict=True)):
            out[f"auc.{horizon:g}"] = auc(censoring, w)
            out[f"brier.{horizon:g}"] = errors[..., place]
            out[f"observed_expected.{horizon:g}"] = ratio(observed[..., place], expected[..., place])
        return out


def error_times(grid: Floats, outcomes: Outcomes, until: float, most: int = 100) -> Floats:
    """Choose the times at which errors are integrated: those of the grid within follow-up, `most` at most."""
    if not len(outcomes):
        return grid[:0]
    inside: NDArray[np.float64] = grid[(grid >= outcomes.time.min()) & (grid <= until)]
    if len(inside) > most:
        inside = inside[np.linspace(0, len(inside) - 1, most).round().astype(np.int64)]
    return inside
