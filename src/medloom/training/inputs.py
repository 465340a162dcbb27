"""Window features on their way into an estimator: in batches, dense, kept in a package beside what was learned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError
from medloom.tasks.samples import Samples
from medloom.training.preparation import Preparation

_FEATURES_FILE: Final = "features.json"


def dense_inputs(values: Any) -> NDArray[np.float32]:
    """Give inputs as one array in row order, whether they came sparse or dense."""
    plain = values.toarray() if hasattr(values, "toarray") else values
    return np.ascontiguousarray(plain, dtype=np.float32)


def batches(
    features: WindowFeatures, samples: Samples, most: int
) -> Iterator[tuple[Samples, NDArray[np.float32]]]:
    """Give the inputs (n, p) of at most `most` samples at a time, beside the samples."""
    for part in samples.parts(most):
        if len(part):
            yield part, dense_inputs(features.transform(part).values)


def check_varies(x: Any) -> None:
    """Refuse inputs (n, p), an array or CSR, of which none differs between samples.

    Raises:
        InputError: there is nothing to learn from.
    """
    plain = x if isinstance(x, np.ndarray) else x.data
    if isinstance(x, np.ndarray):
        varies = bool(((plain != plain[:1]) & ~(np.isnan(plain) & np.isnan(plain[:1]))).any())
    else:
        varies = len(plain) > 0
    if not varies:
        raise InputError(
            "no input differs between the {n} training samples; import more facts, or widen what the task observes",
            n=x.shape[0],
        )


def write_inputs(folder: Path, features: WindowFeatures, preparation: Preparation | None) -> None:
    """Write what turns samples into inputs; the same always gives the same bytes."""
    text = json.dumps(features.to_json(), ensure_ascii=False, sort_keys=True, indent=1)
    (folder / _FEATURES_FILE).write_text(text + "\n", encoding="utf-8")
    if preparation is not None:
        preparation.write(folder)


def read_inputs(folder: Path) -> tuple[WindowFeatures, Preparation | None]:
    """Read back what `write_inputs` wrote."""
    features = WindowFeatures.from_json(json.loads((folder / _FEATURES_FILE).read_text(encoding="utf-8")))
    return features, Preparation.read(folder) if Preparation.is_in(folder) else None
