"""Arrays in a model's `weights/`: plain .npy files that hold numbers and nothing that could run."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_arrays(folder: Path, **arrays: NDArray[Any]) -> None:
    """Write each array as NAME.npy; the same numbers give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def read_array(folder: Path, name: str) -> NDArray[Any]:
    """Read NAME.npy."""
    array: NDArray[Any] = np.load(folder / f"{name}.npy", allow_pickle=False)
    return array
