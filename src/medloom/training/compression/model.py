"""A model that was made smaller: what it was made from, how, and what that gained and cost."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.compression.plan import Plan
from medloom.training.wrapping import WrappingModel

_FILE: Final = "compression.json"
_INNER: Final = "model"


@dataclass(frozen=True)
class Figures:
    """What a model costs, and how well it answers.

    Attributes:
        bytes: of its package.
        p50_ms, p95_ms: to answer one sample whose input is made, on one thread; None: not told apart.
        whole_p50_ms, whole_p95_ms: the same from the record.
        auroc: of outputs, on the average; None: it names places.
        ece: expected calibration error of ten bins, on the average.
        slope: of calibration, on the average.
        f1: of places right to the character, where it names some.
    """

    bytes: int
    p50_ms: float | None
    p95_ms: float | None
    whole_p50_ms: float
    whole_p95_ms: float
    auroc: float | None = None
    ece: float | None = None
    slope: float | None = None
    f1: float | None = None

    @property
    def worth(self) -> float:
        """Give what is not to be lost: F1 of what names places, else the AUROC."""
        told = self.auroc if self.f1 is None else self.f1
        return math.nan if told is None else told


@dataclass(frozen=True)
class Made:
    """How a model was made smaller.

    Attributes:
        plan: what was to be done.
        before, after: of the model it was made from, and of itself, on the same samples.
        digest: of those samples.
        n: of them.
    """

    plan: Plan
    before: Figures
    after: Figures
    digest: str
    n: int

    @property
    def lost(self) -> float:
        """Give the AUROC, or F1, that was lost."""
        return self.before.worth - self.after.worth

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Made:
        """Read back what `to_json` gave."""
        before, after = (Figures(**content[name]) for name in ("before", "after"))
        return cls(Plan(**content["plan"]), before, after, content["digest"], content["n"])


@dataclass(frozen=True)
class CompressedModel(WrappingModel):
    """A smaller model in the place of another one; packed and loaded as one.

    Attributes:
        origin: of the model it was made from.
        model: the smaller one.
        made: how.
        base_digest: of the package it was made from.
    """

    origin: Origin
    model: Model
    made: Made
    base_digest: str

    def predict(self, samples: Samples) -> Predictions:
        """Answer as the smaller model does."""
        return self.model.predict(samples)

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, as the smaller model does."""
        return self.model.explain(samples)

    def save(self, directory: Path) -> str:
        """Write a model package that holds the smaller model's own; give its digest."""
        return package.write(
            directory,
            self.origin,
            self._write,
            libraries=(),
            base_digest=self.base_digest,
            wrapper="compressed",
        )

    @classmethod
    def load(cls, directory: Path) -> CompressedModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        weights = directory / "weights"
        made = Made.from_json(json.loads((weights / _FILE).read_text(encoding="utf-8")))
        model = package.load(weights / _INNER)
        return cls(package.origin_in(directory), model, made, content["base_digest"])

    def _write(self, folder: Path) -> None:
        self.model.save(folder / _INNER)
        text = json.dumps(self.made.to_json(), indent=1, sort_keys=True)
        (folder / _FILE).write_text(text + "\n", encoding="utf-8")
