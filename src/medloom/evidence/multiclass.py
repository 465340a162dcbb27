"""Metrics for one of several classes, and for several labels at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.calibration import brier, log_loss
from medloom.evidence.discrimination import auprc, auroc
from medloom.evidence.tally import Floats, Ranking, rank, ratio

MULTICLASS = ("auroc_macro", "accuracy", "f1_macro", "log_loss", "brier")
"""Names of what `Multiclass` answers."""

MULTILABEL = (
    "auroc_macro", "auroc_micro", "auprc_macro", "auprc_micro", "f1_macro", "f1_micro", "brier", "log_loss"
)  # fmt: skip
"""Names of what `Multilabel` answers."""

_EPSILON = float(np.finfo(np.float64).eps)


class Multiclass:
    """One class of k a sample: macro one-vs-rest AUROC, accuracy, macro F1, log loss, Brier.

    `label`: (n,) class numbers; `risk`: (n, k) probabilities. Brier is summed over the
    classes (0 to 2, as Brier wrote it in 1950); the first of equal probabilities wins.

    >>> found = Multiclass(np.array([0, 1, 2]), np.eye(3))()
    >>> {name: round(float(value), 6) for name, value in found.items()}
    {'auroc_macro': 1.0, 'accuracy': 1.0, 'f1_macro': 1.0, 'log_loss': 0.0, 'brier': 0.0}
    """

    def __init__(self, label: NDArray[np.intp], risk: Floats) -> None:
        classes = risk.shape[1]
        truth = label[:, None] == np.arange(classes)
        chosen = risk.argmax(axis=1)[:, None] == np.arange(classes)
        total = np.clip(risk.sum(axis=1), _EPSILON, None)
        likelihood = np.clip(risk[np.arange(label.size), label] / total, _EPSILON, 1 - _EPSILON)
        self._rankings = tuple(rank(truth[:, k], risk[:, k]) for k in range(classes))
        self._losses = np.stack([-np.log(likelihood), ((risk - truth) ** 2).sum(axis=1)], axis=1)
        self._counts = _confusion_columns(truth, chosen)

    def __call__(self, weight: Floats | None = None) -> dict[str, Floats]:
        """Compute every metric with sample weights (..., n)."""
        weights = np.ones(self._counts.shape[0]) if weight is None else weight
        mass = weights.sum(axis=-1)
        hits, missed, in_vain = _confusion(weights @ self._counts)
        losses = weights @ self._losses
        return {
            "auroc_macro": _macro([auroc(ranking.tally(weights)) for ranking in self._rankings]),
            "accuracy": ratio(hits.sum(axis=-1), mass),
            "f1_macro": _f1(hits, missed, in_vain).mean(axis=-1),
            "log_loss": ratio(losses[..., 0], mass),
            "brier": ratio(losses[..., 1], mass),
        }


class Multilabel:
    """Any of k labels a sample: macro and micro AUROC, AUPRC and F1 (at 0.5), mean Brier and log loss.

    `label`: (n, k) bool; `risk`: (n, k). Macro is the mean over labels, micro pools all
    sample-label pairs.

    >>> found = Multilabel(np.array([[1, 0], [0, 1]]) > 0, np.array([[0.9, 0.2], [0.1, 0.8]]))()
    >>> float(found["auroc_macro"]), float(found["f1_micro"])
    (1.0, 1.0)
    """

    def __init__(self, label: NDArray[np.bool_], risk: Floats) -> None:
        self._labels = label.shape[1]
        self._rankings = tuple(rank(label[:, k], risk[:, k]) for k in range(self._labels))
        self._pooled: Ranking = rank(label.ravel(), risk.ravel())
        self._counts = _confusion_columns(label, risk >= 0.5)

    def __call__(self, weight: Floats | None = None) -> dict[str, Floats]:
        """Compute every metric with sample weights (..., n)."""
        weights = np.ones(self._counts.shape[0]) if weight is None else weight
        each = [ranking.tally(weights) for ranking in self._rankings]
        pooled = self._pooled.tally(np.repeat(weights, self._labels, axis=-1))
        hits, missed, in_vain = _confusion(weights @ self._counts)
        return {
            "auroc_macro": _macro([auroc(one) for one in each]),
            "auroc_micro": auroc(pooled),
            "auprc_macro": _macro([auprc(one) for one in each]),
            "auprc_micro": auprc(pooled),
            "f1_macro": _f1(hits, missed, in_vain).mean(axis=-1),
            "f1_micro": _f1(*(part.sum(axis=-1) for part in (hits, missed, in_vain))),
            "brier": brier(pooled),
            "log_loss": log_loss(pooled),
        }


def _macro(values: Sequence[Floats]) -> Floats:
    mean: Floats = np.mean(np.stack(values, axis=-1), axis=-1)
    return mean


def _confusion_columns(truth: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> Floats:
    """(n, 3k) indicators, hits then misses then false alarms, so that counting is one matrix product."""
    return np.concatenate([truth & chosen, truth & ~chosen, ~truth & chosen], axis=1).astype(np.float64)


def _confusion(counts: Floats) -> tuple[Floats, Floats, Floats]:
    hits, missed, in_vain = np.split(counts, 3, axis=-1)
    return hits, missed, in_vain


def _f1(hits: Floats, missed: Floats, in_vain: Floats) -> Floats:
    return ratio(2 * hits, 2 * hits + missed + in_vain)
