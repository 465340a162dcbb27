"""How far people who read the same cases agree, beyond what chance would give.

Cohen's kappa of two readings (Cohen, Educ Psychol Meas 1960;20:37-46), weighted by how far apart they are (Cohen,
Psychol Bull 1968;70:213-220); Fleiss' kappa of several readings by whomever (Fleiss, Psychol Bull 1971;76:378-382).
Intervals are percentiles over resampled subjects, as everywhere here: they need no large samples, as the standard
errors of Fleiss, Cohen and Everitt (Psychol Bull 1969;72:323-327) do, and know that cases of one subject are alike.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.tally import Floats, ratio
from medloom.foundation.messages import Text2, text2

Weighting = Literal["equal", "linear", "quadratic"]
"""How much a disagreement weighs: any the same, or by the distance of the categories, or by its square."""

_POWER: dict[Weighting, int] = {"equal": 0, "linear": 1, "quadratic": 2}
_ROUNDING = 1e-12

# Landis and Koch, Biometrics 1977;33:159-174, p. 165: up to this kappa, so strong.
_STRENGTHS = ((0.0, "none"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))


def percent_agreement(
    first: ArrayLike,
    second: ArrayLike,
    *,
    group: ArrayLike | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimate:
    """Estimate the share of cases that two readings (n,) of the same cases answer alike, from 0 to 1.

    `group`: (n,) whose case it is; None: each its own subject's.

    >>> print(percent_agreement([1, 1, 0, 0, 1, 0, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0, 1, 1, 1, 1]))
    0.800 (0.500–1.000)
    """
    one, other = _paired(first, second)
    same = (one == other).astype(np.float64)

    def measure(weight: Floats) -> Floats:
        return ratio(weight @ same, weight.sum(axis=-1))

    return _estimated(measure, _subjects(group, one.size), replicates, seed)


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    weighting: Weighting = "equal",
    categories: Sequence[object] | None = None,
    group: ArrayLike | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimate:
    """Estimate Cohen's kappa of two readings (n,) of the same cases: 1 is full agreement, 0 what chance gives.

    Args:
        first, second: categories as texts, booleans or numbers.
        weighting: `linear` or `quadratic` for categories with an order.
        categories: all of them, in their order; None: those that occur, sorted.
        group: (n,) whose case it is; None: each its own subject's.

    Raises:
        ValueError: the readings are not of the same cases, or a category is not among `categories`.

    >>> first, second = ["yes"] * 25 + ["no"] * 25, ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    >>> print(cohen_kappa(first, second))
    0.400 (0.136–0.639)
    """
    one, other = _paired(first, second)
    known = np.unique(np.concatenate([one, other])).tolist() if categories is None else list(categories)
    k = len(known)
    cell = _places(one, known) * k + _places(other, known)
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(np.float64)
    cost = np.where(distance > 0, distance ** _POWER[weighting], 0.0)
    chosen = np.zeros((one.size, k * k))
    chosen[np.arange(one.size), cell] = 1.0

    def measure(weight: Floats) -> Floats:
        table = (weight @ chosen).reshape(*weight.shape[:-1], k, k)
        table = table / table.sum(axis=(-2, -1), keepdims=True)
        by_chance = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
        return 1 - _share((table * cost).sum(axis=(-2, -1)), (by_chance * cost).sum(axis=(-2, -1)))

    return _estimated(measure, _subjects(group, one.size), replicates, seed)


def fleiss_kappa(
    counts: ArrayLike, *, group: ArrayLike | None = None, replicates: int = REPLICATES, seed: int = 0
) -> Estimate:
    """Estimate Fleiss' kappa of several readings of each case, whoever they are by.

    Where cases have different numbers of readings, each case weighs the same in what was agreed and each reading the
    same in what chance would give; with equal numbers it is the kappa of 1971.

    Args:
        counts: (n, k) how often each case was put into each category; at least two readings a case.
        group: (n,) whose case it is; None: each its own subject's.

    Raises:
        ValueError: a case has fewer than two readings.

    >>> print(fleiss_kappa([[2, 0]] * 6 + [[0, 2]] * 6 + [[1, 1]] * 3))
    0.600 (0.100–1.000)
    """
    put = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    put = put if put.size else np.zeros((0, 1))
    readings = put.sum(axis=1)
    if put.shape[0] and readings.min() < 2:
        raise ValueError("Fleiss' kappa needs at least two readings of each case")
    alike = (put * (put - 1)).sum(axis=1) / (readings * (readings - 1))

    def measure(weight: Floats) -> Floats:
        agreed = ratio(weight @ alike, weight.sum(axis=-1))
        shares = (weight @ put) / (weight @ readings)[..., None]
        by_chance = (shares**2).sum(axis=-1)
        return 1 - _share(1 - agreed, 1 - by_chance)

    return _estimated(measure, _subjects(group, put.shape[0]), replicates, seed)


def strength(kappa: float) -> Text2:
    """Say in a word how strong an agreement is, after Landis and Koch; the bounds are a convention, no more.

    >>> strength(0.55).en, strength(0.85).en
    ('moderate', 'almost perfect')
    """
    names = {
        "none": text2("no better than chance"),
        "slight": text2("slight"),
        "fair": text2("fair"),
        "moderate": text2("moderate"),
        "substantial": text2("substantial"),
    }
    return next((names[name] for most, name in _STRENGTHS if kappa <= most), text2("almost perfect"))


def meaning(kappa: Estimate) -> Text2:
    """Say in plain words what a kappa means, or why there is none."""
    if kappa.value is None:
        reason = kappa.reason or _one_category()
        return Text2(
            *(
                text2("Agreement beyond chance cannot be told: {reason}.", reason=reason[at])[at]
                for at in (0, 1)
            )
        )
    word = strength(kappa.value)
    share = f"{100 * max(kappa.value, 0.0):.0f}"
    return Text2(
        *(
            text2(
                "Of the agreement that chance alone would not give, the readers reached {share} %; by convention this"
                " is called “{word}”.",
                share=share,
                word=word[at],
            )[at]
            for at in (0, 1)
        )
    )


def _estimated(
    measure: Callable[[Floats], Floats], subjects: NDArray[np.intp], replicates: int, seed: int
) -> Estimate:
    n = int(subjects.max()) + 1 if subjects.size else 0
    if n < FEWEST_SUBJECTS:
        return Estimate(
            None,
            reason=text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS),
        )
    value = measure(np.ones(subjects.size))
    if not np.isfinite(value):
        return Estimate(None, reason=_one_category())
    drawn = bootstrap(lambda weight: {"value": measure(weight)}, subjects, replicates, seed, "agreement")
    found = estimate(value, drawn.get("value"))
    if found.low is not None and found.low == found.high:
        return Estimate(
            found.value, reason=text2("all cases are alike, so that resampling them gives no interval")
        )
    return found


def _one_category() -> Text2:
    return text2("the readers used only one category, so that chance alone would make them agree")


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    one, other = np.asarray(first), np.asarray(second)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"two readings of the same cases are needed, not of {one.shape} and {other.shape}")
    return one, other


def _places(readings: NDArray[np.generic], known: Sequence[object]) -> NDArray[np.intp]:
    place = {category: at for at, category in enumerate(known)}
    try:
        return np.array([place[one] for one in readings.tolist()], dtype=np.intp)
    except KeyError as error:
        raise ValueError(f"a reading says {error.args[0]!r}, which is none of the categories") from error


def _share(observed: Floats, by_chance: Floats) -> Floats:
    """Divide disagreement by that of chance; NaN where chance gives none, but for rounding."""
    return ratio(observed, np.where(np.asarray(by_chance) > _ROUNDING, by_chance, 0.0))


def _subjects(group: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Number the subjects from 0: (n,)."""
    if group is None:
        return np.arange(n)
    numbered: NDArray[np.intp] = np.unique(np.asarray(group), return_inverse=True)[1]
    return numbered
