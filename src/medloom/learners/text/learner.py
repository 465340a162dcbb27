"""What learners of text do alike: their settings, and how their networks are taught."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner, Model
from medloom.tasks.samples import Samples
from medloom.training.descent import check_torch
from medloom.training.learning import check_samples, divided, origin_of_fit, side_by_side
from medloom.training.parameters import check_parameter, check_types
from medloom.training.schedule import PRECISIONS, Schedule
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medloom.learners.text.course import Course, Start
    from medloom.training.adaptation import Adapting

_log = logging.getLogger(__name__)

_PASSES: Final = 10
_FEWEST_STEPS: Final = 150


@dataclass(frozen=True)
class TextLearner(Learner):
    """Teaches a network that reads notes, piece by piece, to answer about them or to name places in them.

    Args:
        epochs: passes over the notes at most; None: 10, and more where there are few notes.
        batch: windows, or notes, a step.
        learning_rate: of AdamW at its highest.
        weight_decay: by which weights shrink.
        patience: passes without gain on the tuning notes before it stops.
        refit: whether to learn from the tuning notes too, in the end, for as many passes as were best.
        window: tokens that are read at once at most.
        overlap: tokens that a window shares with the next.
        nested: of tagging, whether spans of different names may overlap: each name is tagged by itself.
        discontinuous: of tagging, whether spans may have several parts: those of a name in one sentence are one.
        dropout: share of what was read that is left out at random.
        average: decay of the moving average of weights that is kept; 0: the weights themselves.
        minutes: after which learning stops; None: no limit.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
        devices: processes to train with.
        folder: where it is kept how far learning is, so that one that was cut off goes on; empty: nowhere.
    """

    modality: ClassVar[str] = "text"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"tagging", "relations", "binary", "multiclass", "multilabel", "regression"}
    )

    epochs: int | None = None
    batch: int = 16
    learning_rate: float = 0.0003
    weight_decay: float = 0.01
    patience: int = 4
    refit: bool = False
    window: int = 256
    overlap: int = 64
    nested: bool = False
    discontinuous: bool = False
    dropout: float = 0.1
    average: float = 0.0
    minutes: float | None = None
    precision: str = "32"
    devices: int = 1
    folder: str = ""

    @property
    def fits_slowly(self) -> bool:
        """Tell that it takes minutes."""
        return True

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> Model:
        """Learn from `train`; stop where the notes of `tuning` are answered best.

        Of classes and values, a fifth of the training patients judge where tuning samples are fewer than 50.

        Raises:
            InputError: the samples are not about notes, cannot be learned from, or a package is not installed; with
                the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        self._check(train, tuning)
        if train.question.kind == "relations":
            from medloom.learners.text.relating.learning import fit_relations

            return fit_relations(self, train, tuning, seed)
        drawn = derive(seed, self.modality, self.name)
        learned, judged = train, tuning
        if train.question.kind != "tagging":
            learned, judged = divided(train, tuning, drawn)
        course = self._course(learned)
        network, passes = self._taught(course, learned, judged, self._passes(len(learned)), drawn)
        everything = side_by_side(train, tuning)
        if self.refit and len(everything) > len(learned):
            course = self._course(everything)
            network, _ = self._taught(course, everything, None, passes, drawn)
        _log.info("fitted learner=%s notes=%d passes=%d", self.name, len(learned), passes)
        origin = origin_of_fit(self, train, tuning, seed)
        return course.model(origin, network.eval().requires_grad_(False))

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Load a package this learner's model wrote."""
        from medloom.learners.text.classifying.model import load_note_model
        from medloom.learners.text.tagging.model import load_tagger
        from medloom.tasks import package

        kind = package.origin_in(directory).question.kind
        if kind == "relations":
            from medloom.learners.text.relating.model import load_relations

            return load_relations(directory)
        return load_tagger(directory) if kind == "tagging" else load_note_model(directory)

    @abstractmethod
    def _start(self, texts: Sequence[str]) -> Start:
        """Give the encoder that teaching begins with; `texts`: those that are learned from."""

    def _adapt(self, body: Any) -> Adapting:
        """Make ready what is to be learned of the encoder; all of it."""
        del body
        from medloom.training.adaptation import Adapting

        return Adapting()

    def _settle(self, body: Any) -> None:
        """Put what was learned into place."""

    def _course(self, samples: Samples) -> Course:
        from medloom.learners.text.classifying.course import AnswerCourse
        from medloom.learners.text.tagging.course import TagCourse
        from medloom.learners.text.tagging.parts import chains_of
        from medloom.learners.text.windows import Windowing
        from medloom.training.answer_heads import AnswerForm

        start, windowing = self._start(samples.texts()), Windowing(self.window, self.overlap)
        if samples.question.kind == "tagging":
            names = samples.question.classes
            chains = chains_of(names, nested=self.nested, discontinuous=self.discontinuous)
            return TagCourse(start, windowing, self.dropout, chains)
        form = AnswerForm.of(samples.question, samples)
        return AnswerCourse(start, windowing, self.dropout, form, form.targets(samples))

    def _taught(
        self, course: Course, learned: Samples, judged: Samples | None, epochs: int, seed: int
    ) -> tuple[nn.Module, int]:
        """Teach; stop on others, if there are any. Gives the passes after which it was best, too."""
        from medloom.training.fitting import fit

        rows = course.rows(learned)
        if not len(rows.lengths):
            raise InputError("all notes to learn from are empty")
        with seeded(seed):
            network = course.network()
        adapting = self._adapt(network.body)

        def loss(net: nn.Module, given: Any) -> Tensor:
            lost = course.losses(net, given)
            return lost if adapting.penalty is None else lost + adapting.penalty()

        judging = judged is not None and len(judged) > 0
        schedule = self._schedule(epochs, judging)
        fitted = fit(
            network,
            rows,
            loss,
            schedule,
            seed=seed,
            judged=course.judge(judged) if judged is not None and judging else None,
            folder=Path(self.folder) / ("judged" if judging else "again") if self.folder else None,
            of=digest([learned.digest(), None if judged is None else judged.digest()]),
            doing=tr("Learning from notes"),
            on_step=adapting.on_step,
        )
        self._settle(network.body)
        best = fitted.course.best_step or fitted.course.step
        return network, max(1, -(-best // schedule.steps(len(rows.lengths))))

    def _passes(self, notes: int) -> int:
        """Count the passes over so many notes: few notes are read more often."""
        steps = max(1, -(-notes // self.batch))
        return self.epochs or max(_PASSES, -(-_FEWEST_STEPS // steps))

    def _rate(self) -> float:
        return self.learning_rate

    def _schedule(self, epochs: int, judged: bool) -> Schedule:
        return Schedule(
            epochs=epochs,
            batch=self.batch,
            learning_rate=self._rate(),
            weight_decay=self.weight_decay,
            last_rate=0.02,
            patience=self.patience if judged else None,
            average=self.average or None,
            minutes=self.minutes,
            precision=self.precision,
            devices=self.devices,
        )

    def _check(self, train: Samples, tuning: Samples) -> None:
        name = self.name
        check_types(name, self)
        self._check_parameters()
        check_samples(self, train, tuning)
        check_torch(name)
        if train.question.about != "note":
            raise InputError(
                "learner {learner!r} learns from notes, and task {task!r} asks about something else; write `of: note` "
                "below predict in the task",
                learner=name,
                task=train.question.task,
            )

    def _check_parameters(self) -> None:
        name = self.name
        for one in ("batch", "patience", "devices"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        check_parameter(name, "epochs", self.epochs, self.epochs is None or self.epochs >= 1, tr("1 or more"))
        rate = self.learning_rate
        check_parameter(name, "learning_rate", rate, rate > 0, tr("above 0"))
        check_parameter(name, "weight_decay", self.weight_decay, self.weight_decay >= 0, tr("0 or more"))
        for one in ("dropout", "average"):
            value = getattr(self, one)
            check_parameter(name, one, value, 0 <= value < 1, tr("0 or more and below 1"))
        check_parameter(name, "window", self.window, self.window >= 16, tr("16 or more"))
        holds = 0 <= self.overlap <= self.window // 2
        check_parameter(name, "overlap", self.overlap, holds, tr("0 or more, and at most half of the window"))
        minutes = self.minutes
        check_parameter(name, "minutes", minutes, minutes is None or minutes > 0, tr("above 0"))
        known = self.precision in PRECISIONS
        check_parameter(name, "precision", self.precision, known, ", ".join(PRECISIONS))
