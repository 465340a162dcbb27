"""A model of timelines: answers from each fact with its value and its time, and says which facts moved them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.features.tokens import encode, nobodys_tokens
from medloom.learners.timeline.batches import Gathering, TimelineBatch, Timelines
from medloom.learners.timeline.network import TimelineNetwork, batches, represented, scores_of
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm
from medloom.training.compression.plan import Plan
from medloom.training.compression.pruning import packed, unpacked

LIBRARIES: Final = ("numpy", "polars", "safetensors", "torch")
METHOD: Final = "integrated gradients of facts (Sundararajan et al., ICML 2017)"
RHYTHM: Final = "when and how often facts were recorded"

_AT_ONCE: Final = 2_000  # samples whose tokens are in memory at a time
_PATH: Final = 24  # points of Gauss and Legendre on the way from no fact to all
_SPECIFICATION: Final = "timeline.json"
_WEIGHTS: Final = "network.safetensors"


@dataclass(frozen=True)
class Reading:
    """What turns samples into batches; plain values, so that it travels in a package."""

    vocabulary: TokenVocabulary
    gathering: Gathering

    def timelines(self, samples: Samples) -> Timelines:
        """Encode samples in memory."""
        return Timelines(encode(samples, self.vocabulary), self.vocabulary, self.gathering, samples.catalogue)

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"vocabulary": self.vocabulary.to_json(), "gathering": asdict(self.gathering)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Reading:
        """Read back what `to_json` gave."""
        return cls(TokenVocabulary.from_json(content["vocabulary"]), Gathering(**content["gathering"]))


@dataclass(frozen=True)
class TimelineModel(Model):
    """Answers from timelines; what every learner of this room gives.

    Attributes:
        origin: where it comes from.
        reading: of samples.
        form: of its answers.
        network: learned; numbers of 64 bits, so that one sample gets the same answer alone as among others.
        built: what the body is built from, as its learner reads it back.
    """

    origin: Origin
    reading: Reading
    form: AnswerForm
    network: TimelineNetwork
    built: dict[str, Any]

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(name.split("=")[0] for name in self.reading.vocabulary.codes)

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order."""
        frames = []
        for part in samples.parts(_AT_ONCE):
            if len(part):
                scores = scores_of(self.network, self.reading.timelines(part))
                ids = part.frame["sample_id"]
                frames.append(self.form.predictions(self.origin.question, ids, scores).frame)
        return Predictions(pl.concat(frames) if frames else PREDICTION_SCHEMA.to_frame())

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what the body knows of each sample: (n, width); fusion learns from it."""
        body = self.network.body
        parts = [
            represented(body, self.reading.timelines(part)) for part in samples.parts(_AT_ONCE) if len(part)
        ]
        return np.concatenate([np.empty((0, int(body.width))), *parts]).astype(np.float32)

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the facts, by integrated gradients; facts of a code and an hour stay apart.

        `start` of a row is when the fact was, in hours before the prediction time. The baseline is what is answered of
        a patient of whom nothing is known; what is left, above the facts, is the rhythm of recording.
        """
        question, outputs = self.origin.question, self.origin.question.outputs
        frames = []
        for part in samples.parts(_AT_ONCE):
            if not len(part):
                continue
            timelines = self.reading.timelines(part)
            frames += [self._divided(batch.as_double(), timelines, part) for batch in batches(timelines)]
        rows = pl.concat(frames) if frames else EXPLANATION_SCHEMA.to_frame()
        baseline = pl.DataFrame({"output": list(outputs), "value": self._baseline()})
        return Explanation(rows, baseline, METHOD, self.form.scale(question))

    def compressed(self, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
        """Make it smaller or faster; as `Compressible`."""
        from medloom.learners.timeline.compressing import compressed

        return compressed(self, plan, train, tuning, seed)

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Make batches of one of some samples, and give what answers the i-th in 32 bits."""
        network, timelines = deepcopy(self.network).float().eval(), self.reading.timelines(samples)
        made = [timelines.batch(np.array([place])) for place in range(len(timelines))]

        def ask(place: int) -> Tensor:
            with torch.inference_mode():
                scores: Tensor = network(made[place])
            return scores

        return ask

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def _write(self, folder: Path) -> None:
        content = {"reading": self.reading.to_json(), "form": asdict(self.form), "built": self.built}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        write_weights(folder / _WEIGHTS, self.network)

    def _told(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        return self.form.told(self.origin.question, self.network(batch, weights))

    def _baseline(self) -> NDArray[np.float64]:
        """Answer about nobody: (k,)."""
        nobody = Timelines(nobodys_tokens(), self.reading.vocabulary, self.reading.gathering)
        with torch.inference_mode():
            told: NDArray[np.float64] = self._told(nobody.batch(np.zeros(1, np.int64)).as_double())[0].numpy()
        return told

    def _divided(self, batch: TimelineBatch, timelines: Timelines, part: Samples) -> pl.DataFrame:
        shares, told = integrated(self._told, batch)
        row = batch.row[batch.step].numpy()
        ids = part.frame["sample_id"].to_numpy()
        tokens, vocabulary = timelines.tokens, timelines.vocabulary
        code, facts = tokens.code[batch.fact], len(batch.fact)
        names = np.array(["", *vocabulary.codes, *tokens.strangers], object)[code]
        known = np.where(code <= len(vocabulary), code, 0)
        value = np.where(
            tokens.tenth[batch.fact] > 0, vocabulary.restored(known, tokens.value[batch.fact]), np.nan
        )
        hours = batch.hours[batch.step].numpy()
        still = batch.static[batch.step].numpy()
        rest = told - self._baseline() - _summed(shares, row, batch.rows)
        frames = []
        for place, output in enumerate(self.origin.question.outputs):
            frames.append(
                pl.DataFrame(
                    {
                        "sample_id": np.append(ids[batch.samples[row]], ids[batch.samples]),
                        "output": [output] * (facts + batch.rows),
                        "input": [*names, *[RHYTHM] * batch.rows],
                        "code": [*(name.split("=")[0] for name in names), *[None] * batch.rows],
                        "value": pl.Series(
                            np.append(value, np.full(batch.rows, np.nan)), nan_to_null=True, dtype=pl.Float64
                        ),
                        "contribution": np.append(shares[place], rest[:, place]),
                        "start": pl.Series(
                            np.append(np.where(still, np.nan, hours), np.full(batch.rows, np.nan)),
                            nan_to_null=True,
                            dtype=pl.Float64,
                        ),
                        "end": pl.Series([None], dtype=pl.Float64).new_from_index(0, facts + batch.rows),
                        "asset": pl.Series([None], dtype=pl.String).new_from_index(0, facts + batch.rows),
                    },
                    schema=EXPLANATION_SCHEMA,
                )
            )
        return pl.concat(frames).sort("sample_id", maintain_order=True)


def integrated(
    told: Callable[[TimelineBatch, Tensor | None], Tensor], batch: TimelineBatch
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate the gradients of answers along the way from no fact to all: shares (k, n) of each, answers (b, k).

    Args:
        told: of a batch and the weights of its facts, the answers (b, k).
        batch: of 64 bits.
    """
    points, lengths = np.polynomial.legendre.leggauss(_PATH)
    shares: list[Tensor] = []
    for point, length in zip((points + 1) / 2, lengths / 2, strict=True):
        weights = torch.full_like(batch.value, float(point)).requires_grad_()
        answers = told(batch, weights)
        slopes = [
            torch.autograd.grad(answers[:, place].sum(), weights, retain_graph=True)[0]
            for place in range(answers.shape[1])
        ]
        shares.append(torch.stack(slopes) * float(length))
    with torch.inference_mode():
        reached = told(batch, None)
    return torch.stack(shares).sum(0).numpy(), reached.numpy()


def write_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights, 32 bits each; the same weights give the same bytes."""
    write_tensors(path, network.state_dict())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, 32 bits each; the same tensors give the same bytes."""
    from safetensors.torch import save

    path.write_bytes(
        save(packed({name: value.detach().float().contiguous() for name, value in tensors.items()}))
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read back what `write_weights` wrote."""
    from safetensors.torch import load_file

    return unpacked(load_file(path))


def load_model(directory: Path, body: Callable[[Reading, dict[str, Any]], nn.Module]) -> TimelineModel:
    """Load a package that a `TimelineModel` wrote, whose sums have been checked.

    Args:
        directory: the package.
        body: builds an unlearned body from how samples are read, and from what the package says it is built from.
    """
    content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    told = json.loads((directory / "weights" / _SPECIFICATION).read_text(encoding="utf-8"))
    reading, form = Reading.from_json(told["reading"]), AnswerForm.from_json(told["form"])
    network = TimelineNetwork(body(reading, told["built"]), form.k)
    network.load_state_dict(read_weights(directory / "weights" / _WEIGHTS))
    return TimelineModel(package.origin_of(content), reading, form, exact(network), told["built"])


def exact(network: TimelineNetwork) -> TimelineNetwork:
    """Give a network in 64 bits, from the 32 that are kept, ready to be asked."""
    made: TimelineNetwork = network.float().double().eval().requires_grad_(False)
    return made


def _summed(shares: NDArray[np.float64], row: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
    """Sum the shares (k, n) of each row: (b, k)."""
    return np.stack([np.bincount(row, one, minlength=rows) for one in shares], axis=1)
