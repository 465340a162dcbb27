"""Pretraining on a site's own images, without labels; kept as a package that learners of images start from."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from medloom.features.images import Framing, framed_together
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.augmentation import Augmentation
from medloom.learners.image.bodies import VisionTransformer
from medloom.learners.image.learner import ImageLearner
from medloom.learners.image.model import LIBRARIES
from medloom.learners.image.self_supervised import Distilling, Masking, TwoViews
from medloom.tasks import package
from medloom.tasks.model import Origin, check_none_held_out
from medloom.tasks.samples import Samples
from medloom.training.fitting import fit
from medloom.training.learning import plain_parameters
from medloom.training.schedule import Schedule
from medloom.training.seeding import seeded
from medloom.training.tensors import read_weights, write_weights

_log = logging.getLogger(__name__)

OBJECTIVES: Final = ("distilled", "masked")

_SPECIFICATION: Final = "encoder.json"
_WEIGHTS: Final = "encoder.safetensors"
_JUDGED: Final = 256
SCHEDULE: Final = Schedule(epochs=20, batch=64, learning_rate=1e-3, weight_decay=0.05, patience=None)
_STRONG: Final = 2.0  # times as strong as while labels are learned


@dataclass(frozen=True)
class ImageEncoder:
    """A body that learned from images without labels.

    Attributes:
        origin: where it comes from; `origin.learner` names the learner whose body it is.
        framing: how images become arrays.
        built: what the body is built from.
        body: learned.
        objective: it was taught by.
        learned_from: how many `patients` and images (`facts`).
    """

    origin: Origin
    framing: Framing
    built: dict[str, Any]
    body: nn.Module
    objective: str
    learned_from: dict[str, int] = field(default_factory=dict)

    def save(self, directory: Path) -> str:
        """Write a package; give its digest."""

        def write(folder: Path) -> None:
            content = {"framing": self.framing.to_json(), "built": self.built, "objective": self.objective}
            text = json.dumps(content, ensure_ascii=False, sort_keys=True)
            (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
            write_weights(folder / _WEIGHTS, self.body)

        size = " x ".join(map(str, self.framing.size))
        extra = {"objective": self.objective, "size": size, "learned_from": self.learned_from}
        return package.write(directory, self.origin, write, libraries=LIBRARIES, kind="encoder", extra=extra)


def pretrain(
    learner: ImageLearner,
    train: Samples,
    tuning: Samples,
    *,
    objective: str = "distilled",
    schedule: Schedule = SCHEDULE,
    seed: int = 0,
    folder: Path | None = None,
) -> ImageEncoder:
    """Teach the body of a learner by images; labels, if there are any, are not looked at.

    Args:
        learner: whose body; what it starts from counts too, such as ImageNet.
        train: samples about images.
        tuning: on which it is judged; empty: it is not.
        objective: `distilled`, or `masked` of a vision transformer.
        schedule: how long and how fast.
        seed: of everything random.
        folder: where checkpoints are kept; a training that was stopped goes on from there.

    Raises:
        InputError: there is no such objective, or not for this learner; or the samples are about no images.
        LeakageError: a sample is held out.
    """
    check_none_held_out(train, tuning)
    if objective not in OBJECTIVES:
        raise InputError(
            "there is no objective {name!r}; there are: {names}", name=objective, names=OBJECTIVES
        )
    drawn = derive(seed, "image pretraining", learner.name)
    framing = learner.framing(train)
    pixels = framed_together(train, framing)
    with seeded(drawn):
        body = learner.started(framing, train)
        if objective == "masked" and not isinstance(body, VisionTransformer):
            raise InputError("masked pretraining is of learner vit; take objective=distilled")
        network: nn.Module = (
            Masking(body)
            if isinstance(body, VisionTransformer) and objective == "masked"
            else Distilling(body)
        )
    source = TwoViews(pixels, Augmentation.of(_STRONG if objective == "distilled" else 0.5, learner.flip))

    def followed(net: nn.Module, step: int, steps: int) -> None:
        if isinstance(net, Distilling):
            net.follow(step, steps)

    fitted = fit(
        network,
        source,
        lambda net, views: net(views),
        replace(schedule, average=None),
        seed=drawn,
        # a teacher's and a student's losses are not comparable between moments; what is drawn again is
        judged=_judge(framed_together(tuning, framing), drawn)
        if objective == "masked" and len(tuning)
        else None,
        folder=None if folder is None else folder / "checkpoints",
        of=digest([train.digest(), plain_parameters(learner), objective, seed]),
        doing=tr("Pretraining"),
        on_step=followed,
    )
    _log.info("pretrained learner=%s objective=%s steps=%d", learner.name, objective, fitted.course.step)
    learned = network.teacher["body"] if isinstance(network, Distilling) else network.body
    origin = Origin(
        train.question, learner.name, plain_parameters(learner), seed, train.digest(), train.split_rule
    )
    learned_from = {"patients": len(np.unique(train.groups)), "facts": len(train)}
    return ImageEncoder(origin, framing, learner.built(framing), learned.eval(), objective, learned_from)


def load_encoder(directory: Path) -> ImageEncoder:
    """Check a package and load its encoder.

    Raises:
        NotFoundError: there is no package.
        IntegrityError: it was altered.
        InputError: it holds no encoder of images.
    """
    from medloom.foundation import registry

    content = package.check(directory)
    specification = directory / "weights" / _SPECIFICATION
    told = json.loads(specification.read_text(encoding="utf-8")) if specification.is_file() else {}
    if content["kind"] != "encoder" or "framing" not in told:
        raise InputError(
            "{name} holds no encoder of images; pretrain one with: medloom pretrain-images",
            name=directory.name,
        )
    framing = Framing.from_json(told["framing"])
    origin = package.origin_in(directory)
    kind: type[ImageLearner] = registry.load("medloom.learners", origin.learner)
    body = kind.body(framing, told["built"])
    body.load_state_dict(read_weights(directory / "weights" / _WEIGHTS))
    learned_from = package.extra_in(directory)["learned_from"]
    return ImageEncoder(origin, framing, told["built"], body, told["objective"], learned_from)


def _judge(pixels: Any, seed: int) -> Any:
    """Give the mean loss on tuning images, always hidden alike."""
    rows = np.arange(min(len(pixels), _JUDGED))
    source = TwoViews(pixels, Augmentation.of(0.0, flip=False))
    batches = [
        source.batch(part, generator(seed, "judged", str(part[0])))
        for part in np.array_split(rows, max(1, len(rows) // 64))
    ]

    def judged(network: nn.Module) -> float:
        with seeded(seed):
            return float(torch.cat([network(views) for views in batches]).mean())

    return judged
