"""A model of images: answers from what is on them, and says where it looked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.explanation.image_places import Spacing
from medloom.features.images import Framing, Pixels, framed_each
from medloom.learners.image.network import Body, ImageNetwork, represented, scores_of
from medloom.learners.image.places import explained
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm
from medloom.training.compression.plan import Plan
from medloom.training.novelty import Novelty, where_known
from medloom.training.tensors import read_weights, write_weights

LIBRARIES: Final = ("numpy", "pillow", "polars", "safetensors", "torch")

_SPECIFICATION: Final = "image.json"
_WEIGHTS: Final = "network.safetensors"


@dataclass(frozen=True)
class ImageModel(Model):
    """Answers from images; what every learner of this room but those that outline gives.

    One image is read at a time, so that its answer is the same, to the bit, alone as among others.

    Attributes:
        origin: where it comes from.
        framing: how images become arrays.
        form: of its answers.
        network: learned.
        built: what the body is built from, as its learner reads it back.
        views: of each image, whose answers are averaged.
        mirrored: whether the mirror image of each view is one too.
        novelty: where training images lie among representations; None: they were too few.
    """

    origin: Origin
    framing: Framing
    form: AnswerForm
    network: ImageNetwork
    built: dict[str, Any]
    views: int = 1
    mirrored: bool = False
    novelty: Novelty | None = field(default=None, kw_only=True)

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order.

        Raises:
            InputError: an image is damaged, or of another kind than those learned from.
        """
        rows = [
            scores_of(self.network, x, self.views, self.mirrored)[0].double().numpy()
            for x in self._read(samples)
        ]
        if not rows:
            return Predictions(PREDICTION_SCHEMA.to_frame())
        ids = samples.frame["sample_id"]
        return self.form.predictions(self.origin.question, ids, np.stack(rows))

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Give what the body knows of each image: (n, width); fusion learns from it."""
        with torch.inference_mode():
            rows = [self.network.represent(x)[0].numpy() for x in self._read(samples)]
        width = int(self.network.head.in_features)
        return np.concatenate([np.empty((0, width), np.float32), *(row[None] for row in rows)])

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the places of the image that the network's maps tell apart.

        `input` names the place, such as `row 2 of 7, column 5 of 7`; `start` is its number, row by row, and `end` how
        many there are. The layer of answers is linear, so that the shares of all places and the baseline add up to the
        answer of the image itself, before other views of it.
        """
        with torch.inference_mode():
            shares = [
                self.network.shares(self.network.maps(x))[0].double().numpy() for x in self._read(samples)
            ]
        bias = self.network.head.bias.detach().double().numpy()
        return explained(self.origin.question, self.form, samples, shares, bias)

    @property
    def spacing(self) -> Spacing:
        """Tell where the middles of places lie on what it is shown."""
        body: Body = self.network.body
        return body.spacing

    def knowing(self, pixels: Pixels, groups: NDArray[np.int64]) -> Self:
        """Let it know where the images it learned from lie, so that one that is unlike them is seen.

        Args:
            pixels: (n, channels, *size) of 8 bits.
            groups: (n,) their patients.
        """
        return replace(self, novelty=where_known(represented(self.network, pixels), groups))

    def compressed(self, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
        """Make it faster; as `Compressible`."""
        from medloom.learners.image.compressing import compressed

        return compressed(self, plan, train, tuning, seed)

    def asker(self, samples: Samples) -> Callable[[int], object]:
        """Read some images, and give what answers the i-th."""
        network, made = deepcopy(self.network), list(self._read(samples))

        def ask(place: int) -> Tensor:
            return scores_of(network, made[place], 1)

        return ask

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def told(self, x: Tensor) -> Tensor:
        """Give what reasons are of: images (b, channels, *size) → (b, outputs) on the scale of contributions."""
        return self.form.told(self.origin.question, self.network(x))

    def read(self, samples: Samples) -> list[Tensor]:
        """Read the images of samples: (1, channels, *size) each."""
        return list(self._read(samples))

    def _read(self, samples: Samples) -> Iterator[Tensor]:
        return (torch.from_numpy(pixels)[None] for pixels in framed_each(samples, self.framing))

    def _write(self, folder: Path) -> None:
        content = {
            "framing": self.framing.to_json(),
            "form": asdict(self.form),
            "built": self.built,
            "views": self.views,
            "mirrored": self.mirrored,
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        write_weights(folder / _WEIGHTS, self.network)
        if self.novelty is not None:
            self.novelty.write(folder)


def load_model(directory: Path, body: Callable[[Framing, dict[str, Any]], nn.Module]) -> ImageModel:
    """Load a package that an `ImageModel` wrote, whose sums have been checked.

    Args:
        directory: the package.
        body: builds an unlearned body from how images are framed, and from what the package says it is built from.
    """
    told = json.loads((directory / "weights" / _SPECIFICATION).read_text(encoding="utf-8"))
    framing, form = Framing.from_json(told["framing"]), AnswerForm.from_json(told["form"])
    network = ImageNetwork(body(framing, told["built"]), form.k)
    weights = read_weights(directory / "weights" / _WEIGHTS)
    network.load_state_dict(weights)
    return ImageModel(
        package.origin_in(directory),
        framing,
        form,
        network.eval().requires_grad_(False),
        told["built"],
        told["views"],
        told["mirrored"],
        novelty=Novelty.read(directory / "weights"),
    )
