"""How answers about whole notes are taught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.learners.text.classifying.model import NoteModel
from medloom.learners.text.classifying.network import AnswerNetwork, NoteBatch, note_batch, scores_of
from medloom.learners.text.course import Course
from medloom.learners.text.windows import Note, Window
from medloom.tasks.model import Origin
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm, Targets

if TYPE_CHECKING:
    from torch import Tensor, nn

Rows = NDArray[np.int64]

_MOST: Final = 4  # windows of a note that are learned from at once


@dataclass(frozen=True)
class AnswerCourse(Course):
    """Rows are notes; of a long one some windows are learned from each time.

    Attributes:
        form: of the answers.
        targets: of the notes that are learned from.
    """

    form: AnswerForm | None = None
    targets: Targets | None = None

    def rows(self, samples: Samples) -> _NoteRows:
        return _NoteRows(self, samples)

    def network(self) -> AnswerNetwork:
        assert self.form is not None and self.targets is not None
        network = AnswerNetwork(self.start.body(), self.form.k, self.dropout)
        network.level(self.targets.level)
        return network

    def losses(self, network: nn.Module, given: NoteBatch) -> Tensor:
        assert self.targets is not None
        return self.targets.losses(network(given), given.rows.cpu().numpy())

    def judge(self, samples: Samples) -> Callable[[nn.Module], float]:
        import torch

        assert self.form is not None
        targets = self.form.targets(samples)
        notes = [Note.of(text, self.start.vocabulary) for text in samples.texts()]

        def judged(network: nn.Module) -> float:
            assert isinstance(network, AnswerNetwork)
            scores = scores_of(network, notes, self.start.vocabulary, self.windowing)
            lost = targets.losses(torch.from_numpy(scores).float(), np.arange(len(notes)))
            return float(lost.mean())

        return judged

    def model(self, origin: Origin, network: nn.Module) -> NoteModel:
        assert isinstance(network, AnswerNetwork) and self.form is not None
        start = self.start
        return NoteModel(origin, network, self.form, start.vocabulary, self.windowing, start.files)


class _NoteRows:
    """Notes as rows of the engine; one without words is read as an empty window."""

    def __init__(self, course: AnswerCourse, samples: Samples) -> None:
        vocabulary = course.start.vocabulary
        self._fill = vocabulary.fill
        notes = [Note.of(text, vocabulary) for text in samples.texts()]
        if not any(len(note.words) for note in notes):
            raise InputError("all notes to learn from are empty")
        empty = np.array([vocabulary.begin, vocabulary.end])
        nothing = Window(0, 0, empty, np.zeros(0, np.int64), np.zeros(2, np.int64))
        self._windows = [course.windowing.of(note, vocabulary) or [nothing] for note in notes]
        self._lengths = np.array([sum(len(one.ids) for one in some[:_MOST]) for some in self._windows])

    @property
    def lengths(self) -> Rows:
        return self._lengths

    def batch(self, rows: Rows, rng: np.random.Generator) -> NoteBatch:
        chosen: list[list[Window]] = []
        for row in rows:
            some: Any = self._windows[row]
            if len(some) > _MOST:
                first = int(rng.integers(len(some) - _MOST + 1))
                some = some[first : first + _MOST]
            chosen.append(some)
        return note_batch(chosen, rows, self._fill)
