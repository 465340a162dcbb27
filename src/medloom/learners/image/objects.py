"""Answers of models that find objects: how sure the surest one is, and which objects there are."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from medloom.features.boxes import Boxes, Finding
from medloom.features.images import image_of
from medloom.foundation.messages import tr
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

_METHOD: Final = "objects by how sure each is; the surest one is the answer"


def predicted(finder: Finding, structures: tuple[str, ...], samples: Samples) -> Predictions:
    """Tell how sure the surest object of each structure is, from 0 to 1; 0: there is none."""
    surest = [finder.find(image_of(samples, place)).surest(len(structures)) for place in range(len(samples))]
    values = np.array(surest).reshape(len(samples), len(structures))
    return Predictions.of_matrix(samples.sample_ids, structures, values)


def explained(finder: Finding, structures: tuple[str, ...], samples: Samples) -> Explanation:
    """Name the objects that are sure enough to be shown, each with where its middle is and how sure it is."""
    frames = [EXPLANATION_SCHEMA.to_frame()]
    for place in range(len(samples)):
        boxes = finder.find(image_of(samples, place)).shown(finder.thresholds)
        for number, name in enumerate(structures, 1):
            own = boxes.of(number)
            told = {"output": [name] * len(own), "input": middles_of(own), "contribution": own.score}
            about = {"sample_id": int(samples.sample_ids[place]), "asset": samples.frame["item"][place]}
            rows = pl.DataFrame(told, schema={one: EXPLANATION_SCHEMA[one] for one in told})
            frames.append(rows.with_columns(pl.lit(value).alias(key) for key, value in about.items()))
    rows = pl.concat(frames, how="diagonal_relaxed")
    return Explanation(
        rows.select(pl.col(name).cast(kind) for name, kind in EXPLANATION_SCHEMA.items()),
        pl.DataFrame({"output": structures, "value": np.zeros(len(structures))}),
        _METHOD,
        "score",
        additive=False,
    )


def middles_of(boxes: Boxes) -> list[str]:
    """Name where the middle of each object is, counted from 1.

    >>> middles_of(Boxes(np.array([[2.0, 4, 6, 8]]), np.ones(1, int), np.ones(1)))
    ['around row 5, column 7']
    """
    axes = boxes.box.shape[1] // 2
    middles = ((boxes.box[:, :axes] + boxes.box[:, axes:]) / 2).astype(int) + 1
    if axes == 2:
        return [tr("around row {row}, column {column}", row=row, column=column) for row, column in middles]
    return [
        tr("around slice {slice}, row {row}, column {column}", slice=slice_, row=row, column=column)
        for slice_, row, column in middles
    ]
