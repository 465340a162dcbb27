"""What learners of window features share, of tables and of prognosis: inputs on the way in, reasons on the way out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, explanation_of
from medloom.features.matrix import FeatureMatrix
from medloom.features.windows import WindowFeatures
from medloom.foundation.seeds import derive
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Learner, Model, Origin
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.inputs import batches, check_varies, dense_inputs, read_inputs, write_inputs
from medloom.training.learning import check_samples, origin_of_fit, plain_parameters
from medloom.training.novelty import Novelty, chosen
from medloom.training.parameters import check_types
from medloom.training.preparation import Preparation

_log = logging.getLogger(__name__)

_EXPLAINED_AT_ONCE: Final = 1_000


class ExplainedEstimator(Protocol):
    """What was learned, as far as its reasons and its package go."""

    method: str  # how contributions are found, with the source
    explains_slowly: bool  # about a second a row

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        """Divide answers between inputs: (n, c) → (n, k, n_inputs); `sources` (c,) is the input behind each column."""
        ...

    def importance(self) -> NDArray[np.float64]:
        """Tell how much each column matters on the whole: (c,), in the estimator's own measure."""
        ...

    def write(self, folder: Path) -> None:
        """Write what was learned; the same always gives the same bytes."""
        ...


Estimated = TypeVar("Estimated", bound=ExplainedEstimator)
Labels = TypeVar("Labels")
Learned = TypeVar("Learned", bound="WindowedModel[Any]")


@dataclass(frozen=True)
class WindowedModel(Model, Generic[Estimated]):
    """An estimator behind window features.

    Attributes:
        origin: where it comes from.
        features: the frozen specification of its inputs.
        preparation: None: the estimator takes inputs as they are, missing ones as NaN.
        estimator: what was learned.
        novelty: where the training patients lie, so that one who is unlike them is seen; None: they were too few.
    """

    libraries: ClassVar[tuple[str, ...]]  # whose versions stand in the package

    origin: Origin
    features: WindowFeatures
    preparation: Preparation | None
    estimator: Estimated
    novelty: Novelty | None = None

    @property
    @abstractmethod
    def scale(self) -> str:
        """Name the scale of contributions."""

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(code for code in self.features.codes if code is not None)

    def inputs(self, samples: Samples) -> FeatureMatrix:
        """Give what the model looks at, before any preparation; explainers change it and ask again."""
        return self.features.transform(samples)

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the inputs; what was derived from one input is summed back to it.

        `baseline` + the contributions of a sample is its answer, on the explanation's scale; of prognosis more is
        always sooner.
        """
        names = self.features.names
        frames, baseline = [], None
        for part, raw in batches(self.features, samples, _EXPLAINED_AT_ONCE):
            explained = self._explained(self._divided(raw), part.frame["sample_id"].to_numpy(), raw)
            frames.append(explained.frame)
            baseline = explained.baseline
        if baseline is None:
            nothing = np.full((1, len(names)), np.nan, np.float32)
            divided = self._divided(nothing)
            empty = Contributions(divided.values[:0], divided.baseline)
            return self._explained(empty, np.empty(0, np.int64), nothing[:0])
        return Explanation(pl.concat(frames), baseline, self.estimator.method, self.scale)

    @property
    def explains_slowly(self) -> bool:
        """Tell whether reasons are found by sampling."""
        return self.estimator.explains_slowly

    def importance(self) -> pl.DataFrame:
        """Rank the inputs by how much they matter on the whole.

        Gives `input`, `code`, `weight`; weights sum to 1, or are 0 where no input is looked at. The
        measure is the estimator's own: mean size of contributions (linear models, networks, support
        vectors), gain (boosting), impurity (trees).
        """
        summed = np.bincount(self._sources, self.estimator.importance(), len(self.features.names))
        weight = summed / max(summed.sum(), np.finfo(np.float64).tiny)
        frame = pl.DataFrame({"input": self.features.names, "code": self.features.codes, "weight": weight})
        return frame.sort("weight", descending=True, maintain_order=True)

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=self.libraries)

    def _write(self, folder: Path) -> None:
        write_inputs(folder, self.features, self.preparation)
        self.estimator.write(folder)
        if self.novelty is not None:
            self.novelty.write(folder)

    def _prepared(self, raw: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        return raw if self.preparation is None else self.preparation.transform(raw)

    @property
    def _sources(self) -> NDArray[np.int64]:
        return np.arange(len(self.features.names)) if self.preparation is None else self.preparation.sources

    def _divided(self, raw: NDArray[np.float32]) -> Contributions:
        return self.estimator.contributions(self._prepared(raw), self._sources, len(self.features.names))

    def _explained(
        self, divided: Contributions, ids: NDArray[np.int64], raw: NDArray[np.float32]
    ) -> Explanation:
        return explanation_of(
            divided,
            ids,
            self.origin.question.outputs,
            self.features.names,
            self.features.codes,
            raw,
            method=self.estimator.method,
            scale=self.scale,
        )


@dataclass(frozen=True)
class Handed(Generic[Labels]):
    """What is learned from: inputs as arrays, labels as the modality reads them.

    Attributes:
        question: what is asked.
        x: (n, c) inputs of the training samples: an array, or CSR where the learner takes it.
        labels: of the n.
        groups: (n,) what must not be split.
        x_tuning: (m, c).
        tuned: labels of the m.
        groups_tuning: (m,).
        seed: of whatever is random.
    """

    question: Question
    x: Any
    labels: Labels
    groups: NDArray[np.int64]
    x_tuning: Any
    tuned: Labels
    groups_tuning: NDArray[np.int64]
    seed: int


class WindowedLearner(Learner, ABC, Generic[Labels, Learned]):
    """Learns from window features: checks, makes inputs, prepares them, learns, wraps up.

    A subclass has plain constructor arguments, among them `windows` (lengths such as `6h`, or `ever`; None: as
    suits the histories).
    """

    prepares: ClassVar[bool] = True  # whether inputs are standardised, and missing ones filled in
    takes_sparse: ClassVar[bool] = False
    needs_inputs: ClassVar[bool] = True  # whether there is nothing to learn where no input varies

    windows: Sequence[str] | None
    curved: bool = False  # whether an input also enters by its distance from its median

    def fit(
        self, train: Samples, tuning: Samples, seed: int = 0, features: WindowFeatures | None = None
    ) -> Learned:
        """Learn from `train`; choose settings on `tuning`, or by folds of all where it is too small for that.

        Args:
            train: the samples to learn from.
            tuning: others; may be empty.
            seed: of whatever is random.
            features: a frozen specification of the inputs; None: it is learned from `train`.

        Raises:
            InputError: the samples cannot be learned from, with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        check_types(self.name, self)
        self._check_parameters()
        check_samples(self, train, tuning)
        labels, tuned = self._labels(train), self._labels(tuning)
        self._check_labels(train.question, labels)
        specification = features or WindowFeatures.fit(train, windows=self.windows)
        x, x_tuning = self._inputs(specification, train), self._inputs(specification, tuning)
        novelty = _novelty(specification, x, train.groups)
        preparation = None
        if self.prepares:
            preparation = Preparation.fit(x, curved=self.curved)
            x, x_tuning = preparation.transform(x), preparation.transform(x_tuning)
        elif self.needs_inputs:
            check_varies(x)
        drawn = derive(seed, self.modality, self.name)
        handed = Handed(train.question, x, labels, train.groups, x_tuning, tuned, tuning.groups, drawn)
        estimator = self._estimate(handed)
        _log.info("fitted learner=%s samples=%d inputs=%d", self.name, len(train), len(specification.names))
        made = self._wrapped(origin_of_fit(self, train, tuning, seed), specification, preparation, estimator)
        return replace(made, novelty=novelty)

    def parameters(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain JSON values."""
        return plain_parameters(self)

    @abstractmethod
    def _labels(self, samples: Samples) -> Labels:
        """Read the labels; refuse those that are missing or impossible."""

    @abstractmethod
    def _check_labels(self, question: Question, labels: Labels) -> None:
        """Refuse training labels from which nothing can be learned."""

    @abstractmethod
    def _estimate(self, handed: Handed[Labels]) -> Any:
        """Learn an estimator."""

    @abstractmethod
    def _wrapped(
        self, origin: Origin, features: WindowFeatures, preparation: Preparation | None, estimator: Any
    ) -> Learned:
        """Make the model."""

    def _check_parameters(self) -> None:
        """Check the values of the constructor's arguments; their types have been."""

    def _inputs(self, specification: WindowFeatures, samples: Samples) -> Any:
        if not len(samples):
            return np.empty((0, len(specification.names)), np.float32)
        values = specification.transform(samples).values
        return values if self.takes_sparse and hasattr(values, "toarray") else dense_inputs(values)


def _novelty(features: WindowFeatures, x: Any, groups: NDArray[np.int64]) -> Novelty | None:
    """Learn where training patients (n, p) lie."""
    summary = features.summary
    if not len(summary):
        return None
    told = dense_inputs(x[:, list(summary)])
    known = (~np.isnan(told) & (told != 0)).sum(axis=0)
    columns = chosen(known, summary)
    return Novelty.fit(told[:, np.isin(summary, columns)], columns, groups)


def read_package(directory: Path) -> tuple[Origin, WindowFeatures, Preparation | None]:
    """Read of a package, whose sums have been checked, all but the estimator, which lies in `weights/`."""
    return package.origin_in(directory), *read_inputs(directory / "weights")
