"""Networks that outline are taught: what is learned from, what is judged by, and which parts are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medloom.features.image_recipe import Recipe
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.patches.cases import Case, prepared
from medloom.learners.image.patches.course import MOST_JUDGED, Course, Example, check_outlined, labels_of
from medloom.learners.image.patches.networks import built
from medloom.learners.image.patches.outlining import largest_parts, probabilities
from medloom.learners.image.segmentation.losses import dice_and_entropy
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Taught:
    """What was learned.

    Attributes:
        recipe: of images.
        networks: whose probabilities are averaged.
        largest: structures of which the largest part alone is kept, for that was better where it was tried.
        dice: of each structure, of cases that were not learned from; None: there were none.
    """

    recipe: Recipe
    networks: tuple[nn.Module, ...]
    largest: tuple[int, ...]
    dice: tuple[float, ...] | None


def taught(
    train: Iterable[Example],
    tuning: Iterable[Example],
    groups: tuple[Rows, Rows],
    structures: int,
    course: Course,
    seed: int,
) -> Taught:
    """Teach networks to outline.

    One network learns from `train` and is judged by `tuning`; of several each learns from all but its own share of
    both, by which it is judged. What is judged best is kept, and so is the largest part of a structure alone, where
    that makes outlines better of cases that a network has not learned from.

    Args:
        train: images with outlines; they are gone through twice, and may be read then.
        tuning: likewise; may be empty.
        groups: of each of both, what must not be divided.
        structures: beside the background.
        course: how.
        seed: of all that is drawn.

    Raises:
        InputError: images are of unlike axes or channels, or the course is of other axes than they have.
    """
    made = course.recipe(train, seed)
    cases = [prepared(*example, made) for part in (train, tuning) for example in part]
    check_outlined(map(labels_of, cases), structures)
    shares = _shares(groups, course.networks, seed)
    networks, tried = [], []
    for number, judged in enumerate(shares):
        learned = [case for case, out in zip(cases, judged, strict=True) if not out]
        others = [case for case, out in zip(cases, judged, strict=True) if out]
        of = derive(seed, "network", str(number))
        networks.append(_one(learned, others, made, structures, _in(course, number), of))
        tried += [(case, _said(networks[-1], case, made, course)) for case in others]
    largest, dice = _parts(tried, structures)
    return Taught(made, tuple(networks), largest, dice)


def mean_dice(truth: NDArray[Any], said: NDArray[Any], structures: int) -> NDArray[np.float64]:
    """Give the Dice of each structure, NaN where it is in neither: (structures,).

    >>> mean_dice(np.array([[1, 1], [0, 0]]), np.array([[1, 0], [1, 0]]), 2).tolist()
    [0.5, nan]
    """
    together = np.bincount(
        (truth.astype(np.int64) * (structures + 1) + said).ravel(), minlength=(structures + 1) ** 2
    )
    table = together.reshape(structures + 1, structures + 1)
    total = (table.sum(0) + table.sum(1))[1:]
    twice = 2.0 * table.diagonal()[1:]
    dice: NDArray[np.float64] = np.divide(twice, total, out=np.full(structures, np.nan), where=total > 0)
    return dice


def _one(
    learned: Sequence[Case], judged: Sequence[Case], made: Recipe, structures: int, course: Course, seed: int
) -> nn.Module:
    """Teach one network."""
    with seeded(seed):
        network = built(course.kind, made, 1 + structures)
    judged = judged[:MOST_JUDGED]
    return course.teach(
        network,
        learned,
        made,
        _loss,
        judged=partial(_judge, judged, made, structures, course) if judged else None,
        seed=seed,
        doing=tr("Learning to outline"),
    )


def _in(course: Course, number: int) -> Course:
    return course if course.folder is None else replace(course, folder=course.folder / str(number))


def _loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return dice_and_entropy(network(batch[0]), batch[1])


def _judge(cases: Sequence[Case], made: Recipe, structures: int, course: Course, network: nn.Module) -> float:
    """Give one minus the mean Dice of structures that are there."""
    found = [mean_dice(labels_of(case), _said(network, case, made, course), structures) for case in cases]
    return 1 - float(np.nanmean(found)) if np.isfinite(found).any() else 1.0


def _said(network: nn.Module, case: Case, made: Recipe, course: Course) -> NDArray[np.uint8]:
    said = probabilities([network], case.pixels, made, precision=course.schedule.precision)
    labels: NDArray[np.uint8] = said.argmax(0).numpy().astype(np.uint8)
    return labels


def _parts(
    tried: Sequence[tuple[Case, NDArray[np.uint8]]], structures: int
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    """Find the structures of which the largest part alone is better, and the Dice that is reached so."""
    if not tried:
        return (), None
    plain = np.array([mean_dice(labels_of(case), said, structures) for case, said in tried])
    alone = np.array(
        [
            mean_dice(labels_of(case), largest_parts(said, range(1, structures + 1)), structures)
            for case, said in tried
        ]
    )
    before, after = _means(plain), _means(alone)
    better = after > before
    largest = tuple((np.flatnonzero(better) + 1).tolist())
    return largest, tuple(np.where(better, after, before).tolist())


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    counted = np.maximum(known.sum(axis=0), 1)
    means: NDArray[np.float64] = np.where(known, values, 0.0).sum(axis=0) / counted
    return means


def _shares(groups: tuple[Rows, Rows], networks: int, seed: int) -> list[NDArray[np.bool_]]:
    """Tell which cases each network is judged by: (cases,) each."""
    train, tuning = groups
    if networks == 1:
        return [np.repeat([False, True], [len(train), len(tuning)])]
    whose = np.concatenate([train, tuning])
    drawn = generator(seed, "folds").permutation(np.unique(whose))
    return [np.isin(whose, fold) for fold in np.array_split(drawn, networks)]
