"""One trial of a model: what is changed and what remains, set against nothing changed on the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import bootstrap, estimate
from medloom.evidence.judging import METRICS, Judge, Who
from medloom.evidence.tally import Floats
from medloom.foundation.messages import Text2
from medloom.tasks.kinds import Kind

Family = Literal[
    "missing", "lost", "noise", "units", "attack", "acquisition", "prevalence", "periods", "unusual"
]
"""What can happen: to the inputs of patients, to their images, to who comes, and when."""

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)


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
        beside: the same difference of further metrics, where it is told.
    """

    name: Text2
    metrics: dict[str, Estimate]
    difference: Estimate
    strength: float | None = None
    code: str | None = None
    crossed: Estimate | None = None
    beside: dict[str, Estimate] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {
            "name": self.name.en,
            "strength": self.strength,
            "code": self.code,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "difference": self.difference.to_json(),
            "crossed": None if self.crossed is None else self.crossed.to_json(),
            **({"beside": {name: one.to_json() for name, one in self.beside.items()}} if self.beside else {}),
        }


@dataclass(frozen=True)
class Planned:
    """A change, and the answers after it: several where chance decides, each (n, k).

    `turned`: (n,) of whom the decision is another; None: as the answers tell.
    """

    name: Text2
    said: Sequence[Floats]
    strength: float | None = None
    code: str | None = None
    turned: Floats | None = None


class Trials:
    """Measures trials on the same samples and resamples.

    Args:
        kind: of the question.
        judge: outcomes of n samples.
        replicates: of the bootstrap over subjects.
        seed: of it.
    """

    def __init__(self, kind: Kind, judge: Judge, replicates: int, seed: int) -> None:
        self.kind, self.judge = kind, judge
        self.replicates, self.seed = replicates, seed
        self.names = METRICS[kind]

    def where(self, who: Who) -> Trials:
        """Keep some samples."""
        return Trials(self.kind, self.judge.where(who), self.replicates, self.seed)

    def changed(self, planned: Sequence[Planned], before: Floats) -> list[Trial]:
        """Measure answers after changes; differences are from `before`, the answers without any: (n, k)."""
        names = self.names
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

        found = self.estimates(measure)
        return [
            nothing(one.name, names, reason, one.strength, one.code)
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

    def compared(self, parts: Sequence[tuple[Text2, Who]], said: Floats) -> tuple[Trial, ...] | Text2:
        """Measure answers (n, k) of parts of the samples, none changed; differences are from the first part.

        Gives the reason where no part is large enough.
        """
        reasons = [self.judge.where(who).why_not(said[who]) for _, who in parts]
        known = [reason for reason in reasons if reason is not None]
        if len(known) == len(parts):
            return known[0]
        measure, first = self.judge.measure(said), self.names[0]

        def each(weight: Floats) -> dict[str, Floats]:
            out: dict[str, Floats] = {}
            for at, (_, who) in enumerate(parts):
                out |= {f"{at}.{name}": value for name, value in measure(weight * who).items()}
                out[f"{at}.difference"] = out[f"{at}.{first}"] - out[f"0.{first}"]
            return out

        found = self.estimates(each)
        trials = []
        for at, ((name, _), reason) in enumerate(zip(parts, reasons, strict=True)):
            if reason is not None:
                trials.append(nothing(name, self.names, reason))
                continue
            difference = found[f"{at}.difference"]
            if reasons[0] is not None:
                difference = Estimate(None, reason=reasons[0])
            trials.append(Trial(name, {one: found[f"{at}.{one}"] for one in self.names}, difference))
        return tuple(trials)

    def _why_not(self, one: Planned) -> Text2 | None:
        return next((why for said in one.said if (why := self.judge.why_not(said)) is not None), None)

    def _turned(self, one: Planned, before: Floats) -> Floats | None:
        each = [found for said in one.said if (found := self.judge.crossed(before, said)) is not None]
        return np.mean(each, axis=0) if each else None

    def estimates(self, measure: Callable[[Floats], dict[str, Floats]]) -> dict[str, Estimate]:
        """Estimate whatever is measured of weights (b, n): (b,) each."""
        group = np.unique(self.judge.group, return_inverse=True)[1]
        whole = measure(np.ones((1, len(group))))
        drawn = bootstrap(measure, group, self.replicates, self.seed, "robustness")
        return {name: estimate(value[0], drawn.get(name)) for name, value in whole.items()}


def nothing(
    name: Text2, metrics: Sequence[str], reason: Text2, strength: float | None = None, code: str | None = None
) -> Trial:
    """Say of a trial why nothing of it can be estimated."""
    none = Estimate(None, reason=reason)
    return Trial(name, dict.fromkeys(metrics, none), none, strength, code)
