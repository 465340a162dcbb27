"""A weighted mean of several learned models, each with its own preparation of the same inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.foundation.messages import tr
from medloom.learners.members import Member, read_members, weighted_importance, write_members
from medloom.learners.tabular.answers import Floats, answers_of, scores_of
from medloom.learners.tabular.estimator import Estimator, Names
from medloom.tasks.kinds import Kind

_CLOSE = 1e-9


class BlendEstimator(Estimator):
    """Members' scores (log-odds, centred log-probabilities or values), averaged by weight.

    `trials` tells of every setting that was tried on the way, as plain JSON.
    """

    method = "weighted mean of the members' contributions, each by its own method, on the scale of scores"

    def __init__(
        self,
        kind: Kind,
        n_inputs: int,
        members: Sequence[Member[Estimator]],
        trials: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.kind = kind
        self.n_inputs = n_inputs
        self.members = tuple(members)
        self.trials = tuple(trials)

    @property
    def settled(self) -> dict[str, Any]:
        members = [
            {"learner": one.learner, "parameters": one.parameters, "weight": one.weight}
            for one in self.members
        ]
        return {"blend": members, "folder": None, "track": None}

    def predict(self, x: NDArray[np.floating]) -> Floats:
        total: Floats = np.zeros(1)
        for member in self.members:
            total = total + member.weight * scores_of(self.kind, member.estimator.predict(member.prepared(x)))
        return answers_of(self.kind, total)

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        values: Floats = np.zeros(1)
        baseline: Floats = np.zeros(1)
        for member in self.members:
            own = sources if member.preparation is None else sources[member.preparation.sources]
            divided = member.estimator.contributions(member.prepared(x), own, n_inputs)
            if not member.estimator.explains_scores:
                divided = on_score_scale(self.kind, divided)
            if self.kind == "multiclass":
                divided = divided.centred()
            values = values + member.weight * divided.values
            baseline = baseline + member.weight * divided.baseline
        return Contributions(values, baseline)

    def importance(self) -> Floats:
        return weighted_importance(self.members, self.n_inputs)

    def write(self, folder: Path) -> None:
        write_members(folder, self.members, self.n_inputs, self.trials)

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        members, n_inputs, trials = read_members(folder, lambda part, own: _read(part, own, kind))
        return cls(kind, n_inputs, members, trials)

    def as_text(self, names: Names) -> str:
        lines = [tr("a weighted mean of {n} models, out of {tried} settings tried:", n=len(self.members),
                    tried=len(self.trials))]  # fmt: skip
        for member in self.members:
            settings = ", ".join(f"{key}={value}" for key, value in member.parameters.items())
            lines.append(f"  {member.weight:.0%}  {member.learner}  {settings}")
        return "\n".join(lines)


def on_score_scale(kind: Kind, divided: Contributions) -> Contributions:
    """Stretch contributions to probabilities so that they add up to scores.

    Each sample's shares keep their proportions; their sum becomes the difference of the scores (the rescale rule of
    DeepLIFT, Shrikumar, Greenside and Kundaje, ICML 2017).

    >>> shares = Contributions(np.array([[[0.2, 0.1]]]), np.array([0.5]))
    >>> stretched = on_score_scale("binary", shares)
    >>> bool(np.isclose(stretched.baseline + stretched.values.sum(), np.log(0.8 / 0.2)))
    True
    """
    if kind == "regression":
        return divided
    answers = divided.baseline + divided.values.sum(axis=2)
    start = scores_of(kind, divided.baseline[None])
    moved = answers - divided.baseline
    gained = scores_of(kind, answers) - start
    # where nothing moved, the slope of the score at that answer
    slope = 1 / np.maximum(answers * (1 - answers), _CLOSE)
    stretch = np.where(np.abs(moved) > _CLOSE, gained / np.where(moved == 0, 1, moved), slope)
    return Contributions(divided.values * stretch[:, :, None], start[0])


def _read(part: type[Estimator], folder: Path, kind: Kind) -> Estimator:
    return part.read(folder, kind)
