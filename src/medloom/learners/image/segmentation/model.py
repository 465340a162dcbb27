"""A model that outlines structures in images, and says where it is not sure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.features.boxes import Boxes, boxes_of
from medloom.features.image_recipe import Recipe
from medloom.features.images import image_of
from medloom.foundation.messages import tr
from medloom.learners.image.objects import explained, predicted
from medloom.learners.image.patches.cases import prepared
from medloom.learners.image.patches.networks import built, faster_precision
from medloom.learners.image.patches.outlining import Outline, outlined
from medloom.learners.image.patches.weights import read_weights, write_weights
from medloom.learners.image.segmentation.teaching import Taught
from medloom.record.imaging.image import Image
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

LIBRARIES: Final = ("monai", "numpy", "safetensors", "torch")

_SPECIFICATION: Final = "unet.json"
_METHOD: Final = "entropy of what networks and mirror images say on the mean"
_UNSURE: Final = 0.5  # of the largest entropy there could be


@dataclass(frozen=True)
class UnetModel(Model):
    """Outlines structures; what learner `unet` gives.

    Attributes:
        origin: where it comes from.
        taught: recipe, networks, and which parts are kept.
        kind: of network.
        structures: their names, from number 1 on.
        flips: axes along which mirror images are looked at too.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
    """

    origin: Origin
    taught: Taught = field(repr=False)
    kind: str
    structures: tuple[str, ...]
    flips: tuple[int, ...] = ()
    precision: str = "auto"

    def outline(self, image: Image) -> Outline:
        """Outline an image.

        Raises:
            InputError: it has other axes or channels than those that were learned from.
        """
        return outlined(
            self.taught.networks,
            prepared(image, None, self.taught.recipe),
            self.taught.recipe,
            flips=self.flips,
            largest=self.taught.largest,
            precision=faster_precision() if self.precision == "auto" else self.precision,
        )

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Tell the score from which on an object is shown: all that is outlined is."""
        return (0.0,) * len(self.structures)

    def find(self, image: Image) -> Boxes:
        """Find objects: what is outlined and hangs together, by how sure the outline is there on the mean.

        Raises:
            InputError: it has other axes or channels than those that were learned from.
        """
        outline = self.outline(image)
        return boxes_of(outline.labels, 1 - outline.uncertainty)

    def predict(self, samples: Samples) -> Predictions:
        """Tell how large each structure is, in mm³ (in mm² of a picture; in voxels where the spacing is not known).

        Asked for objects it tells how sure the surest of each structure is, from 0 to 1.
        """
        if self.origin.question.kind == "detection":
            return predicted(self, self.structures, samples)
        sizes = np.empty((len(samples), len(self.structures)))
        for place in range(len(samples)):
            image = image_of(samples, place)
            sizes[place] = sizes_of(self.outline(image).labels, image, len(self.structures))
        return Predictions.of_matrix(samples.sample_ids, self.structures, sizes)

    def explain(self, samples: Samples) -> Explanation:
        """Divide each structure's size into what the model is sure of and what not; `outline` tells where that is.

        Asked for objects it names them.
        """
        if self.origin.question.kind == "detection":
            return explained(self, self.structures, samples)
        frames = []
        for place in range(len(samples)):
            image = image_of(samples, place)
            outline = self.outline(image)
            unsure = outline.uncertainty > _UNSURE
            for input_, where in ((tr("sure"), ~unsure), (tr("not sure"), unsure)):
                sizes = sizes_of(np.where(where, outline.labels, 0), image, len(self.structures))
                told = {"output": self.structures, "input": input_, "contribution": sizes}
                about = {"sample_id": int(samples.sample_ids[place]), "asset": samples.frame["item"][place]}
                frames.append(pl.DataFrame({**told, **about}))
        rows = pl.concat([EXPLANATION_SCHEMA.to_frame(), *frames], how="diagonal_relaxed")
        return Explanation(
            rows.select(pl.col(name).cast(kind) for name, kind in EXPLANATION_SCHEMA.items()),
            pl.DataFrame({"output": self.structures, "value": np.zeros(len(self.structures))}),
            _METHOD,
            "mm³",
        )

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=LIBRARIES)

    def _write(self, folder: Path) -> None:
        content = {
            "recipe": self.taught.recipe.to_json(),
            "kind": self.kind,
            "structures": self.structures,
            "flips": self.flips,
            "precision": self.precision,
            "largest": self.taught.largest,
            "dice": self.taught.dice,
            "networks": len(self.taught.networks),
        }
        (folder / _SPECIFICATION).write_text(
            json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        for number, network in enumerate(self.taught.networks):
            write_weights(network, folder / f"network-{number}.safetensors")


def sizes_of(labels: NDArray[np.uint8], image: Image, structures: int) -> NDArray[np.float64]:
    """Give the size of each structure, in mm³, mm², or voxels: (structures,).

    >>> labels = np.array([[0, 1], [2, 2]], np.uint8)
    >>> sizes_of(labels, Image(np.zeros((1, 2, 2)), spacing=(0.5, 1.0)), 2).tolist()
    [0.5, 1.0]
    """
    cell = float(np.prod(image.spacing)) if image.spacing is not None else 1.0
    counted = np.bincount(labels.ravel(), minlength=structures + 1)[1 : structures + 1]
    return counted.astype(np.float64) * cell


def load_model(directory: Path) -> UnetModel:
    """Load a package that a `UnetModel` wrote, whose sums have been checked."""
    weights = directory / "weights"
    told: dict[str, Any] = json.loads((weights / _SPECIFICATION).read_text(encoding="utf-8"))
    recipe, structures = Recipe.from_json(told["recipe"]), tuple(told["structures"])
    networks = []
    for number in range(told["networks"]):
        network = built(told["kind"], recipe, 1 + len(structures))
        read_weights(network, weights / f"network-{number}.safetensors")
        networks.append(network)
    dice = None if told["dice"] is None else tuple(told["dice"])
    return UnetModel(
        package.origin_in(directory),
        Taught(recipe, tuple(networks), tuple(told["largest"]), dice),
        told["kind"],
        structures,
        tuple(told["flips"]),
        told["precision"],
    )
