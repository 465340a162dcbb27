"""How networks of patches are taught: what both outlining and finding share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.image_recipe import Recipe, fingerprint, recipe
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.learners.image.patches.augmenting import Augmentation
from medloom.learners.image.patches.cases import Case, Patches
from medloom.record.imaging.image import Image
from medloom.training.fitting import fit
from medloom.training.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn

_log = logging.getLogger(__name__)

Example = tuple[Image, NDArray[Any]]
"""An image, and whole numbers of its size: what experts drew."""

MOST_JUDGED: Final = 40
"""Cases that a network is judged by while it learns."""

_JUDGEMENTS: Final = (
    12  # in a training; each may cost as long as to answer about all cases that are judged by
)


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

    def recipe(self, train: Iterable[Example], seed: int) -> Recipe:
        """Configure itself by what is learned from, which is gone through once.

        Raises:
            InputError: images are of unlike axes or channels, or it flips an axis that they do not have.
        """
        made = recipe(fingerprint(train, seed), spacing=self.spacing)
        axes = len(made.spacing)
        if any(axis >= axes for axis in self.augmentation.flips):
            raise InputError(
                "flips {flips} name an axis that images do not have; theirs are 0 to {last}",
                flips=self.augmentation.flips,
                last=axes - 1,
            )
        return replace(made, batch=self.schedule.batch) if self.schedule.batch else made

    def teach(
        self,
        network: nn.Module,
        cases: Sequence[Case],
        recipe: Recipe,
        loss: Callable[[nn.Module, tuple[Tensor, Tensor]], Tensor],
        *,
        judged: Callable[[nn.Module], float] | None,
        seed: int,
        doing: str,
    ) -> nn.Module:
        """Teach a network by patches of cases.

        Args:
            network: not taught yet.
            cases: with outlines.
            recipe: of them.
            loss: of patches (b, channels, *patch) and what was drawn in them (b, *patch).
            judged: what is kept is lowest in this; None: the last is kept.
            seed: of all that is drawn.
            doing: what is said meanwhile.
        """
        schedule = self.schedule
        repeats = max(1, round(schedule.epochs / _JUDGEMENTS))
        fitted = fit(
            network,
            Patches(cases, recipe, self.augmentation, repeats),
            loss,
            replace(
                schedule,
                epochs=max(1, round(schedule.epochs / repeats)),
                batch=recipe.batch,
                patience=None,
            ),
            seed=seed,
            judged=judged,
            folder=self.folder,
            of=digest(
                [self.of, self.kind, asdict(schedule), asdict(self.augmentation), recipe.to_json(), seed]
            ),
            doing=doing,
        )
        _log.info("taught images=%d steps=%d why=%s", len(cases), fitted.course.step, fitted.why)
        ready: nn.Module = network.float().eval().requires_grad_(False)
        return ready


def labels_of(case: Case) -> NDArray[Any]:
    """Give what experts drew, as the recipe asks: (*space)."""
    assert case.labels is not None
    return np.asarray(case.labels.numpy())


def check_outlined(drawn: Iterable[NDArray[Any]], structures: int) -> None:
    """Refuse to learn a structure that nobody has outlined.

    Args:
        drawn: (*space) numbers of each image that is learned from: of structures, or as `features.boxes.numbered`.
        structures: beside the background.

    Raises:
        InputError: there is one.
    """
    there = {(number - 1) % structures + 1 for one in drawn for number in np.unique(one).tolist() if number}
    missing = [number for number in range(1, structures + 1) if number not in there]
    if missing:
        raise InputError(
            "structure {number} of the task's {structures} is outlined in no image that is learned from; leave it out "
            "of the task, or have it outlined",
            number=missing[0],
            structures=structures,
        )
