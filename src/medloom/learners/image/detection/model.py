"""A model that finds objects in images, and says how sure it is of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.boxes import Boxes, as_labels
from medloom.features.image_recipe import Recipe
from medloom.learners.image.detection.finding import detected
from medloom.learners.image.detection.targets import Objects
from medloom.learners.image.detection.teaching import TaughtToFind
from medloom.learners.image.objects import explained, predicted
from medloom.learners.image.patches.cases import prepared
from medloom.learners.image.patches.networks import built, faster_precision
from medloom.learners.image.patches.weights import read_weights, write_weights
from medloom.record.imaging.image import Image
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

LIBRARIES: Final = ("monai", "numpy", "safetensors", "torch")

_SPECIFICATION: Final = "centernet.json"


@dataclass(frozen=True)
class Marked:
    """Objects drawn into an image's places.

    Attributes:
        labels: (*space) numbers of structures, an ellipse or ellipsoid each object; 0: background.
        boxes: that they are drawn into, the surest first.
    """

    labels: NDArray[np.uint8] = field(repr=False)
    boxes: Boxes = field(repr=False)


@dataclass(frozen=True)
class CenterNetModel(Model):
    """Finds objects; what learner `centernet` gives.

    Attributes:
        origin: where it comes from.
        taught: recipe, network, and from which score on an object is shown.
        kind: of network.
        structures: their names, from number 1 on.
        flips: axes along which mirror images are looked at too.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
    """

    origin: Origin
    taught: TaughtToFind = field(repr=False)
    kind: str
    structures: tuple[str, ...]
    flips: tuple[int, ...] = ()
    precision: str = "auto"

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Tell the score from which on an object of each structure is shown."""
        return self.taught.thresholds

    def find(self, image: Image) -> Boxes:
        """Find objects in an image, the surest first.

        Raises:
            InputError: it has other axes or channels than those that were learned from.
        """
        return detected(
            self.taught.network,
            prepared(image, None, self.taught.recipe),
            self.taught.recipe,
            self.taught.objects,
            self.flips,
            faster_precision() if self.precision == "auto" else self.precision,
        )

    def outline(self, image: Image) -> Marked:
        """Draw what is sure enough to be shown.

        Raises:
            InputError: it has other axes or channels than those that were learned from.
        """
        shown = self.find(image).shown(self.thresholds)
        return Marked(as_labels(shown, image.shape), shown)

    def predict(self, samples: Samples) -> Predictions:
        """Tell how sure the surest object of each structure is, from 0 to 1; 0: there is none."""
        return predicted(self, self.structures, samples)

    def explain(self, samples: Samples) -> Explanation:
        """Name the objects an answer rests on, with where they are."""
        return explained(self, self.structures, samples)

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
            "thresholds": self.thresholds,
            "size": self.taught.objects.size,
        }
        (folder / _SPECIFICATION).write_text(
            json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        write_weights(self.taught.network, folder / "network.safetensors")


def load_model(directory: Path) -> CenterNetModel:
    """Load a package that a `CenterNetModel` wrote, whose sums have been checked."""
    weights = directory / "weights"
    told: dict[str, Any] = json.loads((weights / _SPECIFICATION).read_text(encoding="utf-8"))
    recipe, structures = Recipe.from_json(told["recipe"]), tuple(told["structures"])
    objects = Objects(len(structures), tuple(told["size"]))
    network = built(told["kind"], recipe, objects.maps)
    read_weights(network, weights / "network.safetensors")
    return CenterNetModel(
        package.origin_in(directory),
        TaughtToFind(recipe, objects, network, tuple(told["thresholds"])),
        told["kind"],
        structures,
        tuple(told["flips"]),
        told["precision"],
    )
