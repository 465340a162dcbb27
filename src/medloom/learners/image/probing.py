"""The head of a pretrained body is learned first, on what the body knows already; only then the body.

A head that knows nothing sends noise into a body that knows much, which few images do not mend: learning in this order
keeps more of what was known (Kumar et al., ICLR 2022).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from medloom.features.images import Pixels
from medloom.learners.image.network import ImageNetwork, represented
from medloom.training.answer_heads import Emphasis, Targets

_WEIGHT: Final = 0.1  # of the squares of the head's weights, beside the mean loss
_STEPS: Final = 200
_LEAST_SPREAD: Final = 1e-3


def learn_head(network: ImageNetwork, pixels: Pixels, targets: Targets, emphasis: Emphasis) -> None:
    """Fit the head, in place, to what the body knows of images, each number of it by its spread; the body stays.

    Args:
        network: with a body that was pretrained.
        pixels: (n, channels, *size) of 8 bits.
        targets: of the same images.
        emphasis: of the loss.
    """
    known = torch.from_numpy(represented(network, pixels))
    middle, spread = known.mean(0), known.std(0, correction=0).clamp_min(_LEAST_SPREAD)
    seen, rows = (known - middle) / spread, np.arange(len(known))
    weight = torch.zeros_like(network.head.weight, requires_grad=True)
    bias = network.head.bias.detach().clone().requires_grad_()
    descent = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        descent.zero_grad()
        scores = seen @ weight.T + bias
        found = targets.losses(scores, rows, emphasis).mean() + _WEIGHT / 2 * weight.square().sum()
        found.backward()
        return found

    descent.step(loss)
    with torch.no_grad():
        network.head.weight.copy_(weight / spread)
        network.head.bias.copy_(bias - network.head.weight @ middle)
