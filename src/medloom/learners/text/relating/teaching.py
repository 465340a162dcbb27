"""How relations are taught: windows with pairs of entities as rows of the engine, and scores of the pairs of notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.foundation.errors import InputError
from medloom.learners.text.course import Start
from medloom.learners.text.encoders import Vocabulary
from medloom.learners.text.relating.network import PairNetwork
from medloom.learners.text.relating.pairs import Naming, PairBatch, PairWindow, pair_windows
from medloom.learners.text.windows import Note, Windowing
from medloom.tasks.relations import Entity, entities_in, relations_in
from medloom.tasks.samples import Samples

if TYPE_CHECKING:
    from medloom.training.fitting import Source

Rows = NDArray[np.int64]
Pair = tuple[int, int]
"""Head and tail, as entities of a note."""

_TOGETHER = 16  # windows that are read at once
_GRID = np.arange(0.1, 0.91, 0.02)


@dataclass(frozen=True)
class PairCourse:
    """How relations are taught; rows are windows that have pairs of entities.

    Attributes:
        start: what it begins with.
        windowing: how notes are read in pieces.
        dropout: share of what was read that is left out at random.
        naming: what can be named.
    """

    start: Start
    windowing: Windowing
    dropout: float
    naming: Naming

    def rows(self, samples: Samples) -> Source[Any]:
        """Give rows to learn from; notes without a label are left out.

        Raises:
            InputError: no note names two entities that a relation may hold between.
        """
        return _PairRows(self._labelled(samples), self)

    def network(self) -> PairNetwork:
        """Build the network."""
        naming = self.naming
        return PairNetwork(self.start.body(), len(naming.places), len(naming.relations), self.dropout)

    def losses(self, network: nn.Module, given: tuple[PairBatch, Tensor]) -> Tensor:
        """Give the loss of each window: (b,), so that each pair counts alike."""
        batch, truth = given
        lost = nn.functional.binary_cross_entropy_with_logits(network(batch), truth, reduction="none")
        of_pairs = (lost * batch.asked).sum(1)
        windows = len(batch.windows.ids)
        found = of_pairs.new_zeros(windows).index_add(0, batch.rows, of_pairs)
        return found * (windows / len(of_pairs))

    def judge(self, samples: Samples) -> Callable[[nn.Module], float]:
        """Give what judges a network by samples: the share of relations that it misses at best (1 - F1)."""
        known = self._labelled(samples)

        def judged(network: nn.Module) -> float:
            assert isinstance(network, PairNetwork)
            return 1 - self._best(network, known)[0]

        return judged

    def threshold(self, network: PairNetwork, samples: Samples) -> float:
        """Give how sure it has to be for the best F1 on samples."""
        return self._best(network, self._labelled(samples))[1]

    def _best(self, network: PairNetwork, known: Sequence[tuple[str, str]]) -> tuple[float, float]:
        """Give the best F1 and the threshold that it is reached at."""
        notes = [Note.of(text, self.start.vocabulary) for text, _ in known]
        entities = [entities_in(label) for _, label in known]
        scored = scores_of(network, notes, entities, self.start.vocabulary, self.windowing, self.naming)
        total, sure, right = 0, [], []
        for (_, label), some, found in zip(known, entities, scored, strict=True):
            there = _there(label, some, self.naming)
            total += len(there)
            for pair, scores in found.items():
                for number in np.flatnonzero(np.isfinite(scores)).tolist():
                    sure.append(float(scores[number]))
                    right.append((*pair, number) in there)
        chance, met = np.array(sure), np.array(right, np.bool_)
        f1 = [
            2 * met[chance >= least].sum() / max(1, total + (chance >= least).sum()) if len(chance) else 0.0
            for least in _GRID
        ]
        best = int(np.argmax(f1))
        return float(f1[best]), float(_GRID[best]) if total else 0.5

    def _labelled(self, samples: Samples) -> list[tuple[str, str]]:
        labels = samples.frame["label"].to_list()
        return [
            (text, label) for text, label in zip(samples.texts(), labels, strict=True) if label is not None
        ]


class _PairRows:
    """Windows with pairs, and which relations hold between them."""

    def __init__(self, known: Sequence[tuple[str, str]], course: PairCourse) -> None:
        vocabulary = course.start.vocabulary
        self._fill, self._k = vocabulary.fill, len(course.naming.relations)
        self._windows: list[PairWindow] = []
        self._truth: list[NDArray[np.float32]] = []
        for text, label in known:
            note, entities = Note.of(text, vocabulary), entities_in(label)
            there = _there(label, entities, course.naming)
            for one in pair_windows(note, course.windowing.of(note, vocabulary), entities, course.naming):
                truth = np.zeros(one.asked.shape, np.float32)
                for place, (head, tail) in enumerate(one.whose.tolist()):
                    truth[place] = [(head, tail, number) in there for number in range(self._k)]
                self._windows.append(one)
                self._truth.append(truth)
        if not self._windows:
            raise InputError("no note to learn from names two places that a relation may hold between")

    @property
    def lengths(self) -> Rows:
        return np.array([len(one.window.ids) for one in self._windows], np.int64)

    def batch(self, rows: Rows, rng: np.random.Generator) -> tuple[PairBatch, Tensor]:
        del rng
        truth = np.concatenate([self._truth[row] for row in rows])
        return PairBatch.of([self._windows[row] for row in rows], self._fill), torch.from_numpy(truth)


def scores_of(
    network: PairNetwork,
    notes: Sequence[Note],
    entities: Sequence[Sequence[Entity]],
    vocabulary: Vocabulary,
    windowing: Windowing,
    naming: Naming,
) -> list[dict[Pair, NDArray[np.float64]]]:
    """Tell how sure a network is of relations between the entities of notes: of each note, by pair, (relations,).

    Of a pair in several windows the surest counts; a pair that no window holds has none. Relations that cannot hold
    between two names are `nan`.
    """
    found: list[dict[Pair, NDArray[np.float64]]] = [{} for _ in notes]
    windows = [
        (number, one)
        for number, (note, some) in enumerate(zip(notes, entities, strict=True))
        for one in pair_windows(note, windowing.of(note, vocabulary), some, naming)
    ]
    windows.sort(key=lambda one: len(one[1].window.ids))
    device = next(network.parameters()).device
    with torch.inference_mode():
        for first in range(0, len(windows), _TOGETHER):
            some = windows[first : first + _TOGETHER]
            batch = PairBatch.of([one for _, one in some], vocabulary.fill).to(device)
            sure = (
                torch.sigmoid(network(batch).double()).masked_fill(~batch.asked, float("nan")).cpu().numpy()
            )
            row = 0
            for number, one in some:
                for head, tail in one.whose.tolist():
                    known = found[number].get((head, tail))
                    found[number][head, tail] = sure[row] if known is None else np.maximum(known, sure[row])
                    row += 1
    return found


def _there(label: str, entities: Sequence[Entity], naming: Naming) -> set[tuple[int, int, int]]:
    """Give the relations of a label: head, tail, and number of the relation."""
    numbers = {one: number for number, one in enumerate(entities)}
    names = {name: number for number, (name, _, _) in enumerate(naming.relations)}
    return {
        (numbers[one.head], numbers[one.tail], names[one.name])
        for one in relations_in(label)
        if one.name in names
    }
