"""What remains of a model's performance when the world is not as it was: inputs, units, patients, time.

One patient's facts are withheld, are off, come in another unit, or are changed by somebody who means harm; the outcome
becomes rarer or commoner; years pass; patients come who are unlike those it learned from. Each is set against the
performance without it on the same resampled subjects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.calibration import brier, calibration_intercept
from medloom.evidence.changes import CHANGES, Asked, Changes, Found, Shown
from medloom.evidence.discrimination import auroc
from medloom.evidence.estimate import Estimate
from medloom.evidence.judging import LESS_IS_BETTER, METRICS, FlatJudge, Who, judge_of
from medloom.evidence.metrics import FEWEST_SUBJECTS, not_estimable
from medloom.evidence.tally import Floats, rank
from medloom.evidence.threshold import at_threshold
from medloom.evidence.trial import FAMILIES, Family, Planned, Trial, Trials, nothing
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.tasks.kinds import Kind
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

FACTORS: Final = (0.25, 0.5, 2.0, 4.0)  # of the prevalence
BEYOND: Final = (90, 95, 99)  # percentiles of training patients

_EVERY_DAY: Final[tuple[Family, ...]] = ("lost", "units", "acquisition")
_BY_DEGREES: Final[tuple[Family, ...]] = ("missing", "noise")
_USUAL: Final = 0.25
_PERIODS: Final = 4
_FEWEST_DAYS: Final = 60
_COMMONEST: Final = 0.9  # a prevalence beyond it is another question


@dataclass(frozen=True)
class Robustness:
    """What was tried of one model on one split.

    Attributes:
        kind: of the question.
        metrics: that were measured; the first stands for all.
        n, n_subjects: whose inputs were changed.
        threshold: of a risk, at which answers cross.
        whole: their performance without any change.
        trials: by family: `missing`, `lost`, `noise`, `units`, `attack`, `acquisition` (of images), `prevalence`,
            `periods`, `unusual`.
        reasons: why nothing is told of a family that would make sense.
        beyond: percentile of training patients → share of the split's that lie further out.
        deciles: share of the split's patients in each tenth of training patients, the usual first; empty: not known.
    """

    kind: Kind
    metrics: tuple[str, ...]
    n: int
    n_subjects: int
    threshold: float | None
    whole: Trial
    trials: dict[Family, tuple[Trial, ...]]
    reasons: dict[Family, Text2]
    beyond: dict[int, Estimate] = field(default_factory=dict)
    deciles: tuple[float, ...] = ()

    @property
    def primary(self) -> str:
        """Name the metric that stands for all."""
        return self.metrics[0]

    @property
    def worst(self) -> Trial | None:
        """Find the change that costs most of the first metric, of those that surely cost any; None: none does.

        Of those that happen every day: a source that is lost, a wrong unit, an image taken otherwise, a quarter of the
        facts withheld, values off by a quarter of a standard deviation; no attacks, and no prevalence that was made up.
        """
        sign = 1.0 if self.primary in LESS_IS_BETTER else -1.0
        each = [one for family in _EVERY_DAY for one in self.trials.get(family, ())]
        each += [
            one
            for family in _BY_DEGREES
            for one in self.trials.get(family, ())
            if (one.strength or 0) <= _USUAL
        ]
        sure = []
        for one in each:
            found = one.difference
            ends = [sign * end for end in (found.low, found.high) if end is not None]
            if found.value is not None and len(ends) == 2 and min(ends) > 0:
                sure.append((sign * found.value, one))
        return max(sure, key=lambda pair: pair[0])[1] if sure else None

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values; reasons in English."""
        why: dict[str, str] = {family: reason.en for family, reason in self.reasons.items()}
        every: list[tuple[str, tuple[Trial, ...]]] = [("whole", (self.whole,)), *self.trials.items()]
        for family, trials in every:
            for at, one in enumerate(trials):
                parts = {**one.metrics, "difference": one.difference}
                why |= {f"{family}.{at}.{name}": est.reason.en for name, est in parts.items() if est.reason}
        return {
            "metric": self.primary,
            "n": self.n,
            "n_subjects": self.n_subjects,
            "threshold": self.threshold,
            "whole": self.whole.to_json(),
            **{family: [one.to_json() for one in trials] for family, trials in self.trials.items()},
            "beyond": {str(percentile): share.to_json() for percentile, share in self.beyond.items()},
            "deciles": list(self.deciles),
            "reasons": why,
        }


def robustness(
    samples: Samples,
    predictions: Predictions,
    asked: Asked | Shown | Text2,
    unusual: Floats | Text2,
    *,
    threshold: float | None = None,
    descriptions: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    most: int = 2000,
    replicates: int = 200,
    seed: int = 0,
    today: datetime | None = None,
) -> Robustness:
    """Try a model on samples it has not learned from.

    Args:
        samples: labelled, of one split.
        predictions: of them.
        asked: how it answers for changed inputs or images; or why it cannot be asked.
        unusual: (n,) of each sample, how many of 100 training patients are more like the others; or why not known.
        threshold: of a risk; None: the share with the outcome.
        descriptions, units: of codes, from the record's catalogue.
        most: so many samples' inputs are changed at most, whole patients at a time; five times as many are weighed.
        replicates: of the bootstrap over subjects.
        seed: of everything random.
        today: no real date is later; None: now.

    Raises:
        InputError: labels or predictions are missing, or do not fit the question.
    """
    kind = samples.question.kind
    weighed = _of_some_subjects(samples.groups, 5 * most, seed)
    unusual = unusual if isinstance(unusual, Text2) else np.asarray(unusual)[weighed]
    samples = samples if weighed.all() else samples.where(pl.lit(pl.Series(weighed)))
    judge, said = judge_of(samples, predictions, threshold)
    trials = Trials(kind, judge, replicates, seed)
    found: Found = {
        "prevalence": _prevalence(trials, said),
        "periods": _periods(trials, said, samples.frame["prediction_time"], today or datetime.now()),
        "unusual": unusual if isinstance(unusual, Text2) else _unusual(trials, said, unusual),
    }
    beyond, deciles = ({}, ()) if isinstance(unusual, Text2) else _spread(trials, unusual)
    some = _of_some_subjects(samples.groups, most, seed)
    if not some.all():
        samples, said, trials = samples.where(pl.lit(pl.Series(some))), said[some], trials.where(some)
    reason = trials.judge.why_not(said) if len(said) else text2("there are no samples")
    as_it_is = text2("as it is")
    if reason is not None:
        whole, found = nothing(as_it_is, METRICS[kind], reason), {**found, **dict.fromkeys(CHANGES, reason)}
    elif isinstance(asked, Text2):
        whole = trials.changed([Planned(as_it_is, [said])], said)[0]
        found |= dict.fromkeys(CHANGES, asked)
    elif isinstance(asked, Shown):
        whole = trials.changed([Planned(as_it_is, [said])], said)[0]
        found |= asked.tried(trials, samples, said)
    else:
        changes = Changes(trials, asked, asked.inputs(samples), descriptions or {}, units or {})
        whole = trials.changed([Planned(as_it_is, [changes.before])], changes.before)[0]
        found |= changes.tried()
    told_of = [family for family in FAMILIES if family in found]
    return Robustness(
        kind=kind,
        metrics=METRICS[kind],
        n=len(samples),
        n_subjects=int(np.unique(samples.groups).size),
        threshold=judge.threshold,
        whole=whole,
        trials={one: told for one in told_of if not isinstance(told := found[one], Text2)},
        reasons={one: told for one in told_of if isinstance(told := found[one], Text2)},
        beyond=beyond,
        deciles=deciles,
    )


def _prevalence(trials: Trials, said: Floats) -> tuple[Trial, ...] | Text2:
    """Weigh who had the outcome as if it were rarer, or commoner; how ill they are stays as it is."""
    judge = trials.judge
    if not isinstance(judge, FlatJudge) or trials.kind != "binary":
        return text2("only one yes-or-no outcome has one prevalence that could shift")
    answers = judge.saying(said)
    why = not_estimable(answers)
    reason = why.get("auroc") or why.get("calibration_intercept") or why.get("brier")
    if reason is not None:
        return reason
    truth, threshold = answers.truth, judge.threshold or 0.0
    share = float(truth.mean())
    ranking = rank(truth, answers.predicted).coarse([threshold])
    targets = {1.0: share}  # what the others are set against, however common it is
    targets |= {factor: share * factor for factor in FACTORS if share * factor <= _COMMONEST}

    def measure(weight: Floats) -> dict[str, Floats]:
        out: dict[str, Floats] = {}
        seen = (weight @ truth) / weight.sum(axis=-1)
        for factor, target in targets.items():
            # whatever the share in a resample, it becomes the target's
            with np.errstate(divide="ignore", invalid="ignore"):
                ill, well = (target / seen)[:, None], ((1 - target) / (1 - seen))[:, None]
            counted = ranking.tally(weight * np.where(truth, ill, well))
            at = at_threshold(counted, threshold)
            out |= {
                f"{factor}.auroc": auroc(counted),
                f"{factor}.brier": brier(counted),
                f"{factor}.calibration_intercept": calibration_intercept(counted),
                f"{factor}.ppv": at["ppv"],
            }
            out[f"{factor}.difference"] = out[f"{factor}.auroc"] - out["1.0.auroc"]
        return out

    found = trials.estimates(measure)
    names = ("auroc", "brier", "calibration_intercept", "ppv")
    return tuple(
        Trial(
            text2("outcome in {share}", share=f"{target:.1%}"),
            {name: found[f"{factor}.{name}"] for name in names},
            found[f"{factor}.difference"],
            factor,
        )
        for factor, target in sorted(targets.items())
    )


def _periods(trials: Trials, said: Floats, times: pl.Series, today: datetime) -> tuple[Trial, ...] | Text2:
    """Measure each period of calendar time; differences are from the first one."""
    reason = _no_calendar(times, today)
    if reason is not None:
        return reason
    day = times.dt.date()
    place = day.rank("dense").to_numpy().astype(np.int64) - 1
    # equal parts, cut between days
    edges = np.unique(np.quantile(np.sort(place), np.linspace(0, 1, _PERIODS + 1)[1:-1], method="lower"))
    part = np.searchsorted(edges, place, side="left")
    parts = []
    for number in np.unique(part).tolist():
        days = day.filter(pl.Series(part == number))
        parts.append((text2("{first} to {last}", first=days.min(), last=days.max()), part == number))
    return trials.compared(parts, said)


def _unusual(trials: Trials, said: Floats, percentile: Floats) -> tuple[Trial, ...] | Text2:
    """Measure the tenth of the samples that are least like training patients, and the others."""
    if not len(percentile):
        return text2("there are no samples")
    order = np.argsort(np.argsort(-percentile, kind="stable"), kind="stable")
    tenth = order < max(1, round(0.1 * len(percentile)))
    parts = [(text2("the other nine tenths"), ~tenth), (text2("the most unusual tenth"), tenth)]
    return trials.compared(parts, said)


def _spread(trials: Trials, percentile: Floats) -> tuple[dict[int, Estimate], tuple[float, ...]]:
    """Tell how many lie how far out: beyond percentiles of training patients, and in each tenth of them."""
    if len(np.unique(trials.judge.group)) < FEWEST_SUBJECTS:
        return {}, ()
    found = trials.estimates(
        lambda weight: {str(at): weight @ (percentile > at) / weight.sum(axis=-1) for at in BEYOND}
    )
    tenths = np.histogram(percentile, np.linspace(0, 100, 11))[0] / len(percentile)
    return {at: found[str(at)] for at in BEYOND}, tuple(tenths.tolist())


def _no_calendar(times: pl.Series, today: datetime) -> Text2 | None:
    """Say why prediction times tell nothing of calendar time; None: they do."""
    known = times.drop_nulls()
    if len(known) < len(times) or not len(known):
        return text2("not every sample has a date")
    first, last = known.min(), known.max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    if first == last:
        return text2("all were asked at the same moment")
    if last > today:
        return text2("dates lie in the future: they were shifted to hide who the patients are")
    if (last - first).days < _FEWEST_DAYS or known.dt.date().n_unique() < _PERIODS:
        return text2(
            "all were asked within {days} days; there is no later time", days=(last - first).days + 1
        )
    return None


def _of_some_subjects(groups: NDArray[np.int64], most: int, seed: int) -> Who:
    """Choose whole subjects at random, as many as have `most` samples at most, and one in any case: (n,)."""
    if len(groups) <= most:
        return np.ones(len(groups), bool)
    _, who, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = generator(seed, "some subjects").permutation(len(sizes))
    within = int((np.cumsum(sizes[order]) <= most).sum())
    kept = order[: max(1, within)]
    return np.isin(who, kept)
