"""`lstm`, `gru`, `gru-d` and `tcn`: networks for series, learned from the labels of one task alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.foundation.messages import tr
from medloom.learners.timeline.learner import NeuralTimelineLearner, Start
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    from torch import nn

    from medloom.learners.timeline.model import Reading


@dataclass(frozen=True)
class SeriesLearner(NeuralTimelineLearner):
    """What networks over a grid of hours and codes share."""

    hidden: int = 64
    dropout: float = 0.2
    epochs: int = 12
    learning_rate: float = 0.004
    hidden_facts: float = 0.1

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "hidden", self.hidden, self.hidden >= 1, tr("1 or more"))
        holds = 0 <= self.dropout < 1
        check_parameter(self.name, "dropout", self.dropout, holds, tr("0 or more and below 1"))

    def _start(self, basis: Reading) -> Start:
        built = self._plan()
        return Start(basis, self._built(basis, built), built)

    def _plan(self) -> dict[str, Any]:
        """Give what the body is built from, beside the vocabulary."""
        return {"hidden": self.hidden, "dropout": self.dropout}

    @classmethod
    def _built(cls, reading: Reading, built: dict[str, Any]) -> nn.Module:
        return cls._body(reading.vocabulary, **built)

    @classmethod
    @abstractmethod
    def _body(cls, vocabulary: TokenVocabulary, **plan: Any) -> nn.Module:
        """Build a body."""


@dataclass(frozen=True)
class _RecurrentLearner(SeriesLearner):
    layers: int = 1

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "layers", self.layers, self.layers >= 1, tr("1 or more"))

    def _plan(self) -> dict[str, Any]:
        return super()._plan() | {"layers": self.layers}

    @classmethod
    def _body(cls, vocabulary: TokenVocabulary, **plan: Any) -> nn.Module:
        from medloom.learners.timeline.recurrent import RecurrentBody

        return RecurrentBody(vocabulary, cls.name, **plan)


@dataclass(frozen=True)
class LstmLearner(_RecurrentLearner):
    """A long short-term memory over last values, what was measured, and how long ago.

    Args:
        hidden: units of its state.
        dropout: share of units left out at random in training.
        layers: one above the other.
    """

    name: ClassVar = "lstm"


@dataclass(frozen=True)
class GruLearner(_RecurrentLearner):
    """A gated recurrent unit over last values, what was measured, and how long ago.

    Args:
        hidden: units of its state.
        dropout: share of units left out at random in training.
        layers: one above the other.
    """

    name: ClassVar = "gru"


@dataclass(frozen=True)
class GruDLearner(SeriesLearner):
    """A gated recurrent unit whose inputs and state fade with the time since they were measured (GRU-D).

    Che et al., Sci Rep 2018;8:6085.

    Args:
        hidden: units of its state.
        dropout: share of units left out at random in training.
    """

    name: ClassVar = "gru-d"

    @classmethod
    def _body(cls, vocabulary: TokenVocabulary, **plan: Any) -> nn.Module:
        from medloom.learners.timeline.decaying import DecayingBody

        return DecayingBody(vocabulary, **plan)


@dataclass(frozen=True)
class TcnLearner(SeriesLearner):
    """Causal dilated convolutions over last values, what was measured, and how long ago.

    Bai, Kolter and Koltun, arXiv:1803.01271.

    Args:
        hidden: channels.
        dropout: share of units left out at random in training.
        layers: each sees twice as far back as the one before.
        kernel: steps that a convolution sees.
    """

    name: ClassVar = "tcn"

    layers: int = 5
    kernel: int = 3

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "layers", self.layers, self.layers >= 1, tr("1 or more"))
        check_parameter(self.name, "kernel", self.kernel, self.kernel >= 2, tr("2 or more"))

    def _plan(self) -> dict[str, Any]:
        return super()._plan() | {"layers": self.layers, "kernel": self.kernel}

    @classmethod
    def _body(cls, vocabulary: TokenVocabulary, **plan: Any) -> nn.Module:
        from medloom.learners.timeline.convolutional import ConvolutionalBody

        return ConvolutionalBody(vocabulary, **plan)
