"""The worst that small changes of a patient's values can do to an answer.

Projected gradient steps inside a box of ε standard deviations a fact (Madry et al., ICLR 2018), the gradient by finite
differences: any model can be asked, and what cannot change (age, sex, what was not measured) stays. A search finds
some bad case, perhaps not the worst: what it reports is a lower bound of the harm. Medicine: Finlayson et al.,
Science 2019;363:1287-1289.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from medloom.evidence.perturbation import Facts, Floats
from medloom.explanation.asking import Answer, Inputs, Integers, in_blocks

Aim = Callable[[Floats], Floats]
"""What is to become large: answers (n, k) of the n samples, in order → (n,)."""

_STEPS: Final = 2
# Standard deviations. A model that moves in steps shows almost none of them within the smaller distance.
_NEAR: Final = 0.02
_TINY: Final = 0.001
_SMOOTH: Final = 0.5


def is_smooth(answer: Answer, x: Inputs, facts: Facts, places: Integers) -> bool:
    """Tell whether answers have slopes to follow: a tiny change of a value that matters moves them a little.

    Answers of trees move in steps: what a change of 0.02 standard deviations moves now and then, one of 0.001 hardly
    ever does.

    Args:
        answer: (m, p) → (m, k).
        x: (n, p).
        facts: behind the p inputs.
        places: of the facts that are tried.
    """
    before = in_blocks(answer, x)
    seen = {_NEAR: 0, _TINY: 0}
    for place in places.tolist():
        for distance in seen:
            by = np.zeros((len(x), len(facts.each)))
            by[:, place] = distance
            seen[distance] += int((in_blocks(answer, facts.moved(x, by)) != before).any(axis=1).sum())
    return seen[_TINY] > 0 and seen[_TINY] >= _SMOOTH * seen[_NEAR]


def attacked(answer: Answer, x: Inputs, facts: Facts, places: Integers, aim: Aim, reach: float) -> Inputs:
    """Change inputs so that `aim` becomes as large as a few steps can make it.

    Args:
        answer: (m, p) → (m, k), smooth.
        x: (n, p) NaN where missing.
        facts: behind the p inputs.
        places: of the facts that may be changed.
        aim: (n, k) answers → (n,).
        reach: ε, in standard deviations of each fact.

    Gives (n, p): for each sample the best found, itself where nothing was better.
    """
    by = np.zeros((len(x), len(facts.each)))
    best, most = x.copy(), aim(in_blocks(answer, x))
    now = most
    for _ in range(_STEPS):
        slope = _slopes(answer, x, facts, places, aim, by, now, min(_NEAR, reach / 4))
        # the first step reaches the corner that is the worst of a straight line; the next looks around it
        by[:, places] = np.clip(by[:, places] + reach * np.sign(slope), -reach, reach)
        tried = facts.moved(x, by)
        now = aim(in_blocks(answer, tried))
        better = now > most
        best[better], most = tried[better], np.maximum(most, now)
    return best


def _slopes(
    answer: Answer,
    x: Inputs,
    facts: Facts,
    places: Integers,
    aim: Aim,
    by: Floats,
    now: Floats,
    distance: float,
) -> Floats:
    """Give the direction in which `aim` rises along each fact: (n, len(places))."""
    slope = np.empty((len(x), len(places)))
    for column, place in enumerate(places.tolist()):
        by[:, place] += distance
        slope[:, column] = aim(in_blocks(answer, facts.moved(x, by))) - now
        by[:, place] -= distance
    return slope
