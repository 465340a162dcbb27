"""`centernet`: objects found by a heat map of their middles, learned from outlines that experts drew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from medloom.foundation.hashing import digest
from medloom.foundation.seeds import derive
from medloom.learners.image.patches.learner import PatchLearner
from medloom.record.imaging.reading import check_imaging
from medloom.tasks.kinds import Kind
from medloom.tasks.samples import Samples
from medloom.training.learning import check_samples, origin_of_fit

if TYPE_CHECKING:
    from medloom.learners.image.detection.model import CenterNetModel


@dataclass(frozen=True)
class CenterNetLearner(PatchLearner):
    """A network that says of each place whether an object's middle is there, and how large the object is."""

    name: ClassVar[str] = "centernet"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"detection"})

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> CenterNetModel:
        """Learn from `train`; choose on `tuning`.

        Raises:
            InputError: the samples cannot be learned from, or what is needed is not installed; with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        course = self.course()
        check_samples(self, train, tuning)
        check_imaging()
        from medloom.features.outlines import Outlined
        from medloom.learners.image.detection.model import CenterNetModel
        from medloom.learners.image.detection.teaching import taught_to_find

        structures = train.question.classes
        found = taught_to_find(
            Outlined(train),
            Outlined(tuning),
            len(structures),
            replace(course, of=digest([train.digest(), tuning.digest()])),
            derive(seed, self.modality, self.name),
        )
        origin = origin_of_fit(self, train, tuning, seed)
        return CenterNetModel(origin, found, self.network, structures, tuple(self.flips), self.precision)

    @classmethod
    def load(cls, directory: Path) -> CenterNetModel:
        """Load a package this learner's model wrote."""
        from medloom.learners.image.detection.model import load_model

        return load_model(directory)
