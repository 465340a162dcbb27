"""Models that hold another model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

import polars as pl

from medloom.foundation.errors import InputError
from medloom.tasks.model import Learner, Model

M = TypeVar("M", bound=Model)


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


def layers(model: Model) -> Iterator[Model]:
    """Give a model and what it holds, from the outside in."""
    yield model
    while isinstance(model, WrappingModel):
        model = model.model
        yield model


def layer(model: Model, kind: type[M]) -> M | None:
    """Find the outermost layer of a kind; None: there is none."""
    return next((one for one in layers(model) if isinstance(one, kind)), None)


def innermost(model: Model) -> Model:
    """Give the model that others are put around."""
    *_, last = layers(model)
    return last


def check_open(model: Model) -> None:
    """Refuse to put something around a model that nothing may be put around.

    Raises:
        InputError: it has ranges or thresholds, which would no longer fit.
    """
    if isinstance(model, WrappingModel) and model.outermost:
        raise InputError(
            "this model has ranges or thresholds around it, which would no longer fit; take the model inside it"
            " (trained.model.model), then make them anew"
        )
