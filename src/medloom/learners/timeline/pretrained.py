"""`timeline`: a body pretrained without labels, adapted to a question with few."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from medloom.foundation.errors import LeakageError
from medloom.foundation.messages import tr
from medloom.learners.timeline.learner import NeuralTimelineLearner, Start
from medloom.tasks.samples import Samples
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    from torch import nn

    from medloom.learners.timeline.model import Reading
    from medloom.learners.timeline.pretraining import Encoder

ADAPTATIONS: Final = ("full", "head")


@dataclass(frozen=True)
class TimelineLearner(NeuralTimelineLearner):
    """Adapts a pretrained body; without one it pretrains its own, on the training samples' timelines.

    Args:
        encoder: folder of a package that `medloom pretrain` wrote; None: pretrain first.
        adapt: what is learned: `full` (all weights) or `head` (the layer of answers alone).
        objective: of pretraining, where it pretrains: one or several of `next-event`, `masked`, `time-to-event` and
            `contrastive`, joined by `+`.
        size: of the body, where it pretrains.
        pretraining_epochs: passes over the timelines, where it pretrains.
    """

    name: ClassVar = "timeline"

    encoder: str | None = None
    adapt: str = "full"
    objective: str = "next-event+time-to-event"
    size: str = "nano"
    pretraining_epochs: int = 30
    learning_rate: float = 0.0005

    def _check_parameters(self) -> None:
        super()._check_parameters()
        from medloom.learners.timeline.body import size_named
        from medloom.learners.timeline.objectives import objectives_named

        check_parameter(self.name, "adapt", self.adapt, self.adapt in ADAPTATIONS, ", ".join(ADAPTATIONS))
        epochs = self.pretraining_epochs
        check_parameter(self.name, "pretraining_epochs", epochs, epochs >= 1, tr("1 or more"))
        size_named(self.size)
        objectives_named(self.objective)

    def _start(self, train: Samples, tuning: Samples, seed: int) -> Start:
        encoder = self._encoder(train, tuning, seed)
        body = encoder.body()
        if self.adapt == "head":
            body.requires_grad_(False)
        return Start(encoder.reading, body, encoder.config.to_json())

    def _encoder(self, train: Samples, tuning: Samples, seed: int) -> Encoder:
        from medloom.learners.timeline.pretraining import Pretraining, load_encoder, pretrain

        if self.encoder is None:
            how = Pretraining(self.objective, self.size, self.step, self.most)
            schedule = replace(
                how.schedule, epochs=self.pretraining_epochs, precision=self.precision, devices=self.devices
            )
            return pretrain(train, tuning, replace(how, schedule=schedule), seed=seed)
        encoder = load_encoder(Path(self.encoder))
        if encoder.origin.split_rule != train.split_rule:
            raise LeakageError(
                "the encoder was pretrained under another split, perhaps on patients that task {task!r} holds out; "
                "pretrain anew for this task",
                task=train.question.task,
            )
        return encoder

    @classmethod
    def _built(cls, reading: Reading, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.timeline.body import BodyConfig, TimelineBody

        return TimelineBody(BodyConfig.from_json(built))
