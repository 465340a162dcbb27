"""A model that answers about whole notes, and says which words its answer rests on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.text.classifying.attribution import explained
from medloom.learners.text.classifying.network import AnswerNetwork, represented, scores_of
from medloom.learners.text.encoders import VOCABULARY, Vocabulary, body_in, files_in
from medloom.learners.text.network import TextBody
from medloom.learners.text.windows import Note, Windowing
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.additions import described, put_in
from medloom.training.answer_heads import AnswerForm
from medloom.training.compression.plan import Plan
from medloom.training.tensors import read_weights, write_weights

LIBRARIES: Final = ("numpy", "safetensors", "tokenizers", "torch", "transformers")

_SPECIFICATION: Final = "note.json"
_WEIGHTS: Final = "network.safetensors"


@dataclass(frozen=True)
class NoteModel(Model):
    """Answers about notes; what learners `encoder` and `bilstm-crf` give for questions of classes and values.

    Attributes:
        origin: where it comes from.
        network: learned.
        form: of its answers.
        vocabulary: of its encoder.
        windowing: how notes are read in pieces.
        files: of its encoder, by name: configuration and vocabulary.
    """

    origin: Origin
    network: AnswerNetwork = field(repr=False)
    form: AnswerForm
    vocabulary: Vocabulary = field(repr=False)
    windowing: Windowing
    files: dict[str, str] = field(repr=False)

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order.

        Raises:
            InputError: the samples are not about notes.
        """
        if not len(samples):
            return Predictions(PREDICTION_SCHEMA.to_frame())
        scores = scores_of(self.network, self._notes(samples.texts()), self.vocabulary, self.windowing)
        return self.form.predictions(self.origin.question, samples.frame["sample_id"], scores)

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what the network knows of each note: (n, width); fusion learns from it."""
        return represented(self.network, self._notes(samples.texts()), self.vocabulary, self.windowing)

    def compressed(self, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
        """Make it faster; as `Compressible`."""
        from medloom.learners.text.compressing import note_model_compressed

        return note_model_compressed(self, plan, train, tuning, seed)

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the words of the note, by integrated gradients.

        `input` names the word's place, `start` and `end` are its characters.
        """
        notes = self._notes(samples.texts())
        return explained(self.network, notes, self.vocabulary, self.windowing, self.form, samples)

    @property
    def explains_slowly(self) -> bool:
        """Tell that a note takes about a second."""
        return True

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def _notes(self, texts: Sequence[str]) -> list[Note]:
        return [Note.of(text, self.vocabulary) for text in texts]

    def _write(self, folder: Path) -> None:
        content = {
            "form": asdict(self.form),
            "windowing": asdict(self.windowing),
            "added": described(self.network.body),
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        for name, one in self.files.items():
            (folder / name).write_text(one, encoding="utf-8")
        write_weights(folder / _WEIGHTS, self.network)


def load_note_model(directory: Path) -> NoteModel:
    """Load a package that a `NoteModel` wrote, whose sums have been checked."""
    folder = directory / "weights"
    told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
    form, files = AnswerForm.from_json(told["form"]), files_in(folder)
    network = AnswerNetwork(TextBody(body_in(folder, learned=False)), form.k)
    put_in(network.body, told["added"])
    network.load_state_dict(read_weights(folder / _WEIGHTS))
    return NoteModel(
        package.origin_in(directory),
        network.eval().requires_grad_(False),
        form,
        Vocabulary.of(files[VOCABULARY]),
        Windowing(**told["windowing"]),
        files,
    )
