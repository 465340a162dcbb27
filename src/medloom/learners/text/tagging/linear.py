"""`crf`: a linear tagger for machines without PyTorch, of words in any language.

A linear-chain conditional random field (Lafferty et al., ICML 2001) as CRFsuite learns it (Okazaki 2007), from clues of
words and those around them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.learners.text.tagging.answers import explained, predicted
from medloom.learners.text.tagging.chains import Chain, closed
from medloom.learners.text.tagging.parts import chains_of, joined
from medloom.learners.text.tagging.rows import Reading
from medloom.learners.text.words import words_of
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner, Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.spans import spans_in
from medloom.tasks.tagging import Tagged
from medloom.training.learning import check_samples, origin_of_fit, side_by_side
from medloom.training.parameters import check_parameter, check_types

_SPECIFICATION: Final = "tagger.json"


@dataclass(frozen=True)
class CrfLearner(Learner):
    """A linear tagger of words by what they look like and stand beside; needs no PyTorch.

    Args:
        passes: of L-BFGS over the notes at most.
        sparse: how much is asked of a clue to count at all (weights are shrunk by their size).
        smooth: how strongly weights are shrunk by their square.
        least: how often a clue must be seen.
        nested: whether spans of different names may overlap: each name is tagged by itself.
        discontinuous: whether spans may have several parts: those of a name in one sentence are one.
        lines: whether notes are forms and letters: each line is read by itself, and its label and layout tell, too.
        ends: whether a span's last word has a tag of its own; without, learning is faster where there are many names.
    """

    name: ClassVar[str] = "crf"
    modality: ClassVar[str] = "text"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"tagging", "relations"})

    passes: int = 100
    sparse: float = 0.1
    smooth: float = 0.1
    least: int = 1
    nested: bool = False
    discontinuous: bool = False
    lines: bool = False
    ends: bool = True

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> Model:
        """Learn from the notes of both splits: nothing is chosen on tuning, and nothing drawn.

        Raises:
            InputError: the samples are not about notes, cannot be learned from, or a package is not installed; with
                the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        self._check(train, tuning)
        if train.question.kind == "relations":
            from medloom.learners.text.relating.learning import fit_relations

            return fit_relations(self, train, tuning, seed)
        import pycrfsuite

        names = train.question.classes
        chains = chains_of(names, nested=self.nested, discontinuous=self.discontinuous)
        reading = Reading(self.lines, self.ends)
        both = side_by_side(train, tuning)
        learned = [
            (text, words_of(text), spans_in(label))
            for text, label in zip(both.texts(), both.frame["label"], strict=True)
            if label is not None
        ]
        files = []
        for chain in chains:
            trainer = pycrfsuite.Trainer(verbose=False)
            trainer.set_params(
                {
                    "c1": self.sparse,
                    "c2": self.smooth,
                    "max_iterations": self.passes,
                    "feature.minfreq": self.least,
                }
            )
            with progress(tr("Learning from notes"), total=len(learned)) as advance:
                for text, words, spans in learned:
                    tags = chain.tagged(words, spans)
                    for first, last, clues in reading.pieces(text, words):
                        trainer.append(clues, reading.learned(closed(tags[first:last])))
                    advance(1)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "learned"
                    trainer.train(str(path))
                    files.append(path.read_bytes())
        return CrfModel(origin_of_fit(self, train, tuning, seed), chains, tuple(files), reading)

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Load a package this learner's model wrote."""
        if package.origin_in(directory).question.kind == "relations":
            from medloom.learners.text.relating.model import load_relations

            return load_relations(directory)
        folder = directory / "weights"
        told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
        chains = tuple(Chain(tuple(names)) for names in told["chains"])
        files = tuple((folder / _file(place)).read_bytes() for place in range(len(chains)))
        return CrfModel(package.origin_in(directory), chains, files, Reading(**told.get("reading", {})))

    def _check(self, train: Samples, tuning: Samples) -> None:
        name = self.name
        check_types(name, self)
        for one in ("passes", "least"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        for one in ("sparse", "smooth"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 0, tr("0 or more"))
        check_samples(self, train, tuning)
        if find_spec("pycrfsuite") is None:
            raise InputError(
                'learner {learner!r} needs CRFsuite; install it with: pip install "medloom[text]"',
                learner=name,
            )


@dataclass(frozen=True)
class CrfModel(Model):
    """Names places in notes by clues; what learner `crf` gives.

    Attributes:
        origin: where it comes from.
        chains: names that are tagged together.
        files: of each chain what CRFsuite learned.
        reading: how it reads notes.
    """

    origin: Origin
    chains: tuple[Chain, ...]
    files: tuple[bytes, ...] = field(repr=False)
    reading: Reading

    def tag(self, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
        """Name places in texts, in their order; how sure it is: the least chance of the tags of a place's words."""
        import pycrfsuite

        taggers = []
        for content in self.files:
            tagger = pycrfsuite.Tagger()
            tagger.open_inmemory(content)
            taggers.append(tagger)
        return [self._tagged(text, taggers) for text in texts]

    def predict(self, samples: Samples) -> Predictions:
        """Give a row for each place that is named.

        Raises:
            InputError: the samples are not about notes.
        """
        return predicted(self, samples)

    def explain(self, samples: Samples) -> Explanation:
        """Give the places with how sure it is of each."""
        return explained(self, self.origin.question.outputs, samples)

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=("python-crfsuite",))

    def _tagged(self, text: str, taggers: Sequence[Any]) -> tuple[Tagged, ...]:
        words, found = words_of(text), []
        for first, last, clues in self.reading.pieces(text, words):
            for chain, tagger in zip(self.chains, taggers, strict=True):
                said = tagger.tag(clues)
                for one, begins, ends in chain.spans(words[first:last], self.reading.tags(said)):
                    sure = min(tagger.marginal(said[at], at) for at in range(begins, ends))
                    found.append(Tagged(one, float(sure)))
        return tuple(sorted(joined(text, found), key=lambda one: one.span))

    def _write(self, folder: Path) -> None:
        about = {"chains": [one.names for one in self.chains], "reading": asdict(self.reading)}
        told = json.dumps(about, ensure_ascii=False)
        (folder / _SPECIFICATION).write_text(told + "\n", encoding="utf-8")
        for place, content in enumerate(self.files):
            (folder / _file(place)).write_bytes(content)


def _file(place: int) -> str:
    return f"chain-{place}.crfsuite"
