"""Facts that could not be used, kept with the reason, so that nothing is lost."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Final

import polars as pl

from medloom.foundation.files import remove, write_bytes
from medloom.foundation.messages import Text2, text2
from medloom.foundation.site import SiteDirectory
from medloom.record.vault import Vault

_PURPOSE = "quarantine"
_SEALED = ".sealed"
_SAID: Final = {
    "subject_id": pl.Int64(),
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float32(),
    "text_value": pl.String(),
    "unit": pl.String(),
    "known_time": pl.Datetime("us"),
    "role": pl.String(),
    "problem": pl.String(),
}
# How a reason may end; the shape has 9 for each digit of the source's cell and a for each letter.
SHAPED: Final = r" \(it looks like (.*)\)$"
ROWS_IN_MEMORY: Final = 100_000  # beyond it they are packed, which makes them much smaller


def in_words(reason: str) -> Text2:
    """Say why facts were set aside.

    >>> in_words("no time (it looks like 9999-99)").zh
    '没有时间（形如 9999-99）'
    """
    shaped = re.search(SHAPED, reason)
    if shaped is None:
        return text2(reason)
    problem, shape = text2(reason[: shaped.start()]), shaped.group(1)
    english = text2("{problem} (it looks like {shape})", problem=problem.en, shape=shape).en
    return Text2(english, text2("{problem} (it looks like {shape})", problem=problem.zh, shape=shape).zh)


def with_shape(problem: str, problems: pl.Series, cells: pl.Series) -> pl.Series:
    """Add to one of the problems (n,) what the cell (n,) looks like, and nothing that it says.

    >>> with_shape("no time", pl.Series(["no time", None]), pl.Series(["3 May 21", "x"])).to_list()
    ['no time (it looks like 9 aaa 99)', None]
    """
    asked = (problems == problem).fill_null(False).arg_true()
    if not len(asked):
        return problems
    shape = (
        pl.col("cell").str.replace_all(r"\p{N}", "9").str.replace_all(r"[\p{L}\p{M}]", "a").str.slice(0, 24)
    )
    said = pl.format("{} (it looks like {})", pl.lit(problem), shape)
    return problems.scatter(asked, cells.gather(asked).alias("cell").to_frame().select(said).to_series())


class Quarantine:
    """Collects one import's unusable facts; `write` puts them beside the record, sealed when the site says so."""

    def __init__(self, site: SiteDirectory, vault: Vault, number: int) -> None:
        self.reasons: Counter[str] = Counter()
        self._site = site
        self._vault = vault
        self._number = number
        self._frames: list[pl.DataFrame] = []
        self._height = 0
        self._packed: list[bytes] = []  # not on the disk: what is to be sealed is never there unsealed

    def add(self, facts: pl.DataFrame) -> None:
        """Take facts (any columns) whose column `problem` says what is wrong."""
        if facts.height:
            self.reasons.update(dict(facts["problem"].value_counts().iter_rows()))
            self._frames.append(facts)
            self._height += facts.height
            if self._height >= ROWS_IN_MEMORY:
                self._packed.append(_parquet(pl.concat(self._frames, how="diagonal_relaxed").lazy()))
                self._frames, self._height = [], 0

    def leave_known(self) -> Counter[str]:
        """Leave out what an earlier import has quarantined already; count the rest by reason.

        A fact is known by what it says, one without a patient by its file and row too. Of equal facts
        as many are news as there are more than before.
        """
        parts = self._parts()
        if not parts:
            return Counter()
        earlier = [path for path in quarantine_files(self._site) if int(path.stem) < self._number]
        known = pl.concat(
            [_identities(read_quarantine(path, self._vault).lazy()) for path in earlier]
            or [pl.Series("identity", [], dtype=pl.UInt64)]
        ).value_counts(name="n")
        found = [_identities(part) for part in parts]
        news = (
            pl.concat(found)
            .to_frame()
            .with_columns(nth=pl.int_range(pl.len()).over("identity"))
            .join(known, on="identity", how="left", maintain_order="left")
            .select(pl.col("nth") >= pl.col("n").fill_null(0))
            .to_series()
        )
        if news.all():
            return self.reasons.copy()
        reasons: Counter[str] = Counter()
        self._frames, self._packed, start = [], [], 0
        for part, height in zip(parts, map(len, found), strict=True):
            fresh = part.collect().filter(news.slice(start, height))
            start += height
            if fresh.height:
                reasons.update(dict(fresh["problem"].value_counts().iter_rows()))
                self._packed.append(_parquet(fresh.lazy()))
        return reasons

    def write(self) -> None:
        """Write what was collected; nothing collected leaves no file."""
        path = self._site.quarantine / f"{self._number:06d}.parquet"
        for leftover in (path, path.with_suffix(_SEALED)):
            remove(leftover)  # of an import of this number that was killed before its commit
        if parts := self._parts():
            suffix = _SEALED if self._site.settings().encrypt_at_rest else ".parquet"
            _write(path.with_suffix(suffix), pl.concat(parts, how="diagonal_relaxed"), self._vault)

    def _parts(self) -> list[pl.LazyFrame]:
        parts = [pl.scan_parquet(io.BytesIO(part)) for part in self._packed]
        return [*parts, *(frame.lazy() for frame in self._frames)]


def quarantine_files(site: SiteDirectory) -> list[Path]:
    """List the quarantine of all imports, the first import first."""
    return sorted(path for path in site.quarantine.glob("*") if path.suffix in (_SEALED, ".parquet"))


def read_quarantine(path: Path, vault: Vault) -> pl.DataFrame:
    """Read one import's quarantine back."""
    content = path.read_bytes()
    if path.suffix == _SEALED:
        content = vault.open(content, _PURPOSE)
    return pl.read_parquet(io.BytesIO(content))


def replace_subject(site: SiteDirectory, vault: Vault, subject_id: int, by: int | None) -> None:
    """Give a subject's quarantined facts to another; None: forget them."""
    for path in quarantine_files(site):
        facts = read_quarantine(path, vault)
        of_subject = pl.col("subject_id").eq_missing(subject_id)
        if "subject_id" not in facts.columns or not facts.select(of_subject.any()).item():
            continue
        if by is not None:
            facts = facts.with_columns(
                subject_id=pl.when(of_subject).then(pl.lit(by, pl.Int64)).otherwise("subject_id")
            )
        else:
            facts = facts.filter(~of_subject)
        if facts.height:
            _write(path, facts.lazy(), vault)
        else:
            remove(path)


def _identities(facts: pl.LazyFrame) -> pl.Series:
    """Hash what each fact says: (n,) uint64, the same for the same fact of another import."""
    there = facts.collect_schema().names()
    nobody = pl.col("subject_id").is_null() if "subject_id" in there else pl.lit(True)
    said = (
        (pl.col(name) if name in there else pl.lit(None)).cast(kind, strict=False).alias(name)
        for name, kind in _SAID.items()
    )
    place = (
        pl.when(nobody).then(pl.col(name) if name in there else None).cast(pl.Int64).alias(name)
        for name in ("file", "row")
    )
    # the length gives a frame of literals alone its height
    named = facts.select(*said, *place, height=pl.len()).drop("height")
    return named.collect().hash_rows().alias("identity")


def _write(path: Path, facts: pl.LazyFrame, vault: Vault) -> None:
    content = _parquet(facts)
    write_bytes(path, vault.seal(content, _PURPOSE) if path.suffix == _SEALED else content, mode=0o600)


def _parquet(facts: pl.LazyFrame) -> bytes:
    buffer = io.BytesIO()
    facts.sink_parquet(buffer)
    return buffer.getvalue()
