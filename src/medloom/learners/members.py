"""Members of a blend: learned models side by side, each with its own preparation of the same inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic

import numpy as np
from numpy.typing import NDArray

from medloom.foundation import registry
from medloom.foundation.files import write_text
from medloom.learners.windowed import Estimated
from medloom.training.preparation import Preparation

_FILE: Final = "members.json"
_TRIALS: Final = "trials.json"


@dataclass(frozen=True)
class Member(Generic[Estimated]):
    """One model of a blend.

    Attributes:
        learner: its registered name.
        parameters: of the learner that differ from its defaults, as plain JSON.
        weight: its share; those of a blend sum to 1.
        preparation: of the inputs; None: the estimator takes them as they are.
        estimator: what was learned.
    """

    learner: str
    parameters: dict[str, Any]
    weight: float
    preparation: Preparation | None
    estimator: Estimated

    def prepared(self, x: NDArray[np.floating]) -> NDArray[np.floating]:
        """Make of raw inputs (n, p) what the estimator takes: (n, c)."""
        return x if self.preparation is None else self.preparation.transform(x.astype(np.float32, copy=False))


def weighted_importance(members: Sequence[Member[Any]], n_inputs: int) -> NDArray[np.float64]:
    """Average what members say about how much each input matters, each member's as shares of 1: (n_inputs,)."""
    total = np.zeros(n_inputs)
    for member in members:
        own = member.estimator.importance()
        if member.preparation is not None:
            own = np.bincount(member.preparation.sources, own, n_inputs).astype(np.float64)
        total = total + member.weight * own / max(float(own.sum()), np.finfo(np.float64).tiny)
    return total


def write_members(
    folder: Path, members: Sequence[Member[Any]], n_inputs: int, trials: Sequence[dict[str, Any]]
) -> None:
    """Write members into a model's weights, a folder each, and what was tried on the way to them."""
    folder.mkdir(parents=True, exist_ok=True)
    said = [{"learner": one.learner, "parameters": one.parameters, "weight": one.weight} for one in members]
    _write_json(folder / _FILE, {"n_inputs": n_inputs, "members": said})
    _write_json(folder / _TRIALS, list(trials))
    for place, member in enumerate(members):
        own = folder / f"member-{place}"
        own.mkdir(exist_ok=True)
        if member.preparation is not None:
            member.preparation.write(own)
        member.estimator.write(own)


def read_members(
    folder: Path, read: Callable[[Any, Path], Estimated]
) -> tuple[list[Member[Estimated]], int, list[dict[str, Any]]]:
    """Read back what `write_members` wrote: members, how many inputs there are, trials.

    Args:
        folder: that was written to.
        read: reads an estimator, given its class and its folder.
    """
    content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    members = []
    for place, said in enumerate(content["members"]):
        own = folder / f"member-{place}"
        learner: Any = registry.load("medloom.learners", said["learner"])
        preparation = Preparation.read(own) if Preparation.is_in(own) else None
        estimator = read(learner.estimator, own)
        members.append(Member(said["learner"], said["parameters"], said["weight"], preparation, estimator))
    trials: list[dict[str, Any]] = json.loads((folder / _TRIALS).read_text(encoding="utf-8"))
    return members, int(content["n_inputs"]), trials


def _write_json(path: Path, content: object) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1) + "\n")
