"""Models of images as graphs: the same answers, faster, and without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.image_places import Spacing
from medloom.features.images import Framing, framed_each
from medloom.learners.image.places import explained
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm
from medloom.training.compression.graphs import LIBRARIES, Graph, GraphAnswering
from medloom.training.novelty import Novelty

INPUT: Final = "image"
OUTPUTS: Final = ("scores", "known", "shares")

_SPECIFICATION: Final = "image-graph.json"
_GRAPH: Final = "network.onnx"


@dataclass(frozen=True)
class ImageGraphModel(GraphAnswering):
    """Answers from images by a graph of one image.

    Attributes:
        origin: of the model it was written from.
        framing: how images become arrays.
        form: of its answers.
        bias: (k,) what is scored of nothing.
        graph: of (1, channels, *size): `scores`, `known`, and `shares` of places.
        spacing: where the middles of places lie on what it is shown.
        novelty: where training images lie among representations; None: they were too few.
    """

    origin: Origin
    framing: Framing
    form: AnswerForm
    bias: tuple[float, ...]
    graph: Graph
    spacing: Spacing
    novelty: Novelty | None = field(default=None, kw_only=True)

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order."""
        rows = [self.graph.run({INPUT: x})[0] for x in self._read(samples)]
        if not rows:
            return Predictions(PREDICTION_SCHEMA.to_frame())
        scores = np.stack(rows).astype(np.float64)
        return self.form.predictions(self.origin.question, samples.frame["sample_id"], scores)

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what the body knows of each image: (n, width)."""
        rows = [self.graph.run({INPUT: x}, "known") for x in self._read(samples)]
        return np.concatenate(rows) if rows else np.empty((0, 0), np.float32)

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the places of the image; as `ImageModel.explain`."""
        shares = [self.graph.run({INPUT: x}, "shares")[0].astype(np.float64) for x in self._read(samples)]
        return explained(self.origin.question, self.form, samples, shares, np.array(self.bias))

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Read some images, and give what answers the i-th."""
        made = list(self._read(samples))
        return lambda place: self.graph.run({INPUT: made[place]})

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(
            directory, self.origin, self._write, libraries=(*LIBRARIES, "pillow"), wrapper="image-graph"
        )

    @classmethod
    def load(cls, directory: Path) -> ImageGraphModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        folder = directory / "weights"
        told: dict[str, Any] = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
        return cls(
            package.origin_in(directory),
            Framing.from_json(told["framing"]),
            AnswerForm.from_json(told["form"]),
            tuple(told["bias"]),
            Graph((folder / _GRAPH).read_bytes()),
            Spacing(**told["spacing"]),
            novelty=Novelty.read(folder),
        )

    def _read(self, samples: Samples) -> Iterator[NDArray[np.float32]]:
        return (pixels[None] for pixels in framed_each(samples, self.framing))

    def _write(self, folder: Path) -> None:
        content = {
            "framing": self.framing.to_json(),
            "form": asdict(self.form),
            "bias": list(self.bias),
            "spacing": asdict(self.spacing),
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        (folder / _GRAPH).write_bytes(self.graph.content)
        if self.novelty is not None:
            self.novelty.write(folder)
