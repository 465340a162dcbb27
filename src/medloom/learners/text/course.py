"""What differs between questions while a network of text is taught: rows, loss, judge, and the model in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloom.learners.text.encoders import Vocabulary
from medloom.learners.text.windows import Windowing
from medloom.tasks.model import Model, Origin
from medloom.tasks.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medloom.learners.text.network import TextBody
    from medloom.training.fitting import Source


@dataclass(frozen=True)
class Start:
    """What teaching begins with.

    Attributes:
        files: of the encoder beside its weights, by name.
        vocabulary: that it knows.
        body: builds it, with the weights it comes with.
    """

    files: dict[str, str]
    vocabulary: Vocabulary
    body: Callable[[], TextBody]


@dataclass(frozen=True)
class Course(ABC):
    """How a kind of question is taught.

    Attributes:
        start: what it begins with.
        windowing: how notes are read in pieces.
        dropout: share of what was read that is left out at random.
    """

    start: Start
    windowing: Windowing
    dropout: float

    @abstractmethod
    def rows(self, samples: Samples) -> Source[Any]:
        """Give rows to learn from; notes without a label are left out."""

    @abstractmethod
    def network(self) -> nn.Module:
        """Build the network, with its encoder as `body`; PyTorch's seed is set."""

    @abstractmethod
    def losses(self, network: nn.Module, given: Any) -> Tensor:
        """Give the loss of each row of a batch: (b,)."""

    @abstractmethod
    def judge(self, samples: Samples) -> Callable[[nn.Module], float]:
        """Give what judges a network by samples: the less, the better."""

    @abstractmethod
    def model(self, origin: Origin, network: nn.Module) -> Model:
        """Make the model."""
