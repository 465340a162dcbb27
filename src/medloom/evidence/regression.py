"""How far predicted values lie from observed ones."""

import numpy as np
from numpy.typing import ArrayLike

from medloom.evidence.tally import Floats, ratio

REGRESSION = ("mae", "rmse", "r2", "calibration_slope", "calibration_intercept")
"""Names of what `regression_metrics` answers."""


def regression_metrics(
    observed: ArrayLike, predicted: ArrayLike, weight: Floats | None = None
) -> dict[str, Floats]:
    """Compute MAE, RMSE, R², calibration slope and intercept, in the unit of the value.

    `observed`, `predicted`: (n,); `weight`: (..., n). The slope is of observed on
    predicted (ideal 1), the intercept calibration in the large: mean observed minus
    mean predicted (ideal 0). R² is NaN where all observed values are the same.

    >>> found = regression_metrics([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    >>> {name: round(float(found[name]), 3) for name in ("mae", "rmse", "r2")}
    {'mae': 0.333, 'rmse': 0.577, 'r2': 0.5}
    """
    y, p = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    weights = np.ones(y.size) if weight is None else weight
    # Centred first: sums of squares of large values would cancel.
    centre = float(y.mean()) if y.size else 0.0
    cy, cp, error = y - centre, p - centre, y - p
    columns = np.stack(
        [np.ones(y.size), cy, cp, cy * cy, cp * cp, cy * cp, np.abs(error), error * error], axis=-1
    )
    sums = weights @ columns
    mass = sums[..., 0]
    mean_y, mean_p = ratio(sums[..., 1], mass), ratio(sums[..., 2], mass)
    spread_y = _spread(sums[..., 3], mass, mean_y)
    spread_p = _spread(sums[..., 4], mass, mean_p)
    together = sums[..., 5] - mass * mean_y * mean_p
    return {
        "mae": ratio(sums[..., 6], mass),
        "rmse": np.sqrt(ratio(sums[..., 7], mass)),
        "r2": 1 - ratio(sums[..., 7], spread_y),
        "calibration_slope": ratio(together, spread_p),
        "calibration_intercept": mean_y - mean_p,
    }


def _spread(squares: Floats, mass: Floats, mean: Floats) -> Floats:
    """Sum of squares about the mean, 0 where it is only rounding."""
    spread = squares - mass * mean * mean
    return np.where(spread > 1e-12 * np.maximum(squares, 1e-300), spread, 0.0)
