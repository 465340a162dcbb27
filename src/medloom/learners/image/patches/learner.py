"""What learners of patches of images do alike: their settings, and how their networks are taught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from medloom.foundation.messages import tr
from medloom.tasks.model import Learner
from medloom.training.descent import check_torch
from medloom.training.parameters import check_parameter, check_types
from medloom.training.schedule import PRECISIONS, Schedule

if TYPE_CHECKING:
    from medloom.learners.image.patches.augmenting import Augmentation
    from medloom.learners.image.patches.course import Course

NETWORKS: Final = ("unet", "folded", "residual", "attention")


@dataclass(frozen=True)
class PatchLearner(Learner):
    """Teaches networks that answer place by place, from patches of images, as nnU-Net configures itself.

    Args:
        network: `unet`, `folded` (learns and answers twice as fast), `residual` (of residual blocks) or `attention`
            (with gates of attention).
        epochs: passes over the images.
        batch: patches a step; None: as many as are worth a step of usual size.
        learning_rate: of AdamW, at its highest.
        weight_decay: by which weights shrink.
        average: decay of the moving average of weights that is kept; 0: the weights themselves.
        flips: axes along which an image and its mirror image are equally likely: 0 is the first in space. None by
            itself, for a body's left is not its right; where some are named, mirror images are looked at too.
        augmentation: how strongly patches are turned, stretched, bent and shaded; 0: not at all.
        spacing: mm, an axis each, that images are brought to; None: what is usual among them.
        minutes: after which learning stops, each time it is done; None: no limit.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
        devices: processes to train with.
        folder: where it is kept how far learning is, so that one that was cut off goes on; empty: nowhere.
    """

    modality: ClassVar[str] = "image"

    network: str = "unet"
    epochs: int = 60
    batch: int | None = None
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    average: float = 0.99
    flips: Sequence[int] = ()
    augmentation: float = 1.0
    spacing: Sequence[float] | None = None
    minutes: float | None = None
    precision: str = "auto"
    devices: int = 1
    folder: str = ""

    @property
    def fits_slowly(self) -> bool:
        """Tell that it takes minutes."""
        return True

    def course(self) -> Course:
        """Give how its networks are taught.

        Raises:
            InputError: an argument is not what it must be, or what is needed is not installed.
        """
        self._check_parameters()
        check_torch(self.name)
        from medloom.learners.image.patches.course import Course
        from medloom.learners.image.patches.networks import faster_precision

        schedule = Schedule(
            epochs=self.epochs,
            batch=self.batch or 0,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup=0.05,
            last_rate=0.01,
            average=self.average or None,
            minutes=self.minutes,
            precision=faster_precision() if self.precision == "auto" else self.precision,
            devices=self.devices,
        )
        spacing = None if self.spacing is None else tuple(self.spacing)
        folder = Path(self.folder) if self.folder else None
        return Course(self.network, schedule, self._augmentation(), spacing=spacing, folder=folder)

    def _augmentation(self) -> Augmentation:
        from medloom.learners.image.patches.augmenting import NONE, Augmentation

        by, usual = self.augmentation, Augmentation()
        if not by:
            return replace(NONE, flips=tuple(self.flips))
        return Augmentation(
            flips=tuple(self.flips),
            turn=usual.turn * by,
            stretch=usual.stretch * by,
            bend=usual.bend * by,
            shift=usual.shift * by,
            gamma=usual.gamma * by,
            contrast=usual.contrast * by,
            noise=usual.noise * by,
            coarse=1 + (usual.coarse - 1) * by,
        )

    def _check_parameters(self) -> None:
        name = self.name
        check_types(name, self)
        check_parameter(name, "network", self.network, self.network in NETWORKS, ", ".join(NETWORKS))
        for one in ("epochs", "devices"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        check_parameter(name, "batch", self.batch, self.batch is None or self.batch >= 1, tr("1 or more"))
        check_parameter(name, "learning_rate", self.learning_rate, self.learning_rate > 0, tr("above 0"))
        for one in ("weight_decay", "augmentation"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 0, tr("0 or more"))
        holds = 0 <= self.average < 1
        check_parameter(name, "average", self.average, holds, tr("0 or more and below 1"))
        axes = sorted(set(self.flips)) == sorted(self.flips) and set(self.flips) <= {0, 1, 2}
        check_parameter(name, "flips", self.flips, axes, tr("axes of the image, each once: 0, 1, 2"))
        holds = self.spacing is None or all(one > 0 for one in self.spacing)
        check_parameter(name, "spacing", self.spacing, holds, tr("above 0"))
        holds = self.minutes is None or self.minutes > 0
        check_parameter(name, "minutes", self.minutes, holds, tr("above 0"))
        check_parameter(
            name, "precision", self.precision, self.precision in PRECISIONS, ", ".join(PRECISIONS)
        )
