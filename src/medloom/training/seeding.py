"""What PyTorch draws at random, from a seed of one's own; what others draw stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Draw from a seed inside the block.

    Args:
        seed: of what is drawn.
        device: where it is drawn; None: on the processor. No other accelerator is asked for its state, for a process
            that has asked once cannot share accelerators out among others any more.
    """
    import torch

    with torch.random.fork_rng([device] if device is not None and device.type != "cpu" else []):
        torch.manual_seed(seed)
        yield
