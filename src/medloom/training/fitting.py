"""The fit loop of every neural learner: steps on Lightning, judged, stopped early, resumed to the step.

Every step draws its own seed from the training's, and rows come in an order that depends on the seed and the epoch
alone: a training that was killed goes on as if it had not been.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import Advance, progress
from medloom.foundation.seeds import derive, generator
from medloom.training.checkpoints import Course, load_checkpoint, save_checkpoint
from medloom.training.interrupting import interrupted_gently
from medloom.training.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn

_log = logging.getLogger(__name__)

Batch = TypeVar("Batch")
Made = TypeVar("Made", covariant=True)
Rows = NDArray[np.int64]

_SAVED_EVERY: Final = 60.0  # seconds
_SORTED_TOGETHER: Final = 32  # batches whose rows are sorted by length, so that those of a batch are alike
_MOST_PIECES: Final = 64


class Source(Protocol[Made]):
    """Rows to learn from, made into batches."""

    @property
    def lengths(self) -> Rows:
        """Tell how long each row is: (n,)."""
        ...

    def batch(self, rows: Rows, rng: np.random.Generator) -> Made:
        """Make a batch of some rows; whatever is random is drawn from `rng`."""
        ...


Loss = Callable[[Any, Batch], "Tensor"]
"""Of a network and a batch: the loss of each of its rows, (b,)."""


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        course: step by step.
        why: what ended it: `epochs`, `patience` or `minutes`.
        rows_per_s: as learned from.
    """

    course: Course
    why: str
    rows_per_s: float


def fit(
    network: nn.Module,
    source: Source[Batch],
    loss: Loss[Batch],
    schedule: Schedule,
    *,
    seed: int,
    judged: Callable[[nn.Module], float] | None = None,
    folder: Path | None = None,
    of: str = "",
    doing: str | None = None,
    on_step: Callable[[nn.Module, int, int], None] | None = None,
    noted: Callable[[int, float, float | None], None] | None = None,
) -> Fitted:
    """Train a network, in place; it ends with the weights that were judged best.

    Args:
        network: parameters that want a gradient are learned.
        source: rows to learn from.
        loss: of each row of a batch; a step goes down their mean.
        schedule: how long and how fast.
        seed: of the order of rows and of whatever is drawn in a step.
        judged: the loss on other rows; None: the last weights are kept.
        folder: where checkpoints are kept, and taken up from; None: none are.
        of: what is trained, in a digest; a checkpoint of something else is refused.
        doing: what progress says.
        on_step: called with the network, the step done, and the number of steps, before the next one.
        noted: called at each judgement with step, loss and judged loss; such as a tracker.

    Raises:
        InputError: the loss became infinite, or the checkpoint is of another training.
        StorageError: the disk is full; the last checkpoint is whole.
        KeyboardInterrupt: Ctrl-C; the step was finished, and a checkpoint written where there is a folder.
    """
    run = _Run(network, source, loss, schedule, seed, judged, folder, of, on_step, noted)
    with progress(doing or tr("Learning"), total=run.total) as advance:
        return run.fit(advance)


class _Run(Generic[Batch]):
    """One training, from a checkpoint or from the beginning."""

    def __init__(
        self,
        network: nn.Module,
        source: Source[Batch],
        loss: Loss[Batch],
        schedule: Schedule,
        seed: int,
        judged: Callable[[nn.Module], float] | None,
        folder: Path | None,
        of: str,
        on_step: Callable[[nn.Module, int, int], None] | None,
        noted: Callable[[int, float, float | None], None] | None,
    ) -> None:
        self.network, self.source, self.loss = network, source, loss
        self.schedule, self.seed, self.judged = schedule, seed, judged
        self.folder, self.on_step, self.noted = folder, on_step, noted
        self.n = len(source.lengths)
        self.each = schedule.steps(self.n)
        self.total = self.each * schedule.epochs
        self.every = max(1, self.each // schedule.judgements)
        self.course = Course(of)
        self.pieces = schedule.pieces
        self.sharded = schedule.strategy == "fsdp" and schedule.devices > 1
        self.losses: list[Tensor] = []
        self.best: dict[str, Tensor] | None = None
        self.average: dict[str, Tensor] | None = None
        self.remembered: dict[str, Tensor] = {}  # by the optimizer, before this process
        self.optimizer: Any = None
        self.why = "epochs"
        self.interrupted = Event()
        self.begun = self.saved = time.monotonic()
        self.before = 0.0  # seconds, in processes before this one

    def fit(self, advance: Advance) -> Fitted:
        import torch

        if self.folder is not None:
            self._take_up(self.folder)
        self.advance = advance
        advance(self.course.step)
        first = self.course.step
        with interrupted_gently() as self.interrupted:
            while self.course.step < self.total and not self._over():
                try:
                    self._go_on()
                    break
                except torch.OutOfMemoryError:
                    if self.pieces >= min(_MOST_PIECES, self.schedule.batch):
                        raise
                    self.pieces *= 2
                    self.remembered = self._optimizer_state()
                    torch.cuda.empty_cache()
                    _log.warning("out of memory; a batch is learned from in pieces=%d", self.pieces)
        if self.interrupted.is_set():
            raise KeyboardInterrupt
        if self.best is not None:
            self.network.load_state_dict(self.best)
        elif self.average is not None:
            self.network.load_state_dict(self.average)
        done = (self.course.step - first) * min(self.schedule.batch, self.n)
        spent = time.monotonic() - self.begun
        return Fitted(self.course, self.why, done / max(spent, 1e-9))

    def batches(self) -> Iterator[tuple[int, Batch, float]]:
        """Give from the step on, to this process, its pieces of each batch: seed, batch, weight.

        What is drawn depends on the step and the piece, not on who learns from it: two processes do what one does in
        two pieces.
        """
        world, rank = _world()
        parts = world * self.pieces
        step = self.course.step
        for epoch in range(step // self.each, self.schedule.epochs):
            order = self._order(epoch)
            for place in range(step - epoch * self.each, self.each):
                rows = order[place * self.schedule.batch : (place + 1) * self.schedule.batch]
                pieces = np.array_split(rows, parts)
                for number in range(rank * self.pieces, (rank + 1) * self.pieces):
                    rng = generator(self.seed, "batch", str(step), "0", str(number))
                    # summed over processes and pieces, of which Lightning takes the mean
                    weight = parts / len(rows) if len(pieces[number]) else 0.0
                    seed = derive(self.seed, "step", str(step)) + number
                    piece = pieces[number] if len(pieces[number]) else rows[:1]
                    yield seed, self.source.batch(piece, rng), weight
                step += 1

    def stepped(self, losses: Tensor, optimizer: Any) -> bool:
        """Take note of a step; tells whether to go on."""
        self.optimizer = optimizer
        self.losses.append(losses)
        self.course.step += 1
        step = self.course.step
        self.advance(1)
        if self.on_step is not None:
            self.on_step(self.network, step, self.total)
        if self.schedule.average is not None:
            self._average(self.schedule.average)
        if step % self.every == 0 or step == self.total:
            self._judge()
        stopping = self.schedule.devices == 1 and self.interrupted.is_set()
        if self.folder is not None and (stopping or self._due()):
            self._save(self.folder)
        return not stopping and not self._agreed(self._over())

    def rate(self, step: int) -> float:
        """Give the learning rate of a step, as a share of the highest."""
        schedule, rising = self.schedule, max(1, round(self.schedule.warmup * self.total))
        if step < rising:
            return (step + 1) / rising
        share = (step - rising) / max(1, self.total - rising)
        return schedule.last_rate + (1 - schedule.last_rate) * (1 + math.cos(math.pi * min(share, 1))) / 2

    def _go_on(self) -> None:
        from medloom.training.lightning_loop import run_steps

        if self.schedule.devices == 1:
            run_steps(self)
            return
        from safetensors.torch import load, save

        from medloom.training.processes import Tell, together

        def work(_rank: int, tell: Tell) -> tuple[dict[str, Any], str, bytes]:
            self.advance = partial(tell, "advanced")
            if self.noted is not None:
                self.noted = partial(tell, "noted")
            run_steps(self)
            return asdict(self.course), self.why, save(self._tensors())

        def heard(what: str, *told: Any) -> None:
            if what == "noted" and noted is not None:
                noted(*told)
            if what == "advanced":
                advance(*told)

        advance, noted = self.advance, self.noted
        course, self.why, tensors = together(self.schedule.devices, work, heard)
        self._set(Course(**course), load(tensors))

    def _order(self, epoch: int) -> Rows:
        """Shuffle; rows of a batch are about as long as each other, so that little is filled up."""
        rng = generator(self.seed, "order", str(epoch))
        order, size = rng.permutation(self.n), self.schedule.batch
        lengths = np.asarray(self.source.lengths)
        groups = [
            group[np.argsort(lengths[group], kind="stable")]
            for group in np.array_split(order, max(1, round(self.n / (size * _SORTED_TOGETHER))))
        ]
        alike = np.concatenate(groups)
        batches = [alike[start : start + size] for start in range(0, self.n, size)]
        last = batches.pop() if len(batches[-1]) < size else None
        mixed = [batches[place] for place in rng.permutation(len(batches))]
        return np.concatenate([*mixed, *([] if last is None else [last])])

    def _over(self) -> bool:
        schedule = self.schedule
        if schedule.patience is not None and self.course.since >= schedule.patience:
            self.why = "patience"
        elif schedule.minutes is not None and self._seconds() >= 60 * schedule.minutes:
            self.why = "minutes"
        return self.why != "epochs"

    def _agreed(self, over: bool) -> bool:
        """Let the first process decide for all; only their clocks could disagree."""
        return over if self.schedule.minutes is None else bool(_of_first(float(over), self.network))

    def _due(self) -> bool:
        """Tell whether to write a checkpoint; processes with shares of the weights put them together at once."""
        due = self.course.step == self.total or time.monotonic() - self.saved > _SAVED_EVERY
        return bool(_of_first(float(due), self.network)) if self.sharded else due

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    def _judge(self) -> None:
        import torch

        course = self.course
        loss = float(torch.stack(self.losses).mean())
        self.losses.clear()
        if not math.isfinite(loss):
            raise InputError(
                "the loss became infinite at step {step}; lower the learning rate, or clip steps shorter",
                step=course.step,
            )
        reached = None
        if self.judged is not None:
            with self._averaged(), _evaluating(self.network), torch.no_grad():
                # the first process judges; where it has a share of the weights alone, all must
                alone = _world()[1] == 0 or self.sharded
                reached = _of_first(self.judged(self.network) if alone else 0.0, self.network)
                if course.best is None or reached < course.best:
                    course.best, course.best_step, course.since = reached, course.step, 0
                    self.best = _copied(self.network)
                else:
                    course.since += 1
        course.curve.append((course.step, loss, reached))
        _log.debug("step=%d loss=%.4f judged=%s", course.step, loss, reached)
        if self.noted is not None:
            self.noted(course.step, loss, reached)

    def _average(self, decay: float) -> None:
        state = self.network.state_dict()
        if self.average is None:
            self.average = {name: value.detach().clone() for name, value in state.items()}
            return
        reached = min(decay, (1 + self.course.step) / (10 + self.course.step))
        for name, value in state.items():
            self.average[name] = self.average[name].to(value.device)  # a checkpoint's is on the processor
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value.detach(), 1 - reached)
            else:
                self.average[name].copy_(value)

    def share_average(self) -> None:
        """Keep the share of the average that belongs to this process's share of the weights."""
        from medloom.training.sharding import shared_as

        if self.average is not None:
            state = self.network.state_dict()
            self.average = {name: shared_as(value, state[name]) for name, value in self.average.items()}

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the moving average of weights in the network's place."""
        if self.average is None:
            yield
            return
        own = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def _optimizer_state(self) -> dict[str, Tensor]:
        """Give what the optimizer remembers of each parameter, by name."""
        if self.optimizer is None:
            return self.remembered
        state = self.optimizer.state_dict()["state"]
        return {
            f"{number}.{name}": _here(value) for number, of in state.items() for name, value in of.items()
        }

    def _save(self, folder: Path) -> None:
        first = _world()[1] == 0
        self.saved = time.monotonic()
        tensors = self._tensors() if first or self.sharded else {}
        if first:
            self.course.seconds = self._seconds()
            save_checkpoint(folder, self.course, tensors)

    def _tensors(self) -> dict[str, Tensor]:
        """Give all that a checkpoint holds beside the course."""
        tensors = {f"network.{name}": value for name, value in _copied(self.network).items()}
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        tensors |= {f"average.{name}": _here(value) for name, value in (self.average or {}).items()}
        tensors |= {f"optimizer.{name}": value for name, value in self._optimizer_state().items()}
        if self.losses:
            import torch

            tensors["losses"] = torch.stack(self.losses)
        return {name: value.contiguous() for name, value in tensors.items()}

    def _take_up(self, folder: Path) -> None:
        found = load_checkpoint(folder, self.course.of)
        if found is None:
            return
        self._set(*found)
        self.before = self.course.seconds
        _log.info("resumed step=%d", self.course.step)

    def _set(self, course: Course, tensors: dict[str, Tensor]) -> None:
        """Stand where a course and its tensors say."""
        self.course = course
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        self.network.load_state_dict(parts["network"])
        self.best, self.average = parts.get("best"), parts.get("average")
        self.remembered = parts.get("optimizer", {})
        self.losses = list(tensors["losses"]) if "losses" in tensors else []


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: _here(value.detach()).clone() for name, value in network.state_dict().items()}


def _here(value: Tensor) -> Tensor:
    """Put a tensor together, if processes have shares of it, on this machine's processor."""
    from medloom.training.sharding import whole

    return whole(value).cpu()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    network.eval()
    try:
        yield
    finally:
        network.train()


def _of_first(value: float, network: nn.Module) -> float:
    """Give all processes the number that the first one has."""
    if _world()[0] == 1:
        return value
    import torch

    said = torch.tensor(value, dtype=torch.float64, device=next(network.parameters()).device)
    torch.distributed.broadcast(said, 0)
    return float(said)


def _world() -> tuple[int, int]:
    """Tell how many processes train together, and which one this is."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size(), distributed.get_rank()
    return 1, 0
