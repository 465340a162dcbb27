"""What is left of a model that outlines structures or finds objects when its images are taken otherwise.

Each image is changed as `features.acquisition` changes it and set against itself as it is; where it is turned, what the
expert drew turns with it. Differences are of the same images, resampled by subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.places_evaluation import known_outlines
from medloom.evidence.robustness import Robustness
from medloom.evidence.segmentation_evaluation import Outline
from medloom.evidence.tally import Floats, ratio
from medloom.evidence.trial import Trial, nothing
from medloom.features.acquisition import Shift, shifts
from medloom.features.boxes import Finding, boxes_around, numbered
from medloom.features.images import image_of
from medloom.features.marks import Marks, hits, inside
from medloom.features.outlines import outline_of
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2, tr
from medloom.foundation.progress import track
from medloom.foundation.seeds import generator
from medloom.record.imaging.image import Image
from medloom.tasks.kinds import Kind
from medloom.tasks.samples import Samples

MOST_PICTURES: Final = 40
MOST_VOLUMES: Final = 12  # of which each takes as long as many pictures, thirteen times

Shares: TypeAlias = Mapping[str, tuple[Floats, Floats]]
"""By metric, of one image: what is summed over images, and what the sum is divided by: (structures,) each."""

_Judged: TypeAlias = Callable[[Image, NDArray[np.integer], Shift | None], Shares]


def outlined_otherwise(
    samples: Samples, outline: Outline, *, most: int | None = None, replicates: int = 200, seed: int = 0
) -> Robustness:
    """Measure the Dice of outlines on images as they are, and as they could have been taken.

    Args:
        samples: of a segmentation question; those without an expert's outline are left out.
        outline: of an image, the numbers of structures (*space).
        most: so many images at most, spread over subjects; None: 40 pictures or 12 volumes.
        replicates: of the bootstrap over subjects.
        seed: of what is random.

    Raises:
        InputError: a file is damaged, or an outline does not fit its image.
    """
    structures = range(1, len(samples.question.classes) + 1)

    def judged(image: Image, truth: NDArray[np.integer], shift: Shift | None) -> Shares:
        said = outline(image if shift is None else shift(image))
        true = truth if shift is None else shift.turned(truth)
        if said.shape != true.shape:
            raise InputError(
                "the outline is of size {outline}, the image of {image}; outline this image, not another one",
                outline=said.shape,
                image=true.shape,
            )
        each = np.array([_dice(true == number, said == number) for number in structures])
        known = np.isfinite(each)
        mean = ratio(np.where(known, each, 0.0).sum(), known.sum())  # of one image, as evaluations average it
        there = np.isfinite(mean)
        return {"dice": (np.atleast_1d(np.where(there, mean, 0.0)), np.atleast_1d(there.astype(np.float64)))}

    return _Tried("segmentation", ("dice",), judged, replicates, seed).on(samples, most)


def found_otherwise(
    samples: Samples, finder: Finding, *, most: int | None = None, replicates: int = 200, seed: int = 0
) -> Robustness:
    """Measure which objects are found, and what is marked for nothing, on images as they are and taken otherwise.

    Args:
        samples: of a detection question; those without an expert's outline are left out.
        finder: what finds objects; marks that it would show count.
        most: so many images at most, spread over subjects; None: 40 pictures or 12 volumes.
        replicates: of the bootstrap over subjects.
        seed: of what is random.

    Raises:
        InputError: a file is damaged, or an outline does not fit its image.
    """
    structures = len(samples.question.classes)

    def judged(image: Image, truth: NDArray[np.integer], shift: Shift | None) -> Shares:
        said = finder.find(image if shift is None else shift(image)).shown(finder.thresholds)
        # numbered before it is turned: what hangs together by a corner still does
        objects = numbered(truth, structures)
        true = boxes_around(objects if shift is None else shift.turned(objects), structures)
        there, found, wrong = np.zeros((3, structures))
        for at in range(structures):
            own, marks = true.of(at + 1), said.of(at + 1)
            there[at] = len(own)
            found[at] = hits([Marks(own.box, marks.box, marks.score)], inside()).hit.sum()
            wrong[at] = len(marks) - found[at]
        return {"sensitivity": (found, there), "false_positives": (wrong, np.ones(structures))}

    names = ("sensitivity", "false_positives")
    return _Tried("detection", names, judged, replicates, seed).on(samples, most)


@dataclass(frozen=True)
class _Tried:
    """How a model is tried, and what is measured of it; the first metric stands for all."""

    kind: Kind
    names: tuple[str, ...]
    judged: _Judged
    replicates: int
    seed: int

    def on(self, samples: Samples, most: int | None) -> Robustness:
        """Try it on some of the samples."""
        known = known_outlines(samples)
        if most is None and len(known):
            most = MOST_PICTURES if image_of(known, 0).dimensions == 2 else MOST_VOLUMES
        chosen = _spread(known.groups, most or 0, self.seed)
        some = known.where(pl.lit(pl.Series(chosen, dtype=pl.Boolean)))
        subjects = int(np.unique(some.groups).size)
        as_it_is = text2("as it is")
        if subjects < FEWEST_SUBJECTS:
            few = text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
            return self._told(len(some), subjects, nothing(as_it_is, self.names, few), (), few)
        tried = shifts()
        states: list[list[Shares]] = [[] for _ in range(1 + len(tried))]
        for place in track(range(len(some)), tr("Changing images"), len(some)):
            image = image_of(some, place)
            truth = outline_of(some, place, image)
            for state, shift in zip(states, (None, *tried), strict=True):
                state.append(self.judged(image, truth, shift))
        named = [(as_it_is, None), *((one.name, one.strength) for one in tried)]
        whole, *trials = self._measured(named, states, some.groups)
        return self._told(len(some), subjects, whole, tuple(trials), None)

    def _measured(
        self,
        named: Sequence[tuple[Text2, float | None]],
        states: Sequence[Sequence[Shares]],
        groups: NDArray[Any],
    ) -> list[Trial]:
        sums = [
            {
                name: (np.stack([one[name][0] for one in state]), np.stack([one[name][1] for one in state]))
                for name in self.names
            }
            for state in states
        ]

        def measure(weight: Floats) -> dict[str, Floats]:
            found: dict[str, Floats] = {}
            for at, state in enumerate(sums):
                for name, (above, below) in state.items():
                    found[f"{at}.{name}"] = _mean(ratio(weight @ above, weight @ below))
                    found[f"{at}.{name}.difference"] = found[f"{at}.{name}"] - found[f"0.{name}"]
            return found

        whole = measure(np.ones((1, len(groups))))
        group = np.unique(groups, return_inverse=True)[1].astype(np.intp)
        drawn = bootstrap(measure, group, self.replicates, self.seed, "robustness")
        said: dict[str, Estimate] = {
            name: estimate(value[0], drawn.get(name)) for name, value in whole.items()
        }
        return [
            Trial(
                name,
                {metric: said[f"{at}.{metric}"] for metric in self.names},
                said[f"{at}.{self.names[0]}.difference"],
                strength,
                beside={metric: said[f"{at}.{metric}.difference"] for metric in self.names[1:]},
            )
            for at, (name, strength) in enumerate(named)
        ]

    def _told(
        self, n: int, subjects: int, whole: Trial, trials: tuple[Trial, ...], reason: Text2 | None
    ) -> Robustness:
        return Robustness(
            kind=self.kind,
            metrics=self.names,
            n=n,
            n_subjects=subjects,
            threshold=None,
            whole=whole,
            trials={"acquisition": trials} if reason is None else {},
            reasons={} if reason is None else {"acquisition": reason},
        )


def _spread(groups: NDArray[Any], most: int, seed: int) -> NDArray[np.bool_]:
    """Choose samples at random, the first of every subject before a second of any: (n,)."""
    order = generator(seed, "some images").permutation(len(groups))
    seen: dict[Any, int] = {}
    turn = np.zeros(len(groups), np.int64)
    for at, place in enumerate(order.tolist()):
        turn[at] = seen[groups[place]] = seen.get(groups[place], -1) + 1
    chosen = np.zeros(len(groups), bool)
    chosen[order[np.argsort(turn, kind="stable")[:most]]] = True
    return chosen


def _dice(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """Measure the overlap of two outlines; NaN where there is neither."""
    both = int(truth.sum()) + int(said.sum())
    return 2 * int((truth & said).sum()) / both if both else float("nan")


def _mean(values: Floats) -> Floats:
    """Average over structures what there is: (b, structures) → (b,)."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1).astype(np.float64))
