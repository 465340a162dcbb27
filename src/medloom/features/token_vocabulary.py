"""What timeline models know of codes: their numbers, what describes them, and how their values are spread."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.features.reading import of_histories
from medloom.foundation.seeds import generator
from medloom.record.catalogue import CodeCatalogue
from medloom.record.schema import BIRTH
from medloom.tasks.history import STATIC, History
from medloom.tasks.samples import Samples

QUANTILES: Final = 10
PIECES: Final = 4096  # buckets into which pieces of descriptions are hashed (Bojanowski et al., TACL 2017)
_PIECE: Final = 4  # letters
_MOST_PIECES: Final = 48  # of one description
_KEPT_VALUES: Final = 10_000  # of each code, drawn at random, tell how its values are spread
_KEPT_TOGETHER: Final = 2_000_000  # of all codes, so that memory is bounded; of each, as many as that leaves
_WIDE: Final = 1.349  # interquartile range of a standard normal distribution
_FURTHEST: Final = 6.0  # standard deviations; a value beyond is taken for this
_SEPARATOR: Final = "="  # between a static code and its text


@dataclass(frozen=True)
class TokenVocabulary:
    """Codes of training timelines, the most frequent first; number 0 is any code that is not among them.

    Attributes:
        codes: number i + 1 each; a static code with a text stands as `CODE=text`.
        facts: how many each had in training.
        centre: (codes,) median value, 0 where a code has none.
        scale: (codes,) how widely values are spread, 1 where a code has none.
        edges: (codes, 9) between tenths of the values, infinite where a code has none.
        parents: of each code, as numbers into `ancestors`.
        ancestors: codes of ontologies above the codes.
        descriptions: of each code, as a catalogue tells it; empty where it does not.
    """

    codes: tuple[str, ...]
    facts: tuple[int, ...]
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    edges: NDArray[np.float32]
    ancestors: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    descriptions: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        samples: Samples,
        *,
        min_subjects: int = 10,
        max_codes: int = 20_000,
        seed: int = 0,
    ) -> Self:
        """Learn from the histories of training samples.

        Args:
            samples: of training alone.
            min_subjects: a code must occur in so many subjects (a tenth of all, where that is fewer): no code stands
                for one patient.
            max_codes: the most frequent so many are kept.
            seed: of the values that are drawn.
        """
        spread = _Spread(seed)
        counted: list[pl.DataFrame] = []
        ids = samples.subject_ids
        for counts, code, value in of_histories(samples, ("text_value",), _counted):
            counted.append(counts)
            spread.add(code, value)
        empty = pl.DataFrame(schema={"code": pl.String, "facts": pl.UInt32, "who": pl.UInt32})
        codes = pl.concat([empty, *counted]).group_by("code").sum()
        needed = min(min_subjects, max(1, len(np.unique(ids)) // 10))
        kept = codes.filter(pl.col("who") >= needed).sort(["facts", "code"], descending=[True, False])
        kept = kept.head(max_codes)
        names = tuple(kept["code"])
        made = cls(names, tuple(kept["facts"]), *spread.of(names), (), ((),) * len(names), ("",) * len(names))
        return made.described(samples.catalogue)

    def described(self, catalogue: CodeCatalogue) -> Self:
        """Take up what a catalogue says of the codes: descriptions, and what is above them in their ontology."""
        known = _catalogued(catalogue, [name.split(_SEPARATOR)[0] for name in self.codes])
        above = sorted({parent for _, parents in known for parent in parents})
        places = {code: place for place, code in enumerate(above)}
        return replace(
            self,
            ancestors=tuple(above),
            parents=tuple(tuple(places[parent] for parent in parents) for _, parents in known),
            descriptions=tuple(description for description, _ in known),
        )

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Give the number of each code, from 1."""
        return {code: place + 1 for place, code in enumerate(self.codes)}

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Tell which codes have values: (codes,)."""
        return np.isfinite(self.edges[:, 0])

    def numbered(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Give the numbers of codes: (n,), 0: unknown."""
        numbers = self.numbers
        return np.fromiter((numbers.get(name, 0) for name in names), np.int32, len(names))

    def standardised(
        self, code: NDArray[np.int32], value: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Give values as distances from the code's median, and the tenth of its values in which each lies, from 1.

        Args:
            code: (n,) numbers.
            value: (n,) in the code's unit, NaN: none.

        Returns:
            distances (n,), at most 6 in units of the code's spread, 0 where there is no value; tenths (n,), 0: none.
        """
        place = np.maximum(code - 1, 0)
        has = np.isfinite(value) & (code > 0)
        if len(self):
            has &= self.measured[place]
        rows = np.flatnonzero(has)
        distances, tenths = np.zeros(len(code), np.float32), np.zeros(len(code), np.uint8)
        of, values = place[rows], value[rows]
        shifted = (values - self.centre[of]) / self.scale[of]
        distances[rows] = np.clip(shifted, -_FURTHEST, _FURTHEST)
        reached = np.ones(len(rows), np.uint8)
        for edge in self.edges.T:
            reached += values > edge[of]
        tenths[rows] = reached
        return distances, tenths

    def restored(self, code: NDArray[np.int32], distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn distances back into values in the codes' units; NaN where a code has none."""
        place = np.maximum(code - 1, 0)
        values = self.centre[place] + distance * self.scale[place]
        return np.where(self.measured[place] & (code > 0), values, np.nan).astype(np.float32)

    def within(
        self, code: NDArray[np.int32], tenth: NDArray[np.uint8], share: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Give values that lie within tenths: evenly, and beyond the outermost edges as an exponential tail.

        Values of codes whose edges are whole numbers are whole; none is below 0 where the lowest edge is not.

        Args:
            code: (n,) numbers.
            tenth: (n,) from 1; 0: no value.
            share: (n,) from 0 to 1, drawn evenly.

        Returns:
            (n,) in the codes' units; NaN: none.
        """
        values = np.full(len(code), np.nan, np.float32)
        rows = np.flatnonzero((tenth > 0) & (code > 0) & np.isfinite(self.edges[np.maximum(code - 1, 0), 0]))
        place, part, drawn = (
            code[rows] - 1,
            tenth[rows].astype(np.int64),
            np.clip(share[rows], 1e-9, 1 - 1e-9),
        )
        edges = self.edges[place].astype(np.float64)
        each, inner = np.arange(len(rows)), np.clip(part - 2, 0, QUANTILES - 3)
        low, high = edges[each, inner], edges[each, inner + 1]
        width = np.where(high > low, high - low, self.scale[place])
        tail = np.minimum(-np.log(drawn), _FURTHEST) * width
        whole = (edges == np.round(edges)).all(1)
        # a tenth is open below and closed above, as `standardised` counts it
        least, most = part == 1, part == QUANTILES
        further = np.where(whole, np.floor(tail), tail)
        beyond = np.where(whole, np.maximum(np.ceil(tail), 1), tail)
        step = drawn * (high - low)
        between = np.minimum(low + np.where(whole, np.ceil(step), step), high)
        found = np.where(least, edges[:, 0] - further, np.where(most, edges[:, -1] + beyond, between))
        values[rows] = np.where(edges[:, 0] >= 0, np.maximum(found, 0), found)
        return values

    @cached_property
    def pieces(self) -> tuple[NDArray[np.int64], ...]:
        """Give the hashed pieces of each code's name and description."""
        pairs = zip(self.codes, self.descriptions, strict=True)
        return tuple(pieces(code, description) for code, description in pairs)

    def strangers(
        self, names: Sequence[str], catalogue: CodeCatalogue
    ) -> list[tuple[tuple[int, ...], NDArray[np.int64]]]:
        """Describe codes that training did not have: of each its known ancestors, and the pieces of its description."""
        if not names:
            return []
        places = {code: place for place, code in enumerate(self.ancestors)}
        told = _catalogued(catalogue, [name.split(_SEPARATOR)[0] for name in names])
        return [
            (tuple(places[one] for one in parents if one in places), pieces(name, description))
            for name, (description, parents) in zip(names, told, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        arrays = {name: getattr(self, name) for name in ("centre", "scale", "edges")}
        plain = {
            name: [[None if np.isinf(one) else float(one) for one in row] for row in np.atleast_2d(array)]
            for name, array in arrays.items()
        }
        return {name: value for name, value in asdict(self).items() if name not in arrays} | plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave."""

        def numbers(rows: Any) -> NDArray[np.float32]:
            return np.array([[np.inf if one is None else one for one in row] for row in rows], np.float32)

        n = len(content["codes"])
        return cls(
            codes=tuple(content["codes"]),
            facts=tuple(content["facts"]),
            centre=numbers(content["centre"]).reshape(n),
            scale=numbers(content["scale"]).reshape(n),
            edges=numbers(content["edges"]).reshape(n, QUANTILES - 1),
            ancestors=tuple(content["ancestors"]),
            parents=tuple(tuple(one) for one in content["parents"]),
            descriptions=tuple(content["descriptions"]),
        )


def pieces(code: str, description: str) -> NDArray[np.int64]:
    """Hash the words of a code's description, and their pieces of four letters, into buckets.

    >>> len(np.intersect1d(pieces("X//a", "heart"), pieces("X//b", "heart rate")))
    5
    """
    text = f"{code.rpartition('//')[2]} {description}" if description else code.rpartition("//")[2]
    found: dict[int, None] = {}
    for word in text.lower().split():
        marked = f"<{word}>"
        cut = [marked[place : place + _PIECE] for place in range(max(1, len(marked) - _PIECE + 1))]
        for piece in [marked, *cut] if len(cut) > 1 else cut:
            found[zlib.crc32(piece.encode()) % PIECES] = None
    return np.fromiter(list(found)[:_MOST_PIECES], np.int64)


@dataclass(frozen=True)
class NamedFacts:
    """The facts that a timeline model sees: births left out, static texts put behind their codes.

    Attributes:
        rows: (n,) of the history.
        code: (n,) into `names`.
        names: of codes.
    """

    rows: NDArray[np.int64]
    code: NDArray[np.int32]
    names: tuple[str, ...]


def named_facts(history: History) -> NamedFacts:
    """Name the facts of a history that was read with `text_value`, or without any further column."""
    names = history.vocabulary
    code = history.code
    if BIRTH in names:
        rows = np.flatnonzero(code != names.index(BIRTH))
        code = code[rows]
    else:
        rows = np.arange(len(history))
    column = history.columns.get("text_value")
    if column is not None and column.null_count < len(column):
        code, names = _with_texts(history, rows, code)
    return NamedFacts(rows, code, names)


def _with_texts(
    history: History, rows: NDArray[np.int64], code: NDArray[np.int32]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    static = np.flatnonzero(history.time[rows] == STATIC)
    texts = pl.Series(history.columns["text_value"]).cast(pl.String).gather(rows[static])
    told = np.flatnonzero(texts.is_not_null().to_numpy())
    if not len(told):
        return code, history.vocabulary
    pairs = pl.DataFrame({"code": code[static[told]], "text": texts.gather(told)})
    different = pairs.unique(maintain_order=True).with_row_index("place")
    place = pairs.join(different, on=["code", "text"], how="left", maintain_order="left")["place"]
    longer = code.copy()
    longer[static[told]] = len(history.vocabulary) + place.to_numpy().astype(np.int32)
    named = [f"{history.vocabulary[of]}{_SEPARATOR}{text}" for _, of, text in different.iter_rows()]
    return longer, (*history.vocabulary, *named)


def _counted(samples: Samples, history: History) -> tuple[pl.DataFrame, pl.Series, NDArray[np.float32]]:
    """Count the facts and subjects of each code, and give all values with their codes."""
    named = named_facts(history)
    codes = pl.Series("code", named.names, dtype=pl.String)
    subject = samples.subject_ids[history.sample[named.rows]]
    facts = pl.DataFrame({"code": codes.gather(named.code), "subject": subject})
    counts = facts.group_by("code").agg(pl.len().alias("facts"), pl.col("subject").n_unique().alias("who"))
    value = history.value[named.rows]
    has = np.flatnonzero(np.isfinite(value))
    return counts, codes.gather(named.code[has]), value[has]


class _Spread:
    """Draws values of each code, part by part, to tell how they are spread."""

    def __init__(self, seed: int) -> None:
        self._rng = generator(seed, "values")
        self._kept = pl.DataFrame(schema={"code": pl.String, "value": pl.Float32, "drawn": pl.Float64})
        self._waiting: list[pl.DataFrame] = []
        self._most = _KEPT_VALUES

    def add(self, code: pl.Series, value: NDArray[np.float32]) -> None:
        new = pl.DataFrame({"code": code, "value": value, "drawn": self._rng.random(len(value))})
        self._waiting.append(new.cast(self._kept.schema))
        if sum(map(len, self._waiting)) > _KEPT_TOGETHER:
            self._draw()

    def _draw(self) -> None:
        """Keep of each code the values with the lowest lots, so many as all together leave room for."""
        self._kept = self._with_lowest_lots(pl.concat([self._kept, *self._waiting]))
        self._waiting.clear()
        while len(self._kept) > _KEPT_TOGETHER:
            self._most //= 2
            self._kept = self._with_lowest_lots(self._kept)

    def _with_lowest_lots(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("drawn").rank("ordinal").over("code") <= self._most)

    def of(
        self, names: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Give centre (c,), scale (c,) and edges (c, 9)."""
        self._draw()
        shares = [tenth / QUANTILES for tenth in range(1, QUANTILES)]
        found = self._kept.group_by("code").agg(
            *(pl.col("value").quantile(share).alias(f"edge {place}") for place, share in enumerate(shares)),
            pl.col("value").median().alias("centre"),
            (pl.col("value").quantile(0.75) - pl.col("value").quantile(0.25)).alias("middle"),
            pl.col("value").std().fill_null(0).alias("sd"),
        )
        known = pl.DataFrame({"code": list(names)}, schema={"code": pl.String})
        found = known.join(found, on="code", how="left", maintain_order="left")
        edges = found.select(pl.selectors.starts_with("edge ").fill_null(np.inf)).to_numpy()
        wide = (
            pl.when(pl.col("middle") > 0)
            .then(pl.col("middle") / _WIDE)
            .when(pl.col("sd").is_finite() & (pl.col("sd") > 0))
            .then(pl.col("sd"))
            .otherwise(1.0)
        )
        return (
            found["centre"].fill_null(0).to_numpy().astype(np.float32),
            found.select(wide.fill_null(1.0)).to_series().to_numpy().astype(np.float32),
            edges.astype(np.float32).reshape(len(names), QUANTILES - 1),
        )


def _catalogued(catalogue: CodeCatalogue, codes: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Look up descriptions and parents of codes; nothing where a catalogue does not say."""
    wanted = list(codes)
    frame = catalogue.frame.filter(pl.col("code").is_in(sorted(set(wanted))))
    known = {
        code: (description or "", tuple(parents or ()))
        for code, description, parents in frame.select("code", "description", "parent_codes").iter_rows()
    }
    return [known.get(code, ("", ())) for code in wanted]
