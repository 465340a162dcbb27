"""Drawn images beside real ones: how alike they are, whether they are copies, and what they are worth.

Fréchet distance: Heusel et al., NeurIPS 2017; it grows with fewer images, so that both sides have as many, and two
halves of the real ones stand beside it. Kernel distance, which does not: Bińkowski et al., ICLR 2018. What is near:
`nearness`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medloom.evidence.answers import Answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import estimate, estimates, paired_difference
from medloom.evidence.metrics import PRIMARY
from medloom.evidence.nearness import DISTANCE_LIMIT, MEMBERSHIP_LIMIT, Nearness, nearness, resampled
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator

Floats = NDArray[np.float64]

COPIED_LIMIT: Final = 0.05
"""A share surely above this of images nearer to one learned from than all but 1 % of unseen ones: learned by heart."""

UNLIKE: Final = 2.0
"""So many times as far from real images as half of these from the other half: not like them."""

_NEAREST: Final = 0.01
_REPLICATES: Final = 200
_FEWEST: Final = 20  # images of each kind
_FEW: Final = 100  # unseen images
_HALVES: Final = 10  # times that real images are halved
_MOST: Final = 500  # images of a half


@dataclass(frozen=True)
class Effect:
    """What drawn images are worth to a learner.

    Attributes:
        metric: by which it is judged.
        split: on whose images.
        without, with_drawn: of a model of real images alone, and of one of drawn ones beside them.
        difference: of the second over the first, on the same resamples.
    """

    metric: str
    split: str
    without: Estimate
    with_drawn: Estimate
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        found = {"without": self.without, "with": self.with_drawn, "difference": self.difference}
        return {
            "metric": self.metric,
            "split": self.split,
            **{name: one.to_json() for name, one in found.items()},
        }


@dataclass(frozen=True)
class GeneratedEvidence:
    """What was found out about drawn images.

    Attributes:
        images: of the kinds `train`, `unseen` and `drawn`.
        frechet, frechet_real: distance of drawn images to a half of the real ones, and of the other half to it; mean
            over several ways to halve them.
        kernel, kernel_real: the same by the kernel distance, in thousandths.
        copied: share of drawn images that lie nearer to one learned from than 99 % of unseen ones do.
        distance_ratio: median distance of drawn images to the nearest learned from, over that of unseen ones.
        membership: AUROC of one who tells, by the distance to the nearest drawn image, who was learned from.
        effect: on a learner; None: not measured.
    """

    images: Mapping[str, int]
    frechet: float
    frechet_real: float
    kernel: float
    kernel_real: float
    copied: Estimate
    distance_ratio: Estimate
    membership: Estimate
    effect: Effect | None = field(default=None)

    @property
    def doubts(self) -> tuple[Text2, ...]:
        """Say why these images should not be used or given away; none: nothing was found against it."""
        said = []
        told = (self.copied, self.membership, self.distance_ratio)
        if any(one.value is None or one.low is None for one in told):
            said.append(
                text2("What drawn images tell about patients could not be measured; do not give them away.")
            )
        if self.copied.low is not None and self.copied.low > COPIED_LIMIT:
            said.append(
                text2(
                    "Images were learned by heart: {value} of those drawn lie nearer to one learned from than 99 % of"
                    " unseen images do.",
                    value=f"{self.copied.value:.0%}",
                )
            )
        if self.membership.low is not None and self.membership.low > MEMBERSHIP_LIMIT:
            said.append(
                text2(
                    "Who was learned from can be told: AUROC {value}, more than {limit}.",
                    value=f"{self.membership.value:.2f}",
                    limit=f"{MEMBERSHIP_LIMIT:.2f}",
                )
            )
        if self.distance_ratio.high is not None and self.distance_ratio.high < DISTANCE_LIMIT:
            said.append(
                text2(
                    "Drawn images lie too near to real ones: {value} of unseen images' distance, less than {limit}.",
                    value=f"{self.distance_ratio.value:.2f}",
                    limit=f"{DISTANCE_LIMIT:.2f}",
                )
            )
        return tuple(said)

    @property
    def cautions(self) -> tuple[Text2, ...]:
        """Say what is poor about them, what so few cannot show, and whether a learner gained."""
        said = []
        if self.frechet > UNLIKE * self.frechet_real:
            said.append(
                text2(
                    "Drawn images are not like real ones: {times} times as far as two halves of these are from each"
                    " other.",
                    times=f"{self.frechet / self.frechet_real:.1f}",
                )
            )
        if self.images["unseen"] < _FEW:
            said.append(
                text2(
                    "Only {n} unseen images: what happens to fewer than one in {n} cannot be seen.",
                    n=self.images["unseen"],
                )
            )
        gain = None if self.effect is None else self.effect.difference
        if gain is not None and gain.low is not None and gain.high is not None:
            if gain.low > 0:
                said.append(text2("The learner gained by them."))
            elif gain.high < 0:
                said.append(text2("The learner lost by them: leave them out."))
            else:
                said.append(text2("Whether the learner gains by them was not shown."))
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {
            "images": dict(self.images),
            "frechet": self.frechet,
            "frechet_real": self.frechet_real,
            "kernel": self.kernel,
            "kernel_real": self.kernel_real,
            "copied": self.copied.to_json(),
            "distance_ratio": self.distance_ratio.to_json(),
            "membership_auroc": self.membership.to_json(),
            "effect": None if self.effect is None else self.effect.to_json(),
            "doubts": [one.en for one in self.doubts],
            "cautions": [one.en for one in self.cautions],
        }


def judge_generated(
    train: ArrayLike,
    unseen: ArrayLike,
    drawn: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    unseen_groups: ArrayLike | None = None,
    effect: Effect | None = None,
    seed: int = 0,
) -> GeneratedEvidence:
    """Judge drawn images by what a network knows of them.

    Args:
        train: (n, d) of images that were learned from.
        unseen: (m, d) of real images that were not.
        drawn: (k, d).
        groups: (n,) patients of those learned from: no half shares one with the other; None: each its own.
        unseen_groups: (m,) patients of those that were not; intervals draw patients.
        effect: on a learner.
        seed: of what is drawn.

    Raises:
        InputError: there are fewer than twenty of a kind.
    """
    known, outside, made = (np.asarray(one, np.float64) for one in (train, unseen, drawn))
    images = {"train": len(known), "unseen": len(outside), "drawn": len(made)}
    if min(images.values()) < _FEWEST:
        raise InputError(
            "drawn images cannot be judged by {n}; {least} of each kind are the least",
            n=min(images.values()),
            least=_FEWEST,
        )
    rng = generator(seed, "generated images")
    numbered = np.arange(len(known)) if groups is None else np.unique(groups, return_inverse=True)[1]
    frechet, frechet_real, kernel, kernel_real = (
        float(one) for one in np.mean([_apart(known, numbered, made, rng) for _ in range(_HALVES)], axis=0)
    )
    n = min(len(known), len(outside))
    some, others = (rng.permutation(len(one))[:n] for one in (known, outside))
    others_of = np.arange(len(outside)) if unseen_groups is None else np.asarray(unseen_groups)
    of = (numbered[some], others_of[others])
    found = nearness(known, known[some], outside[others], made, rng, groups=of)
    return GeneratedEvidence(
        images,
        frechet,
        frechet_real,
        kernel,
        kernel_real,
        _copied(found, of[1], rng),
        found.ratio,
        found.membership,
        effect,
    )


def effect_of(without: Answers, with_drawn: Answers, split: str, seed: int = 0) -> Effect:
    """Compare a model of real images alone with one of drawn ones beside them, on the same images."""
    metric = PRIMARY[without.kind]
    one, other = (estimates(answers, seed=seed)[metric] for answers in (without, with_drawn))
    return Effect(metric, split, one, other, paired_difference(metric, with_drawn, without, seed=seed))


def frechet_distance(a: Floats, b: Floats) -> float:
    """Give the Fréchet distance between normal distributions fitted to two sets of rows: (n, d), (m, d).

    Of one number it is the squares of how far means and standard deviations are apart:

    >>> a = np.array([[1.0], [2.0], [3.0]])
    >>> round(frechet_distance(a, 2 * a), 6)
    5.0
    """
    first, second = a - a.mean(0), b - b.mean(0)
    n, m = len(a) - 1, len(b) - 1
    # the trace of the root of the product of both covariances, without either of these d x d matrices
    shared = np.linalg.norm(first @ second.T, "nuc") / np.sqrt(n * m)
    spread = (first**2).sum() / n + (second**2).sum() / m - 2 * shared
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + spread)


def kernel_distance(a: Floats, b: Floats) -> float:
    """Give the squared distance of means under a cubic kernel, unbiased: 0 on average where both are of one kind.

    >>> a = np.array([[0.0], [0.0]])
    >>> kernel_distance(a, a + 1)  # (0 + 1)^3 within the one, (1 + 1)^3 within the other, 1 between
    7.0
    """
    d = a.shape[1]
    within = []
    for one in (a, b):
        near = (one @ one.T / d + 1) ** 3
        within.append((near.sum() - np.trace(near)) / (len(one) * (len(one) - 1)))
    return float(sum(within) - 2 * ((a @ b.T / d + 1) ** 3).mean())


def _apart(
    known: Floats, groups: NDArray[np.intp], made: Floats, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Halve the real images; tell how far drawn ones, and the other half, are from one half."""
    order = rng.permutation(int(groups.max()) + 1)
    first = np.isin(groups, order[: len(order) // 2])
    n = min(first.sum(), (~first).sum(), len(made), _MOST)
    half, other, drawn = (one[rng.permutation(len(one))[:n]] for one in (known[first], known[~first], made))
    return (
        frechet_distance(drawn, half),
        frechet_distance(other, half),
        1000 * kernel_distance(drawn, half),
        1000 * kernel_distance(other, half),
    )


def _copied(found: Nearness, unseen: NDArray[Any], rng: np.random.Generator) -> Estimate:
    def share(near: Floats, usual: Floats) -> float:
        return float((near <= np.quantile(usual, _NEAREST)).mean())

    draws = [
        share(resampled(found.near, rng), resampled(found.usual, rng, unseen)) for _ in range(_REPLICATES)
    ]
    return estimate(share(found.near, found.usual), np.array(draws))
