"""Everything that is done to the inputs of a model's samples, and what it answers then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloom.evidence.attack import attacked, is_smooth
from medloom.evidence.perturbation import Facts, Floats, another_unit, system_of
from medloom.evidence.trial import Family, Planned, Trial, Trials
from medloom.explanation.asking import Answer, Inputs, in_blocks
from medloom.explanation.wording import code_name, fill, same, unit_spelled
from medloom.foundation.messages import Text2, text2, tr
from medloom.foundation.progress import track
from medloom.foundation.seeds import generator
from medloom.tasks.samples import Samples

CHANGES: Final[tuple[Family, ...]] = ("missing", "lost", "noise", "units", "attack")
"""What happens to facts."""

INPUTS: Final[tuple[Family, ...]] = (*CHANGES, "acquisition")
"""What happens to inputs: facts and images."""

Found = dict[Family, tuple[Trial, ...] | Text2]

WITHHELD: Final = (0.1, 0.25, 0.5, 0.75)  # shares of a sample's facts
JITTER: Final = (0.1, 0.25, 0.5, 1.0)  # standard deviations
REACH: Final = (0.05, 0.1, 0.25)  # standard deviations
_REPEATS: Final = 2  # of what is random, beside the resamples
_IN_WRONG_UNIT: Final = 6  # facts
_LOST_ALONE: Final = 6  # columns of a table, which come from no named source
_MAY_CHANGE: Final = 10  # facts, in an attack
_ATTACKED: Final = 400  # samples, of many
_CELLS: Final = 200_000  # inputs of all that are attacked, where a sample has very many; but at least
_LEAST_ATTACKED: Final = 200
_LOOKED_AT: Final = 50  # samples, to see whether there are slopes


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
class Shown:
    """A model of images as it is tried.

    Attributes:
        answer: to samples: (n, k).
        otherwise: how images could have been taken otherwise: name, strength, and samples as they would be then.
    """

    answer: Callable[[Samples], Floats]
    otherwise: Sequence[tuple[Text2, float, Callable[[Samples], Samples]]]

    def tried(self, trials: Trials, samples: Samples, before: Floats) -> Found:
        """Ask about images that were taken otherwise; they have no facts that could be withheld."""
        planned = [
            Planned(name, [self.answer(changed(samples))], strength)
            for name, strength, changed in track(self.otherwise, tr("Changing images"), len(self.otherwise))
        ]
        return {"acquisition": tuple(trials.changed(planned, before))}


class Changes:
    """All changes of the inputs of some samples.

    Args:
        trials: of the samples.
        asked: the model.
        x: (n, p) their inputs.
        descriptions, units: of codes, from the record's catalogue.
    """

    def __init__(
        self,
        trials: Trials,
        asked: Asked,
        x: Inputs,
        descriptions: Mapping[str, str],
        units: Mapping[str, str],
    ) -> None:
        self.trials, self.asked, self.x = trials, asked, x
        self.descriptions, self.units = descriptions, units
        self.facts, self.seed = asked.facts, trials.seed
        self.before = in_blocks(asked.answer, x)
        self.known = self.facts.known(x)
        self.ranked = self.facts.by_weight(asked.answer, x, self.seed)
        may = set(self.facts.continuous.tolist())
        self.continuous = [place for place in self.ranked.tolist() if place in may]

    def tried(self) -> Found:
        """Plan all changes, ask the model, and measure: the trials of each family, or why there are none."""
        if not self.known.any():
            nothing = text2("nothing is known of these samples that could be withheld or off")
            return dict.fromkeys(CHANGES, nothing)
        planned: dict[Family, list[Planned]] = {
            "missing": list(self._missing()),
            "lost": list(self._lost()),
            "noise": list(self._noise()) if self.continuous else [],
            "units": list(self._in_other_units()),
        }
        measured = iter(self.trials.changed([one for each in planned.values() for one in each], self.before))
        none = text2("no input that moves the answers is of this kind")
        found: Found = {
            family: tuple(next(measured) for _ in each) if each else none for family, each in planned.items()
        }
        return {**found, "attack": self._attack() if self.continuous else none}

    def _ask(self, x: Inputs) -> Floats:
        return in_blocks(self.asked.answer, x)

    def _name(self, code: str) -> Text2:
        return code_name(code, self.descriptions)

    def _missing(self) -> Iterator[Planned]:
        for share in WITHHELD:
            said = []
            for repeat in range(_REPEATS):
                drawn = generator(self.seed, "withheld", str(repeat)).random(self.known.shape)
                # the same draws: what is withheld at a tenth is withheld at a quarter too
                said.append(self._ask(self.facts.without(self.x, drawn < share)))
            yield Planned(text2("{share} of what is known withheld", share=f"{share:.0%}"), said, share)

    def _lost(self) -> Iterator[Planned]:
        systems: dict[str, tuple[Text2, list[int]]] = {}
        alone: list[int] = []
        seen = set(np.flatnonzero(self.known.any(axis=0)).tolist())
        for place in self.ranked.tolist():
            found = system_of(self.facts.each[place].code)
            if place not in seen:
                continue
            if found is None:
                alone.append(place)
            else:
                systems.setdefault(found[0], (found[1], []))[1].append(place)
        lost: list[tuple[Text2, str | None, list[int]]] = [
            (name, None, places) for name, places in systems.values()
        ]
        for place in alone[:_LOST_ALONE]:
            code = self.facts.each[place].code
            lost.append((self._name(code), code, [place]))
        for name, of, places in lost:
            mask = np.zeros(len(self.facts.each), bool)
            mask[places] = True
            said = [self._ask(self.facts.without(self.x, mask))]
            yield Planned(fill(text2("without {name}"), name=name), said, None, of)

    def _noise(self) -> Iterator[Planned]:
        for size in JITTER:
            said = []
            for repeat in range(_REPEATS):
                by = np.zeros(self.known.shape)
                drawn = generator(self.seed, "noise", str(repeat)).normal(size=by.shape)
                moved = self.facts.continuous
                by[:, moved] = size * drawn[:, moved]
                said.append(self._ask(self.facts.moved(self.x, by)))
            yield Planned(text2("values off by {size:g} standard deviations", size=size), said, size)

    def _in_other_units(self) -> Iterator[Planned]:
        for place in self.continuous[:_IN_WRONG_UNIT]:
            code = self.facts.each[place].code
            named = self._name(code)
            other = another_unit(code, self.units.get(code))
            changes = [(text2("{name} × 10"), 10.0, 0.0), (text2("{name} ÷ 10"), 0.1, 0.0)]
            if other is not None:
                unit, scale, offset = other
                spelled = unit_spelled(unit)
                said_in = text2("{name} as a share of 1") if not spelled else text2("{name} in {unit}")
                changes = [(fill(said_in, unit=same(spelled), name=Text2("{name}", "{name}")), scale, offset)]
            for template, scale, offset in changes:
                said = [self._ask(self.facts.converted(self.x, place, scale, offset))]
                yield Planned(fill(template, name=named), said, scale, code)

    def _attack(self) -> tuple[Trial, ...] | Text2:
        places = np.array(self.continuous[:_MAY_CHANGE], np.int64)
        most = min(_ATTACKED, max(_LEAST_ATTACKED, _CELLS // self.x.shape[1]))
        few = generator(self.seed, "attacked").permutation(len(self.x))[:most]
        who = np.zeros(len(self.x), bool)
        who[few] = True
        part, x, before = self.trials.where(who), self.x[who], self.before[who]
        if not is_smooth(self.asked.inner, x[:_LOOKED_AT], self.facts, places[:5]):
            return text2(
                "not differentiable: the answers move in steps, as those of trees do, so that there is no slope"
            )
        why = part.judge.why_not(before)
        if why is not None:
            return why
        # where not all are attacked, those who are have a performance of their own to begin with
        planned = [] if who.all() else [Planned(text2("as it is, of those who are attacked"), [before], 0.0)]
        for reach in REACH:
            each = [
                self._ask(attacked(self.asked.inner, x, self.facts, places, aim, reach))
                for aim in part.judge.aims(before)
            ]
            name = text2("every value up to {size:g} standard deviations off", size=reach)
            turned = part.judge.turned(before, each)
            planned.append(Planned(name, [part.judge.harmed(each)], reach, turned=turned))
        return tuple(part.changed(planned, before))
