"""How tagging is taught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medloom.learners.text.course import Course
from medloom.learners.text.tagging.chains import Chain
from medloom.learners.text.tagging.model import TaggerModel
from medloom.learners.text.tagging.network import TagNetwork
from medloom.learners.text.tagging.teaching import TagRows, Taught, judged_by, tag_losses
from medloom.learners.text.windows import Note
from medloom.tasks.model import Origin
from medloom.tasks.samples import Samples
from medloom.tasks.spans import spans_in

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TagCourse(Course):
    """Rows are windows; a network is judged by the places it names right.

    Attributes:
        chains: names that are tagged together.
    """

    chains: tuple[Chain, ...] = ()

    def rows(self, samples: Samples) -> TagRows:
        once = replace(self.windowing, overlap=0)  # each word is learned from once a pass
        return TagRows(self._taught(samples), self.chains, self.start.vocabulary, once)

    def network(self) -> TagNetwork:
        return TagNetwork(self.start.body(), self.chains, self.dropout)

    def losses(self, network: nn.Module, given: Any) -> Tensor:
        return tag_losses(network, given)

    def judge(self, samples: Samples) -> Callable[[nn.Module], float]:
        return judged_by(self._taught(samples), self.chains, self.start.vocabulary, self.windowing)

    def model(self, origin: Origin, network: nn.Module) -> TaggerModel:
        assert isinstance(network, TagNetwork)
        start = self.start
        return TaggerModel(origin, network, self.chains, start.vocabulary, self.windowing, start.files)

    def _taught(self, samples: Samples) -> Taught:
        labels = samples.frame["label"].to_list()
        known = [
            (text, label) for text, label in zip(samples.texts(), labels, strict=True) if label is not None
        ]
        return Taught(
            tuple(Note.of(text, self.start.vocabulary) for text, _ in known),
            tuple(spans_in(label) for _, label in known),
        )
