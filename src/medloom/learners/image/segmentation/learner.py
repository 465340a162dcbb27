"""`unet`: outlines of structures, learned from outlines that experts drew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.image.patches.learner import PatchLearner
from medloom.record.imaging.reading import check_imaging
from medloom.tasks.kinds import Kind
from medloom.tasks.samples import Samples
from medloom.training.learning import check_samples, origin_of_fit
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    from medloom.learners.image.patches.course import Course
    from medloom.learners.image.segmentation.model import UnetModel


@dataclass(frozen=True)
class UnetLearner(PatchLearner):
    """A U-Net that configures itself by the images it learns from, as nnU-Net does.

    It answers questions of objects too: each part that hangs together is one.

    Args:
        networks: several are averaged; each is judged by a share of the patients that it does not learn from.
    """

    name: ClassVar[str] = "unet"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"segmentation", "detection"})

    networks: int = 1

    def course(self) -> Course:
        """Give how its networks are taught.

        Raises:
            InputError: an argument is not what it must be, or what is needed is not installed.
        """
        return replace(super().course(), networks=self.networks)

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

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "networks", self.networks, self.networks >= 1, tr("1 or more"))
