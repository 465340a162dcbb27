"""Evaluate the predictions of any model: how good, for whom, compared with what."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from medloom.evidence.answers import Answers, Kind, read_answers
from medloom.evidence.comparing import DeLong, Reclassification, delong, reclassification
from medloom.evidence.curves import BinaryCurves, RegressionCurves, confusion
from medloom.evidence.estimate import Estimate
from medloom.evidence.fairness import Fairness, fairness
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate, estimates
from medloom.evidence.metrics import FEWEST_SUBJECTS, METRICS, Binary, Measure, measure_of, not_estimable
from medloom.evidence.subgroups import Subgroup, split_by
from medloom.evidence.tally import Floats
from medloom.evidence.threshold import AT_THRESHOLD, at_threshold
from medloom.evidence.utility import net_benefit
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

PREVALENCE = "prevalence"
"""Name of the comparison with a model that says the same to everybody."""

DEFAULT_RISKS = {"risk 5%": 0.05, "risk 10%": 0.10, "risk 20%": 0.20, "risk 50%": 0.50}


@dataclass(frozen=True)
class Threshold:
    """What happens when predictions ≥ `value` are flagged; `found` by name, see `AT_THRESHOLD`."""

    name: str
    value: float
    found: dict[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Answer {"name", "value", "sensitivity": {…}, …}."""
        found = {name: one.to_json() for name, one in self.found.items()}
        return {"name": self.name, "value": self.value, **found}


@dataclass(frozen=True)
class Comparison:
    """Another model on the same samples: its `metrics`, and by how much ours is larger (paired).

    Of risks also how ours moves patients across the first threshold against the other (`reclassified`) and, where no
    subject has two samples, DeLong's test.
    """

    metrics: dict[str, Estimate]
    difference: dict[str, Estimate]
    reclassified: Reclassification | None = None
    delong: DeLong | None = None

    def to_json(self) -> dict[str, Any]:
        """Answer {"metrics", "difference", "reclassified", "delong"}, the last two where they are."""
        tests = {"reclassified": self.reclassified, "delong": self.delong}
        return {
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "difference": {name: one.to_json() for name, one in self.difference.items()},
            **{name: asdict(one) for name, one in tests.items() if one is not None},
        }


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one model on one split.

    `prevalence`: share with the outcome; by class for multiclass and multilabel; None for
    regression, whose `unit` is that of the value. `print` shows it as a table, `to_json`
    answers the documented form.
    """

    task: str
    title: Text2
    kind: Kind
    model: str
    split: str
    n: int
    n_subjects: int
    prevalence: float | dict[str, float] | None
    metrics: dict[str, Estimate]
    thresholds: tuple[Threshold, ...] = ()
    subgroups: dict[str, dict[str, Subgroup]] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    compared_with: dict[str, Comparison] = field(default_factory=dict)
    fairness: dict[str, Fairness] = field(default_factory=dict)
    unit: str | None = None

    @property
    def reasons(self) -> dict[str, Text2]:
        """Why something has no number or interval, by its place ("subgroups.sex.F.metrics.auroc")."""
        places: dict[str, Mapping[str, Estimate]] = {"metrics": self.metrics}
        places |= {f"thresholds.{one.name}": one.found for one in self.thresholds}
        for dimension, parts in self.subgroups.items():
            places |= {f"subgroups.{dimension}.{name}.metrics": part.metrics for name, part in parts.items()}
        for dimension, one in self.fairness.items():
            places |= {f"fairness.{dimension}.groups.{name}": rates for name, rates in one.groups.items()}
            places[f"fairness.{dimension}.gaps"] = one.gaps
        for name, other in self.compared_with.items():
            places[f"compared_with.{name}.metrics"] = other.metrics
            places[f"compared_with.{name}.difference"] = other.difference
        return {
            f"{place}.{name}": one.reason
            for place, found in places.items()
            for name, one in found.items()
            if one.reason is not None
        }

    def to_json(self) -> dict[str, Any]:
        """Answer the documented form, ready for JSON; reasons in English."""
        return {
            "task": self.task,
            "model": self.model,
            "split": self.split,
            "n": self.n,
            "n_subjects": self.n_subjects,
            "prevalence": self.prevalence,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "thresholds": [one.to_json() for one in self.thresholds],
            "subgroups": {
                dimension: {name: part.to_json() for name, part in parts.items()}
                for dimension, parts in self.subgroups.items()
            },
            "curves": self.curves,
            "compared_with": {name: other.to_json() for name, other in self.compared_with.items()},
            "fairness": {dimension: one.to_json() for dimension, one in self.fairness.items()},
            "reasons": {place: reason.en for place, reason in self.reasons.items()},
        }

    def __str__(self) -> str:
        from medloom.evidence.table import as_table

        return as_table(self)


def evaluate(
    samples: Samples,
    predictions: Predictions,
    demographics: pl.DataFrame | None = None,
    thresholds: Mapping[str, float] | None = None,
    baseline: float | Mapping[str, float] | None = None,
    compared_with: Mapping[str, Predictions] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    *,
    model: str = "",
    split: str | None = None,
) -> Evaluation:
    """Evaluate `predictions` of `samples`, every number with a 95 % interval resampled by subject.

    Arguments:
        demographics: sample_id, sex, age (years); subgroups are made where it is given.
        thresholds: name → risk, chosen on other data. None: the prevalence and 5, 10, 20, 50 %.
        baseline: what a model that knows only the training data's prevalence says: a risk, a
            mean, or class → risk. None: the share in these samples, the best a constant can do.
        compared_with: name → another model's predictions of the same samples.
        replicates, seed: of the bootstrap; the same seed gives the same numbers.
        model: its name, TASK.LEARNER@N; empty takes the name the predictions carry.
        split: evaluate only samples of this split.

    Raises:
        InputError: labels or predictions are missing, doubled, or of an unknown kind.
    """
    frame = samples.frame if split is None else samples.frame.filter(pl.col("split") == split)
    if frame["sample_id"].is_duplicated().any():
        raise InputError(
            "task {task!r}: a sample_id occurs twice; every sample needs its own", task=samples.question.task
        )
    answers = read_answers(samples.question, frame, predictions.frame)
    shares = _prevalence(answers)
    constant = _constant(answers, baseline)
    rivals = {PREVALENCE: answers.saying(constant)} if len(answers) else {}
    for name, other in (compared_with or {}).items():
        rivals[name] = read_answers(samples.question, frame, other.frame)
    if thresholds is None:
        base = float(constant[0]) if len(answers) and answers.kind == "binary" else 0.5
        thresholds = {PREVALENCE: base, **DEFAULT_RISKS}
    whole = _Whole(answers, rivals, dict(thresholds) if answers.kind == "binary" else {})
    return Evaluation(
        task=samples.question.task,
        title=Text2(samples.question.title.en, samples.question.title.zh),
        kind=answers.kind,
        unit=samples.question.unit,
        model=model or predictions.model,
        split=split or ", ".join(sorted(set(frame["split"].drop_nulls().to_list()))),
        n=len(answers),
        n_subjects=answers.groups,
        prevalence=shares,
        subgroups={} if demographics is None else _subgroups(answers, frame, demographics, replicates, seed),
        fairness=_fairness(answers, frame, demographics, thresholds, replicates, seed),
        **whole.estimated(replicates, seed),
    )


class _Whole:
    """All that is measured on all samples in one pass of the bootstrap, so that it is paired."""

    def __init__(self, answers: Answers, rivals: Mapping[str, Answers], thresholds: dict[str, float]) -> None:
        self._answers, self._rivals, self._thresholds = answers, rivals, thresholds
        self._reasons = not_estimable(answers)
        self._rival_reasons = {name: not_estimable(rival) for name, rival in rivals.items()}
        names = METRICS[answers.kind]
        self._names = names
        ours = len(self._reasons) < len(names)
        self._measure = measure_of(answers, tuple(thresholds.values())) if ours else None
        self._rival_measures: dict[str, Measure] = {
            name: measure_of(rival)
            for name, rival in rivals.items()
            if len(self._rival_reasons[name]) < len(names)
        }
        self._curves: BinaryCurves | RegressionCurves | None = None
        if isinstance(self._measure, Binary):
            self._curves = BinaryCurves(self._measure.steps, answers.predicted, self._measure.flexible)
        elif self._measure is not None and answers.kind == "regression":
            self._curves = RegressionCurves(answers.truth, answers.predicted)

    def estimated(self, replicates: int, seed: int) -> dict[str, Any]:
        """Measure all samples and the resamples; answers fields of `Evaluation`."""
        whole = self()
        drawn = bootstrap(self, self._answers.group, replicates, seed) if whole else {}

        def found(place: str, names: tuple[str, ...], *reasons: Mapping[str, Text2]) -> dict[str, Estimate]:
            out: dict[str, Estimate] = {}
            for name in names:
                reason = next((known[name] for known in reasons if name in known), None)
                at = f"{place}.{name}"
                if reason is not None:
                    out[name] = Estimate(None, reason=reason)
                else:
                    out[name] = estimate(whole[at], drawn.get(at))
                    if out[name].value is None and place.startswith("thresholds."):
                        out[name] = Estimate(None, reason=text2("there is nobody to take this share of"))
            return out

        curves: dict[str, Any] = {}
        if self._curves is not None:
            read = {
                name.removeprefix("curves."): v for name, v in drawn.items() if name.startswith("curves.")
            }
            curves = self._curves.to_json(read)
            for name, rival in self._rival_measures.items():
                if isinstance(rival, Binary) and name != PREVALENCE:
                    curves["decision"].setdefault("rivals", {})[name] = net_benefit(rival.tally()).tolist()
        elif self._measure is not None and self._answers.kind == "multiclass":
            curves = {"confusion": confusion(self._answers)}
        at_all = (
            {}
            if self._measure is not None
            else dict.fromkeys(AT_THRESHOLD, next(iter(self._reasons.values())))
        )
        return {
            "metrics": found("metrics", self._names, self._reasons),
            "thresholds": tuple(
                Threshold(name, value, found(f"thresholds.{name}", AT_THRESHOLD, at_all))
                for name, value in self._thresholds.items()
            ),
            "curves": curves,
            "compared_with": {
                name: Comparison(
                    found(f"rivals.{name}", self._names, reasons),
                    found(f"difference.{name}", self._names, self._reasons, reasons),
                    *self._tested(name),
                )
                for name, reasons in self._rival_reasons.items()
            },
        }

    def _tested(self, name: str) -> tuple[Reclassification | None, DeLong | None]:
        """Compare with a rival patient by patient; a constant moves nobody in a way that means anything."""
        ours, theirs = self._answers, self._rivals[name]
        if name == PREVALENCE or "auroc" in self._reasons or "auroc" in self._rival_reasons[name]:
            return None, None
        if ours.kind != "binary":
            return None, None
        cut = next(iter(self._thresholds.values()), None)
        moved = reclassification(ours.truth, theirs.predicted, ours.predicted, None if cut is None else [cut])
        events = int(ours.truth.sum())
        alone = ours.groups == len(ours) and min(events, len(ours) - events) > 1
        return moved, delong(ours.truth, ours.predicted, theirs.predicted) if alone else None

    def __call__(self, weight: Floats | None = None) -> dict[str, Floats]:
        """Measure everything with weights (b, n): arrays (b, ...) by place; None: as it is, without that axis."""
        out: dict[str, Floats] = {}
        ours: dict[str, Floats] = {}
        if isinstance(self._measure, Binary):
            counted = self._measure.tally(weight)
            ours = self._measure.measure(counted)
            for name, value in self._thresholds.items():
                out |= _under(f"thresholds.{name}", at_threshold(counted, value))
            if isinstance(self._curves, BinaryCurves) and weight is not None:
                out |= _under("curves", self._curves.measure(counted))
        elif self._measure is not None:
            ours = self._measure(weight)
            if isinstance(self._curves, RegressionCurves) and weight is not None:
                out |= _under("curves", self._curves.measure(weight))
        out |= _under("metrics", ours)
        for rival, measure in self._rival_measures.items():
            theirs = measure(weight)
            out |= _under(f"rivals.{rival}", theirs)
            if ours:
                out |= _under(f"difference.{rival}", {name: ours[name] - theirs[name] for name in ours})
        return out


def _under(place: str, found: Mapping[str, Floats]) -> dict[str, Floats]:
    return {f"{place}.{name}": values for name, values in found.items()}


def _prevalence(answers: Answers) -> float | dict[str, float] | None:
    if answers.kind == "regression" or len(answers) == 0:
        return None
    if answers.kind == "binary":
        return float(answers.truth.mean())
    return dict(zip(answers.classes, _shares(answers).tolist(), strict=True))


def _shares(answers: Answers) -> Floats:
    if answers.kind == "multiclass":
        counts = np.bincount(answers.truth, minlength=len(answers.classes))
        return np.asarray(counts / max(len(answers), 1), dtype=np.float64)
    return np.asarray(answers.truth.mean(axis=0), dtype=np.float64)


def _constant(answers: Answers, baseline: float | Mapping[str, float] | None) -> Floats:
    """The same prediction for everybody, in the shape of `answers.predicted`."""
    if len(answers) == 0:
        return answers.predicted
    if isinstance(baseline, Mapping):
        said = np.array([baseline.get(name, 0.0) for name in answers.classes])
    elif baseline is not None:
        said = np.asarray(float(baseline))
    elif answers.kind in ("binary", "regression"):
        said = np.asarray(answers.truth.mean(), dtype=np.float64)
    else:
        said = _shares(answers)
    return np.broadcast_to(said, answers.predicted.shape).astype(np.float64)


def _fairness(
    answers: Answers,
    frame: pl.DataFrame,
    demographics: pl.DataFrame | None,
    thresholds: Mapping[str, float],
    replicates: int,
    seed: int,
) -> dict[str, Fairness]:
    """Compare groups, those of risks at the first threshold; nothing where there are no groups, or no threshold."""
    if demographics is None or (answers.kind == "binary" and not thresholds):
        return {}
    threshold = next(iter(thresholds.values()), 0.5)
    return fairness(answers, frame["sample_id"], demographics, threshold, replicates, seed)


def _subgroups(
    answers: Answers, frame: pl.DataFrame, demographics: pl.DataFrame, replicates: int, seed: int
) -> dict[str, dict[str, Subgroup]]:
    found: dict[str, dict[str, Subgroup]] = {}
    for dimension, name, chosen in split_by(frame["sample_id"], demographics):
        part = answers.where(chosen)
        found.setdefault(dimension, {})[name] = Subgroup(
            n=len(part),
            n_subjects=part.groups,
            # The share among a handful of people tells what happened to each of them.
            prevalence=_prevalence(part) if part.groups >= FEWEST_SUBJECTS else None,
            metrics=estimates(part, replicates, seed, dimension, name),
        )
    return found
