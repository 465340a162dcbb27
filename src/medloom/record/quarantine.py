"""Facts that could not be used, kept with the reason, so that nothing is lost."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import polars as pl

from medloom.foundation.files import write_bytes
from medloom.foundation.site import SiteDirectory
from medloom.record.vault import Vault

_PURPOSE = "quarantine"


class Quarantine:
    """Collects one import's unusable facts; `write` puts them beside the record, sealed when the site says so."""

    def __init__(self, site: SiteDirectory, vault: Vault, number: int) -> None:
        self.reasons: Counter[str] = Counter()
        self._site = site
        self._vault = vault
        self._number = number
        self._frames: list[pl.DataFrame] = []

    def add(self, facts: pl.DataFrame) -> None:
        """Take facts (any columns) whose column `problem` says what is wrong."""
        if facts.height:
            self.reasons.update(dict(facts["problem"].value_counts().iter_rows()))
            self._frames.append(facts)

    def write(self) -> None:
        """Write what was collected; nothing collected writes no file."""
        if not self._frames:
            return
        buffer = io.BytesIO()
        pl.concat(self._frames, how="diagonal_relaxed").write_parquet(buffer)
        path = self._site.quarantine / f"{self._number:06d}.parquet"
        if self._site.settings().encrypt_at_rest:
            write_bytes(path.with_suffix(".sealed"), self._vault.seal(buffer.getvalue(), _PURPOSE), mode=0o600)
        else:
            write_bytes(path, buffer.getvalue(), mode=0o600)


def read_quarantine(path: Path, vault: Vault) -> pl.DataFrame:
    """Read one import's quarantine back."""
    content = path.read_bytes()
    if path.suffix == ".sealed":
        content = vault.open(content, _PURPOSE)
    return pl.read_parquet(io.BytesIO(content))
