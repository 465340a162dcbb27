"""The verb that draws images: of each class of a task, judged before they are used or given away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medloom.api import made_learner, samples_of
from medloom.evidence.answers import Answers, read_answers
from medloom.evidence.generated_images import Effect, GeneratedEvidence, effect_of, judge_generated
from medloom.evidence.generated_page import Shown
from medloom.evidence.nearness import nearest_places
from medloom.features.images import framed_together
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.record.imaging.reading import check_imaging
from medloom.site import SiteTask
from medloom.tasks.kinds import Split
from medloom.tasks.samples import Samples
from medloom.training.descent import check_torch

if TYPE_CHECKING:
    from medloom.learners.image.generating.generator import ImageGenerator

_LEAST, _MOST = 200, 2_000  # drawn images that are judged
_SHOWN: Final = 8  # of each class
_JUDGED_ON: Final[tuple[Split, ...]] = ("tuning", "held_out")


@dataclass(frozen=True)
class GeneratedImages:
    """A generator of images, and what was found out about what it draws.

    Attributes:
        generator: its `save` keeps it; `draw` draws.
        evidence: likeness, privacy and worth; `evidence.doubts` says what speaks against it.
        shown: some of each class, with the nearest they were learned from.
    """

    generator: ImageGenerator
    evidence: GeneratedEvidence
    shown: tuple[Shown, ...]


def generate_images(
    what: SiteTask | Samples,
    *,
    teaching: Mapping[str, Any] | None = None,
    learner: str | None = "cnn",
    generated: int = 200,
    repeats: int = 1,
    split: Split = "tuning",
    seed: int = 0,
    folder: Path | None = None,
    **parameters: Any,
) -> GeneratedImages:
    """Learn to draw pictures of each class of a task from its training split; judge them, and what they are worth.

    Args:
        what: a task about pictures, binary or multiclass.
        teaching: how they learn: `size`, `steps`, `minutes` and others of `Teaching`.
        learner: of images, with `parameters`, that learns with and without drawn images; None: none does.
        generated: drawn images of each class that it learns from beside the real ones.
        repeats: models of each kind, by other seeds, whose answers are averaged.
        split: on whose images it is judged: `tuning`, or `held_out`, which counts as a look at them.
        seed: of everything random.
        folder: where checkpoints are kept; a training that was stopped goes on from there.

    Raises:
        InputError: PyTorch or a package is not installed, the task asks something else, there are too few images, or
            `split` is another one.
    """
    check_torch("image-gan")
    check_imaging()
    from medloom.learners.image.generating.generator import ImageGenerator
    from medloom.learners.image.generating.teaching import Teaching

    _check_judged(split, parameters)
    samples = samples_of(what)
    train = samples.in_split("train")
    how = Teaching(**(teaching or {}))
    made = ImageGenerator.fit(train, teaching=how, seed=seed, folder=folder)
    if learner is None:
        return judged(made, samples, seed=seed)
    effect = effect_on(
        learner, made, samples, generated=generated, repeats=repeats, split=split, seed=seed, **parameters
    )
    return judged(made, samples, effect=effect, seed=seed)


def judged(
    generator: ImageGenerator, samples: Samples, *, effect: Effect | None = None, seed: int = 0
) -> GeneratedImages:
    """Judge what a generator draws by the images it learned from, and by those of the tuning split.

    Args:
        generator: of these samples' training split.
        samples: all splits.
        effect: what it is worth.
        seed: of what is drawn.

    Raises:
        InputError: there are fewer than twenty images of a split, or the weights of ImageNet are not installed.
    """
    from medloom.learners.image.generating.looking import looked_at

    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    pixels, unseen = (framed_together(one, generator.framing) for one in (train, tuning))
    n = min(max(_LEAST, len(train)), _MOST)
    drawn = [
        generator.draw(
            name, max(1, round(n * generator.learned_from[name] / len(train))), derive(seed, "judged")
        )
        for name in generator.classes
    ]
    known, outside, made = (looked_at(one) for one in (pixels, unseen, np.concatenate(drawn)))
    found = judge_generated(
        known, outside, made, groups=train.groups, unseen_groups=tuning.groups, effect=effect, seed=seed
    )
    firsts = np.cumsum([0, *map(len, drawn[:-1])])
    shown = []
    for name, pictures, first in zip(generator.classes, drawn, firsts, strict=True):
        few = pictures[:_SHOWN]
        shown.append(Shown(name, few, pixels[nearest_places(made[first : first + len(few)], known)]))
    return GeneratedImages(generator, found, tuple(shown))


def effect_on(
    learner: str,
    generator: ImageGenerator,
    samples: Samples,
    *,
    generated: int = 200,
    repeats: int = 1,
    split: Split = "tuning",
    seed: int = 0,
    **parameters: Any,
) -> Effect:
    """Learn with drawn images and without, and compare both models on the same real images.

    Arguments and errors as `generate_images`.
    """
    _check_judged(split, parameters)
    with TemporaryDirectory(prefix="medloom-generator-") as place:
        generator.save(Path(place) / "package")
        more = {"generated": generated, "generator": str(Path(place) / "package")}
        without, with_drawn = (
            _answers(learner, {**parameters, **one}, samples, split, repeats, seed) for one in ({}, more)
        )
    return effect_of(without, with_drawn, split, seed)


def _check_judged(split: str, parameters: Mapping[str, Any]) -> None:
    """Refuse to judge by images that were learned from, before anything is learned."""
    if split not in _JUDGED_ON:
        raise InputError("there is no split {split!r}; there are: {splits}", split=split, splits=_JUDGED_ON)
    if split == "tuning" and parameters.get("refit"):
        raise InputError(
            "with refit a learner learns from the tuning images too, and cannot be judged by them; judge by those held "
            "out, or leave refit off"
        )


def _answers(
    learner: str, parameters: Mapping[str, Any], samples: Samples, split: Split, repeats: int, seed: int
) -> Answers:
    """Average the answers of several models to the images of a split."""
    train, tuning, asked = (samples.in_split(one) for one in ("train", "tuning", split))
    several = [
        made_learner(learner, parameters).fit(train, tuning, seed=seed + number).predict(asked).frame
        for number in range(repeats)
    ]
    mean = np.mean([one["value"].to_numpy() for one in several], axis=0)
    averaged = several[0].with_columns(value=mean)
    return read_answers(samples.question, asked.frame, averaged)
