"""What a model can do that names places in texts, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from medloom.tasks.spans import Span


@dataclass(frozen=True)
class Tagged:
    """A place that a model names.

    Attributes:
        span: the place and its name.
        confidence: how sure the model is, from 0 to 1.
    """

    span: Span
    confidence: float


@runtime_checkable
class Tagging(Protocol):
    """A model that names places in texts."""

    def tag(self, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
        """Name places, in the order of each text."""
        ...
