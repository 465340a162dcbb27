"""`bilstm-crf`: a recurrent network that is learned from the notes alone, in any language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from medloom.foundation.messages import tr
from medloom.learners.text.encoders import CONFIGURATION, VOCABULARY, Vocabulary
from medloom.learners.text.learner import TextLearner
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    from medloom.learners.text.course import Start


@dataclass(frozen=True)
class BilstmLearner(TextLearner):
    """Teaches a recurrent network (LSTM) from notes alone, in any language; Chinese is read by characters.

    Args:
        vocabulary: pieces of words at most, which the notes that are learned from suggest.
        width: of the network, both directions together.
        layers: of it.
    """

    name: ClassVar[str] = "bilstm-crf"

    learning_rate: float = 0.003
    average: float = 0.98
    vocabulary: int = 8000
    width: int = 192
    layers: int = 1

    def _start(self, texts: Sequence[str]) -> Start:
        import json

        from medloom.learners.text.course import Start
        from medloom.learners.text.network import TextBody
        from medloom.learners.text.recurrent import RecurrentEncoder, files_for

        files = files_for(texts, self.vocabulary, self.width, self.layers)
        told = json.loads(files[CONFIGURATION])
        return Start(files, Vocabulary.of(files[VOCABULARY]), lambda: TextBody(RecurrentEncoder(told)))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        name = self.name
        check_parameter(name, "vocabulary", self.vocabulary, self.vocabulary >= 100, tr("100 or more"))
        check_parameter(name, "layers", self.layers, self.layers >= 1, tr("1 or more"))
        even = self.width >= 8 and self.width % 2 == 0
        check_parameter(name, "width", self.width, even, tr("an even number, 8 or more"))
