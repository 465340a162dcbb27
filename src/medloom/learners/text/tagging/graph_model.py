"""Taggers of notes as graphs: the same places, faster, and without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from medloom.learners.text.encoders import VOCABULARY, Vocabulary
from medloom.learners.text.graphs import FILE, LIBRARIES, arrays_of, read_each
from medloom.learners.text.tagging.answers import explained, predicted
from medloom.learners.text.tagging.chains import Chain, Floats
from medloom.learners.text.tagging.places import tagged, together
from medloom.learners.text.windows import Note, Windowing
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.tagging import Tagged
from medloom.training.arrays import read_array, write_arrays
from medloom.training.compression.graphs import Graph, GraphAnswering, check_runtime

OUTPUT: Final = "scores"

_SPECIFICATION: Final = "tagger-graph.json"
_MOVES: Final = "moves-{}"


@dataclass(frozen=True)
class TaggerGraphModel(GraphAnswering):
    """Names places in notes by a graph of a window; rows of tags are made to hold together outside of it.

    Attributes:
        origin: of the model it was written from.
        chains: names that are tagged together.
        moves: of each chain (tags + 1, tags + 1), what each tag behind another scores.
        windowing: how notes are read in pieces.
        written: the vocabulary of its encoder, as `tokenizer.json` writes it.
        vocabulary: the same, read.
        graph: of `ids`, `shapes` and `heads`: `scores` (1, words, tags of all chains).
    """

    origin: Origin
    chains: tuple[Chain, ...]
    moves: tuple[Floats, ...] = field(repr=False)
    windowing: Windowing
    written: str = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    graph: Graph

    def tag(self, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
        """Name places in texts, in their order; as `TaggerModel.tag`."""
        sizes = [one.tags for one in self.chains]
        parts, found = np.cumsum(sizes)[:-1], []
        for text in texts:
            note = Note.of(text, self.vocabulary)
            windows = self.windowing.of(note, self.vocabulary)
            scores = [np.split(one, parts, axis=1) for one in read_each(self.graph, windows, OUTPUT)]
            said = together(list(zip(windows, scores, strict=True)), sizes)
            found.append(tagged(note, self.chains, said, self.moves))
        return found

    def predict(self, samples: Samples) -> Predictions:
        """Give a row for each place that is named.

        Raises:
            InputError: the samples are not about notes.
        """
        return predicted(self, samples)

    def explain(self, samples: Samples) -> Explanation:
        """Give the places with how sure it is of each."""
        return explained(self, self.origin.question.outputs, samples)

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Cut some notes, and give what reads the i-th."""
        notes = [Note.of(text, self.vocabulary) for text in samples.texts()]
        made = [[arrays_of(one) for one in self.windowing.of(note, self.vocabulary)] for note in notes]
        return lambda place: [self.graph.run(one, OUTPUT) for one in made[place]]

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES, wrapper="tagger-graph")

    @classmethod
    def load(cls, directory: Path) -> TaggerGraphModel:
        """Load a package that `save` wrote, whose sums have been checked.

        Raises:
            InputError: ONNX Runtime is not installed.
        """
        check_runtime()
        folder = directory / "weights"
        told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
        chains = tuple(Chain(tuple(names)) for names in told["chains"])
        moves = tuple(read_array(folder, _MOVES.format(place)) for place in range(len(chains)))
        written = (folder / VOCABULARY).read_text(encoding="utf-8")
        return cls(
            package.origin_in(directory),
            chains,
            moves,
            Windowing(**told["windowing"]),
            written,
            Vocabulary.of(written),
            Graph((folder / FILE).read_bytes()),
        )

    def _write(self, folder: Path) -> None:
        content = {"chains": [one.names for one in self.chains], "windowing": asdict(self.windowing)}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        (folder / VOCABULARY).write_text(self.written, encoding="utf-8")
        write_arrays(folder, **{_MOVES.format(place): one for place, one in enumerate(self.moves)})
        (folder / FILE).write_bytes(self.graph.content)
