"""Models that hold another model."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from medloom.tasks.model import Learner, Model


class WrappingModel(Model):
    """Adds something to what a model says.

    Attributes:
        model: the model it holds.
        outermost: whether nothing else may be put around it.
    """

    model: Model
    outermost: ClassVar[bool] = False

    @property
    def explains_slowly(self) -> bool:
        """Tell whether the model inside does."""
        return self.model.explains_slowly

    @property
    def codes(self) -> frozenset[str]:
        """Name the codes the answers of the model inside may depend on."""
        return self.model.codes

    def relearner(self) -> Learner:
        """Give a learner of the configuration of the model inside."""
        return self.model.relearner()

    def as_text(self) -> str:
        """Say in words what the model inside learned."""
        return self.model.as_text()

    def importance(self) -> pl.DataFrame:
        """Rank the inputs of the model inside."""
        return self.model.importance()
