"""Evaluate the predicted curves of any survival model: how good, for whom, compared with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import Kind
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import PREVALENCE, Comparison, Evaluation
from medloom.evidence.fairness import Fairness, compare, dimensions_of
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_EACH, FEWEST_SUBJECTS
from medloom.evidence.subgroups import Subgroup, split_by
from medloom.evidence.survival import (
    FEWEST_AT_RISK,
    Censoring,
    SurvivalMeasure,
    calibration_groups,
    d_calibration,
    followed_until,
)
from medloom.evidence.survival_fairness import SurvivalRates
from medloom.evidence.survival_words import metric_name
from medloom.evidence.table import aligned
from medloom.evidence.tally import Floats
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, here, text2, tr
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, Outcomes, outcomes_of, read_curves
from medloom.training.nonparametric import Timeline, step_at

_RANKS: Final = ("c_index", "c_index_ipcw", "auc")
_Found = dict[str, Estimate]


@dataclass(frozen=True)
class SurvivalEvaluation(Evaluation):
    """Everything measured of one survival model on one split.

    Metrics are those of `evidence.survival.SurvivalMeasure` and `d_calibration`; with several
    events each name begins with the event's (`death: c_index`). `prevalence`: share of the
    samples in which the event was seen, by event where there are several. Curves: `calibration`
    (by event and horizon) and `incidence` (by event, observed and mean predicted).

    Attributes:
        events: the competing events.
        horizons: in `unit`.
    """

    events: tuple[str, ...] = ()
    horizons: tuple[float, ...] = field(default=())

    def __str__(self) -> str:
        said = here
        seen = tr(
            "{n:,} samples of {subjects:,} subjects; outcome in {share}",
            n=self.n,
            subjects=self.n_subjects,
            share=_shares_said(self.prevalence),
        )
        head = f"{said(self.title)} · {self.model or self.task} · {self.split}\n{seen}"
        rows = [(said(metric_name(name, self.unit)), str(one)) for name, one in self.metrics.items()]
        blocks = [aligned([(tr("measure"), tr("value (95 % interval)")), *rows])]
        reasons = [
            f"  {said(metric_name(name, self.unit))}: {said(one.reason)}"
            for name, one in self.metrics.items()
            if one.reason is not None
        ]
        if reasons:
            blocks.append("\n".join([tr("not estimable"), *reasons]))
        return "\n\n".join([head, *blocks])


def evaluate_survival(
    samples: Samples,
    predictions: Predictions,
    demographics: pl.DataFrame | None = None,
    horizons: Sequence[float] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    *,
    compared_with: Mapping[str, Predictions] | None = None,
    model: str = "",
    split: str | None = None,
) -> SurvivalEvaluation:
    """Evaluate predicted curves, every number with a 95 % interval resampled by subject.

    Args:
        samples: labelled, of a survival question.
        predictions: curves of the same samples.
        demographics: sample_id, sex, age (years); subgroups are made where it is given.
        horizons: in the question's unit; None: the question's, or a quarter, half and three quarters of the grid.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        compared_with: name → another model's predictions of the same samples.
        model: its name; empty takes the name the predictions carry.
        split: evaluate only samples of this split.

    Raises:
        InputError: labels or predictions are missing, doubled, or do not fit the question.
    """
    question = samples.question
    if question.kind != "survival":
        raise InputError(
            "task {task!r} is of kind {kind!r}; curves of survival answer survival questions only",
            task=question.task,
            kind=question.kind,
        )
    frame = samples.frame if split is None else samples.frame.filter(pl.col("split") == split)
    if frame["sample_id"].is_duplicated().any():
        raise InputError(
            "task {task!r}: a sample_id occurs twice; every sample needs its own", task=question.task
        )
    events = question.outputs
    outcomes = outcomes_of(frame["label"], events)
    curves = read_curves(predictions.frame, events, frame["sample_id"])
    asked = horizons if horizons is not None else (getattr(question, "horizons", ()) or _quarters(curves))
    chosen = tuple(float(one) for one in asked)
    group = np.unique(frame["group"].to_numpy(), return_inverse=True)[1].astype(np.intp)
    rivals = {PREVALENCE: _constant(outcomes, curves)} if len(outcomes) else {}
    for name, other in (compared_with or {}).items():
        rivals[name] = read_curves(other.frame, events, frame["sample_id"])
    whole = _Part(outcomes, curves, group, events, chosen, rivals)
    metrics, compared = whole.estimated(replicates, seed)
    return SurvivalEvaluation(
        task=question.task,
        title=Text2(question.title.en, question.title.zh),
        kind=cast(Kind, "survival"),
        unit=question.unit,
        model=model or predictions.model,
        split=split or ", ".join(sorted(set(frame["split"].drop_nulls().to_list()))),
        n=len(outcomes),
        n_subjects=whole.groups,
        prevalence=_prevalence(outcomes, events),
        metrics=metrics,
        subgroups={}
        if demographics is None
        else _subgroups(whole, frame["sample_id"], demographics, replicates, seed),
        curves=whole.curves(),
        compared_with=compared,
        fairness={}
        if demographics is None
        else _fairness(whole, frame["sample_id"], demographics, replicates, seed),
        events=events,
        horizons=chosen,
    )


class _Part:
    """Some samples with their curves, and those of rivals: all that is measured in one pass of the bootstrap."""

    def __init__(
        self,
        outcomes: Outcomes,
        curves: Curves,
        group: NDArray[np.intp],
        events: tuple[str, ...],
        horizons: tuple[float, ...],
        rivals: Mapping[str, Curves],
    ) -> None:
        self.outcomes, self.predicted, self.group = outcomes, curves, group
        self.events, self.horizons, self.rivals = events, horizons, dict(rivals)
        self.groups = int(group.max()) + 1 if len(group) else 0
        self.timeline = Timeline.of(outcomes)
        grids = [float(one.times[-1]) if len(one.times) else 0.0 for one in (curves, *rivals.values())]
        self.until = min(followed_until(outcomes), *grids) if len(outcomes) else 0.0

    def where(self, chosen: NDArray[np.bool_]) -> "_Part":
        return _Part(
            self.outcomes[chosen],
            _rows(self.predicted, chosen),
            np.unique(self.group[chosen], return_inverse=True)[1].astype(np.intp),
            self.events,
            self.horizons,
            {},
        )

    def estimated(
        self, replicates: int, seed: int, *names: str
    ) -> tuple[dict[str, Estimate], dict[str, Comparison]]:
        """Measure all samples and the resamples."""
        ours, reasons = self.prepared(self.predicted)
        theirs = {name: self.prepared(curves) for name, curves in self.rivals.items()}

        def measure(weight: Floats) -> dict[str, Floats]:
            censoring = Censoring.of(self.timeline, weight)
            out = {f"metrics.{name}": value for name, value in _all(ours, censoring, weight).items()}
            for rival, (measures, _) in theirs.items():
                for name, value in _all(measures, censoring, weight).items():
                    out[f"rivals.{rival}.{name}"] = value
                    if f"metrics.{name}" in out:
                        out[f"difference.{rival}.{name}"] = out[f"metrics.{name}"] - value
            return out

        measured = bool(ours) or any(measures for measures, _ in theirs.values())
        whole = (
            {name: one[0] for name, one in measure(np.ones((1, len(self.group)))).items()} if measured else {}
        )
        drawn = bootstrap(measure, self.group, replicates, seed, *names) if measured else {}

        def found(place: str, *why: Mapping[str, Text2]) -> _Found:
            out: _Found = {}
            for name in self.names:
                reason = next((known[name] for known in why if name in known), None)
                at = f"{place}.{name}"
                out[name] = Estimate(None, reason=reason) if reason else estimate(whole[at], drawn.get(at))
            return out

        metrics = found("metrics", reasons) | self._d_calibrated(reasons)
        compared = {
            name: Comparison(found(f"rivals.{name}", why), found(f"difference.{name}", reasons, why))
            for name, (_, why) in theirs.items()
        }
        return metrics, compared

    @property
    def names(self) -> tuple[str, ...]:
        """List the metrics that are resampled."""
        own = ["c_index", "c_index_ipcw", "ibs", "rmst_difference"]
        own += [
            f"{kind}.{horizon:g}"
            for horizon in self.horizons
            for kind in ("auc", "brier", "observed_expected")
        ]
        return tuple(self._prefixed(event, name) for event in self.events for name in own)

    def curves(self) -> dict[str, Any]:
        """Give what is drawn: calibration in groups at each horizon, observed and mean predicted incidence."""
        if self._why_nothing(self.predicted) is not None or self.until <= 0:
            return {}
        counted, out = self.timeline.counted(), dict[str, Any](calibration={}, incidence={})
        times = self.predicted.times
        observed = step_at(counted.steps, counted.incidence, times, 0.0)
        for column, event in enumerate(self.events):
            out["incidence"][event] = {
                "time": times.tolist(),
                "observed": observed[column].tolist(),
                "predicted": self.predicted.incidence[:, column].mean(axis=0).tolist(),
            }
            out["calibration"][event] = {
                f"{horizon:g}": calibration_groups(
                    self.outcomes, column + 1, horizon, self.predicted.at([horizon])[:, column, 0]
                )
                for horizon in self.horizons
                if self._why_no_horizon(horizon, self.predicted) is None
            }
        return out

    def _prefixed(self, event: str, name: str) -> str:
        return name if len(self.events) == 1 else f"{event}: {name}"

    def prepared(self, curves: Curves | None = None) -> tuple[dict[str, SurvivalMeasure], dict[str, Text2]]:
        """Prepare the metrics of each event that has any; say why others cannot be estimated.

        `curves`: None takes the model's own.
        """
        curves = self.predicted if curves is None else curves
        everything = self._why_nothing(curves)
        if everything is not None:
            return {}, dict.fromkeys(self.names, everything)
        measures: dict[str, SurvivalMeasure] = {}
        reasons: dict[str, Text2] = {}
        usable = tuple(one for one in self.horizons if self._why_no_horizon(one, curves) is None)
        for cause, event in enumerate(self.events, start=1):
            names = [name for name in self.names if name == self._prefixed(event, name.rpartition(": ")[2])]
            why = self._why_no_event(cause)
            if why is not None:
                reasons |= dict.fromkeys(names, why)
                continue
            measure = SurvivalMeasure(self.outcomes, cause, curves, usable, self.until)
            measures[event] = measure
            for horizon in self.horizons:
                late = self._why_no_horizon(horizon, curves)
                early = late or self._why_none_by(cause, horizon)
                for kind in ("auc", "brier", "observed_expected"):
                    reason = late if kind == "brier" else early
                    if reason is not None:
                        reasons[self._prefixed(event, f"{kind}.{horizon:g}")] = reason
                if early is None and np.ptp(measure.at[:, usable.index(horizon)]) == 0:
                    reasons[self._prefixed(event, f"auc.{horizon:g}")] = _constant_reason()
            if measure.constant:
                reasons |= {
                    self._prefixed(event, name): _constant_reason() for name in ("c_index", "c_index_ipcw")
                }
            if len(measure.times) < 2:
                reasons[self._prefixed(event, "ibs")] = text2(
                    "too few are followed for as long as is predicted"
                )
        return {self._prefixed(event, ""): one for event, one in measures.items()}, reasons

    def _d_calibrated(self, reasons: Mapping[str, Text2]) -> _Found:
        """Test D-calibration, which is defined for one event."""
        if len(self.events) > 1:
            return {}
        why = reasons.get("rmst_difference")
        if why is not None:
            return {"d_calibration": Estimate(None, reason=why)}
        time = np.minimum(self.outcomes.time, self.predicted.times[-1])
        beyond = self.outcomes.time > self.predicted.times[-1]
        each = _own(self.predicted, time)
        # who was followed past the grid counts as censored at its end
        seen = Outcomes(time, np.where(beyond, 0, self.outcomes.cause), 1)
        return {"d_calibration": Estimate(d_calibration(seen, 1 - each)[1])}

    def _why_nothing(self, curves: Curves) -> Text2 | None:
        n = len(self.outcomes)
        if n == 0:
            return text2("there are no samples")
        bad = int((~np.isfinite(curves.incidence).reshape(n, -1).all(axis=1)).sum())
        if bad:
            return text2("{bad} of {total} predictions are missing or not finite numbers", bad=bad, total=n)
        if self.groups < FEWEST_SUBJECTS:
            return text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
        if ((curves.incidence < -1e-9) | (curves.incidence > 1 + 1e-9)).any():
            return text2("predictions are not probabilities between 0 and 1")
        if self.until <= 0:
            return text2("too few are followed for as long as is predicted")
        return None

    def _why_no_event(self, cause: int) -> Text2 | None:
        with_event = len(np.unique(self.group[self.outcomes.cause == cause]))
        if with_event == 0:
            return text2("nobody had the outcome")
        if with_event < FEWEST_EACH:
            return text2(
                "too few subjects with the outcome; at least {least} are needed",
                least=FEWEST_EACH,
            )
        return None

    def _why_no_horizon(self, horizon: float, curves: Curves) -> Text2 | None:
        if horizon > curves.times[-1]:
            return text2("nothing is predicted beyond {time:g}", time=float(curves.times[-1]))
        if int((self.outcomes.time > horizon).sum()) < FEWEST_AT_RISK or horizon < self.outcomes.time.min():
            return text2("too few are followed beyond {time:g}", time=horizon)
        return None

    def _why_none_by(self, cause: int, horizon: float) -> Text2 | None:
        n = int(((self.outcomes.cause == cause) & (self.outcomes.time <= horizon)).sum())
        if n < FEWEST_EACH:
            return text2("too few subjects with the outcome; at least {least} are needed", least=FEWEST_EACH)
        return None


def _all(measures: Mapping[str, SurvivalMeasure], censoring: Censoring, weight: Floats) -> dict[str, Floats]:
    return {
        prefix + name: value
        for prefix, measure in measures.items()
        for name, value in measure(censoring, weight).items()
    }


def _rows(curves: Curves, chosen: NDArray[np.bool_]) -> Curves:
    return Curves(curves.times, curves.incidence[chosen])


def _own(curves: Curves, time: Floats) -> Floats:
    """Read each sample's curve of the only event at its own time: (n,)."""
    grid = np.append(0.0, curves.times) if curves.times[0] > 0 else curves.times
    values = curves.at(grid)[:, 0]
    above = np.clip(np.searchsorted(grid, time, "left"), 1, len(grid) - 1)
    rows = np.arange(len(time))
    share = (time - grid[above - 1]) / (grid[above] - grid[above - 1])
    read: Floats = values[rows, above - 1] * (1 - share) + values[rows, above] * share
    return read


def _constant(outcomes: Outcomes, curves: Curves) -> Curves:
    """The same curves for everybody: those observed."""
    counted = Timeline.of(outcomes).counted()
    observed = step_at(counted.steps, counted.incidence, curves.times, 0.0)
    return Curves(curves.times, np.broadcast_to(observed, (len(outcomes), *observed.shape)))


def _quarters(curves: Curves) -> tuple[float, ...]:
    if not len(curves.times):
        return ()
    places = np.unique([(len(curves.times) - 1) * part // 4 for part in (1, 2, 3)])
    return tuple(float(f"{curves.times[place]:.3g}") for place in places)


def _constant_reason() -> Text2:
    return text2("all predictions are the same")


def _prevalence(outcomes: Outcomes, events: tuple[str, ...]) -> float | dict[str, float] | None:
    if not len(outcomes):
        return None
    shares = [float((outcomes.cause == cause).mean()) for cause in range(1, len(events) + 1)]
    return shares[0] if len(events) == 1 else dict(zip(events, shares, strict=True))


def _subgroups(
    whole: _Part, sample_id: pl.Series, demographics: pl.DataFrame, replicates: int, seed: int
) -> dict[str, dict[str, Subgroup]]:
    found: dict[str, dict[str, Subgroup]] = {}
    for dimension, name, chosen in split_by(sample_id, demographics):
        part = whole.where(chosen)
        metrics, _ = part.estimated(replicates, seed, dimension, name)
        found.setdefault(dimension, {})[name] = Subgroup(
            n=len(part.outcomes),
            n_subjects=part.groups,
            # the share among a handful of people tells what happened to each of them
            prevalence=_prevalence(part.outcomes, whole.events) if part.groups >= FEWEST_SUBJECTS else None,
            metrics=metrics,
        )
    return found


def _fairness(
    whole: _Part, sample_id: pl.Series, demographics: pl.DataFrame, replicates: int, seed: int
) -> dict[str, Fairness]:
    dimensions = {}
    for found in dimensions_of(whole.group, sample_id, demographics):
        for dimension, groups in found.items():
            parts = {name: whole.where(chosen) for name, chosen in groups.items()}
            dimensions[dimension] = SurvivalRates(parts, groups)
    return compare(dimensions, whole.group, None, replicates, seed)


def _shares_said(prevalence: float | dict[str, float] | None) -> str:
    if isinstance(prevalence, dict):
        return ", ".join(f"{share:.1%} ({event})" for event, share in prevalence.items())
    return "–" if prevalence is None else f"{prevalence:.1%}"
