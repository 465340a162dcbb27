"""A model that says how sure it is: ranges of values, sets of classes, bounds of risks, bands of curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.tasks import package
from medloom.tasks.demographics import demographic_codes
from medloom.tasks.explanation import Explanation
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model, Origin, check_none_held_out
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, outcomes_of, read_curves
from medloom.training.answers import labels_as_numbers
from medloom.training.conformal import (
    BYS,
    EVERYONE,
    LEVEL,
    By,
    Floats,
    Ranks,
    adaptive_scores,
    draw,
    least_patients,
    strata,
)
from medloom.training.curve_bands import LEAST as FEWEST
from medloom.training.curve_bands import CurveBands, band_times
from medloom.training.recalibration import Basis
from medloom.training.venn_abers import VennAbers
from medloom.training.weights import one_a_patient
from medloom.training.wrapping import WrappingModel, check_open

Scheme = Literal["residual", "quantiles", "adaptive", "venn-abers", "observed"]
SCHEMES: Final[tuple[Scheme, ...]] = get_args(Scheme)
KINDS: Final[Mapping[Scheme, frozenset[Kind]]] = {
    "residual": frozenset({"regression"}),
    "quantiles": frozenset({"regression"}),
    "adaptive": frozenset({"multiclass"}),
    "venn-abers": frozenset({"binary", "multilabel"}),
    "observed": frozenset({"survival"}),
}
_FILE: Final = "conformal.json"
# Fewer patients than this, and a group's isotonic steps are those of a few people.
_LEAST_VENN_ABERS: Final = 50
# Its bounds are a hundredth apart then; twice as many samples take twice as long and tell no more.
_MOST_VENN_ABERS: Final = 10_000

Told = Ranks | tuple[VennAbers, ...] | CurveBands


@dataclass(frozen=True)
class ConformalModel(WrappingModel):
    """A model with what its errors on calibration samples tell; packed and loaded as one.

    Attributes:
        origin: the model's.
        model: the model as it was.
        scheme: how ranges are made.
        level: the share of new patients whose truth lies inside; of bands of curves the confidence that the share of
            like patients with the event does; Venn-Abers bounds have none.
        by: groups within which it holds: `sex`, `age` (bands), or both.
        told: what was learned, by group; `everyone` answers for groups with too few calibration patients.
        between: the low and the high model, for `quantiles`.
        penalty: on each class beyond the likeliest two, for `adaptive`.
        basis: the calibration samples.
        reads: the codes that tell the groups.
    """

    origin: Origin
    model: Model
    scheme: Scheme
    level: float
    by: tuple[By, ...]
    told: Mapping[str, Told]
    between: tuple[Model, Model] | None
    penalty: float
    basis: Basis
    reads: frozenset[str] = frozenset()

    outermost: ClassVar[bool] = True

    @property
    def codes(self) -> frozenset[str]:
        """Name the codes its answers may depend on, those of groups among them; none where that cannot be told."""
        codes = [self.model.codes, *(model.codes for model in self.between or ())]
        return frozenset().union(self.reads, *codes) if all(codes) else frozenset()

    def predict(self, samples: Samples) -> Predictions:
        """Answer as the model does, with `low` and `high` around each value or risk, or `in_set` of each class.

        `value` is the model's own, so that patients keep their order and reasons add up. Of a risk, `low` to `high`
        hold both Venn-Abers risks and the model's answer; of a curve see `medloom.training.curve_bands`.
        """
        said = self.model.predict(samples)
        outputs = self.origin.question.outputs
        if self.scheme == "observed":
            return self._with_bands(said, samples)
        if self.scheme == "adaptive":
            return replace(said, frame=said.frame.with_columns(self._sets(said, samples)["in_set"]))
        values = said.matrix(outputs)
        low, high = np.empty_like(values), np.empty_like(values)
        edges = _edges(self.between, samples, values)
        for rows, told in self._groups(samples):
            if isinstance(told, Ranks):
                width = told.quantile(self.level)
                low[rows, 0], high[rows, 0] = _in_order(edges[rows, 0] - width, edges[rows, 1] + width)
                continue
            assert isinstance(told, tuple)
            for k, one in enumerate(told):
                bounds, own = one.bounds(values[rows, k]), values[rows, k]
                low[rows, k], high[rows, k] = np.minimum(bounds[:, 0], own), np.maximum(bounds[:, 1], own)
        return said.between(low.ravel(), high.ravel())

    def sets(self, samples: Samples) -> pl.DataFrame:
        """Tell which classes each sample may have.

        Returns:
            `sample_id`, `output`, `value`, `p_value` (the chance that the true class looks as unlikely as this),
            `in_set`. The likeliest class is always in.

        Raises:
            InputError: the question has no classes to choose from.
        """
        if self.scheme != "adaptive":
            raise InputError(
                "sets are made of classes; a {kind} question has none: see low and high of its predictions",
                kind=self.origin.question.kind,
            )
        return self._sets(self.model.predict(samples), samples)

    def _sets(self, said: Predictions, samples: Samples) -> pl.DataFrame:
        shares = said.matrix(self.origin.question.outputs)
        scores = adaptive_scores(shares, self.penalty, free=2, drawn=draw(shares))
        p, inside = np.empty_like(scores), np.empty(scores.shape, dtype=bool)
        for rows, told in self._groups(samples):
            assert isinstance(told, Ranks)
            p[rows] = told.p_value(scores[rows])
            inside[rows] = scores[rows] <= told.quantile(self.level)
        inside[np.arange(len(scores)), shares.argmax(axis=1)] = True
        return said.frame.select("sample_id", "output", "value").with_columns(
            p_value=pl.Series(p.ravel()), in_set=pl.Series(inside.ravel())
        )

    def at_level(self, level: float) -> ConformalModel:
        """Give the same model with ranges or sets for another share of patients.

        Raises:
            InputError: the level is no share, or the calibration patients are too few for it.
        """
        everyone = self.told[EVERYONE]
        if isinstance(everyone, CurveBands):
            raise InputError(
                "the bands of curves were made for one level; make them anew with: ml.with_ranges(trained)"
            )
        _check_level(level, everyone.patients if isinstance(everyone, Ranks) else None)
        return replace(self, level=level)

    def around(self, model: Model, samples: Samples, answers: Predictions | None) -> ConformalModel:
        """Make ranges of the same kind around another model; arguments and errors as `conformal`."""
        if self.between is not None:
            raise InputError(
                "ranges between two models cannot follow a recalibration; recalibrate a model without ranges, then: "
                "ml.with_ranges(trained, 'quantiles')"
            )
        return conformal(
            model, samples, self.scheme, level=self.level, by=self.by, penalty=self.penalty, answers=answers
        )

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, as the model does: its answer is not changed."""
        return self.model.explain(samples)

    def save(self, directory: Path) -> str:
        """Write a model package that holds the model's own; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=(), wrapper="conformal")

    @classmethod
    def load(cls, directory: Path) -> ConformalModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        weights = directory / "weights"
        content = json.loads((weights / _FILE).read_text(encoding="utf-8"))
        model = package.load(weights / "model")
        between = None
        if content["scheme"] == "quantiles":
            between = (package.load(weights / "low"), package.load(weights / "high"))
        return cls(
            model.origin,
            model,
            content["scheme"],
            content["level"],
            tuple(content["by"]),
            {name: _read_told(told) for name, told in content["told"].items()},
            between,
            content["penalty"],
            Basis.from_json(content["basis"]),
            frozenset(content["reads"]),
        )

    def _write(self, folder: Path) -> None:
        self.model.save(folder / "model")
        for name, model in zip(("low", "high"), self.between or (), strict=False):
            model.save(folder / name)
        content = {
            "scheme": self.scheme,
            "level": self.level,
            "by": self.by,
            "told": {name: _told_as_json(told) for name, told in self.told.items()},
            "penalty": self.penalty,
            "basis": self.basis.to_json(),
            "reads": sorted(self.reads),
        }
        (folder / _FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _with_bands(self, said: Predictions, samples: Samples) -> Predictions:
        outputs, ids = self.origin.question.outputs, samples.frame["sample_id"]
        if not len(samples):
            return said
        curves = read_curves(said.frame, outputs, ids)
        low, high = np.empty((2, *curves.incidence.shape))
        for rows, told in self._groups(samples):
            assert isinstance(told, CurveBands)
            around = told.around(replace(curves, incidence=curves.incidence[rows], low=None, high=None))
            low[rows], high[rows] = around.low, around.high
        return replace(said, frame=replace(curves, low=low, high=high).predictions(ids, outputs).frame)

    def _groups(self, samples: Samples) -> list[tuple[NDArray[np.intp], Told]]:
        """Give the rows of each group that is told of, those of all other groups together."""
        if not self.by:
            return [(np.arange(len(samples)), self.told[EVERYONE])]
        names = strata(samples, self.by)
        known = np.where(np.isin(names, list(self.told)), names, EVERYONE)
        return [(np.flatnonzero(known == name), self.told[name]) for name in np.unique(known).tolist()]


def conformal(
    model: Model,
    samples: Samples,
    scheme: Scheme | Literal["auto"] = "auto",
    *,
    level: float = LEVEL,
    by: Sequence[By] = (),
    between: tuple[Model, Model] | None = None,
    penalty: float = 0.0,
    answers: Predictions | None = None,
    edges: tuple[Predictions, Predictions] | None = None,
) -> ConformalModel:
    """Make a model say how sure it is, by calibration samples it has not learned from.

    Args:
        model: any; one that is conformal already is made so anew, not on top.
        samples: labelled; none of them held out.
        scheme: one of `SCHEMES`; `auto`: what suits the kind, and `quantiles` where two models are handed in.
        level: share of new patients whose truth is to lie inside.
        by: groups within which it is to hold, as far as calibration patients suffice.
        between: two models of low and high quantiles of the same question.
        penalty: for `adaptive`: on each class beyond the likeliest two.
        answers: what the model says of these samples where it must not be asked itself, such as answers out of fold.
        edges: what the two models of `between` say of them, likewise.

    Raises:
        InputError: the samples are too few or do not fit, with the remedy.
        LeakageError: some of the samples are held out.
    """
    check_none_held_out(samples)
    if isinstance(model, ConformalModel):
        model = model.model
    check_open(model)
    question = model.origin.question
    chosen = _scheme(question.kind, scheme, between)
    unknown = [one for one in by if one not in BYS]
    if unknown:
        raise InputError("ranges can hold within {known}, not within {unknown}", known=BYS,
                         unknown=unknown)  # fmt: skip
    patients = len(np.unique(samples.groups))
    _check_level(level, None if chosen in ("venn-abers", "observed") else patients)
    names = strata(samples, by)
    basis = Basis(len(samples), patients, samples.digest())
    reads = _codes_of_groups(samples) if by else frozenset()
    made = ConformalModel(model.origin, model, chosen, level, tuple(by), {}, between, penalty, basis, reads)
    answered = model.predict(samples) if answers is None else answers
    if chosen == "observed":
        return replace(made, told=_bands(samples, answered, names, level))
    labels = labels_as_numbers(samples)
    said = answered.matrix(question.outputs)
    if chosen == "venn-abers" and (not len(labels) or (labels.min(axis=0) == labels.max(axis=0)).any()):
        raise InputError(
            "all or none of the {n} calibration samples had an outcome; take more samples, or wait for outcomes",
            n=len(labels),
        )
    told: dict[str, Told] = {}
    scores = (
        None
        if chosen == "venn-abers"
        else _scores(chosen, _edges(between, samples, said, edges), said, labels, penalty)
    )
    for name in [EVERYONE, *(np.unique(names).tolist() if by else ())]:
        rows = np.flatnonzero((names == name) | (name == EVERYONE))
        groups = samples.groups[rows]
        found = len(np.unique(groups))
        if scores is not None:
            if name == EVERYONE or found >= least_patients(level):
                told[name] = Ranks.of(scores[rows], groups)
        elif name == EVERYONE or (found >= _LEAST_VENN_ABERS and _both(labels[rows])):
            some = generator(0, "venn-abers", name).permutation(rows)[:_MOST_VENN_ABERS]
            weight = one_a_patient(samples.groups[some])
            told[name] = tuple(
                VennAbers.fit(said[some, k], labels[some, k], weight) for k in range(said.shape[1])
            )
    return replace(made, told=told)


def _bands(
    samples: Samples, answers: Predictions, names: NDArray[np.str_], level: float
) -> dict[str, CurveBands]:
    """Learn bands of everyone, and of the groups with enough patients."""
    question = samples.question
    outcomes = outcomes_of(samples.frame["label"], question.outputs)
    curves = read_curves(answers.frame, question.outputs, samples.frame["sample_id"])
    grid = band_times(outcomes, question.horizons)
    told = {EVERYONE: CurveBands.fit(curves, outcomes, samples.groups, level, grid)}
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        if name != EVERYONE and len(np.unique(samples.groups[rows])) >= FEWEST:
            part = Curves(curves.times, curves.incidence[rows])
            told[name] = CurveBands.fit(part, outcomes[rows], samples.groups[rows], level, grid)
    return told


def _codes_of_groups(samples: Samples) -> frozenset[str]:
    found: set[str] = set()
    for part in samples.parts():
        history = part.history()
        found |= demographic_codes(history.vocabulary[code] for code in np.unique(history.code))
    return frozenset(found)


def _scheme(kind: Kind, scheme: Scheme | Literal["auto"], between: tuple[Model, Model] | None) -> Scheme:
    fitting = [one for one in SCHEMES if kind in KINDS[one]]
    if not fitting:
        raise InputError("models of {kind} questions cannot be made to say how sure they are yet", kind=kind)
    if scheme == "auto":
        return "quantiles" if between is not None and kind == "regression" else fitting[0]
    if scheme not in fitting:
        raise InputError(
            "scheme {scheme!r} does not fit {kind} questions; these do: {schemes}",
            scheme=scheme,
            kind=kind,
            schemes=fitting,
        )
    if scheme == "quantiles" and between is None:
        raise InputError("scheme 'quantiles' needs two models, of a low and a high quantile; hand them in")
    return scheme


def _check_level(level: float, patients: int | None) -> None:
    if not 0 < level < 1:
        raise InputError("level {level} is not between 0 and 1; write 0.9 for nine of ten", level=level)
    if patients is not None and patients < least_patients(level):
        raise InputError(
            "{n} calibration patients are too few to be right for {level:.0%}; at least {least} are needed",
            n=patients,
            level=level,
            least=least_patients(level),
        )


def _edges(
    between: tuple[Model, Model] | None,
    samples: Samples,
    values: Floats,
    said: tuple[Predictions, Predictions] | None = None,
) -> Floats:
    """Give what a range starts from: (n, 2), the value twice, or a low and a high quantile."""
    if between is None:
        return np.repeat(values[:, :1], 2, axis=1)
    outputs = samples.question.outputs
    told = [model.predict(samples) for model in between] if said is None else said
    return np.column_stack([one.matrix(outputs)[:, 0] for one in told])


def _scores(scheme: Scheme, edges: Floats, said: Floats, labels: Floats, penalty: float) -> Floats:
    if scheme == "adaptive":
        all_scores = adaptive_scores(said, penalty, free=2, drawn=draw(said))
        return np.asarray(all_scores[np.arange(len(labels)), labels.argmax(axis=1)], dtype=np.float64)
    y = labels[:, 0]
    return np.asarray(np.maximum(edges[:, 0] - y, y - edges[:, 1]), dtype=np.float64)


def _in_order(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Where a low quantile came out above the high one, both meet in the middle."""
    middle = (low + high) / 2
    return np.minimum(low, middle), np.maximum(high, middle)


def _both(labels: Floats) -> bool:
    return bool((labels.min(axis=0) < labels.max(axis=0)).all())


def _told_as_json(told: Told) -> Any:
    return [one.to_json() for one in told] if isinstance(told, tuple) else told.to_json()


def _read_told(content: Any) -> Told:
    if isinstance(content, list):
        return tuple(VennAbers.read(one) for one in content)
    return CurveBands.read(content) if "bands" in content else Ranks.read(content)
