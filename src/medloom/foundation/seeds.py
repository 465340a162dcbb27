"""Randomness that comes in as a seed and is derived by name."""

from __future__ import annotations

import numpy as np

from medloom.foundation.hashing import hash64


def derive(seed: int, *names: str) -> int:
    """Derive an independent 32-bit seed for a named part of the work.

    >>> derive(1, "fit") == derive(1, "fit"), derive(1, "fit") == derive(1, "bootstrap")
    (True, False)
    """
    return hash64("\x1f".join((str(seed), *names))) & 0xFFFFFFFF


def generator(seed: int, *names: str) -> np.random.Generator:
    """Make a generator for a named part of the work."""
    return np.random.default_rng(derive(seed, *names))
