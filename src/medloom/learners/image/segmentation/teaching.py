"""Networks that outline are taught: what is learned from, what is judged by, and which parts are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.image_recipe import Recipe, fingerprint, recipe
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.segmentation.augmenting import Augmentation
from medloom.learners.image.segmentation.cases import Case, Patches, prepared
from medloom.learners.image.segmentation.losses import dice_and_entropy
from medloom.learners.image.segmentation.networks import built
from medloom.learners.image.segmentation.outlining import largest_parts, probabilities
from medloom.record.imaging.image import Image
from medloom.training.fitting import fit
from medloom.training.schedule import Schedule
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

_log = logging.getLogger(__name__)

Example = tuple[Image, NDArray[Any]]
Rows = NDArray[np.int64]

_JUDGEMENTS: Final = 12  # in a training; each costs as long as to outline all cases that are judged by
_MOST_JUDGED: Final = 40


@dataclass(frozen=True)
class Course:
    """How networks are taught.

    Attributes:
        kind: of network.
        schedule: of the fit loop; its epochs are passes over the images, its batch is the recipe's where it is 0.
        augmentation: of patches.
        networks: how many; each is judged by a share of the cases of its own, where there are several.
        spacing: mm that images are brought to; None: what is usual.
        folder: where it is kept how far each network is, so that a teaching that was cut off goes on; None: nowhere.
        of: what is learned from, in a digest.
    """

    kind: str
    schedule: Schedule
    augmentation: Augmentation
    networks: int = 1
    spacing: tuple[float, ...] | None = None
    folder: Path | None = None
    of: str = ""


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
    made = recipe(fingerprint(train, seed), spacing=course.spacing)
    check_axes(course, made)
    if course.schedule.batch:
        made = replace(made, batch=course.schedule.batch)
    cases = [prepared(*example, made) for part in (train, tuning) for example in part]
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


def check_axes(course: Course, made: Recipe) -> None:
    """Refuse a course that flips an axis which images do not have.

    Raises:
        InputError: it does.
    """
    axes = len(made.spacing)
    if any(axis >= axes for axis in course.augmentation.flips):
        raise InputError(
            "flips {flips} name an axis that images do not have; theirs are 0 to {last}",
            flips=course.augmentation.flips,
            last=axes - 1,
        )


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
    schedule = course.schedule
    repeats = max(1, round(schedule.epochs / _JUDGEMENTS))
    with seeded(seed):
        network = built(course.kind, made, 1 + structures)
    fitted = fit(
        network,
        Patches(learned, made, course.augmentation, repeats),
        _loss,
        replace(schedule, epochs=max(1, round(schedule.epochs / repeats)), batch=made.batch, patience=None),
        seed=seed,
        judged=partial(_judge, judged[:_MOST_JUDGED], made, structures, course) if judged else None,
        folder=course.folder,
        of=digest(
            [course.of, course.kind, asdict(schedule), asdict(course.augmentation), made.to_json(), seed]
        ),
        doing=tr("Learning to outline"),
    )
    _log.info("taught images=%d steps=%d why=%s", len(learned), fitted.course.step, fitted.why)
    found: nn.Module = network.float().eval().requires_grad_(False)
    return found


def _in(course: Course, number: int) -> Course:
    return course if course.folder is None else replace(course, folder=course.folder / str(number))


def _loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return dice_and_entropy(network(batch[0]), batch[1])


def _judge(cases: Sequence[Case], made: Recipe, structures: int, course: Course, network: nn.Module) -> float:
    """Give one minus the mean Dice of structures that are there."""
    found = [mean_dice(_labels(case), _said(network, case, made, course), structures) for case in cases]
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
    plain = np.array([mean_dice(_labels(case), said, structures) for case, said in tried])
    alone = np.array(
        [
            mean_dice(_labels(case), largest_parts(said, range(1, structures + 1)), structures)
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


def _labels(case: Case) -> NDArray[Any]:
    assert case.labels is not None
    return np.asarray(case.labels.numpy())


def _shares(groups: tuple[Rows, Rows], networks: int, seed: int) -> list[NDArray[np.bool_]]:
    """Tell which cases each network is judged by: (cases,) each."""
    train, tuning = groups
    if networks == 1:
        return [np.repeat([False, True], [len(train), len(tuning)])]
    whose = np.concatenate([train, tuning])
    drawn = generator(seed, "folds").permutation(np.unique(whose))
    return [np.isin(whose, fold) for fold in np.array_split(drawn, networks)]
