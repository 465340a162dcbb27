"""Reasons that tell where a model looks; they do not add up to its answer."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from medloom.foundation.messages import Text2, text2
from medloom.tasks.explanation import Explanation
from medloom.tasks.samples import Samples

ATTENTION: Final = "attention"
"""Scale of such reasons: shares of 1."""


@runtime_checkable
class Attentive(Protocol):
    """A model that can tell where it looks."""

    def attended(self, samples: Samples) -> Explanation:
        """Tell how much each fact is looked at.

        Raises:
            InputError: it has no attention.
        """
        ...


def attention_note() -> Text2:
    """Say what such reasons are not."""
    return text2(
        "Where the model looks, not which way the answer moves: these shares do not add up to it, and the facts of one"
        " step share alike."
    )
