"""Models of whole notes as graphs: the same answers, faster, and without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.text.classifying.answers import by_words, whole_shares
from medloom.learners.text.encoders import VOCABULARY, Vocabulary
from medloom.learners.text.graphs import FILE, LIBRARIES, arrays_of, read_each
from medloom.learners.text.windows import Note, Window, Windowing
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm
from medloom.training.arrays import read_array, write_arrays
from medloom.training.compression.graphs import Graph, GraphAnswering, check_runtime
from medloom.training.products import product

OUTPUT: Final = "known"
METHOD: Final = "answers without the word (occlusion; Zeiler and Fergus, ECCV 2014, section 4.2)"

_SPECIFICATION: Final = "note-graph.json"
_ASKED: Final = 256  # questions a note at most; of longer notes words are left out some at a time

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NoteGraphModel(GraphAnswering):
    """Answers about notes by a graph of a window.

    Attributes:
        origin: of the model it was written from.
        form: of its answers.
        weight, bias: (k, width) and (k,) of the layer of answers.
        windowing: how notes are read in pieces.
        written: the vocabulary of its encoder, as `tokenizer.json` writes it.
        vocabulary: the same, read.
        graph: of `ids` and `shapes`: `known` (1, width), the mean of a window's tokens.
    """

    origin: Origin
    form: AnswerForm
    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    windowing: Windowing
    written: str = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    graph: Graph

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order.

        Raises:
            InputError: the samples are not about notes.
        """
        if not len(samples):
            return Predictions(PREDICTION_SCHEMA.to_frame())
        scores = self._scores(self.represent(samples))
        return self.form.predictions(self.origin.question, samples.frame["sample_id"], scores)

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what the network knows of each note: (n, width)."""
        known = [self._known(self._windows(note)) for note in self._notes(samples)]
        return (
            np.stack(known).astype(np.float32) if known else np.empty((0, self.weight.shape[1]), np.float32)
        )

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the words of the note, by what is answered without each.

        `input` names the word's place, `start` and `end` are its characters. Of a note of more than some 200 words a
        few that stand side by side are left out at a time, and share alike.
        """
        notes = self._notes(samples)
        return by_words(notes, [self._shares(note) for note in notes], self.form, samples, METHOD)

    @property
    def explains_slowly(self) -> bool:
        """Tell that a note takes seconds."""
        return True

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Cut some notes, and give what reads the i-th."""
        made = [[arrays_of(one) for one in self._windows(note)] for note in self._notes(samples)]
        return lambda place: [self.graph.run(one, OUTPUT) for one in made[place]]

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES, wrapper="note-graph")

    @classmethod
    def load(cls, directory: Path) -> NoteGraphModel:
        """Load a package that `save` wrote, whose sums have been checked.

        Raises:
            InputError: ONNX Runtime is not installed.
        """
        check_runtime()
        folder = directory / "weights"
        told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
        written = (folder / VOCABULARY).read_text(encoding="utf-8")
        return cls(
            package.origin_in(directory),
            AnswerForm.from_json(told["form"]),
            read_array(folder, "weight"),
            read_array(folder, "bias"),
            Windowing(**told["windowing"]),
            written,
            Vocabulary.of(written),
            Graph((folder / FILE).read_bytes()),
        )

    def _write(self, folder: Path) -> None:
        content = {"form": asdict(self.form), "windowing": asdict(self.windowing)}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        (folder / VOCABULARY).write_text(self.written, encoding="utf-8")
        write_arrays(folder, weight=self.weight, bias=self.bias)
        (folder / FILE).write_bytes(self.graph.content)

    def _notes(self, samples: Samples) -> list[Note]:
        return [Note.of(text, self.vocabulary) for text in samples.texts()]

    def _windows(self, note: Note) -> list[Window]:
        return self.windowing.of(note, self.vocabulary)

    def _known(self, windows: Sequence[Window]) -> Floats:
        """Read windows, and put together what is known of their tokens: (width,)."""
        if not windows:
            return np.zeros(self.weight.shape[1])
        lengths = np.array([len(one.ids) for one in windows])
        return np.average(read_each(self.graph, windows, OUTPUT), axis=0, weights=lengths)

    def _scores(self, known: NDArray[Any]) -> Floats:
        return product(known.astype(np.float64), self.weight.T) + self.bias

    def _divided(self, known: NDArray[Any]) -> Floats:
        """Answer of what is known (n, width), on the scale of explanations: (n, outputs)."""
        divided: Floats = self.form.divided(self._scores(known))
        return divided

    def _shares(self, note: Note) -> tuple[Floats, Floats]:
        """Give each word's share of each answer (words, outputs), and the answer where all words are filling."""
        windows = self._windows(note)
        nothing = self._known([self._without(one, 0, len(one.heads)) for one in windows])
        base = self._divided(nothing[None])[0]
        shares = np.zeros((len(note.words), len(base)))
        if not windows:
            return shares, base
        at_once = -(-sum(len(one.heads) for one in windows) // _ASKED)
        total = sum(len(one.ids) for one in windows)
        each = read_each(self.graph, windows, OUTPUT)
        known = self._known(windows)
        answer = self._divided(known[None])[0]
        for window, own in zip(windows, each, strict=True):
            for first in range(0, len(window.heads), at_once):
                last = min(first + at_once, len(window.heads))
                (other,) = read_each(self.graph, [self._without(window, first, last)], OUTPUT)
                without = known + (other - own) * len(window.ids) / total
                lost = answer - self._divided(without[None])[0]
                shares[window.first + first : window.first + last] += lost / (last - first)
        return whole_shares(shares, answer - base), base

    def _without(self, window: Window, first: int, last: int) -> Window:
        """Fill up the tokens of some words of a window."""
        edges = [*window.heads.tolist(), len(window.ids) - 1]
        ids, shapes = window.ids.copy(), window.shapes.copy()
        ids[edges[first] : edges[last]] = self.vocabulary.fill
        shapes[edges[first] : edges[last]] = 0
        return replace(window, ids=ids, shapes=shapes)
