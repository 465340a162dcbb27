"""A threshold a group: as many flagged as with one threshold for all, otherwise distributed.

Where groups differ, no choice of thresholds makes everything equal; which rate is made alike is an aim that people set
(Hardt, Price and Srebro, NeurIPS 2016). Thresholds are fixed numbers: nobody's care is drawn by lot, which is why
equalised odds, two rates with one threshold a group, are approached and not always reached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks import package
from medloom.tasks.demographics import dimension_of, group_names
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin, check_none_held_out
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.answers import Floats, labels_as_numbers
from medloom.training.recalibration import Basis
from medloom.training.wrapping import WrappingModel

Aim = Literal["equalised_odds", "equal_opportunity", "demographic_parity"]
AIMS: Final[tuple[Aim, ...]] = get_args(Aim)
FEWEST: Final = 10
"""Patients with, and without, the outcome that a group needs for a threshold of its own."""

_FILE: Final = "thresholds.json"
_INNER: Final = "model"
_STEPS: Final = 1000  # candidates a group, and targets


@dataclass(frozen=True)
class GroupThresholds:
    """From which risk on people are flagged.

    Attributes:
        by: what they are grouped by, of `tasks.demographics.DIMENSIONS`.
        aim: what is made alike.
        base: the threshold of everybody else, and the one whose share of flagged people is kept.
        thresholds: group → threshold, of the groups that had people enough.
    """

    by: str
    aim: Aim
    base: float
    thresholds: Mapping[str, float]

    def of(self, names: NDArray[np.str_]) -> Floats:
        """Give each sample's threshold by the name of its group (n,).

        >>> GroupThresholds("sex", "equal_opportunity", 0.5, {"F": 0.4}).of(np.array(["F", "M"])).tolist()
        [0.4, 0.5]
        """
        return np.array([self.thresholds.get(name, self.base) for name in names.tolist()], dtype=np.float64)


@dataclass(frozen=True)
class ThresholdedModel(WrappingModel):
    """A model and a threshold for each group; its risks are those of the model inside, whom it flags is not.

    Attributes:
        origin: the model's.
        model: the model as it was.
        thresholds: by group.
        basis: the samples that they were chosen on.
        reads: the codes that tell the groups.
    """

    origin: Origin
    model: Model
    thresholds: GroupThresholds
    basis: Basis
    reads: frozenset[str] = frozenset()

    outermost: ClassVar[bool] = True

    @property
    def codes(self) -> frozenset[str]:
        """Name the codes its answers may depend on, those of groups among them; none where that cannot be told."""
        return self.model.codes | self.reads if self.model.codes else frozenset()

    def predict(self, samples: Samples) -> Predictions:
        """Answer as the model does; see `flags` for who is flagged."""
        return self.model.predict(samples)

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, as the model does."""
        return self.model.explain(samples)

    def flags(self, samples: Samples) -> pl.DataFrame:
        """Tell who is flagged: `sample_id`, `group`, `value`, `threshold`, `flagged`.

        The group of a protected attribute decides here beside the risk. That may be unlawful where the model is
        used, whatever the aim; show the group and the threshold wherever a flag is shown.
        """
        names = group_names(samples, self.thresholds.by)
        said = self.predict(samples).frame.select("sample_id", "value")
        table = said.with_columns(
            group=pl.Series(names.tolist()), threshold=pl.Series(self.thresholds.of(names))
        )
        return table.select(
            "sample_id", "group", "value", "threshold", flagged=pl.col("value") >= pl.col("threshold")
        )

    def save(self, directory: Path) -> str:
        """Write a model package that holds the model's own; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=(), wrapper="thresholds")

    @classmethod
    def load(cls, directory: Path) -> ThresholdedModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        weights = directory / "weights"
        content = json.loads((weights / _FILE).read_text(encoding="utf-8"))
        model = package.load(weights / _INNER)
        thresholds, basis = GroupThresholds(**content["thresholds"]), Basis.from_json(content["basis"])
        return cls(model.origin, model, thresholds, basis, frozenset(content["reads"]))

    def _write(self, folder: Path) -> None:
        self.model.save(folder / _INNER)
        content = {
            "thresholds": asdict(self.thresholds),
            "basis": self.basis.to_json(),
            "reads": sorted(self.reads),
        }
        (folder / _FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def thresholded(
    model: Model,
    samples: Samples,
    by: str,
    aim: Aim,
    base: float,
    answers: Predictions | None = None,
) -> ThresholdedModel:
    """Choose a threshold for each group on samples that the model has not learned from.

    Args:
        model: of a binary question; one that has thresholds already gets them anew.
        samples: labelled; none of them held out.
        by: of `tasks.demographics.DIMENSIONS`.
        aim: what is to be alike in all groups: `equal_opportunity` sensitivity, `demographic_parity` the share that
            is flagged, `equalised_odds` sensitivity and false positive rate.
        base: the one threshold; about as many are flagged as it flags.
        answers: what the model says of these samples where it must not be asked itself, such as answers out of fold.

    Raises:
        InputError: the question is not binary, or the samples do not allow it, with the remedy.
        LeakageError: some of the samples are held out.
    """
    check_none_held_out(samples)
    if isinstance(model, ThresholdedModel):
        model = model.model
    question = model.origin.question
    if question.kind != "binary":
        raise InputError(
            "thresholds by group are for binary questions; this one is {kind}", kind=question.kind
        )
    said = (model.predict(samples) if answers is None else answers).matrix(question.outputs)[:, 0]
    names = group_names(samples, by)
    found = choose_thresholds(said, labels_as_numbers(samples)[:, 0] > 0, names, samples.groups, base, aim)
    table = GroupThresholds(by, aim, base, found)
    basis = Basis(len(samples), len(np.unique(samples.groups)), samples.digest())
    return ThresholdedModel(model.origin, model, table, basis, _reads(samples, by))


def choose_thresholds(
    risk: Floats,
    outcome: NDArray[np.bool_],
    names: NDArray[np.str_],
    patients: NDArray[np.int64],
    base: float,
    aim: Aim,
) -> dict[str, float]:
    """Choose group → threshold so that `aim` is met as nearly as the samples tell, about as many being flagged.

    Args:
        risk: (n,) of each sample.
        outcome: (n,).
        names: (n,) each sample's group.
        patients: (n,) whose samples they are.
        base: the threshold for all, which decides how many are flagged.
        aim: what is to be alike.

    Raises:
        InputError: fewer than two groups have people enough.

    >>> risk, names = np.tile(np.arange(1, 101) / 101, 2), np.repeat(["F", "M"], 100)
    >>> halved = np.where(names == "F", risk / 2, risk)
    >>> found = choose_thresholds(halved, risk > 0.6, names, np.arange(200), 0.45, "equal_opportunity")
    >>> {name: round(value, 2) for name, value in found.items()}
    {'F': 0.34, 'M': 0.68}
    """
    if aim not in AIMS:
        raise InputError("there is no aim {aim!r}; there are: {aims}", aim=aim, aims=AIMS)
    large = [name for name in np.unique(names).tolist() if _enough(outcome, patients, names == name)]
    if len(large) < 2:
        raise InputError(
            "thresholds by group need two groups with at least {least} patients with and {least} without the outcome;"
            " these have as many: {groups}",
            least=FEWEST,
            groups=large or "-",
        )
    chosen = np.isin(names, large)
    steps = [_Steps.of(risk[names == name], outcome[names == name]) for name in large]
    flagged, share = float((risk[chosen] >= base).mean()), float(outcome[chosen].mean())
    size = np.array([(names == name).mean() for name in large]) / chosen.mean()
    places = _places(steps, size, aim, flagged, share)
    return {name: float(one.threshold[at]) for name, one, at in zip(large, steps, places, strict=True)}


@dataclass(frozen=True)
class _Steps:
    """What each of a group's (m,) candidate thresholds, from the highest down, would do."""

    threshold: Floats
    flagged: Floats
    sensitivity: Floats
    false_positive_rate: Floats

    @classmethod
    def of(cls, risk: Floats, outcome: NDArray[np.bool_]) -> _Steps:
        order = np.argsort(-risk, kind="stable")
        ranked, true = risk[order], outcome[order]
        last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # of equal risks
        if len(last) > _STEPS:
            last = last[np.linspace(0, len(last) - 1, _STEPS).round().astype(np.intp)]
        # halfway to the next lower risk, so that rounding moves nobody across
        below = np.append(ranked, 0.0)[last + 1]
        threshold = np.append(np.nextafter(ranked[0], np.inf), (ranked[last] + below) / 2)
        found, number = np.append(0, np.cumsum(true)[last]), np.append(0, last + 1)
        return cls(
            threshold,
            number / len(risk),
            found / true.sum(),
            (number - found) / (~true).sum(),
        )


def _places(steps: list[_Steps], size: Floats, aim: Aim, flagged: float, share: float) -> list[int]:
    """Try targets that all groups are to meet; take the one met best while about as many are flagged."""
    grid = np.linspace(0, 1, _STEPS + 1)
    if aim == "demographic_parity":
        near = [np.abs(one.flagged[:, None] - flagged) for one in steps]
    elif aim == "equal_opportunity":
        near = [np.abs(one.sensitivity[:, None] - grid) for one in steps]
    else:
        # of all pairs of rates at which so many are flagged: flagged = share · sensitivity + (1 − share) · rate
        alarms = np.clip((flagged - share * grid) / (1 - share), 0, 1)
        near = [
            np.maximum(
                np.abs(one.sensitivity[:, None] - grid), np.abs(one.false_positive_rate[:, None] - alarms)
            )
            for one in steps
        ]
    places = [one.argmin(axis=0) for one in near]
    moved = np.abs(sum(n * one.flagged[at] for n, one, at in zip(size, steps, places, strict=True)) - flagged)
    cost = moved if aim == "equal_opportunity" else moved + _gap(steps, places)
    best = int(np.argmin(cost))
    return [int(at[best]) for at in places]


def _gap(steps: list[_Steps], places: list[NDArray[np.intp]]) -> Floats:
    rates = [
        np.ptp([getattr(one, rate)[at] for one, at in zip(steps, places, strict=True)], axis=0)
        for rate in ("sensitivity", "false_positive_rate")
    ]
    return np.asarray(np.maximum(*rates), dtype=np.float64)


def _enough(outcome: NDArray[np.bool_], patients: NDArray[np.int64], chosen: NDArray[np.bool_]) -> bool:
    return all(len(np.unique(patients[chosen & which])) >= FEWEST for which in (outcome, ~outcome))


def _reads(samples: Samples, by: str) -> frozenset[str]:
    found: set[str] = set()
    for part in samples.parts():
        history = part.history()
        codes = (history.vocabulary[code] for code in np.unique(history.code))
        found |= {code for code in codes if dimension_of(code) == by}
    return frozenset(found)
