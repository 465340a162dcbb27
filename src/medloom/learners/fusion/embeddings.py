"""What models of other modalities know of a sample, put beside its facts as if it had been measured.

A tabular learner then takes an embedding as it takes any static number; a modality that a sample lacks is a number that
is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.tasks.samples import MODELS_READ, Samples

SYSTEM: Final = "EMBEDDING"
_AT_ONCE: Final = 5_000  # samples whose histories are in memory at a time


class Embedder(Protocol):
    """Knows samples by vectors: a model of timelines, images, texts or signals."""

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what is known of each sample: (n, width); NaN in the whole row of one that lacks the modality."""
        ...


def with_embeddings(
    samples: Samples,
    embedders: Mapping[str, Embedder],
    hidden: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Samples:
    """Put what embedders know beside the facts of each sample, as `EMBEDDING//NAME//017`.

    Args:
        samples: their histories are held in memory with what is put beside them.
        embedders: by name.
        hidden: share of samples, drawn for each embedder, that are treated as if they lacked its modality.
        rng: what is drawn with.
    """
    history = samples.history(MODELS_READ)
    for name, embedder in embedders.items():
        known = np.asarray(embedder.represent(samples), np.float32)
        if hidden and rng is not None:
            known = np.where(rng.random((len(known), 1)) < hidden, np.nan, known).astype(np.float32)
        history = history.with_static([f"{SYSTEM}//{name}//{at:03d}" for at in range(known.shape[1])], known)
    return samples.holding(history)


def parts_with_embeddings(samples: Samples, embedders: Mapping[str, Embedder]) -> Iterator[Samples]:
    """Give all samples, in order, part by part, with what embedders know of them."""
    for part in samples.parts(_AT_ONCE):
        if len(part):
            yield with_embeddings(part, embedders)


def embedder_of(code: pl.Expr) -> pl.Expr:
    """Name the embedder that a code comes from; null for others.

    >>> frame = pl.DataFrame({"code": ["EMBEDDING//gru-d//001", "LOINC//8867-4", None]})
    >>> frame.select(embedder_of(pl.col("code")))["code"].to_list()
    ['gru-d', None, None]
    """
    return code.str.extract(rf"^{SYSTEM}//(.+)//\d+$")
