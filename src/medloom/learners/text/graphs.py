"""What graphs of text networks read and give: a window of a note at a time, without filling.

A window that is read by itself is answered alike in any company; no mask is needed, and no time goes into filling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.text.windows import Window
from medloom.training.compression.graphs import LIBRARIES as _RUNNING
from medloom.training.compression.graphs import Graph

LIBRARIES: Final = (*_RUNNING, "tokenizers")
FILE: Final = "network.onnx"
"""Where a package keeps the graph."""

FREE: Final[Mapping[str, Mapping[int, str]]] = {
    "ids": {0: "windows", 1: "tokens"},
    "shapes": {0: "windows", 1: "tokens"},
    "heads": {0: "windows", 1: "words"},
}
"""What goes in, with the axes that may have any length: tokens, how their words are written, where words begin."""


def arrays_of(window: Window) -> dict[str, NDArray[Any]]:
    """Give what a graph reads of a window: (1, tokens), (1, tokens), (1, words)."""
    return {"ids": window.ids[None], "shapes": window.shapes[None], "heads": window.heads[None]}


def read_each(graph: Graph, windows: Sequence[Window], output: str) -> list[NDArray[np.float64]]:
    """Read windows one after the other; give an output of each, without the axis of windows."""
    return [graph.run(arrays_of(window), output)[0].astype(np.float64) for window in windows]
