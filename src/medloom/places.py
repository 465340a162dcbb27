"""What tells places by a trained model: outlines and objects in images, names in notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medloom.features.boxes import Finding
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.tasks.model import Model
from medloom.tasks.outlining import Outlining
from medloom.tasks.relations import Relating
from medloom.tasks.tagging import Tagging
from medloom.training.wrapping import innermost

if TYPE_CHECKING:
    from medloom.api import Trained


def outline_by(trained: Trained) -> Callable[[Image], NDArray[np.integer]]:
    """Give what outlines images as a model does: numbers of structures (*space), 0: background.

    Raises:
        InputError: the model outlines nothing.
    """
    inner = innermost(trained.model)
    if not isinstance(inner, Outlining):
        raise InputError(
            "learner {learner!r} outlines nothing; segmentation is learned by: unet",
            learner=trained.model.origin.learner,
        )
    outline = inner.outline
    return lambda image: outline(image).labels


def find_by(trained: Trained) -> Finding:
    """Give what finds objects in images as a model does.

    Raises:
        InputError: the model finds nothing.
    """
    inner = innermost(trained.model)
    if not isinstance(inner, Finding):
        raise InputError(
            "learner {learner!r} finds no objects; detection is learned by: centernet, unet",
            learner=trained.model.origin.learner,
        )
    return inner


def tag_by(trained: Trained) -> Tagging:
    """Give what names places in notes as a model does.

    Raises:
        InputError: the model names nothing.
    """
    return tagging_by(trained.model)


def tagging_by(model: Model) -> Tagging:
    """Give the same of a model by itself.

    Raises:
        InputError: the model names nothing.
    """
    inner = innermost(model)
    if not isinstance(inner, Tagging):
        raise InputError(
            "learner {learner!r} names no places in notes; tagging is learned by: encoder, bilstm-crf, crf",
            learner=model.origin.learner,
        )
    return inner


def relate_by(trained: Trained) -> Relating:
    """Give what names relations in notes as a model does.

    Raises:
        InputError: the model names none.
    """
    inner = innermost(trained.model)
    if not isinstance(inner, Relating):
        raise InputError(
            "learner {learner!r} names no relations in notes; they are learned by: encoder, bilstm-crf, crf",
            learner=trained.model.origin.learner,
        )
    return inner
