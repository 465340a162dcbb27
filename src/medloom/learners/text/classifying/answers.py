"""What answers about whole notes rest on, as rows: a share of each answer for each word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.messages import tr
from medloom.learners.text.windows import Note
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm

Floats = NDArray[np.float64]


def by_words(
    notes: Sequence[Note],
    shared: Sequence[tuple[Floats, Floats]],
    form: AnswerForm,
    samples: Samples,
    method: str,
) -> Explanation:
    """Write an explanation of answers about notes.

    Args:
        notes: cut into words.
        shared: of each note the shares of its words (words, outputs), and what is answered without them (outputs,).
        form: of the answers; shares are on its scale.
        samples: whose notes they are.
        method: by which answers were divided.
    """
    question, items = samples.question, samples.frame["item"].to_list()
    frames = [EXPLANATION_SCHEMA.to_frame()]
    for place, (note, (shares, _)) in enumerate(zip(notes, shared, strict=True)):
        for number, output in enumerate(question.outputs):
            rows = {
                "sample_id": [int(samples.sample_ids[place])] * len(note.words),
                "output": [output] * len(note.words),
                "input": [
                    tr("characters {start} to {end}", start=start, end=end)
                    for start, end in note.words.tolist()
                ],
                "contribution": shares[:, number],
                "start": note.words[:, 0].astype(float),
                "end": note.words[:, 1].astype(float),
                "asset": [items[place]] * len(note.words),
            }
            frames.append(pl.DataFrame(rows, schema={name: EXPLANATION_SCHEMA[name] for name in rows}))
    frame = pl.concat(frames, how="diagonal_relaxed")
    mean = np.mean([base for _, base in shared], axis=0) if shared else np.zeros(len(question.outputs))
    return Explanation(
        frame.select(pl.col(name).cast(kind) for name, kind in EXPLANATION_SCHEMA.items()),
        pl.DataFrame({"output": list(question.outputs), "value": mean}),
        method,
        form.scale(question),
        additive=len(notes) == 1,  # the way begins elsewhere for notes of other lengths
    )


def whole_shares(shares: Floats, difference: Floats) -> Floats:
    """Share out by size what shares (words, outputs) miss of a difference (outputs,)."""
    size = np.abs(shares)
    whole: Floats = shares + (difference - shares.sum(0)) * size / np.maximum(size.sum(0), 1e-12)
    return whole
