"""A model of timelines in the form of a graph: answers by ONNX Runtime, without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.features.tokens import encode, nobodys_tokens
from medloom.foundation.seeds import generator
from medloom.learners.timeline.batches import Gathering, Timelines
from medloom.learners.timeline.fact_rows import rows_of
from medloom.learners.timeline.rows import RowForm
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.model import Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm
from medloom.training.compression.graphs import LIBRARIES, Graph, GraphAnswering, check_runtime
from medloom.training.novelty import Novelty

Floats = NDArray[np.float64]
Row = Mapping[str, NDArray[Any]]

METHOD: Final = "Shapley values of codes along random walks (Štrumbelj and Kononenko, KAIS 2014)"
_AT_ONCE: Final = 2_000  # samples whose tokens are in memory at a time
_WALKS: Final = 4  # each there and back
_SPECIFICATION: Final = "graph.json"
_GRAPH: Final = "network.onnx"


@dataclass(frozen=True)
class GraphModel(GraphAnswering):
    """Answers from timelines by a graph of one row: each sample is asked by itself, and is answered so in any company.

    Attributes:
        origin: of the model it was written from.
        vocabulary, gathering: how samples are read.
        form: of its answers.
        row: what the graph's arrays are made with.
        graph: the network.
        novelty: where training patients lie among representations; None: they were too few.
    """

    origin: Origin
    vocabulary: TokenVocabulary
    gathering: Gathering
    form: AnswerForm
    row: RowForm
    graph: Graph
    novelty: Novelty | None = field(default=None, kw_only=True)

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(name.split("=")[0] for name in self.vocabulary.codes)

    @property
    def explains_slowly(self) -> bool:
        """Tell that it does: it is asked a few hundred times."""
        return True

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order."""
        frames = []
        for part in samples.parts(_AT_ONCE):
            if len(part):
                scores = self.scores(self.timelines(part))
                frames.append(
                    self.form.predictions(self.origin.question, part.frame["sample_id"], scores).frame
                )
        return Predictions(pl.concat(frames) if frames else PREDICTION_SCHEMA.to_frame())

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what the body knows of each sample: (n, width)."""
        known = []
        for part in samples.parts(_AT_ONCE):
            timelines = self.timelines(part)
            known += [
                self.graph.run(self.row.arrays(_row(timelines, place)), "known") for place in range(len(part))
            ]
        return np.concatenate(known or [np.empty((0, self.row.pieces.shape[1]), np.float32)])

    def timelines(self, samples: Samples) -> Timelines:
        """Encode samples."""
        return Timelines(encode(samples, self.vocabulary), self.vocabulary, self.gathering, samples.catalogue)

    def scores(self, timelines: Timelines) -> Floats:
        """Score all samples, one after the other: (m, k)."""
        each = [self._scored(_row(timelines, place)) for place in range(len(timelines))]
        return np.concatenate([np.empty((0, self.form.k)), *each])

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Make the arrays of some samples, and give what answers the i-th."""
        timelines = self.timelines(samples)
        made = [self.row.arrays(_row(timelines, place)) for place in range(len(timelines))]
        return lambda place: self.graph.run(made[place])

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between codes, each with its latest value and when that was.

        The baseline is what is answered of a patient of whom nothing is known; what is left, above the codes, is the
        rhythm of recording. The shares of codes are estimates from a few walks, and their sum is exact.
        """
        outputs = self.origin.question.outputs
        nobody = Timelines(nobodys_tokens(), self.vocabulary, self.gathering)
        baseline = self._told(_row(nobody, 0))[0]
        frames = []
        for part in samples.parts(_AT_ONCE):
            if len(part):
                timelines = self.timelines(part)
                frames += [self._divided(timelines, place, part, baseline) for place in range(len(part))]
        return Explanation(
            pl.concat(frames) if frames else EXPLANATION_SCHEMA.to_frame(),
            pl.DataFrame({"output": list(outputs), "value": baseline}),
            METHOD,
            self.form.scale(self.origin.question),
        )

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(
            directory, self.origin, self._write, libraries=LIBRARIES, wrapper="timeline-graph"
        )

    @classmethod
    def load(cls, directory: Path) -> GraphModel:
        """Load a package that `save` wrote, whose sums have been checked.

        Raises:
            InputError: ONNX Runtime is not installed.
        """
        check_runtime()
        weights = directory / "weights"
        told = json.loads((weights / _SPECIFICATION).read_text(encoding="utf-8"))
        return cls(
            package.origin_in(directory),
            TokenVocabulary.from_json(told["vocabulary"]),
            Gathering(**told["gathering"]),
            AnswerForm.from_json(told["form"]),
            RowForm.read(weights / "row"),
            Graph((weights / _GRAPH).read_bytes()),
            novelty=Novelty.read(weights),
        )

    def _write(self, folder: Path) -> None:
        content = {
            "vocabulary": self.vocabulary.to_json(),
            "gathering": asdict(self.gathering),
            "form": asdict(self.form),
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        self.row.write(folder / "row")
        (folder / _GRAPH).write_bytes(self.graph.content)
        if self.novelty is not None:
            self.novelty.write(folder)

    def _scored(self, row: Row, shown: NDArray[np.float32] | None = None) -> Floats:
        """Score one row: (1, k)."""
        return self.graph.run(self.row.arrays(row, shown)).astype(np.float64)

    def _told(self, row: Row, shown: NDArray[np.float32] | None = None) -> Floats:
        """Answer one row, on the scale of contributions: (1, outputs)."""
        return self.form.divided(self._scored(row, shown))

    def _divided(self, timelines: Timelines, place: int, part: Samples, baseline: Floats) -> pl.DataFrame:
        row = _row(timelines, place)
        kind, kinds = row["kind"], len(row["kinds"])
        shares, nothing = self._walked(row, kinds)
        latest = row["fact"][_latest(kind, kinds)]
        one, rest = np.array([place]), (nothing - baseline)[None]
        outputs = self.origin.question.outputs
        return rows_of(latest, np.repeat(one, kinds), one, timelines, part, outputs, shares.T, rest)

    def _walked(self, row: Row, kinds: int) -> tuple[Floats, Floats]:
        """Walk from no code to all of them: shares (u, outputs) on the average, and what no code answers (outputs,)."""
        rng = generator(self.origin.seed, "walks")
        nothing = self._told(row, np.zeros(len(row["kind"]), np.float32))[0]
        shares = np.zeros((kinds, len(nothing)))
        for _ in range(_WALKS):
            order = rng.permutation(kinds)
            for walk in (order, order[::-1]):
                shown, before = np.zeros(len(row["kind"]), np.float32), nothing
                for code in walk:
                    shown[row["kind"] == code] = 1
                    reached = self._told(row, shown)[0]
                    shares[code] += reached - before
                    before = reached
        return shares / (2 * _WALKS), nothing


def _row(timelines: Timelines, place: int) -> dict[str, NDArray[Any]]:
    return timelines.arrays(np.array([place]))


def _latest(kind: NDArray[np.int64], kinds: int) -> NDArray[np.int64]:
    """Find the last fact of each kind: (u,)."""
    latest = np.zeros(kinds, np.int64)
    np.maximum.at(latest, kind, np.arange(len(kind)))
    return latest
