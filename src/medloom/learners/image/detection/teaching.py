"""A network that finds objects is taught: what it learns from, what it is judged by, and what is sure enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from medloom.features.boxes import boxes_of, numbered
from medloom.features.image_recipe import Recipe
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.detection.finding import UNKNOWN, detected, threshold_of
from medloom.learners.image.detection.targets import Objects, detection_loss, objects_in
from medloom.learners.image.patches.augmenting import NONE
from medloom.learners.image.patches.cases import Case, Patches, prepared
from medloom.learners.image.patches.course import MOST_JUDGED, Course, Example, check_outlined, labels_of
from medloom.learners.image.patches.networks import built
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    made = course.recipe(train, seed)
    learned = [_case(example, made, structures) for example in train]
    judged = [(_case(example, made, structures), boxes_of(example[1])) for example in tuning]
    check_outlined(map(labels_of, learned), structures)
    objects = objects_in((labels_of(case) for case in learned), structures, len(made.patch))
    with seeded(derive(seed, "network")):
        network = built(course.kind, made, objects.maps)
    batches = _judging([case for case, _ in judged[:MOST_JUDGED]], made, seed)
    found = course.teach(
        network,
        learned,
        made,
        partial(_loss, objects),
        judged=partial(_judge, batches, objects) if batches else None,
        seed=seed,
        doing=tr("Learning to find"),
    )
    if not judged:
        return TaughtToFind(made, objects, found, (UNKNOWN,) * structures)
    flips = course.augmentation.flips  # as it will be asked
    said = [detected(found, case, made, objects, flips, course.schedule.precision) for case, _ in judged]
    return TaughtToFind(made, objects, found, threshold_of(said, [truth for _, truth in judged], structures))


def _case(example: Example, made: Recipe, structures: int) -> Case:
    image, labels = example
    return prepared(image, numbered(labels, structures), made)


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

    device = next(network.parameters()).device
    with torch.inference_mode():
        losses = [_loss(objects, network, (x.to(device), drawn)) for x, drawn in batches]
        return float(torch.cat(losses).mean())
