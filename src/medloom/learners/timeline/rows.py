"""The arrays that a graph of one row reads, made without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.timeline.charting import COLUMNS, LEAST_SPREAD, RECENT
from medloom.training.arrays import read_array, write_arrays

Floats = NDArray[np.float64]
Halves = NDArray[np.float16]
Arrays = Mapping[str, NDArray[Any]]

ASKED: Final = 6
"""Which of the times tells that the row is asked at this step."""

_UNSEEN: Final = np.float32(-1e9)  # before a softmax


@dataclass(frozen=True)
class RowForm:
    """What a graph's arrays are made with.

    Attributes:
        causal: whether a step sees only those before it.
        places, turns: (h,) by which the place of a step is divided, and hours of one turn.
        pieces, above: (p, width), (a, width) of descriptions and ancestors; what strangers are known by.
        charted: codes of the chart.
    """

    causal: bool
    places: Floats
    turns: Floats
    pieces: Halves
    above: Halves
    charted: int

    def arrays(self, row: Arrays, shown: NDArray[np.float32] | None = None) -> dict[str, NDArray[Any]]:
        """Make the graph's arrays of one row.

        Args:
            row: as `Timelines.arrays` gives it.
            shown: (n,) how much each fact counts, from 0 to 1; None: all of them wholly.
        """
        steps, step = len(row["row"]), row["step"]
        # a kind and a pair more, of nobody: graphs do not multiply with nothing
        kinds, pairs = len(row["kinds"]) + 1, len(row["pair_kind"]) + 1
        held = np.bincount(step, minlength=steps)
        each = (1.0 if shown is None else shown) / np.sqrt(np.maximum(held, 1))[step]
        counts = np.bincount(step * pairs + row["pair"], each, steps * pairs)
        values = np.bincount(step * kinds + row["kind"], each * row["value"], steps * kinds)
        angle = np.concatenate(
            [row["place"][:, None] / self.places, -row["hours"][:, None] * (2 * np.pi / self.turns)], 1
        )
        later = np.triu(np.full((steps, steps), _UNSEEN), 1) if self.causal else np.zeros((steps, steps))
        return {
            "kinds": np.append(row["kinds"], 0),
            "described": self._described(row),
            "pair_kind": np.append(row["pair_kind"], 0),
            "pair_tenth": np.append(row["pair_tenth"], 0),
            "counts": counts.reshape(steps, pairs).astype(np.float32),
            "values": values.reshape(steps, kinds).astype(np.float32),
            "times": _times(row, held),
            "cos": np.cos(angle).astype(np.float32)[:, None],
            "sin": np.sin(angle).astype(np.float32)[:, None],
            "mask": later.astype(np.float32),
            "chart": _chart(row, shown, self.charted),
        }

    def write(self, folder: Path) -> None:
        """Write it as arrays."""
        write_arrays(
            folder,
            causal=np.array(self.causal),
            places=self.places,
            turns=self.turns,
            pieces=self.pieces,
            above=self.above,
            charted=np.array(self.charted),
        )

    @classmethod
    def read(cls, folder: Path) -> RowForm:
        """Read back what `write` wrote."""
        names = ("places", "turns", "pieces", "above")
        places, turns, pieces, above = (read_array(folder, name) for name in names)
        causal = read_array(folder, "causal").item()
        # packages of bodies without a chart may not have this
        charted = read_array(folder, "charted").item() if (folder / "charted.npy").is_file() else 0
        return cls(causal, places, turns, pieces, above, charted)

    def _described(self, row: Arrays) -> NDArray[np.float32]:
        """Sum what strangers are known by: (u + 1, width); zeros of all others."""
        kinds = row["kinds"]
        described = np.zeros((len(kinds) + 1, self.pieces.shape[1]), np.float32)
        for place in np.flatnonzero(kinds == 0):
            for table, name in ((self.pieces, "pieces"), (self.above, "ancestors")):
                ends = np.append(row[f"{name}_of"], len(row[name]))
                of = row[name][ends[place] : ends[place + 1]]
                if len(of):
                    described[place] += table[of].mean(0, dtype=np.float32)
        return described


def _times(row: Arrays, held: NDArray[np.int64]) -> NDArray[np.float32]:
    """Describe when each step is, and how much it holds: (s, 8); as `body` does."""
    age = row["age"][row["row"]]
    unknown = np.isnan(age)
    asked = np.zeros(len(held))
    asked[row["ask"]] = 1
    return np.stack(
        [
            np.log1p(row["gap"]) / 4,
            np.log1p(row["since"]) / 8,
            np.log1p(row["gap"] / 24) / 4,
            np.where(unknown, 0, age / 50 - 1),
            unknown,
            row["static"],
            asked,
            np.log1p(held) / 3,
        ],
        1,
    ).astype(np.float32)


def _chart(row: Arrays, shown: NDArray[np.float32] | None, codes: int) -> NDArray[np.float32]:
    """Give what the row holds of codes 1 to `codes`: (1, 8 codes); as `chart` does."""
    number = row["kinds"][row["kind"]]
    held = (number > 0) & (number <= codes)
    if shown is not None:
        held &= shown > 0
    place, value = number[held] - 1, row["value"][held].astype(np.float64)
    weight = np.ones(len(place)) if shown is None else shown[held].astype(np.float64)
    many = np.bincount(place, minlength=codes)
    divisor = np.maximum(many, 1)
    share, each = np.bincount(place, weight, codes) / divisor, weight * value
    usual, square = (np.bincount(place, one, codes) / divisor for one in (value, value**2))
    spread = np.sqrt(np.maximum(square - usual**2, 0) + LEAST_SPREAD**2) - LEAST_SPREAD
    made = np.zeros((COLUMNS, codes))
    made[0], made[1] = share * np.log1p(many), np.bincount(place, each, codes) / divisor
    made[6] = share * spread
    lowest, highest = np.full(codes, np.inf), np.full(codes, -np.inf)
    np.minimum.at(lowest, place, each)
    np.maximum.at(highest, place, each)
    met = np.isfinite(lowest)
    made[2, met], made[3, met] = lowest[met], highest[met]
    ago = np.maximum(row["hours"][row["step"][held]], 0)
    # of facts that are assigned to the same place, the last one stays
    made[4, place[::-1]], made[5, place] = each[::-1], each
    made[7, place] = weight / (1 + ago / RECENT)
    return made.reshape(1, -1).astype(np.float32)
