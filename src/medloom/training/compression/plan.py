"""What a model is to be made into, and what a model must be able to do to be made smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from medloom.foundation.errors import InputError
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "onnx": ("exact",),
    "int8": ("static", "dynamic"),
    "pruned": ("units", "weights"),
    "distilled": ("smaller", "gbdt"),
}
"""Of each target the ways to it; the first is the usual one."""


@dataclass(frozen=True)
class Plan:
    """How a model is made smaller or faster.

    Attributes:
        to: `onnx`, a graph for ONNX Runtime; `int8`, a graph whose weights have 8 bits; `pruned`; `distilled`.
        method: of `int8`, whether ranges are those of examples (`static`) or of each answer (`dynamic`); of `pruned`,
            whether whole `units` and heads go, or single `weights`; of `distilled`, whether a `smaller` network or
            `gbdt` learns from the model's answers. Empty: the first of these; of notes `dynamic`.
        share: of heads and units, or of weights, that go.
        size: of the smaller network; empty: the next smaller one.
        epochs: passes over the training samples, for what learns again.
        learning_rate: at its highest, for what learns again.
        minutes: after which that stops; None: no limit.
    """

    to: str
    method: str = ""
    share: float = 0.5
    size: str = ""
    epochs: int = 5
    learning_rate: float = 0.001
    minutes: float | None = None

    @property
    def way(self) -> str:
        """Give the method, the usual one where none was named."""
        return self.method or METHODS[self.to][0]

    def check(self) -> None:
        """Refuse what is not there.

        Raises:
            InputError: it names those there are.
        """
        if self.to not in METHODS:
            raise InputError(
                "a model cannot be made into {to!r}; there are: {names}", to=self.to, names=list(METHODS)
            )
        if self.way not in METHODS[self.to]:
            raise InputError(
                "there is no method {method!r} for {to}; there are: {names}",
                method=self.method,
                to=self.to,
                names=METHODS[self.to],
            )
        if not 0 < self.share < 1:
            raise InputError("share {share} is not between 0 and 1; write 0.5 for a half", share=self.share)
        if self.epochs < 1:
            raise InputError("epochs must be 1 or more, not {epochs}", epochs=self.epochs)


@runtime_checkable
class Compressible(Protocol):
    """A model that can be made smaller."""

    def compressed(self, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
        """Make it smaller or faster.

        Raises:
            InputError: there is no such way for this model, or what was made does not answer as it should.
        """
        ...


@runtime_checkable
class Timed(Protocol):
    """A model whose answering can be timed apart from the making of its input."""

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Make the inputs of some samples, and give what answers the i-th."""
        ...
