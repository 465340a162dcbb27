"""Going on with an encoder's pretraining on notes, without labels: masked words are guessed from those around.

Masked language modelling: Devlin et al., NAACL 2019, section 3.1, of whole words; on texts of one's own field:
Gururangan et al., ACL 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.text.encoders import (
    SHAPES_FILE,
    VOCABULARY,
    WEIGHTS,
    Vocabulary,
    body_in,
    encoder_folder,
    files_in,
)
from medloom.learners.text.network import TextBody, WindowBatch
from medloom.learners.text.windows import Note, Window, Windowing
from medloom.tasks import package
from medloom.tasks.model import Origin, check_none_held_out
from medloom.tasks.samples import Samples
from medloom.training.fitting import fit
from medloom.training.schedule import Schedule
from medloom.training.seeding import seeded
from medloom.training.tensors import write_weights

Rows = NDArray[np.int64]

SCHEDULE: Final = Schedule(
    epochs=1, batch=32, learning_rate=5e-4, weight_decay=0.01, patience=None, last_rate=0.05
)
WINDOWING: Final = Windowing(128, 0)
LIBRARIES: Final = ("numpy", "safetensors", "tokenizers", "torch", "transformers")

_MASKED: Final = 0.15  # share of the words that are to be guessed
_HIDDEN, _SWAPPED = 0.8, 0.1  # of those: masked, another token in their place; the rest stays as it is
_NOT_GUESSED: Final = -100


class MaskedBatch(NamedTuple):
    """Windows with words masked.

    Attributes:
        windows: as the encoder reads them.
        truth: (b, t) the tokens that are to be guessed, `-100` elsewhere.
    """

    windows: WindowBatch
    truth: Tensor


@dataclass(frozen=True)
class NoteEncoder:
    """An encoder that went on learning from a site's notes.

    Attributes:
        origin: where it comes from.
        body: learned.
        files: of the encoder beside its weights, by name.
        learned_from: how many `patients` and notes (`facts`).
    """

    origin: Origin
    body: TextBody = field(repr=False)
    files: dict[str, str] = field(repr=False)
    learned_from: dict[str, int] = field(default_factory=dict)

    def save(self, directory: Path) -> str:
        """Write a package, whose weights are a folder that Transformers reads, too; give its digest."""

        def write(folder: Path) -> None:
            for name, one in self.files.items():
                (folder / name).write_text(one, encoding="utf-8")
            write_weights(folder / WEIGHTS, self.body.encoder)
            write_weights(folder / SHAPES_FILE, self.body.shapes)

        extra = {"objective": "masked", "size": f"{self.body.width}", "learned_from": self.learned_from}
        return package.write(directory, self.origin, write, libraries=LIBRARIES, kind="encoder", extra=extra)


def pretrain(
    train: Samples,
    start: str,
    *,
    schedule: Schedule = SCHEDULE,
    seed: int = 0,
    folder: Path | None = None,
) -> NoteEncoder:
    """Teach an encoder by the notes of samples; labels, if there are any, are not looked at.

    Args:
        train: samples about notes.
        start: the encoder it goes on from, as `encoder_folder` takes it.
        schedule: how long and how fast.
        seed: of everything random.
        folder: where checkpoints are kept; a training that was stopped goes on from there.

    Raises:
        InputError: there is no such encoder, its vocabulary has no token that masks, or there is no text.
        LeakageError: a sample is held out.
    """
    check_none_held_out(train)
    body = pretrained(train.texts(), start, schedule=schedule, seed=seed, folder=folder)
    origin = Origin(train.question, "encoder", {"start": start}, seed, train.digest(), train.split_rule)
    learned_from = {"patients": len(np.unique(train.groups)), "facts": len(train)}
    return NoteEncoder(origin, body.eval(), files_in(encoder_folder(start)), learned_from)


def pretrained(
    texts: Sequence[str],
    start: str,
    *,
    schedule: Schedule = SCHEDULE,
    windowing: Windowing = WINDOWING,
    seed: int = 0,
    folder: Path | None = None,
) -> TextBody:
    """Teach an encoder by texts of one's own.

    Args:
        texts: of training patients alone.
        start: the encoder it goes on from, as `encoder_folder` takes it.
        schedule: how long and how fast.
        windowing: how texts are read in pieces.
        seed: of everything random.
        folder: where checkpoints are kept; a training that was stopped goes on from there.

    Raises:
        InputError: there is no such encoder, its vocabulary has no token that masks, or there is no text.
    """
    place = encoder_folder(start)
    vocabulary = Vocabulary.of(files_in(place)[VOCABULARY])
    rows = _MaskedRows(texts, vocabulary, windowing)
    drawn = derive(seed, "text pretraining")
    with seeded(drawn):
        network = _Guessing(TextBody(body_in(place)))
    fit(
        network,
        rows,
        lambda net, given: net(given),
        replace(schedule, average=None),
        seed=drawn,
        folder=folder,
        of=digest([len(texts), digest(list(texts)), start, seed]),
        doing=tr("Pretraining"),
    )
    return network.body


class _MaskedRows:
    """Windows of texts as rows of the engine; other words are masked each time."""

    def __init__(self, texts: Sequence[str], vocabulary: Vocabulary, windowing: Windowing) -> None:
        masks = vocabulary.mask
        if masks is None:
            raise InputError(
                "the encoder's vocabulary has no token that masks; it cannot be taught by masking"
            )
        self._mask, self._vocabulary = masks, vocabulary
        self._windows: list[Window] = [
            window
            for text in texts
            for window in windowing.of(Note.of(text, vocabulary), vocabulary)
            if len(window.heads) > 1
        ]
        if not self._windows:
            raise InputError("all notes to learn from are empty")
        self._lengths = np.array([len(one.ids) for one in self._windows], np.int64)

    @property
    def lengths(self) -> Rows:
        return self._lengths

    def batch(self, rows: Rows, rng: np.random.Generator) -> MaskedBatch:
        chosen = [self._windows[row] for row in rows]
        batch = WindowBatch.of(chosen, self._vocabulary.fill)
        ids, truth = batch.ids.numpy().copy(), np.full(tuple(batch.ids.shape), _NOT_GUESSED, np.int64)
        for row, window in enumerate(chosen):
            words = rng.random(len(window.heads)) < _MASKED
            words[rng.integers(len(words))] = True
            whose = np.repeat(words, np.diff([*window.heads, len(window.ids) - 1]))
            places = 1 + np.flatnonzero(whose)
            truth[row, places] = window.ids[places]
            what = rng.random(len(places))
            other = rng.integers(self._vocabulary.size, size=len(places))
            ids[row, places] = np.select(
                [what < _HIDDEN, what < _HIDDEN + _SWAPPED], [self._mask, other], ids[row, places]
            )
        return MaskedBatch(batch._replace(ids=torch.from_numpy(ids)), torch.from_numpy(truth))


class _Guessing(nn.Module):
    """An encoder, and a layer that guesses tokens by how near they are to it, as they go in."""

    def __init__(self, body: TextBody) -> None:
        super().__init__()
        self.body = body
        self.turn = nn.Linear(body.width, body.width)
        self.norm = nn.LayerNorm(body.width)
        self.bias = nn.Parameter(torch.zeros(body.embedding.num_embeddings))

    def forward(self, given: MaskedBatch) -> Tensor:
        """Give the loss of each window: (b,)."""
        asked = given.truth != _NOT_GUESSED
        reached = self.norm(F.gelu(self.turn(self.body(given.windows)[asked])))
        scores = F.linear(reached, self.body.embedding.weight.to(reached.dtype), self.bias.to(reached.dtype))
        lost = F.cross_entropy(scores.float(), given.truth[asked], reduction="none")
        row = torch.nonzero(asked)[:, 0]
        summed = lost.new_zeros(len(asked)).index_add(0, row, lost)
        each: Tensor = summed / asked.sum(1).clamp(min=1)
        return each
