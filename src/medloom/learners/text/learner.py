"""`encoder`: a pretrained encoder of text, taught to answer a question about notes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.text.encoders import MINILM, Vocabulary, body_in, encoder_folder
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner
from medloom.tasks.samples import Samples
from medloom.tasks.spans import spans_in
from medloom.training.adaptation import WAYS
from medloom.training.descent import check_torch
from medloom.training.learning import check_samples, origin_of_fit, side_by_side
from medloom.training.parameters import check_parameter, check_types
from medloom.training.schedule import PRECISIONS, Schedule
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medloom.learners.text.network import TextBody
    from medloom.learners.text.tagging.model import TaggerModel
    from medloom.learners.text.tagging.teaching import TagBatch, Taught
    from medloom.training.adaptation import Adapting

_log = logging.getLogger(__name__)

# Few weights, or new ones, learn at higher rates than all of an encoder's.
_FASTER: Final = {"head": 10.0, "lora": 5.0, "adalora": 8.0, "adapter": 5.0}
_PASSES: Final = 10
_FEWEST_STEPS: Final = 150


@dataclass(frozen=True)
class EncoderLearner(Learner):
    """Teaches an encoder of Transformers what stands where in notes.

    Args:
        start: the encoder: `minilm`, which comes with the extra `text` and knows English, or a folder with another one.
        adapt: what is learned of it: `full`, `head` (nothing), `lora`, `adalora` or `adapter`.
        rank: how narrow what is added is, unless all is learned.
        epochs: passes over the notes at most; None: 10, and more where there are few notes.
        batch: windows a step.
        learning_rate: of AdamW at its highest, for all weights; what is added learns 5 to 10 times as fast.
        weight_decay: by which weights shrink.
        patience: passes without gain on the tuning notes before it stops.
        refit: whether to learn from the tuning notes too, in the end, for as many passes as were best.
        window: tokens that are read at once at most.
        overlap: tokens that a window shares with the next.
        nested: whether spans of different names may overlap: each name is tagged by itself.
        dropout: share of what was read that is left out at random.
        average: decay of the moving average of weights that is kept; 0: the weights themselves.
        minutes: after which learning stops; None: no limit.
        precision: `32`, `bf16`, or `auto`: what the machine is faster with.
        devices: processes to train with.
        folder: where it is kept how far learning is, so that one that was cut off goes on; empty: nowhere.
    """

    name: ClassVar[str] = "encoder"
    modality: ClassVar[str] = "text"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"tagging"})

    start: str = MINILM
    adapt: str = "full"
    rank: int = 8
    epochs: int | None = None
    batch: int = 16
    learning_rate: float = 0.0003
    weight_decay: float = 0.01
    patience: int = 4
    refit: bool = False
    window: int = 256
    overlap: int = 64
    nested: bool = False
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

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> TaggerModel:
        """Learn from `train`; stop where the notes of `tuning` are tagged best.

        Raises:
            InputError: the samples are not about notes, cannot be learned from, or a package is not installed; with
                the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        self._check(train, tuning)
        folder = encoder_folder(self.start)
        vocabulary = Vocabulary.read(folder)
        from medloom.learners.text.tagging.chains import Chain
        from medloom.learners.text.tagging.model import TaggerModel, encoder_files
        from medloom.learners.text.tagging.network import TagNetwork
        from medloom.learners.text.tagging.teaching import TagRows, judged_by, tag_losses
        from medloom.learners.text.windows import Windowing
        from medloom.training.adaptation import settle
        from medloom.training.additions import folded
        from medloom.training.fitting import fit

        drawn = derive(seed, self.modality, self.name)
        names = train.question.classes
        chains = tuple(Chain((name,)) for name in names) if self.nested else (Chain(names),)
        windowing = Windowing(self.window, self.overlap)
        learned, judged = _taught(train, vocabulary), _taught(tuning, vocabulary)

        def taught(notes: Taught, judging: Taught | None, epochs: int) -> tuple[TagNetwork, int]:
            rows = TagRows(notes, chains, vocabulary, windowing)
            if not len(rows.lengths):
                raise InputError("all notes to learn from are empty")
            with seeded(drawn):
                network = TagNetwork(self._body(folder), chains, self.dropout)
            adapting = self._adapt(network.body)

            def loss(net: nn.Module, given: TagBatch) -> Tensor:
                lost = tag_losses(net, given)
                return lost if adapting.penalty is None else lost + adapting.penalty()

            schedule = self._schedule(epochs, judging is not None)
            fitted = fit(
                network,
                rows,
                loss,
                schedule,
                seed=drawn,
                judged=None if judging is None else judged_by(judging, chains, vocabulary, windowing),
                folder=Path(self.folder) / ("judged" if judging else "again") if self.folder else None,
                of=digest([train.digest(), tuning.digest()]),
                doing=tr("Learning from notes"),
                on_step=adapting.on_step,
            )
            if self.adapt in ("lora", "adalora"):
                settle(network.body)
                folded(network.body)
            best = fitted.course.best_step or fitted.course.step
            return network, max(1, -(-best // schedule.steps(len(rows.lengths))))

        passes = self._passes(len(learned.notes))
        network, best = taught(learned, judged if len(judged.notes) else None, passes)
        if self.refit and len(judged.notes):
            network, _ = taught(_taught(side_by_side(train, tuning), vocabulary), None, best)
        _log.info("fitted learner=%s notes=%d passes=%d", self.name, len(learned.notes), best)
        return TaggerModel(
            origin_of_fit(self, train, tuning, seed),
            network.eval().requires_grad_(False),
            chains,
            vocabulary,
            windowing,
            encoder_files(folder),
        )

    @classmethod
    def load(cls, directory: Path) -> TaggerModel:
        """Load a package this learner's model wrote."""
        from medloom.learners.text.tagging.model import load_tagger

        return load_tagger(directory)

    def _body(self, folder: Path) -> TextBody:
        from medloom.learners.text.network import TextBody

        return TextBody(body_in(folder))

    def _adapt(self, body: TextBody) -> Adapting:
        from medloom.learners.text.network import places_in
        from medloom.training.adaptation import adapt

        made = adapt(body, places_in(body), self.adapt, self.rank)
        body.shapes.requires_grad_(True)
        return made

    def _passes(self, notes: int) -> int:
        """Count the passes over so many notes: few notes are read more often."""
        steps = max(1, -(-notes // self.batch))
        return self.epochs or max(_PASSES, -(-_FEWEST_STEPS // steps))

    def _schedule(self, epochs: int, judged: bool) -> Schedule:
        return Schedule(
            epochs=epochs,
            batch=self.batch,
            learning_rate=self.learning_rate * _FASTER.get(self.adapt, 1.0),
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
        for one in ("rank", "batch", "patience", "devices"):
            check_parameter(name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        check_parameter(name, "epochs", self.epochs, self.epochs is None or self.epochs >= 1, tr("1 or more"))
        check_parameter(name, "adapt", self.adapt, self.adapt in WAYS, ", ".join(WAYS))
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


def _taught(samples: Samples, vocabulary: Vocabulary) -> Taught:
    """Read the notes of samples and what people named in them; those without a label are left out."""
    from medloom.learners.text.tagging.teaching import Taught
    from medloom.learners.text.windows import Note

    texts, labels = samples.texts(), samples.frame["label"].to_list()
    known = [(text, label) for text, label in zip(texts, labels, strict=True) if label is not None]
    return Taught(
        tuple(Note.of(text, vocabulary) for text, _ in known), tuple(spans_in(label) for _, label in known)
    )
