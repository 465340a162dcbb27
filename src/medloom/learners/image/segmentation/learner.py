"""`unet`: outlines of structures, learned from outlines that experts drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.record.imaging.reading import check_imaging
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner
from medloom.tasks.samples import Samples
from medloom.training.descent import check_torch
from medloom.training.learning import check_samples, origin_of_fit
from medloom.training.parameters import check_parameter, check_types
from medloom.training.schedule import PRECISIONS, Schedule

if TYPE_CHECKING:
    from medloom.learners.image.segmentation.augmenting import Augmentation
    from medloom.learners.image.segmentation.model import UnetModel
    from medloom.learners.image.segmentation.teaching import Course

NETWORKS: Final = ("unet", "folded", "residual", "attention")


@dataclass(frozen=True)
class UnetLearner(Learner):
    """A U-Net that configures itself by the images it learns from, as nnU-Net does.

    Args:
        network: `unet`, `folded` (learns and answers twice as fast), `residual` (of residual blocks) or `attention`
            (with gates of attention).
        epochs: passes over the images.
        networks: several are averaged; each is judged by a share of the patients that it does not learn from.
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

    name: ClassVar[str] = "unet"
    modality: ClassVar[str] = "image"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"segmentation"})

    network: str = "unet"
    epochs: int = 60
    networks: int = 1
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
        from medloom.learners.image.segmentation.networks import faster_precision
        from medloom.learners.image.segmentation.teaching import Course

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
        return Course(self.network, schedule, self._augmentation(), self.networks, spacing, folder)

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> UnetModel:
        """Learn from `train`; choose on `tuning`.

        Raises:
            InputError: the samples cannot be learned from, or what is needed is not installed; with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        course = self.course()
        check_samples(self, train, tuning)
        check_imaging()
        from medloom.features.outlines import Outlined
        from medloom.learners.image.segmentation.model import UnetModel
        from medloom.learners.image.segmentation.teaching import taught

        structures = train.question.classes
        found = taught(
            Outlined(train),
            Outlined(tuning),
            (train.groups, tuning.groups),
            len(structures),
            replace(course, of=digest([train.digest(), tuning.digest()])),
            derive(seed, self.modality, self.name),
        )
        origin = origin_of_fit(self, train, tuning, seed)
        return UnetModel(origin, found, self.network, structures, tuple(self.flips), self.precision)

    @classmethod
    def load(cls, directory: Path) -> UnetModel:
        """Load a package this learner's model wrote."""
        from medloom.learners.image.segmentation.model import load_model

        return load_model(directory)

    def _augmentation(self) -> Augmentation:
        from medloom.learners.image.segmentation.augmenting import NONE, Augmentation

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
        for one in ("epochs", "networks", "devices"):
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
