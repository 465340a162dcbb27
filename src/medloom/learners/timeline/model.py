"""A model of timelines: answers from each fact with its value and its time, and says which facts moved them."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.explanation.asking import output_place
from medloom.explanation.attention import ATTENTION
from medloom.explanation.deletion import Deletion
from medloom.features.token_vocabulary import TokenVocabulary
from medloom.features.tokens import encode, nobodys_tokens
from medloom.foundation.errors import InputError
from medloom.learners.timeline.batches import Gathering, TimelineBatch, Timelines
from medloom.learners.timeline.body import TimelineBody
from medloom.learners.timeline.fact_rows import fact_rows
from medloom.learners.timeline.network import TimelineNetwork, batches, represented, scores_of
from medloom.learners.timeline.rollout import METHOD as ROLLOUT
from medloom.learners.timeline.rollout import rolled_out
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm
from medloom.training.compression.plan import Plan
from medloom.training.novelty import Novelty, where_they_lie
from medloom.training.tensors import read_weights, write_weights

LIBRARIES: Final = ("numpy", "polars", "safetensors", "torch")
METHOD: Final = "integrated gradients of facts (Sundararajan et al., ICML 2017)"

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
        novelty: where training patients lie among representations; None: they were too few.
    """

    origin: Origin
    reading: Reading
    form: AnswerForm
    network: TimelineNetwork
    built: dict[str, Any]
    novelty: Novelty | None = field(default=None, kw_only=True)

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
        frames = []
        for part in samples.parts(_AT_ONCE):
            if len(part):
                timelines = self.reading.timelines(part)
                frames += [self._divided(batch.as_double(), timelines, part) for batch in batches(timelines)]
        scale = self.form.scale(self.origin.question)
        return Explanation(_joined(frames), self._start(self._baseline()), METHOD, scale)

    def attended(self, samples: Samples) -> Explanation:
        """Tell how much of what is known when each sample is asked flows there from each fact, by attention rollout.

        Contributions of a sample are shares of 1, the same for every output; they do not add up to the answer. What
        the body reads off its chart stands with the rest, for attention does not tell which facts it is of.

        Raises:
            InputError: the body has no attention.
        """
        body = self.network.body
        if not isinstance(body, TimelineBody):
            raise InputError(
                "a model of learner {learner!r} has no attention to follow; take its own reasons: --method own",
                learner=self.origin.learner,
            )
        outputs = self.origin.question.outputs
        frames = []
        for part in samples.parts(_AT_ONCE):
            timelines = self.reading.timelines(part)
            for place in range(len(part)):
                batch = timelines.batch(np.array([place])).as_double()
                shares = rolled_out(body, batch)[None].repeat(len(outputs), 0)
                rest = 1 - shares.sum(1)
                frames.append(fact_rows(batch, timelines, part, outputs, shares, rest[None]))
        nothing = np.zeros(len(outputs))
        return Explanation(_joined(frames), self._start(nothing), ROLLOUT, ATTENTION, additive=False)

    def deleting(self, samples: Samples, output: str | None = None, seed: int = 0) -> Deletion:
        """Take facts away in the order of their contributions, and follow the answer; `output` None: the only one.

        Raises:
            InputError: there is no such output, or several and none was named.
        """
        from medloom.learners.timeline.deleting import deleted

        return deleted(self, samples, output_place(self.origin.question, output), seed)

    def knowing(self, train: Samples) -> Self:
        """Let it know where the patients it learned from lie, so that one who is unlike them is seen."""
        return replace(self, novelty=where_they_lie(self, train))

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
        self._write_novelty(folder)

    def _write_novelty(self, folder: Path) -> None:
        if self.novelty is not None:
            self.novelty.write(folder)

    def told(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Give what is divided between facts: (b, k) answers on the scale of contributions."""
        return self.form.told(self.origin.question, self.network(batch, weights))

    def _baseline(self) -> NDArray[np.float64]:
        """Answer about nobody: (k,)."""
        nobody = Timelines(nobodys_tokens(), self.reading.vocabulary, self.reading.gathering)
        with torch.inference_mode():
            told: NDArray[np.float64] = self.told(nobody.batch(np.zeros(1, np.int64)).as_double())[0].numpy()
        return told

    def _start(self, values: NDArray[np.float64]) -> pl.DataFrame:
        """Give what reasons start from, of each output: (k,) values as a frame."""
        return pl.DataFrame({"output": list(self.origin.question.outputs), "value": values})

    def _divided(self, batch: TimelineBatch, timelines: Timelines, part: Samples) -> pl.DataFrame:
        shares, told = integrated(self.told, batch)
        row = batch.row[batch.step].numpy()
        rest = told - self._baseline() - _summed(shares, row, batch.rows)
        return fact_rows(batch, timelines, part, self.origin.question.outputs, shares, rest)


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


def load_model(directory: Path, body: Callable[[Reading, dict[str, Any]], nn.Module]) -> TimelineModel:
    """Load a package that a `TimelineModel` wrote, whose sums have been checked.

    Args:
        directory: the package.
        body: builds an unlearned body from how samples are read, and from what the package says it is built from.
    """
    told = json.loads((directory / "weights" / _SPECIFICATION).read_text(encoding="utf-8"))
    reading, form = Reading.from_json(told["reading"]), AnswerForm.from_json(told["form"])
    network = TimelineNetwork(body(reading, told["built"]), form.k)
    network.load_state_dict(read_weights(directory / "weights" / _WEIGHTS))
    return TimelineModel(
        package.origin_in(directory),
        reading,
        form,
        exact(network),
        told["built"],
        novelty=Novelty.read(directory / "weights"),
    )


def exact(network: TimelineNetwork) -> TimelineNetwork:
    """Give a network in 64 bits, from the 32 that are kept, ready to be asked."""
    made: TimelineNetwork = network.float().double().eval().requires_grad_(False)
    return made


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames) if frames else EXPLANATION_SCHEMA.to_frame()


def _summed(shares: NDArray[np.float64], row: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
    """Sum the shares (k, n) of each row: (b, k)."""
    return np.stack([np.bincount(row, one, minlength=rows) for one in shares], axis=1)
