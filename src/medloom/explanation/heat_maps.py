"""Heat maps of images: whether they say anything, whether they point where they should, and drawing them."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from medloom.foundation.errors import InputError

Floats = NDArray[np.float64]

_AXIS: Final = re.compile(r"\b(?:slice|row|column) \d+ of (\d+)")


def likeness(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Give the rank correlation (Spearman) of two maps of one shape; 0 where one is the same everywhere.

    A map that stays alike when the network's weights are drawn anew says nothing of what was learned (Adebayo et al.,
    NeurIPS 2018).

    Raises:
        InputError: the shapes differ.

    >>> likeness(np.array([[1, 2], [3, 4]]), np.array([[10, 20], [30, 40]]))
    1.0
    """
    if one.shape != other.shape:
        raise InputError(
            "maps of different shapes cannot be compared: {one} and {other}", one=one.shape, other=other.shape
        )
    a, b = (rankdata(each.ravel()) for each in (one, other))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return round(float(a @ b) / size, 12) if size > 0 else 0.0


def heat_on(reasons: pl.DataFrame) -> Floats | None:
    """Lay the shares of an image's places out as a map of them; None: the inputs are no places of an image.

    Args:
        reasons: rows of an explanation, of one sample and output.

    >>> places = ["row 1 of 1, column 1 of 2", "row 1 of 1, column 2 of 2"]
    >>> heat_on(pl.DataFrame({"input": places, "start": [0.0, 1.0], "contribution": [0.5, -0.25]})).tolist()
    [[0.5, -0.25]]
    """
    if not reasons.height:
        return None
    grid = tuple(int(n) for n in _AXIS.findall(reasons["input"][0]))
    if len(grid) not in (2, 3) or int(np.prod(grid)) != reasons.height:
        return None
    heat = np.zeros(reasons.height)
    heat[reasons["start"].cast(pl.Int64).to_numpy()] = reasons["contribution"].to_numpy()
    return heat.reshape(grid)


def points_into(heat: NDArray[Any], mask: NDArray[Any], tolerance: int = 0) -> bool:
    """Tell whether a map's highest place lies in a mask, or so many pixels beside it (Zhang et al., IJCV 2018).

    Args:
        heat: (height, width) or (depth, height, width).
        mask: of the same shape; what is not 0 counts.
        tolerance: pixels along each axis.

    Raises:
        InputError: the shapes differ.

    >>> points_into(np.array([[0, 9], [0, 0]]), np.array([[0, 1], [0, 0]]))
    True
    """
    if heat.shape != mask.shape:
        raise InputError(
            "a map of shape {heat} cannot be compared with a mask of shape {mask}",
            heat=heat.shape,
            mask=mask.shape,
        )
    peak = np.unravel_index(int(np.argmax(heat)), heat.shape)
    around = tuple(slice(max(0, int(at) - tolerance), int(at) + tolerance + 1) for at in peak)
    return bool((mask[around] != 0).any())


def overlaid(grey: NDArray[Any], heat: NDArray[Any], opacity: float = 0.5) -> NDArray[np.uint8]:
    """Lay a map over a picture, in colours that grow brighter evenly, for all eyes: (height, width, 3).

    Args:
        grey: (height, width), numbers between 0 and 1.
        heat: (height, width); its highest is opaque up to `opacity`, 0 and below see-through.
        opacity: 0 … 1.
    """
    from matplotlib import colormaps

    above = np.clip(heat, 0, None)
    share = above / above.max() if above.max() > 0 else above
    colours = colormaps["inferno"](share)[..., :3]
    weight = (opacity * np.sqrt(share))[..., None]
    mixed = (1 - weight) * np.repeat(grey[..., None], 3, -1) + weight * colours
    drawn: NDArray[np.uint8] = np.round(np.clip(mixed, 0, 1) * 255).astype(np.uint8)
    return drawn
