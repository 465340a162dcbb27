"""A network that finds objects is taught: what it learns from, what it is judged by, and what is sure enough."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.boxes import boxes_of, numbered
from medloom.features.image_recipe import Recipe, fingerprint, recipe
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.detection.finding import UNKNOWN, detected, threshold_of
from medloom.learners.image.detection.targets import Objects, detection_loss, objects_in
from medloom.learners.image.segmentation.augmenting import NONE
from medloom.learners.image.segmentation.cases import Case, Patches, prepared
from medloom.learners.image.segmentation.networks import built
from medloom.learners.image.segmentation.teaching import Course, check_axes
from medloom.record.imaging.image import Image
from medloom.training.fitting import fit
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

_log = logging.getLogger(__name__)

Example = tuple[Image, NDArray[Any]]

_JUDGEMENTS: Final = 12  # in a training
_MOST_JUDGED: Final = 40
_PATCHES: Final = 2  # of each case that is judged by


@dataclass(frozen=True)
class TaughtToFind:
    """What was learned.

    Attributes:
        recipe: of images.
        objects: what is looked for.
        network: that gives heat and sizes.
        thresholds: of each structure the score from which on an object is shown.
    """

    recipe: Recipe
    objects: Objects
    network: nn.Module
    thresholds: tuple[float, ...]


def taught_to_find(
    train: Iterable[Example], tuning: Iterable[Example], structures: int, course: Course, seed: int
) -> TaughtToFind:
    """Teach a network to find what experts outlined: each part of a structure that hangs together is an object.

    Args:
        train: images with outlines; they are gone through twice, and may be read then.
        tuning: likewise, by which it is judged and thresholds are chosen; may be empty.
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
    learned = [_case(example, made, structures) for example in train]
    judged = [(_case(example, made, structures), boxes_of(example[1])) for example in tuning]
    objects = objects_in((_labels(case) for case in learned), structures, len(made.patch))
    schedule = course.schedule
    repeats = max(1, round(schedule.epochs / _JUDGEMENTS))
    with seeded(derive(seed, "network")):
        network = built(course.kind, made, objects.maps)
    batches = _judging([case for case, _ in judged[:_MOST_JUDGED]], made, seed)
    fitted = fit(
        network,
        Patches(learned, made, course.augmentation, repeats),
        partial(_loss, objects),
        replace(schedule, epochs=max(1, round(schedule.epochs / repeats)), batch=made.batch, patience=None),
        seed=seed,
        judged=partial(_judge, batches, objects) if batches else None,
        folder=course.folder,
        of=digest(
            [course.of, course.kind, asdict(schedule), asdict(course.augmentation), made.to_json(), seed]
        ),
        doing=tr("Learning to find"),
    )
    _log.info("taught images=%d steps=%d why=%s", len(learned), fitted.course.step, fitted.why)
    found: nn.Module = network.float().eval().requires_grad_(False)
    if not judged:
        return TaughtToFind(made, objects, found, (UNKNOWN,) * structures)
    flips = course.augmentation.flips  # as it will be asked
    said = [detected(found, case, made, objects, flips, schedule.precision) for case, _ in judged]
    return TaughtToFind(made, objects, found, threshold_of(said, [truth for _, truth in judged], structures))


def _case(example: Example, made: Recipe, structures: int) -> Case:
    image, labels = example
    return prepared(image, numbered(labels, structures), made)


def _labels(case: Case) -> NDArray[Any]:
    assert case.labels is not None
    return np.asarray(case.labels.numpy())


def _loss(objects: Objects, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return detection_loss(network(batch[0]), batch[1], objects)


def _judging(cases: Sequence[Case], made: Recipe, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Cut patches that stay the same from one judgement to the next."""
    if not cases:
        return []
    rows = np.tile(np.arange(len(cases)), _PATCHES)
    patches, rng = Patches(cases, made, NONE), generator(seed, "judging")
    return [patches.batch(some, rng) for some in np.array_split(rows, -(-len(rows) // made.batch))]


def _judge(batches: Sequence[tuple[Tensor, Tensor]], objects: Objects, network: nn.Module) -> float:
    """Give the mean loss of the patches."""
    import torch

    with torch.inference_mode():
        return float(torch.cat([_loss(objects, network, batch) for batch in batches]).mean())
