"""A model that names places in notes: a network that reads them, and a row of tags that holds together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from medloom.learners.text.encoders import VOCABULARY, Vocabulary, body_in, files_in
from medloom.learners.text.network import TextBody
from medloom.learners.text.tagging.answers import explained, predicted
from medloom.learners.text.tagging.chains import Chain
from medloom.learners.text.tagging.network import TagNetwork
from medloom.learners.text.tagging.places import tagged
from medloom.learners.text.tagging.teaching import scores_of
from medloom.learners.text.windows import Note, Windowing
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.tagging import Tagged
from medloom.training.additions import described, put_in
from medloom.training.compression.plan import Plan
from medloom.training.tensors import read_weights, write_weights

LIBRARIES: Final = ("numpy", "safetensors", "tokenizers", "torch", "transformers")

_SPECIFICATION: Final = "tagger.json"
_WEIGHTS: Final = "network.safetensors"


@dataclass(frozen=True)
class TaggerModel(Model):
    """Names places in notes; what learners `encoder` and `bilstm-crf` give for a question of tagging.

    Attributes:
        origin: where it comes from.
        network: learned.
        chains: names that are tagged together.
        vocabulary: of its encoder.
        windowing: how notes are read in pieces.
        files: of its encoder, by name: configuration and vocabulary.
    """

    origin: Origin
    network: TagNetwork = field(repr=False)
    chains: tuple[Chain, ...]
    vocabulary: Vocabulary = field(repr=False)
    windowing: Windowing
    files: dict[str, str] = field(repr=False)

    def tag(self, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
        """Name places in texts, in their order.

        How sure it is of a place is the least chance of the tags of its words.
        """
        notes = [Note.of(text, self.vocabulary) for text in texts]
        said = scores_of(self.network, notes, self.vocabulary, self.windowing)
        moves = self.network.all_moves()
        return [tagged(note, self.chains, one, moves) for note, one in zip(notes, said, strict=True)]

    def compressed(self, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
        """Make it faster; as `Compressible`."""
        from medloom.learners.text.compressing import tagger_compressed

        return tagger_compressed(self, plan, train, tuning, seed)

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
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def _write(self, folder: Path) -> None:
        content = {
            "chains": [one.names for one in self.chains],
            "windowing": asdict(self.windowing),
            "added": described(self.network.body),
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        for name, one in self.files.items():
            (folder / name).write_text(one, encoding="utf-8")
        write_weights(folder / _WEIGHTS, self.network)


def load_tagger(directory: Path) -> TaggerModel:
    """Load a package that a `TaggerModel` wrote, whose sums have been checked."""
    folder = directory / "weights"
    files = files_in(folder)
    told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
    chains = tuple(Chain(tuple(names)) for names in told["chains"])
    network = TagNetwork(TextBody(body_in(folder, learned=False)), chains)
    put_in(network.body, told["added"])
    network.load_state_dict(read_weights(folder / _WEIGHTS))
    return TaggerModel(
        package.origin_in(directory),
        network.eval().requires_grad_(False),
        chains,
        Vocabulary.of(files[VOCABULARY]),
        Windowing(**told["windowing"]),
        files,
    )
