"""`encoder`: a pretrained encoder of text, taught to answer a question about notes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from medloom.foundation.errors import LeakageError
from medloom.foundation.messages import tr
from medloom.learners.text.encoders import (
    CONFIGURATION,
    MINILM,
    SHAPES_FILE,
    VOCABULARY,
    Vocabulary,
    body_in,
    encoder_folder,
    files_in,
    pretrained_under,
)
from medloom.learners.text.learner import TextLearner
from medloom.tasks.samples import Samples
from medloom.training.adaptation import WAYS
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    from pathlib import Path

    from medloom.learners.text.course import Start
    from medloom.learners.text.network import TextBody
    from medloom.training.adaptation import Adapting

# Few weights, or new ones, learn at higher rates than all of an encoder's.
_FASTER: Final = {"head": 10.0, "lora": 5.0, "adalora": 8.0, "adapter": 5.0}


@dataclass(frozen=True)
class EncoderLearner(TextLearner):
    """Teaches an encoder of Transformers what stands where in notes, or what notes mean on the whole.

    Args:
        start: the encoder: `minilm`, which comes with the extra `text` and knows English, a folder with another one, or
            of a site, one that `medloom pretrain-notes` made.
        adapt: what is learned of it: `full`, `head` (nothing), `lora`, `adalora` or `adapter`; few weights learn 5 to
            10 times as fast.
        rank: how narrow what is added is, unless all is learned.
    """

    name: ClassVar[str] = "encoder"

    start: str = MINILM
    adapt: str = "full"
    rank: int = 8

    def _start(self, texts: Sequence[str]) -> Start:
        del texts
        from medloom.learners.text.course import Start

        folder = encoder_folder(self.start)
        files = files_in(folder)
        return Start(files, Vocabulary.of(files[VOCABULARY]), lambda: _body(folder))

    def _adapt(self, body: Any) -> Adapting:
        from medloom.learners.text.network import places_in
        from medloom.training.adaptation import adapt

        made = adapt(body, places_in(body), self.adapt, self.rank)
        body.shapes.requires_grad_(True)
        return made

    def _settle(self, body: Any) -> None:
        if self.adapt in ("lora", "adalora"):
            from medloom.training.adaptation import settle
            from medloom.training.additions import folded

            settle(body)
            folded(body)

    def _rate(self) -> float:
        return self.learning_rate * _FASTER.get(self.adapt, 1.0)

    @property
    def starts_from_patients(self) -> bool:
        """Tell whether the encoder has seen the notes of training patients before."""
        return pretrained_under(self.start) is not None

    def _check(self, train: Samples, tuning: Samples) -> None:
        super()._check(train, tuning)
        under = pretrained_under(self.start)
        if under is not None and under != train.split_rule:
            raise LeakageError(
                "the encoder in {path!r} was pretrained under another split, perhaps on patients that task {task!r} "
                "holds out; pretrain it again with: medloom pretrain-notes --task {task}",
                path=self.start,
                task=train.question.task,
            )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "adapt", self.adapt, self.adapt in WAYS, ", ".join(WAYS))
        check_parameter(self.name, "rank", self.rank, self.rank >= 1, tr("1 or more"))
        longest = _longest(json.loads(files_in(encoder_folder(self.start))[CONFIGURATION]))
        fits = longest is None or self.window <= longest
        check_parameter(self.name, "window", self.window, fits, tr("{n} or less for this encoder", n=longest))


def _body(folder: Path) -> TextBody:
    from medloom.learners.text.network import TextBody
    from medloom.training.tensors import read_weights

    body = TextBody(body_in(folder))
    if (folder / SHAPES_FILE).is_file():
        body.shapes.load_state_dict(read_weights(folder / SHAPES_FILE))
    return body


def _longest(told: dict[str, Any]) -> int | None:
    """Give how many tokens an encoder reads at once; None: as many as there are. Those of RoBERTa count from 2 on."""
    found: int | None = told.get("max_position_embeddings")
    return found - 2 if found is not None and "roberta" in told.get("model_type", "") else found
