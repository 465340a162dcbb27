"""How well predictions separate those with the outcome from those without."""

from collections.abc import Callable

import numpy as np

from medloom.evidence.tally import Floats, Tally, ratio


def auroc(counted: Tally) -> Floats:
    """Compute the area under the ROC curve: the share of pairs ranked rightly, ties counting half.

    Answers with the leading axes of the weights; NaN where only one outcome occurs.
    Hanley and McNeil, Radiology 1982;143:29-36.

    >>> from medloom.evidence.tally import tally
    >>> float(auroc(tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])))
    0.75
    """
    below = counted.negative_up_to - counted.negative / 2
    pairs = np.einsum("...u,...u->...", counted.positive, below)
    return ratio(pairs, counted.positive_up_to[..., -1] * counted.negative_up_to[..., -1])


def auprc(counted: Tally) -> Floats:
    """Compute average precision: precision at each distinct prediction, weighted by the recall it adds.

    The same sum as scikit-learn's `average_precision_score`; no interpolation.

    >>> from medloom.evidence.tally import tally
    >>> round(float(auprc(tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))), 6)
    0.833333
    """
    found = counted.positive[..., ::-1]
    true = np.cumsum(found, axis=-1)
    flagged = true + np.cumsum(counted.negative[..., ::-1], axis=-1)
    precision = np.divide(true, flagged, out=np.zeros_like(true), where=flagged > 0)
    return ratio(np.einsum("...u,...u->...", found, precision), true[..., -1])


def sensitivity_at(counted: Tally, false_positive_rate: Floats) -> Floats:
    """Read the ROC curve at (g,) false positive rates: sensitivities (..., g)."""
    true = _from_the_top(counted.positive)
    false = _from_the_top(counted.negative)
    with np.errstate(divide="ignore", invalid="ignore"):
        true /= true[..., -1:]
        false /= false[..., -1:]
    return _row_by_row(
        false, true, lambda x, y: np.interp(false_positive_rate, x, y), false_positive_rate.size
    )


def precision_at(counted: Tally, recall: Floats) -> Floats:
    """Read the precision-recall curve at (g,) recalls in (0, 1]: precisions (..., g), not interpolated."""
    true = _from_the_top(counted.positive)[..., 1:]
    flagged = _from_the_top(counted.total)[..., 1:]
    precision = np.divide(true, flagged, out=np.zeros_like(true), where=flagged > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = true / true[..., -1:]
    last = reached.shape[-1] - 1
    # 1e-12: a recall of 0.3 is reached by 3 of 10 although 3/10 may round below it.
    return _row_by_row(
        reached, precision, lambda x, y: y[np.minimum(np.searchsorted(x, recall - 1e-12), last)], recall.size
    )


def _from_the_top(weight: Floats) -> Floats:
    """Sum weights from the highest prediction downward, beginning with 0: (..., u + 1)."""
    summed = np.zeros((*weight.shape[:-1], weight.shape[-1] + 1))
    np.cumsum(weight[..., ::-1], axis=-1, out=summed[..., 1:])
    return summed


def _row_by_row(x: Floats, y: Floats, read: Callable[[Floats, Floats], Floats], size: int) -> Floats:
    rows = x.reshape(-1, x.shape[-1])
    values = y.reshape(-1, y.shape[-1])
    out = np.full((rows.shape[0], size), np.nan)
    for at, (xs, ys) in enumerate(zip(rows, values, strict=True)):
        if np.isfinite(xs[-1]) and np.isfinite(ys[-1]):
            out[at] = read(xs, ys)
    return out.reshape(*x.shape[:-1], size)
