"""What a model can do that outlines structures in images, whatever it is made of."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from medloom.record.imaging.image import Image


class Labelled(Protocol):
    """An outline: `labels` (*space), 0 background."""

    @property
    def labels(self) -> NDArray[np.uint8]: ...


def is_approximate(outline: Any) -> bool:
    """Tell whether an outline is ellipses or ellipsoids drawn into boxes around what was found, `boxes`."""
    return getattr(outline, "boxes", None) is not None


@runtime_checkable
class Outlining(Protocol):
    """A model that outlines structures in an image; raises InputError where it is of another kind than it learned."""

    def outline(self, image: Image) -> Labelled: ...
