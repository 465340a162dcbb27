"""What remains of a model's performance when the world is not as it was: inputs, units, patients, time.

One patient's facts are withheld, are off, come in another unit, or are changed by somebody who means harm; the outcome
becomes rarer or commoner; years pass; patients come who are unlike those it learned from. Each is set against the
performance without it on the same resampled subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Answers, read_answers
from medloom.evidence.attack import Aim, attacked, is_smooth
from medloom.evidence.calibration import brier, calibration_intercept
from medloom.evidence.concordance import Concordance
from medloom.evidence.discrimination import auroc
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import bootstrap, estimate
from medloom.evidence.metrics import FEWEST_EACH, FEWEST_SUBJECTS, PRIMARY, not_estimable
from medloom.evidence.multiclass import Multiclass, Multilabel
from medloom.evidence.perturbation import Facts, Floats, another_unit, system_of
from medloom.evidence.regression import regression_metrics
from medloom.evidence.tally import rank, ratio
from medloom.evidence.threshold import at_threshold
from medloom.explanation.asking import Answer, Inputs, in_blocks
from medloom.explanation.wording import code_name, fill, same, unit_spelled
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.tasks.kinds import Kind
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Outcomes, outcomes_of, read_curves

Family = Literal["missing", "lost", "noise", "units", "attack", "prevalence", "periods", "unusual"]
Who = NDArray[np.bool_]

METRICS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "binary": ("auroc", "brier", "observed_to_expected"),
    "multiclass": ("auroc_macro", "log_loss"),
    "multilabel": ("auroc_macro", "brier"),
    "regression": ("mae", "r2"),
    "survival": ("c_index",),
}
"""What is measured of every trial; the first stands for all."""

LESS_IS_BETTER: Final = frozenset({"mae", "brier", "log_loss"})
WITHHELD: Final = (0.1, 0.25, 0.5, 0.75)  # shares of a sample's facts
JITTER: Final = (0.1, 0.25, 0.5, 1.0)  # standard deviations
REACH: Final = (0.05, 0.1, 0.25)  # standard deviations
FACTORS: Final = (0.25, 0.5, 2.0, 4.0)  # of the prevalence
BEYOND: Final = (90, 95, 99)  # percentiles of training patients

_REPEATS: Final = 3  # of what is random, beside the resamples
_IN_WRONG_UNIT: Final = 6  # facts
_LOST_ALONE: Final = 6  # columns of a table, which come from no named source
_MAY_CHANGE: Final = 20  # facts, in an attack
_ATTACKED: Final = 400  # samples, of many
_PERIODS: Final = 4
_FEWEST_DAYS: Final = 60
_COMMONEST: Final = 0.9  # a prevalence beyond it is another question


@dataclass(frozen=True)
class Asked:
    """A model as it is tried.

    Attributes:
        inputs: of samples: (n, p).
        answer: (m, p) → (m, k) what it says in the end; of prognosis the time each event is expected to take away.
        inner: the same before recalibration and ranges, which may turn slopes into steps.
        facts: behind the p inputs.
    """

    inputs: Callable[[Samples], Inputs]
    answer: Answer
    inner: Answer
    facts: Facts


@dataclass(frozen=True)
class Trial:
    """What was measured after one change.

    Attributes:
        name: of the change.
        metrics: after it.
        difference: of the first metric: after less before, on the same resampled subjects.
        strength: how much of it.
        code: of the fact that was changed.
        crossed: share of answers that came to lie on the other side of the threshold, or another likeliest class.
    """

    name: Text2
    metrics: dict[str, Estimate]
    difference: Estimate
    strength: float | None = None
    code: str | None = None
    crossed: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {
            "name": self.name.en,
            "strength": self.strength,
            "code": self.code,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "difference": self.difference.to_json(),
            "crossed": None if self.crossed is None else self.crossed.to_json(),
        }


@dataclass(frozen=True)
class Robustness:
    """What was tried of one model on one split.

    Attributes:
        kind: of the question.
        metrics: that were measured; the first stands for all.
        n, n_subjects: whose inputs were changed.
        threshold: of a risk, at which answers cross.
        whole: their performance without any change.
        trials: by family: `missing`, `lost`, `noise`, `units`, `attack`, `prevalence`, `periods`, `unusual`.
        reasons: why nothing is told of a family.
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

        Attacks and wholly invented prevalences are left out: they say what could be, not what happens.
        """
        sign = 1.0 if self.primary in LESS_IS_BETTER else -1.0
        sure = []
        for family in ("missing", "lost", "noise", "units"):
            for one in self.trials.get(family, ()):  # type: ignore[call-overload]
                found = one.difference
                ends = [sign * end for end in (found.low, found.high) if end is not None]
                if found.value is not None and len(ends) == 2 and min(ends) > 0:
                    sure.append((sign * found.value, one))
        return max(sure, key=lambda pair: pair[0])[1] if sure else None

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values; reasons in English."""
        why: dict[str, str] = {family: reason.en for family, reason in self.reasons.items()}
        for family, trials in {"whole": (self.whole,), **self.trials}.items():
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
    asked: Asked | Text2,
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
        asked: how it answers for changed inputs; or why it cannot be asked.
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
    samples = samples.where(pl.Series(weighed)) if not weighed.all() else samples  # type: ignore[arg-type]
    judge, said = _judge(samples, predictions, threshold)
    made = _Made(kind, judge, replicates, seed)
    made.periods(said, samples.frame["prediction_time"], today or datetime.now())
    made.prevalence(said)
    made.unusual(said, unusual)
    some = _of_some_subjects(samples.groups, most, seed)
    part = made if some.all() else _Made(kind, judge.where(some), replicates, seed)
    fewer = samples if some.all() else samples.where(pl.Series(some))  # type: ignore[arg-type]
    part.change(asked, fewer, said[some], descriptions or {}, units or {})
    trials, reasons = {**part.trials, **made.trials}, {**part.reasons, **made.reasons}
    return Robustness(
        kind=kind,
        metrics=METRICS[kind],
        n=len(fewer),
        n_subjects=int(np.unique(fewer.groups).size),
        threshold=judge.threshold,
        whole=part.whole,
        trials={family: trials[family] for family in _ORDER if family in trials},
        reasons={family: reasons[family] for family in _ORDER if family in reasons},
        beyond=made.beyond,
        deciles=made.deciles,
    )


_ORDER: Final[tuple[Family, ...]] = (
    "missing", "lost", "noise", "units", "attack", "prevalence", "periods", "unusual"
)  # fmt: skip


class _Judge(Protocol):
    """Outcomes, beside which answers (n, k) are put."""

    threshold: float | None
    group: NDArray[np.intp]

    def why_not(self, said: Floats) -> Text2 | None:
        """Say why answers cannot be judged; None: they can."""

    def measure(self, said: Floats) -> Callable[[Floats], dict[str, Floats]]:
        """Prepare the metrics of answers: weights (b, n) → (b,) each."""

    def crossed(self, before: Floats, after: Floats) -> Floats | None:
        """Tell whose answer led to another decision: (n,) of 0 and 1; None: none is taken."""

    def aims(self, before: Floats) -> tuple[Aim, ...]:
        """Tell what an attack makes large: what harms who has the outcome, and who has not."""

    def harmed(self, answers: Sequence[Floats]) -> Floats:
        """Put together, from the answers each aim led to, the one that harms each sample most."""

    def turned(self, before: Floats, answers: Sequence[Floats]) -> Floats | None:
        """Tell of whom an attack could turn the decision: (n,) of 0 and 1."""

    def where(self, who: Who) -> _Judge:
        """Keep some samples."""


@dataclass(frozen=True)
class _Flat:
    """One answer, or one a class."""

    answers: Answers
    threshold: float | None

    @property
    def group(self) -> NDArray[np.intp]:
        return self.answers.group

    def where(self, who: Who) -> _Flat:
        return _Flat(self.answers.where(who), self.threshold)

    def saying(self, said: Floats) -> Answers:
        """Put answers (n, k) beside the outcomes."""
        return self.answers.saying(said[:, 0] if self.answers.predicted.ndim == 1 else said)

    def why_not(self, said: Floats) -> Text2 | None:
        return not_estimable(self.saying(said)).get(PRIMARY[self.answers.kind])

    def measure(self, said: Floats) -> Callable[[Floats], dict[str, Floats]]:
        answers = self.saying(said)
        names = METRICS[answers.kind]
        if answers.kind == "binary":
            ranking = rank(answers.truth, answers.predicted).coarse()

            def risks(weight: Floats) -> dict[str, Floats]:
                counted = ranking.tally(weight)
                expected = counted.total @ counted.score
                return {
                    "auroc": auroc(counted),
                    "brier": brier(counted),
                    "observed_to_expected": ratio(counted.positive_up_to[..., -1], expected),
                }

            return risks
        if answers.kind == "regression":
            whole: Callable[[Floats], dict[str, Floats]] = lambda weight: regression_metrics(  # noqa: E731
                answers.truth, answers.predicted, weight
            )
        elif answers.kind == "multiclass":
            whole = Multiclass(answers.truth, answers.predicted)
        else:
            whole = Multilabel(answers.truth, answers.predicted)
        return lambda weight: {name: value for name, value in whole(weight).items() if name in names}

    def crossed(self, before: Floats, after: Floats) -> Floats | None:
        if self.answers.kind == "binary" and self.threshold is not None:
            return np.asarray((before >= self.threshold) != (after >= self.threshold), np.float64)[:, 0]
        if self.answers.kind == "multiclass":
            return np.asarray(before.argmax(axis=1) != after.argmax(axis=1), np.float64)
        return None

    def aims(self, before: Floats) -> tuple[Aim, ...]:
        if before.shape[1] == 1:
            return (lambda said: said[:, 0], lambda said: -said[:, 0])
        truth = self.answers.truth
        shares = truth if truth.ndim == 2 else truth[:, None] == np.arange(before.shape[1])
        return (lambda said: np.abs(shares - said).sum(axis=1),)

    def harmed(self, answers: Sequence[Floats]) -> Floats:
        if len(answers) == 1:
            return answers[0]
        higher, lower = answers
        truth = self.answers.truth[:, None]
        if self.answers.kind == "binary":
            return np.where(truth, lower, higher)
        return np.where(np.abs(truth - lower) > np.abs(truth - higher), lower, higher)

    def turned(self, before: Floats, answers: Sequence[Floats]) -> Floats | None:
        each = [found for one in answers if (found := self.crossed(before, one)) is not None]
        return np.max(each, axis=0) if each else None


@dataclass(frozen=True)
class _Followed:
    """Prognosis: the time the first of the question's events takes away."""

    outcomes: Outcomes
    group: NDArray[np.intp]
    threshold: float | None = None

    def where(self, who: Who) -> _Followed:
        return _Followed(self.outcomes[who], np.unique(self.group[who], return_inverse=True)[1])

    def why_not(self, said: Floats) -> Text2 | None:
        bad = int((~np.isfinite(said)).any(axis=1).sum())
        if bad:
            return text2(
                "{bad} of {total} predictions are missing or not finite numbers", bad=bad, total=len(said)
            )
        subjects = len(np.unique(self.group))
        if subjects < FEWEST_SUBJECTS:
            return text2(
                "too few subjects: {n}; at least {least} are needed", n=subjects, least=FEWEST_SUBJECTS
            )
        events = len(np.unique(self.group[self.outcomes.cause == 1]))
        if events < FEWEST_EACH:
            return text2(
                "too few subjects with the outcome: {n}; at least {least} are needed",
                n=events,
                least=FEWEST_EACH,
            )
        return None

    def measure(self, said: Floats) -> Callable[[Floats], dict[str, Floats]]:
        concordance = Concordance(self.outcomes, 1, said[:, 0])
        return lambda weight: {"c_index": concordance(weight)}

    def crossed(self, before: Floats, after: Floats) -> Floats | None:
        return None

    def aims(self, before: Floats) -> tuple[Aim, ...]:
        return (lambda said: said[:, 0], lambda said: -said[:, 0])

    def harmed(self, answers: Sequence[Floats]) -> Floats:
        higher, lower = answers
        # who had the event is said to be safe, who was followed without is said to be at risk
        return np.where((self.outcomes.cause == 1)[:, None], lower, higher)

    def turned(self, before: Floats, answers: Sequence[Floats]) -> Floats | None:
        return None


def _judge(samples: Samples, predictions: Predictions, threshold: float | None) -> tuple[_Judge, Floats]:
    question = samples.question
    if question.kind == "survival":
        outcomes = outcomes_of(samples.frame["label"], question.outputs)
        curves = read_curves(predictions.frame, question.outputs, samples.frame["sample_id"])
        group = np.unique(samples.groups, return_inverse=True)[1]
        return _Followed(outcomes, group), curves.time_lost()
    answers = read_answers(question, samples.frame, predictions.frame)
    said = answers.predicted if answers.predicted.ndim == 2 else answers.predicted[:, None]
    if answers.kind == "binary" and threshold is None and len(answers):
        threshold = float(answers.truth.mean())
    return _Flat(answers, threshold if answers.kind == "binary" else None), said


@dataclass
class _Planned:
    """A change, and the answers after it: several where chance decides, each (n, k)."""

    name: Text2
    said: list[Floats]
    strength: float | None = None
    code: str | None = None
    turned: Floats | None = None
    who: Who | None = None


class _Made:
    """Gathers what is measured of one set of samples."""

    def __init__(self, kind: Kind, judge: _Judge, replicates: int, seed: int) -> None:
        self.kind, self.judge, self.seed = kind, judge, seed
        self.replicates = replicates
        self.trials: dict[Family, tuple[Trial, ...]] = {}
        self.reasons: dict[Family, Text2] = {}
        self.beyond: dict[int, Estimate] = {}
        self.deciles: tuple[float, ...] = ()
        self.whole = _nothing(text2("as it is"), METRICS[kind], text2("there are no samples"))

    # what needs no changed inputs

    def prevalence(self, said: Floats) -> None:
        """Weigh who had the outcome as if it were rarer, or commoner; how ill they are stays as it is."""
        if not isinstance(self.judge, _Flat) or self.kind != "binary":
            self.reasons["prevalence"] = text2(
                "only one yes-or-no outcome has one prevalence that could shift"
            )
            return
        answers = self.judge.saying(said)
        why = not_estimable(answers)
        reason = why.get("auroc") or why.get("calibration_intercept") or why.get("brier")
        if reason is not None:
            self.reasons["prevalence"] = reason
            return
        truth, threshold = answers.truth, self.judge.threshold or 0.5
        share = float(truth.mean())
        ranking = rank(truth, answers.predicted).coarse([threshold])
        targets = {factor: share * factor for factor in (1.0, *FACTORS) if share * factor <= _COMMONEST}

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

        found = self._estimates(measure)
        names = ("auroc", "brier", "calibration_intercept", "ppv")
        self.trials["prevalence"] = tuple(
            Trial(
                text2("outcome in {share}", share=f"{target:.1%}"),
                {name: found[f"{factor}.{name}"] for name in names},
                found[f"{factor}.difference"],
                factor,
            )
            for factor, target in sorted(targets.items())
        )

    def periods(self, said: Floats, times: pl.Series, today: datetime) -> None:
        """Measure each period of calendar time; differences are from the first one."""
        reason = _no_calendar(times, today)
        if reason is not None:
            self.reasons["periods"] = reason
            return
        day = times.dt.date()
        place = day.rank("dense").to_numpy().astype(np.int64) - 1
        # equal parts, cut between days
        edges = np.unique(np.quantile(np.sort(place), np.linspace(0, 1, _PERIODS + 1)[1:-1], method="lower"))
        part = np.searchsorted(edges, place, side="left")
        planned = []
        for number in np.unique(part).tolist():
            who = part == number
            days = day.filter(pl.Series(who))
            name = text2("{first} to {last}", first=days.min(), last=days.max())
            planned.append(_Planned(name, [said], who=who))
        self._compare("periods", planned, said)

    def unusual(self, said: Floats, percentile: Floats | Text2) -> None:
        """Measure the tenth of the samples that are least like training patients, and the others."""
        if isinstance(percentile, Text2):
            self.reasons["unusual"] = percentile
            return
        known = np.isfinite(percentile)
        if not known.any():
            self.reasons["unusual"] = text2("there are no samples")
            return
        self.deciles = tuple(
            (np.histogram(percentile[known], np.linspace(0, 100, 11))[0] / known.sum()).tolist()
        )
        group = np.unique(self.judge.group)
        if len(group) >= FEWEST_SUBJECTS:
            found = self._estimates(
                lambda weight: {str(at): weight @ (percentile > at) / weight.sum(axis=-1) for at in BEYOND}
            )
            self.beyond = {at: found[str(at)] for at in BEYOND}
        order = np.argsort(np.argsort(-percentile, kind="stable"), kind="stable")
        tenth = order < max(1, round(0.1 * len(percentile)))
        planned = [
            _Planned(text2("the other nine tenths"), [said], who=~tenth),
            _Planned(text2("the most unusual tenth"), [said], who=tenth),
        ]
        self._compare("unusual", planned, said)

    # what changes inputs

    def change(
        self,
        asked: Asked | Text2,
        samples: Samples,
        said: Floats,
        descriptions: Mapping[str, str],
        units: Mapping[str, str],
    ) -> None:
        """Try all changes of inputs."""
        families: tuple[Family, ...] = ("missing", "lost", "noise", "units", "attack")
        reason = self.judge.why_not(said) if len(said) else text2("there are no samples")
        if reason is not None:
            self.whole = _nothing(text2("as it is"), METRICS[self.kind], reason)
            self.reasons |= dict.fromkeys(families, reason)
            return
        if isinstance(asked, Text2):
            (self.whole,) = self._trials([_Planned(text2("as it is"), [said])], said)
            self.reasons |= dict.fromkeys(families, asked)
            return
        x = asked.inputs(samples)
        before = in_blocks(asked.answer, x)
        (self.whole,) = self._trials([_Planned(text2("as it is"), [before])], before)
        known = asked.facts.known(x)
        if not known.any():
            nothing = text2("nothing is known of these samples that could be withheld or off")
            self.reasons |= dict.fromkeys(families, nothing)
            return
        _Changes(self, asked, x, before, known, descriptions, units).try_all()

    def _compare(self, family: Family, planned: list[_Planned], said: Floats) -> None:
        """Measure parts of the samples; differences are from the first part."""
        names = METRICS[self.kind]
        reasons = [
            self.judge.where(one.who).why_not(said[one.who]) if one.who is not None else None
            for one in planned
        ]
        if all(reason is not None for reason in reasons):
            self.reasons[family] = next(reason for reason in reasons if reason is not None)
            return
        measure = self.judge.measure(said)

        def both(weight: Floats) -> dict[str, Floats]:
            out: dict[str, Floats] = {}
            for at, one in enumerate(planned):
                out |= {f"{at}.{name}": value for name, value in measure(weight * one.who).items()}
                out[f"{at}.difference"] = out[f"{at}.{names[0]}"] - out[f"0.{names[0]}"]
            return out

        found = self._estimates(both)
        trials = []
        for at, (one, reason) in enumerate(zip(planned, reasons, strict=True)):
            if reason is not None:
                trials.append(_nothing(one.name, names, reason))
                continue
            difference = found[f"{at}.difference"]
            if reasons[0] is not None:
                difference = Estimate(None, reason=reasons[0])
            trials.append(Trial(one.name, {name: found[f"{at}.{name}"] for name in names}, difference))
        self.trials[family] = tuple(trials)

    def _trials(self, planned: Sequence[_Planned], before: Floats) -> list[Trial]:
        """Measure answers after changes, all on the same resamples."""
        names = METRICS[self.kind]
        base = self.judge.measure(before)
        reasons = [self._why_not(one) for one in planned]
        measures = [
            [] if reason is not None else [self.judge.measure(said) for said in one.said]
            for one, reason in zip(planned, reasons, strict=True)
        ]
        turned = [self._turned(one, before) if one.turned is None else one.turned for one in planned]

        def measure(weight: Floats) -> dict[str, Floats]:
            out: dict[str, Floats] = {}
            unchanged = base(weight)
            for at, each in enumerate(measures):
                if not each:
                    continue
                drawn = [one(weight) for one in each]
                for name in names:
                    out[f"{at}.{name}"] = np.mean([one[name] for one in drawn], axis=0)
                out[f"{at}.difference"] = out[f"{at}.{names[0]}"] - unchanged[names[0]]
                share = turned[at]
                if share is not None:
                    out[f"{at}.crossed"] = weight @ share / weight.sum(axis=-1)
            return out

        found = self._estimates(measure)
        return [
            _nothing(one.name, names, reason, one.strength, one.code)
            if reason is not None
            else Trial(
                one.name,
                {name: found[f"{at}.{name}"] for name in names},
                found[f"{at}.difference"],
                one.strength,
                one.code,
                found.get(f"{at}.crossed"),
            )
            for at, (one, reason) in enumerate(zip(planned, reasons, strict=True))
        ]

    def _why_not(self, one: _Planned) -> Text2 | None:
        return next((why for said in one.said if (why := self.judge.why_not(said)) is not None), None)

    def _turned(self, one: _Planned, before: Floats) -> Floats | None:
        each = [found for said in one.said if (found := self.judge.crossed(before, said)) is not None]
        return np.mean(each, axis=0) if each else None

    def _estimates(self, measure: Callable[[Floats], dict[str, Floats]]) -> dict[str, Estimate]:
        group = np.unique(self.judge.group, return_inverse=True)[1]
        whole = measure(np.ones((1, len(group))))
        drawn = bootstrap(measure, group, self.replicates, self.seed, "robustness")
        return {name: estimate(value[0], drawn.get(name)) for name, value in whole.items()}


class _Changes:
    """All changes of the inputs of some samples."""

    def __init__(
        self,
        made: _Made,
        asked: Asked,
        x: Inputs,
        before: Floats,
        known: NDArray[np.bool_],
        descriptions: Mapping[str, str],
        units: Mapping[str, str],
    ) -> None:
        self.made, self.asked, self.x, self.before, self.known = made, asked, x, before, known
        self.facts, self.units = asked.facts, units
        self.descriptions = descriptions
        self.ranked = self.facts.by_weight(asked.answer, x, made.seed)

    def try_all(self) -> None:
        """Plan all changes, ask the model, and measure."""
        planned: dict[Family, list[_Planned]] = {"missing": self._missing(), "lost": self._lost()}
        continuous = self.facts.continuous
        if len(continuous):
            planned |= {"noise": self._noise(continuous), "units": self._in_other_units(continuous)}
        else:
            nothing = text2("no input has values that could be off")
            self.made.reasons |= dict.fromkeys(("noise", "units", "attack"), nothing)  # type: ignore[arg-type]
        every = [(family, one) for family, each in planned.items() for one in each]
        for (family, _), trial in zip(
            every, self.made._trials([one for _, one in every], self.before), strict=True
        ):
            self.made.trials[family] = (*self.made.trials.get(family, ()), trial)
        for family in planned:
            if family not in self.made.trials:
                self.made.reasons[family] = text2("no input that moves the answers is of this kind")
        if len(continuous):
            self._attack(continuous)

    def _ask(self, x: Inputs) -> Floats:
        return in_blocks(self.asked.answer, x)

    def _name(self, code: str) -> Text2:
        return code_name(code, self.descriptions)

    def _missing(self) -> list[_Planned]:
        planned = []
        for share in WITHHELD:
            said = []
            for repeat in range(_REPEATS):
                drawn = generator(self.made.seed, "withheld", str(repeat)).random(self.known.shape)
                # the same draws: what is withheld at a tenth is withheld at a quarter too
                said.append(self._ask(self.facts.without(self.x, drawn < share)))
            planned.append(
                _Planned(text2("{share} of what is known withheld", share=f"{share:.0%}"), said, share)
            )
        return planned

    def _lost(self) -> list[_Planned]:
        systems: dict[str, tuple[Text2, list[int]]] = {}
        alone: list[int] = []
        seen = self.known.any(axis=0)
        for place in self.ranked[seen[self.ranked]].tolist():
            found = system_of(self.facts.each[place].code)
            if found is None:
                alone.append(place)
            else:
                systems.setdefault(found[0], (found[1], []))[1].append(place)
        lost = [(name, None, places) for name, places in systems.values()]
        lost += [
            (self._name(code), code, [at]) for at in alone[:_LOST_ALONE] if (code := self.facts.each[at].code)
        ]
        planned = []
        for name, code, places in lost:
            mask = np.zeros(len(self.facts.each), bool)
            mask[places] = True
            said = [self._ask(self.facts.without(self.x, mask))]
            planned.append(_Planned(fill(text2("without {name}"), name=name), said, None, code))
        return planned

    def _noise(self, continuous: NDArray[np.int64]) -> list[_Planned]:
        planned = []
        for size in JITTER:
            said = []
            for repeat in range(_REPEATS):
                by = np.zeros(self.known.shape)
                drawn = generator(self.made.seed, "noise", str(repeat))
                by[:, continuous] = size * drawn.normal(size=(len(self.x), len(continuous)))
                said.append(self._ask(self.facts.moved(self.x, by)))
            planned.append(
                _Planned(text2("values off by {size:g} standard deviations", size=size), said, size)
            )
        return planned

    def _in_other_units(self, continuous: NDArray[np.int64]) -> list[_Planned]:
        planned = []
        weighty = [place for place in self.ranked.tolist() if place in set(continuous.tolist())]
        for place in weighty[:_IN_WRONG_UNIT]:
            code = self.facts.each[place].code
            named = self._name(code)
            own = self.units.get(code)
            other = another_unit(code, own)
            changes = [(text2("{name} × 10"), 10.0, 0.0), (text2("{name} ÷ 10"), 0.1, 0.0)]
            if other is not None:
                unit, scale, offset = other
                spelled = unit_spelled(unit)
                said_in = text2("{name} as a share of 1") if not spelled else text2("{name} in {unit}")
                changes = [(fill(said_in, unit=same(spelled), name=Text2("{name}", "{name}")), scale, offset)]
            for template, scale, offset in changes:
                said = [self._ask(self.facts.converted(self.x, place, scale, offset))]
                planned.append(_Planned(fill(template, name=named), said, scale, code))
        return planned

    def _attack(self, continuous: NDArray[np.int64]) -> None:
        made, may = self.made, set(continuous.tolist())
        places = np.array([at for at in self.ranked.tolist() if at in may][:_MAY_CHANGE], np.int64)
        few = generator(made.seed, "attacked").permutation(len(self.x))[: max(_ATTACKED, len(self.x) // 5)]
        who = np.zeros(len(self.x), bool)
        who[few] = True
        judge, x = made.judge.where(who), self.x[who]
        before = self.before[who]
        if not len(places):
            made.reasons["attack"] = text2("no input that moves the answers is of this kind")
            return
        if not is_smooth(self.asked.inner, x[:50], self.facts, places[:5]):
            made.reasons["attack"] = text2(
                "not differentiable: the answers move in steps, as those of trees do, so that there is no slope"
            )
            return
        why = judge.why_not(before)
        if why is not None:
            made.reasons["attack"] = why
            return
        # where not all are attacked, those who are have a performance of their own to begin with
        planned = [] if who.all() else [_Planned(text2("as it is, of those who are attacked"), [before], 0.0)]
        for reach in REACH:
            each = [
                self._ask(attacked(self.asked.inner, x, self.facts, places, aim, reach))
                for aim in judge.aims(before)
            ]
            name = text2("every value up to {size:g} standard deviations off", size=reach)
            planned.append(_Planned(name, [judge.harmed(each)], reach, turned=judge.turned(before, each)))
        part = _Made(made.kind, judge, made.replicates, made.seed)
        made.trials["attack"] = tuple(part._trials(planned, before))


def _nothing(
    name: Text2, metrics: Sequence[str], reason: Text2, strength: float | None = None, code: str | None = None
) -> Trial:
    none = Estimate(None, reason=reason)
    return Trial(name, dict.fromkeys(metrics, none), none, strength, code)


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
    """Choose whole subjects at random, as many as have `most` samples at most: (n,)."""
    if len(groups) <= most:
        return np.ones(len(groups), bool)
    _, who, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = generator(seed, "some subjects").permutation(len(sizes))
    kept = order[np.cumsum(sizes[order]) <= most]
    return np.isin(who, kept)
