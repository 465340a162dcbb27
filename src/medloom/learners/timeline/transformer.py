"""`transformer`: the body of timeline models, learned from the labels of one task alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from medloom.learners.timeline.learner import NeuralTimelineLearner, Start

if TYPE_CHECKING:
    from torch import nn

    from medloom.learners.timeline.model import Reading


@dataclass(frozen=True)
class TransformerLearner(NeuralTimelineLearner):
    """A transformer over timelines, learned from scratch.

    Args:
        size: `nano`, `micro`, `mini`, `small`, `base`, `large` or `xl`.
    """

    name: ClassVar = "transformer"

    size: str = "nano"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        from medloom.learners.timeline.body import size_named

        size_named(self.size)

    def _start(self, basis: Reading) -> Start:
        from medloom.learners.timeline.body import BodyConfig, TimelineBody, size_named

        config = BodyConfig.of(size_named(self.size), basis.vocabulary)
        return Start(basis, TimelineBody(config), config.to_json())

    @classmethod
    def _built(cls, reading: Reading, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.timeline.body import BodyConfig, TimelineBody

        return TimelineBody(BodyConfig.from_json(built))
