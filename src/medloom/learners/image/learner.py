"""What all learners of images do alike: check, read, train on the engine, wrap up."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.images import Framing, Pixels, framed_together, image_of
from medloom.foundation.errors import InputError, LeakageError
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.record.imaging.reading import check_imaging
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm, Emphasis, Targets
from medloom.training.answers import labels_as_numbers
from medloom.training.descent import check_torch
from medloom.training.learning import check_samples, divided, origin_of_fit, side_by_side
from medloom.training.parameters import check_parameter, check_types
from medloom.training.schedule import PRECISIONS, Schedule
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medloom.learners.image.augmentation import Augmentation
    from medloom.learners.image.model import ImageModel
    from medloom.learners.image.network import ImageNetwork
    from medloom.learners.image.pretraining import ImageEncoder
    from medloom.training.adaptation import Places

_log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

_Fitted = tuple[Framing, Pixels, Samples, "ImageNetwork"]  # with what was learned from, framed and not

_MOST_VIEWS: Final = 6
_FEWEST_STEPS: Final = 300
_PATIENT_STEPS: Final = 100
_FLAT, _SOLID = 224, 64  # pixels a side, of pictures and of volumes
ADAPTED: Final = ("full", "head", "lora", "probe")


@dataclass(frozen=True)
class ImageLearner(Learner):
    """Trains a network that reads images, with a layer of answers on the mean of its maps.

    Args:
        size: pixels a side that images are scaled to; 0: 224 of pictures, 64 of volumes.
        start: what training starts from: `none`, `imagenet` where there are such weights, or a folder with an encoder
            that was pretrained on images of one's own.
        adapt: what is learned of a network that is not new: `full`, `head` alone, `lora` beside its linear layers, or
            `probe`: the head too, but found at once from what the network knows of each image and shrunk as much as
            cross-validation says, which suits some hundred images; nothing of how to descend counts then.
        rank: of LoRA.
        epochs: passes over the images at most; None: 20 (10 of EfficientNet), or as many as make 300 steps.
        batch: images a step.
        learning_rate: of AdamW, at its highest.
        weight_decay: by which weights shrink.
        patience: passes without gain on the tuning images before it stops; of few images more, 100 steps at least.
        refit: whether it is then learned again, for so long as served best, from the tuning images too.
        augment: how strongly images are turned, lit and blurred while it learns; 0: not.
        flip: whether left and right may change places; mirror images are asked about too then.
        dropout: share of what is known of an image that is left out while it learns.
        smoothing: share by which labels are drawn towards all answers alike.
        focal: power by which images that are answered well already count less.
        balanced: whether rare classes count as much as common ones.
        views: of an image, a little closer and moved, whose answers are averaged; 1: the image alone.
        average: decay of the moving average of weights that is kept; 0: the weights themselves.
        minutes: after which learning stops; None: no limit.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
        devices: processes to train with.
        generated: drawn images of each class that are learned from beside the real ones.
        generator: the folder of what draws them.
    """

    modality: ClassVar[str] = "image"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    starts: ClassVar[tuple[str, ...]] = ("none",)
    channels: ClassVar[int] = 1
    passes: ClassVar[int] = 20

    size: int = 0
    start: str = "none"
    adapt: str = "full"
    rank: int = 8
    epochs: int | None = None
    batch: int = 32
    learning_rate: float = 0.001
    weight_decay: float = 0.05
    patience: int = 5
    refit: bool = False
    augment: float = 1.0
    flip: bool = False
    dropout: float = 0.2
    smoothing: float = 0.0
    focal: float = 0.0
    balanced: bool = True
    views: int = 1
    average: float = 0.99
    minutes: float | None = None
    precision: str = "32"
    devices: int = 1
    generated: int = 0
    generator: str = ""

    @property
    def fits_slowly(self) -> bool:
        """Tell that it takes minutes."""
        return True

    @property
    def starts_from_patients(self) -> bool:
        """Tell whether an encoder, or a generator, has seen the images of training patients before."""
        return self.start not in self.starts or bool(self.generated)

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> ImageModel:
        """Learn from `train`; stop on `tuning`, or on a fifth of the training patients where those are fewer than 50.

        Raises:
            InputError: the samples are about no images, cannot be learned from, or a package is not installed; with
                the remedy.
            LeakageError: a patient is in both, a sample is held out, or what it starts from or the generator of images
                was learned under another split.
        """
        self._check(train, tuning)
        from medloom.learners.image.model import ImageModel

        drawn = derive(seed, self.modality, self.name)
        form = AnswerForm.of(train.question, train)
        if self.adapt == "probe":
            framing, seen, everything, network = self._probed(form, train, tuning, drawn)
        else:
            framing, seen, everything, network = self._descended(form, train, tuning, drawn)
        ready = network.eval().requires_grad_(False)
        origin, built = origin_of_fit(self, train, tuning, seed), self.built(framing)
        made = ImageModel(origin, framing, form, ready, built, self.views, self.flip)
        return made.knowing(seen, everything.groups)

    def _descended(self, form: AnswerForm, train: Samples, tuning: Samples, seed: int) -> _Fitted:
        """Train by descent; stop where some images that are not learned from are answered best."""
        learned, judged = self._divided(train, tuning, seed)
        framing = self.framing(learned)
        seen, seen_judged = framed_together(learned, framing), framed_together(judged, framing)
        network, passes = self._fitted(
            framing, form, learned, seen, (judged, seen_judged), self._schedule(len(learned)), seed
        )
        everything = side_by_side(train, tuning) if self.refit else train
        if len(everything) > len(learned):
            once = replace(self._schedule(len(learned)), epochs=passes, patience=None)
            seen = framed_together(everything, framing)
            network, _ = self._fitted(framing, form, everything, seen, None, once, seed)
        return framing, seen, everything, network

    def _probed(self, form: AnswerForm, train: Samples, tuning: Samples, seed: int) -> _Fitted:
        """Find the head alone, from what the body knows of each image, as it is and changed."""
        from medloom.learners.image.network import ImageNetwork
        from medloom.learners.image.probing import probe_head

        everything = side_by_side(train, tuning) if self.refit else train
        framing = self.framing(everything)
        seen = framed_together(everything, framing)
        with seeded(seed):
            network = ImageNetwork(self.started(framing, everything), form.k, self.dropout)
        rows, targets = self._rows(framing, form, everything, seen, seed)
        drawn = len(rows.lengths) - len(everything)
        groups = np.unique(everything.groups, return_inverse=True)[1]
        whose = np.concatenate([groups, groups.max() + 1 + np.arange(drawn)])
        probe_head(network, rows, targets, whose, seed)
        return framing, seen, everything, network

    @classmethod
    def load(cls, directory: Path) -> ImageModel:
        """Load a package this learner's model wrote."""
        from medloom.learners.image.model import load_model

        return load_model(directory, cls.body)

    @classmethod
    @abstractmethod
    def body(cls, framing: Framing, built: dict[str, Any]) -> nn.Module:
        """Build the body that a package says it has, or a new one; PyTorch's seed is set."""

    def built(self, framing: Framing) -> dict[str, Any]:
        """Say what a body is built from beside how images are framed: plain values."""
        del framing
        return {}

    def started(self, framing: Framing, train: Samples) -> nn.Module:
        """Make the body that training starts from; PyTorch's seed is set.

        Raises:
            InputError: the encoder is of another learner.
            LeakageError: it was learned under another split.
        """
        encoder = self._encoder()
        if encoder is None:
            return self.body(framing, self.built(framing))
        if encoder.origin.learner != self.name or encoder.built != self.built(framing):
            raise InputError(
                "the encoder in {path!r} is of another network, {learner}; name its learner and its parameters",
                path=self.start,
                learner=encoder.origin.learner,
            )
        if encoder.origin.split_rule != train.split_rule:
            raise LeakageError(
                "the encoder in {path!r} was pretrained under another split, perhaps on patients that task {task!r} "
                "tests on; pretrain anew for this task",
                path=self.start,
                task=train.question.task,
            )
        return encoder.body

    def _encoder(self) -> ImageEncoder | None:
        """Load the encoder that training starts from; None: it starts from something else."""
        if self.start in self.starts:
            return None
        from medloom.learners.image.pretraining import load_encoder

        return load_encoder(Path(self.start))

    def _places(self, body: nn.Module) -> Places | None:
        """Tell where LoRA goes; None: nowhere."""
        del body
        return None

    def _fitted(
        self,
        framing: Framing,
        form: AnswerForm,
        learned: Samples,
        seen: Pixels,
        judged: tuple[Samples, Pixels] | None,
        schedule: Schedule,
        seed: int,
    ) -> tuple[ImageNetwork, int]:
        """Train on images; stop on others, if there are any. Gives the passes after which it was best, too."""
        from medloom.learners.image.layout import network_as_saved, network_in_fast_order
        from medloom.learners.image.network import ImageNetwork, mean_loss
        from medloom.training.fitting import fit

        with seeded(seed):
            body = self.started(framing, learned)
            network = ImageNetwork(body, form.k, self.dropout)
        self._adapt(network)
        network_in_fast_order(network, len(framing.size))
        rows, targets = self._rows(framing, form, learned, seen, seed)
        emphasis = Emphasis(self.smoothing, self.focal, self.balanced)
        network.level(np.zeros(form.k) if self.balanced else targets.level)
        judge: Callable[[nn.Module], float] | None = None
        if judged is not None:
            judge = partial(mean_loss, pixels=judged[1], targets=form.targets(judged[0]), emphasis=emphasis)
        fitted = fit(
            network,
            rows,
            lambda net, given: targets.losses(net(given[0]), given[1], emphasis),
            schedule,
            seed=seed,
            judged=judge,
            doing=tr("Learning from images"),
        )
        if self.adapt == "lora":
            from medloom.training.adaptation import settle

            settle(network.body)
        network_as_saved(network)
        _log.info("fitted learner=%s images=%d steps=%d", self.name, len(learned), fitted.course.step)
        best = fitted.course.best_step or fitted.course.step
        return network, max(1, -(-best // schedule.steps(len(rows.lengths))))

    def _divided(self, train: Samples, tuning: Samples, seed: int) -> tuple[Samples, Samples]:
        """Choose what is learned from, and what says when to stop: nothing that a generator has seen."""
        if not self.generated:
            return divided(train, tuning, seed)
        if not len(tuning):
            raise InputError(
                "to learn from drawn images, some are needed that their generator has not seen; give the site's split "
                "a share for tuning"
            )
        return train, tuning

    def _rows(
        self, framing: Framing, form: AnswerForm, learned: Samples, seen: Pixels, seed: int
    ) -> tuple[ImageRows, Targets]:
        """Give what is learned from, drawn images after real ones, and what is to be answered of each."""
        from medloom.learners.image.augmentation import Augmentation

        augmentation = Augmentation.of(self.augment, self.flip)
        if not self.generated:
            return ImageRows((seen,), augmentation), form.targets(learned)
        from medloom.learners.image.generating.adding import drawn_beside

        added = drawn_beside(learned, Path(self.generator), self.generated, framing, seed)
        y = np.concatenate([labels_as_numbers(learned), added.y])
        return ImageRows((seen, added.pixels), augmentation), form.targets_of(y)

    def _adapt(self, network: ImageNetwork) -> None:
        if self.start == "none" or self.adapt == "full":
            return
        from medloom.training.adaptation import Places, adapt

        places = self._places(network.body) or Places((), ())
        adapt(network.body, places, self.adapt, self.rank)

    def framing(self, learned: Samples) -> Framing:
        """Choose how images are framed; an encoder has chosen."""
        encoder = self._encoder()
        if encoder is not None:
            return encoder.framing
        first = image_of(learned, 0)
        solid = first.dimensions == 3 and first.shape[0] > 1
        side = self.size or (_SOLID if solid else _FLAT)
        channels = max(self.channels, 3 if first.channels == 3 else 1)
        return Framing.of(learned, (side,) * (3 if solid else 2), channels)

    def _schedule(self, images: int) -> Schedule:
        steps = max(1, -(-images // self.batch))
        return Schedule(
            epochs=self.epochs or max(self.passes, -(-_FEWEST_STEPS // steps)),
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=max(self.patience, -(-_PATIENT_STEPS // steps)),
            average=self.average or None,
            minutes=self.minutes,
            precision=self.precision,
            devices=self.devices,
        )

    def _check(self, train: Samples, tuning: Samples) -> None:
        check_types(self.name, self)
        self._check_parameters()
        check_samples(self, train, tuning)
        check_torch(self.name)
        check_imaging()
        if train.question.about != "image":
            raise InputError(
                "learner {learner!r} learns from images, and task {task!r} asks about patients; write `of: image` "
                "below predict in the task",
                learner=self.name,
                task=train.question.task,
            )

    def _check_parameters(self) -> None:
        name = self.name
        check_parameter(name, "size", self.size, self.size == 0 or self.size >= 16, tr("16 or more, or 0"))
        for one in ("rank", "batch", "patience", "views", "devices"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        check_parameter(name, "views", self.views, self.views <= _MOST_VIEWS, tr("6 or fewer"))
        check_parameter(name, "epochs", self.epochs, self.epochs is None or self.epochs >= 1, tr("1 or more"))
        rate = self.learning_rate
        check_parameter(name, "learning_rate", rate, rate > 0, tr("above 0"))
        for one in ("weight_decay", "focal", "augment"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 0, tr("0 or more"))
        for one in ("smoothing", "average", "dropout"):
            value = getattr(self, one)
            check_parameter(name, one, value, 0 <= value < 1, tr("0 or more and below 1"))
        minutes = self.minutes
        check_parameter(name, "minutes", minutes, minutes is None or minutes > 0, tr("above 0"))
        check_parameter(name, "adapt", self.adapt, self.adapt in ADAPTED, ", ".join(ADAPTED))
        pretrained = self.adapt != "probe" or self.start != "none"
        check_parameter(
            name, "adapt", self.adapt, pretrained, tr("another one where training starts from nothing")
        )
        holds = self.precision in PRECISIONS
        check_parameter(name, "precision", self.precision, holds, ", ".join(PRECISIONS))
        check_parameter(name, "generated", self.generated, self.generated >= 0, tr("0 or more"))
        there = not self.generated or (bool(self.generator) and Path(self.generator).is_dir())
        rule = tr("a folder with a generator of images")
        check_parameter(name, "generator", self.generator, there, rule)
        known = self.start in self.starts or Path(self.start).is_dir()
        rule = tr("{known}, or a folder with an encoder", known=", ".join(self.starts))
        check_parameter(name, "start", self.start, known, rule)


@dataclass(frozen=True)
class ImageRows:
    """Training images as rows of the engine.

    Attributes:
        parts: (n, channels, *size) of 8 bits each, one after another; they may lie in files.
        augmentation: how they are changed each time.
    """

    parts: tuple[Pixels, ...]
    augmentation: Augmentation

    @property
    def lengths(self) -> Rows:
        return np.ones(sum(map(len, self.parts)), np.int64)

    def batch(self, rows: Rows, rng: np.random.Generator) -> tuple[Tensor, Rows]:
        import torch

        from medloom.learners.image.layout import in_fast_order

        chosen = np.empty((len(rows), *self.parts[0].shape[1:]), np.uint8)
        first = 0
        for part in self.parts:
            own = (first <= rows) & (rows < first + len(part))
            chosen[own] = part[rows[own] - first]
            first += len(part)
        x = in_fast_order(torch.from_numpy(chosen).float() / 255)
        return self.augmentation.changed(x, rng), rows
