"""Who people are whose facts are read and not kept: nothing is written of them, not even that they were there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.hashing import hash64
from medloom.record.vault import Vault


class Guests:
    """Gives pseudonyms without keeping any: the vault's own where it knows who it is, else a negative keyed hash.

    The same person of the same system gets the same number in every call, and never one of the record's,
    which are positive. Whom the vault remembers as erased stays `ERASED`.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def derived(self, purpose: str) -> bytes:
        """Derive a 256-bit key for one purpose; that of the keys of facts is another one than an import's."""
        return self._vault.derived(f"guests/{purpose}")

    def assign(self, system: str, identifiers: Sequence[str]) -> NDArray[np.int64]:
        """Give each identifier its number: (n,) int64, `ERASED` for the erased."""
        pepper = self.derived("subjects")
        known = (self._vault.known(system, identifier) for identifier in identifiers)
        return np.array(
            [
                _guest(f"{system}\x1f{identifier}", pepper) if subject is None else subject
                for identifier, subject in zip(identifiers, known, strict=True)
            ],
            dtype=np.int64,
        )


def _guest(person: str, pepper: bytes) -> int:
    """Hash to -2⁵² - 1 … -2: no number of the record's, not `ERASED`, and exact in JSON."""
    return -2 - (hash64(person, pepper) >> 12)
