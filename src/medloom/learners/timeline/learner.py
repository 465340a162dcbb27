"""What all neural learners of timelines do alike: check, encode, train on the engine, wrap up."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.timeline.batches import Gathering, TimelineBatch, Timelines
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner, Origin
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import ANSWERED, AnswerForm, Emphasis
from medloom.training.descent import check_torch
from medloom.training.learning import check_samples, divided, origin_of_fit, side_by_side
from medloom.training.parameters import check_parameter, check_types
from medloom.training.robust import ATTACKS, Hardening
from medloom.training.schedule import PRECISIONS, Schedule
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medloom.learners.timeline.model import Reading, TimelineModel
    from medloom.learners.timeline.network import TimelineNetwork
    from medloom.training.fitting import Fitted

_log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

_MANY: Final = "networks"  # in a package, of several


@dataclass(frozen=True)
class NeuralTimelineLearner(Learner):
    """Trains a body that reads timelines, with a layer of answers.

    Args:
        step: hours whose facts a network reads together; 0: those of one moment; None: each fact by itself.
        most: steps of a timeline at most, the latest.
        epochs: passes over the samples at most.
        batch: samples a step.
        learning_rate: of AdamW, at its highest.
        weight_decay: by which weights shrink.
        patience: passes without gain on the tuning samples before it stops.
        refit: whether it is then learned again, for so long as served best, from the tuning samples too.
        networks: learned with other random numbers each, whose scores are averaged.
        hidden_facts: share of facts that are left out at random in each step of training.
        smoothing: share by which labels are drawn towards all answers alike.
        focal: power by which samples that are answered well already count less.
        balanced: whether rare classes count as much as common ones.
        adversarial: attack on values that half of the loss is of: `fgsm`, `pgd` or `none`.
        radius: how far an attack moves a value at most, in units of its code's spread.
        mixup: of pairs of patients: parameter of the Beta distribution of their shares; 0: none.
        average: decay of the moving average of weights that is kept; 0: the weights themselves.
        minutes: after which learning from labels stops, each time it is done; None: no limit.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
        devices: processes to train with.
    """

    modality: ClassVar[str] = "timeline"
    kinds: ClassVar[frozenset[Kind]] = ANSWERED

    step: float | None = 1.0
    most: int = 512
    epochs: int = 20
    batch: int = 64
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    patience: int = 4
    refit: bool = False
    networks: int = 1
    hidden_facts: float = 0.3
    smoothing: float = 0.0
    focal: float = 0.0
    balanced: bool = False
    adversarial: str = "none"
    radius: float = 0.3
    mixup: float = 0.0
    average: float = 0.99
    minutes: float | None = None
    precision: str = "32"
    devices: int = 1

    @property
    def fits_slowly(self) -> bool:
        """Tell that it takes minutes."""
        return True

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> TimelineModel:
        """Learn from `train`; stop on `tuning`.

        Where there are fewer than 50 to stop on, a fifth of the training patients tells how long to learn; then it is
        learned from all of them, for so long.

        Raises:
            InputError: the samples cannot be learned from, or PyTorch is not installed; with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        self._check(train, tuning)
        drawn = derive(seed, self.modality, self.name)
        form, schedule = AnswerForm.of(train.question, train), self._schedule()
        learned, judged = divided(train, tuning, drawn)
        everything = side_by_side(train, tuning) if self.refit else train
        basis, of_all = (
            cache(partial(self._basis, *of, drawn)) for of in ((learned, judged), (everything, everything))
        )
        networks = []
        for number in range(self.networks):
            each = derive(drawn, "network", str(number)) if number else drawn
            start, network, fitted = self._fitted(basis, learned, judged, form, schedule, each)
            if len(everything) > len(learned):
                # also where a fifth was given away to judge by
                epochs = max(1, -(-fitted.course.best_step // schedule.steps(len(learned))))
                once = replace(schedule, epochs=epochs, patience=None)
                start, network, fitted = self._fitted(of_all, everything, None, form, once, each)
            networks.append(network)
            _log.info(
                "fitted learner=%s samples=%d steps=%d why=%s",
                self.name,
                len(everything),
                fitted.course.step,
                fitted.why,
            )
        if len(networks) > 1:
            from medloom.learners.timeline.ensemble import averaged

            network, start = averaged(networks), replace(start, built=start.built | {_MANY: len(networks)})
        return self._model(origin_of_fit(self, train, tuning, seed), start, form, network).knowing(everything)

    def _fitted(
        self,
        basis: Callable[[], Any],
        learned: Samples,
        judged: Samples | None,
        form: AnswerForm,
        schedule: Schedule,
        seed: int,
    ) -> tuple[Start, TimelineNetwork, Fitted]:
        """Train on samples; stop on others, if there are any."""
        from medloom.learners.timeline.hardened import losses_of
        from medloom.learners.timeline.network import TimelineNetwork, mean_loss
        from medloom.training.fitting import fit

        with seeded(seed):
            start = self._start(basis())
            network = TimelineNetwork(start.body, form.k)
        reading = start.reading
        targets = form.targets(learned)
        self._begin(network, form, reading, learned, seed)
        timelines = reading.timelines(learned)
        emphasis = Emphasis(self.smoothing, self.focal, self.balanced)
        hardening = Hardening(self.adversarial, self.radius, self.mixup)
        judge: Callable[[nn.Module], float] | None = None
        if judged is not None:
            judge = partial(mean_loss, timelines=reading.timelines(judged), targets=form.targets(judged))
        fitted = fit(
            network,
            LabelledRows(timelines, self.hidden_facts),
            lambda net, given: start.beside(losses_of(net, given, targets, emphasis, hardening)),
            schedule,
            seed=seed,
            judged=judge,
            on_step=start.on_step,
        )
        return start, network, fitted

    @classmethod
    def load(cls, directory: Path) -> TimelineModel:
        """Load a package this learner's model wrote."""
        from medloom.learners.timeline.ensemble import Ensemble
        from medloom.learners.timeline.model import load_model

        def built(reading: Reading, told: dict[str, Any]) -> nn.Module:
            one = {name: value for name, value in told.items() if name != _MANY}
            bodies = [cls._built(reading, one) for _ in range(told.get(_MANY, 1))]
            return bodies[0] if len(bodies) == 1 else Ensemble(bodies)

        return load_model(directory, built)

    def _basis(self, train: Samples, tuning: Samples, seed: int) -> Any:
        """Learn what all networks of a fit begin with: how timelines are read."""
        return read_anew(self, train, seed)

    @abstractmethod
    def _start(self, basis: Any) -> Start:
        """Make the body that training starts from; PyTorch's seed is set."""

    @classmethod
    @abstractmethod
    def _built(cls, reading: Reading, built: dict[str, Any]) -> nn.Module:
        """Build the body that a package says it has."""

    def _check(self, train: Samples, tuning: Samples) -> None:
        check_types(self.name, self)
        self._check_parameters()
        check_samples(self, train, tuning)
        check_torch(self.name)

    def _begin(
        self, network: TimelineNetwork, form: AnswerForm, reading: Reading, train: Samples, seed: int
    ) -> None:
        """Set the layer of answers that training begins with: what is usual."""
        network.level(form.targets(train).level)

    def _model(
        self, origin: Origin, start: Start, form: AnswerForm, network: TimelineNetwork
    ) -> TimelineModel:
        """Make a model of what was learned."""
        from medloom.learners.timeline.model import TimelineModel, exact

        return TimelineModel(origin, start.reading, form, exact(network), start.built)

    def _schedule(self) -> Schedule:
        return Schedule(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            average=self.average or None,
            minutes=self.minutes,
            precision=self.precision,
            devices=self.devices,
        )

    def _check_parameters(self) -> None:
        name = self.name
        step, minutes = self.step, self.minutes
        check_parameter(name, "step", step, step is None or step >= 0, tr("0 or more"))
        check_parameter(name, "most", self.most, self.most >= 4, tr("4 or more"))
        for one in ("epochs", "batch", "patience", "networks", "devices"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        rate = self.learning_rate
        check_parameter(name, "learning_rate", rate, rate > 0, tr("above 0"))
        for one in ("weight_decay", "focal", "radius", "mixup"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 0, tr("0 or more"))
        for one in ("hidden_facts", "smoothing", "average"):
            value = getattr(self, one)
            check_parameter(name, one, value, 0 <= value < 1, tr("0 or more and below 1"))
        attack = self.adversarial
        check_parameter(name, "adversarial", attack, attack in ATTACKS, ", ".join(ATTACKS))
        check_parameter(name, "minutes", minutes, minutes is None or minutes > 0, tr("above 0"))
        holds = self.precision in PRECISIONS
        check_parameter(name, "precision", self.precision, holds, ", ".join(PRECISIONS))


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        reading: of samples.
        body: parameters that want a gradient are learned.
        built: what the body is built from, for a package.
        on_step: called with the network, the step done, and the number of steps.
        penalty: added to the loss of each row; None: nothing.
    """

    reading: Reading
    body: nn.Module
    built: dict[str, Any]
    on_step: Callable[[nn.Module, int, int], None] | None = None
    penalty: Callable[[], Tensor] | None = None

    def beside(self, losses: Tensor) -> Tensor:
        """Add the penalty to losses (b,)."""
        return losses if self.penalty is None else losses + self.penalty()


def read_anew(learner: NeuralTimelineLearner, train: Samples, seed: int) -> Reading:
    """Learn from training samples how to read timelines."""
    from medloom.learners.timeline.model import Reading

    return Reading(TokenVocabulary.fit(train, seed=seed), Gathering(learner.step, learner.most))


@dataclass(frozen=True)
class LabelledRows:
    """Training samples as rows of the engine."""

    timelines: Timelines
    hidden: float

    @property
    def lengths(self) -> Rows:
        return self.timelines.lengths

    def batch(self, rows: Rows, rng: np.random.Generator) -> tuple[TimelineBatch, Tensor | None, Rows]:
        import torch

        made = self.timelines.batch(rows)
        if not self.hidden:
            return made, None, rows
        shown = rng.random(len(made.value), dtype=np.float32) >= self.hidden
        return made, torch.from_numpy(shown.astype(np.float32)), rows
