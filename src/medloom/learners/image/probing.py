"""The head of a pretrained network, found at once from what the network knows of images; its body stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.network import ImageNetwork
from medloom.training.probe import probe
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from medloom.learners.image.learner import ImageRows
    from medloom.training.answer_heads import Targets

_COPIES: Final = 6  # of each image, each changed in another way
_AT_ONCE: Final = 32


def probe_head(
    network: ImageNetwork, rows: ImageRows, targets: Targets, groups: NDArray[np.int64], seed: int
) -> None:
    """Fit the head in place, by several copies of each image, changed as while a network descends.

    Args:
        network: with a body that was pretrained.
        rows: the n images.
        targets: of them.
        groups: (n,) what cross-validation must not divide.
        seed: of how images are changed.
    """
    n = len(rows.lengths)
    order = np.tile(np.arange(n), _COPIES)
    rng = generator(seed, "copies")
    network.eval()
    known = []
    with (
        torch.inference_mode(),
        seeded(derive(seed, "copies")),
        progress(tr("Learning from images"), total=len(order)) as advance,
    ):
        for first in range(0, len(order), _AT_ONCE):
            x, chosen = rows.batch(order[first : first + _AT_ONCE], rng)
            known.append(network.represent(x).double().numpy())
            advance(len(chosen))
    head = probe(np.concatenate(known), targets, groups, seed, order)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(head.weight))
        network.head.bias.copy_(torch.from_numpy(head.bias))
