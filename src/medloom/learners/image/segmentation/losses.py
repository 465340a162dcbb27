"""What a segmentation is taught by: overlap and cross-entropy together (Isensee et al., Nature Methods 2021)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_SMOOTH: Final = 1.0  # voxels: a structure that is nowhere, and is said to be nowhere, is no error


def dice_and_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Give one minus the mean soft Dice of structures, and the cross-entropy beside it, of each row: (b,).

    Args:
        scores: (b, 1 + structures, *space), before the softmax.
        labels: (b, *space) int64, 0: background.

    >>> certain = torch.tensor([[[[-20.0, 20.0]], [[20.0, -20.0]]]])
    >>> dice_and_entropy(certain, torch.tensor([[[1, 0]]])).round(decimals=3).tolist()
    [0.0]
    """
    scores = scores.float()
    logs = functional.log_softmax(scores, dim=1)
    entropy = -logs.gather(1, labels[:, None]).flatten(1).mean(1)
    probabilities = logs.exp()[:, 1:].flatten(2)
    classes = torch.arange(1, scores.shape[1]).view(1, -1, 1)
    truth = (labels.flatten(1)[:, None] == classes).to(probabilities.dtype)
    both = (probabilities * truth).sum(2)
    total = probabilities.sum(2) + truth.sum(2)
    return 1 - ((2 * both + _SMOOTH) / (total + _SMOOTH)).mean(1) + entropy
