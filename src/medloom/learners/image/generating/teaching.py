"""How the painter learns from few images: against a judge, both shown images changed alike.

Hinge loss: Lim and Ye, 2017; Miyato et al., ICLR 2018. What the judge sees, real or painted, is brightened, moved and
cut differentiably, so that it cannot learn a few images by heart, nor the painter to change them: Zhao et al., NeurIPS
2020 (DiffAugment). Kept is a moving average of the painter's weights (Yazıcı et al., ICLR 2019), with statistics of its
norms taken anew (Brock et al., ICLR 2019, appendix C).
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medloom.features.images import Pixels
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.foundation.seeds import derive, generator
from medloom.learners.image.generating.networks import SMALLEST, Canvas, Judge, Painter, scaled
from medloom.training.checkpoints import Course, load_checkpoint, save_checkpoint
from medloom.training.seeding import seeded

_log = logging.getLogger(__name__)

Classes = NDArray[np.int64]

_SAVED_EVERY: Final = 60.0  # seconds
_SHIFT: Final = 1 / 8  # of the size, either way
_CUT: Final = 1 / 2  # of a side
_STATISTICS: Final = 20  # batches that statistics of norms are taken from


@dataclass(frozen=True)
class Teaching:
    """How painter and judge are built, and how they learn.

    Attributes:
        size: pixels a side of what is drawn; 0: 64, or those of the pictures where they are smaller.
        width: channels of the networks' finest layers.
        steps: of the painter.
        batch: images a step, as many of one class as of another.
        judged: steps of the judge for each of the painter's.
        learning_rate: of Adam, of the judge; the painter's is half of it (Heusel et al., NeurIPS 2017). Both fall
            along a cosine over the last half.
        average: decay of the moving average of the painter's weights, which is kept.
        augment: whether what is judged is changed.
        flip: whether left and right may change places.
        minutes: after which it stops, with what it has; None: no limit.

    Raises:
        InputError: one of them is out of its range.
    """

    size: int = 0
    width: int = 32
    steps: int = 2000
    batch: int = 32
    judged: int = 2
    learning_rate: float = 4e-4
    average: float = 0.995
    augment: bool = True
    flip: bool = False
    minutes: float | None = None

    def __post_init__(self) -> None:
        holds = {
            "size": self.size == 0 or self.size >= SMALLEST,
            "width": self.width >= 1,
            "steps": self.steps >= 1,
            "batch": self.batch >= 2,
            "judged": self.judged >= 1,
            "learning_rate": self.learning_rate > 0,
            "average": 0 <= self.average < 1,
            "minutes": self.minutes is None or self.minutes > 0,
        }
        for name, is_in_range in holds.items():
            if not is_in_range:
                raise InputError(
                    "{name} of a painter that learns cannot be {value}", name=name, value=getattr(self, name)
                )


def teach(
    canvas: Canvas,
    pixels: Pixels,
    classes: Classes,
    teaching: Teaching,
    seed: int,
    folder: Path | None = None,
    of: str = "",
) -> Painter:
    """Teach a painter.

    Args:
        canvas: what is built.
        pixels: (n, channels, *size) of 8 bits.
        classes: (n,) of them; each is there.
        teaching: how.
        seed: of everything random; each step draws from its own.
        folder: where checkpoints are kept, and taken up from; None: none are.
        of: what is learned, in a digest; a checkpoint of something else is refused.

    Raises:
        InputError: the loss became infinite, or the checkpoint is of another training.
    """
    lesson = _Lesson(canvas, pixels, classes, teaching, seed, of)
    if folder is not None and (found := load_checkpoint(folder, of)) is not None:
        lesson.stand(*found)
    begun = saved = time.monotonic()
    before = lesson.course.seconds
    with progress(tr("Learning to draw images"), total=teaching.steps) as advance:
        advance(lesson.course.step)
        most = math.inf if teaching.minutes is None else 60 * teaching.minutes
        while lesson.course.step < teaching.steps and (
            lesson.course.seconds < most or not lesson.course.step
        ):
            lesson.step()
            advance(1)
            now = time.monotonic()
            lesson.course.seconds = before + now - begun
            if folder is not None and now - saved > _SAVED_EVERY:
                save_checkpoint(folder, lesson.course, lesson.tensors())
                saved = now
    if folder is not None:
        save_checkpoint(folder, lesson.course, lesson.tensors())
    _log.info("learned painter steps=%d images=%d", lesson.course.step, len(pixels))
    return lesson.kept()


class _Lesson:
    """One training, from a checkpoint or from the beginning."""

    def __init__(
        self, canvas: Canvas, pixels: Pixels, classes: Classes, teaching: Teaching, seed: int, of: str
    ) -> None:
        self.canvas, self.pixels, self.teaching, self.seed = canvas, pixels, teaching, seed
        self.rows = [np.flatnonzero(classes == one) for one in range(canvas.classes)]
        self.course = Course(of)
        with seeded(seed):
            self.painter, self.judge = Painter(canvas), Judge(canvas)
        self.average = {name: value.detach().clone() for name, value in self.painter.named_parameters()}
        self.painting, self.judging = (
            torch.optim.Adam(one.parameters(), teaching.learning_rate, (0.0, 0.9))
            for one in (self.painter, self.judge)
        )

    def step(self) -> None:
        """Let the judge learn, then the painter."""
        step, teaching = self.course.step, self.teaching
        rng = generator(self.seed, "step", str(step))
        share = max(0.0, 2 * step / teaching.steps - 1)
        rate = teaching.learning_rate * max(0.02, (1 + math.cos(math.pi * share)) / 2)
        self.judging.param_groups[0]["lr"] = rate
        self.painting.param_groups[0]["lr"] = rate / 2
        with seeded(derive(self.seed, "drawn", str(step))):
            for _ in range(teaching.judged):
                shown, of = self._shown(rng)
                with torch.no_grad():
                    painted = self._painted(of)
                real, false = (self.judge(self._changed(x), of) for x in (shown, painted))
                worse = F.relu(1 - real).mean() + F.relu(1 + false).mean()
                _down(self.judging, worse)
            of = torch.from_numpy(self._drawn(rng))
            self.judge.requires_grad_(False)
            loss = -self.judge(self._changed(self._painted(of)), of).mean()
            _down(self.painting, loss)
            self.judge.requires_grad_(True)
        if not math.isfinite(float((loss + worse).detach())):
            raise InputError(
                "the loss became infinite at step {step}; lower the learning rate, or clip steps shorter",
                step=step,
            )
        self.course.step += 1
        decay = min(teaching.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self.painter.named_parameters():
                self.average[name].lerp_(value, 1 - decay)

    def kept(self) -> Painter:
        """Give the painter with its averaged weights."""
        with torch.no_grad():
            for name, value in self.painter.named_parameters():
                value.copy_(self.average[name])
            norms = [one for one in self.painter.modules() if isinstance(one, nn.BatchNorm2d)]
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over batches
            rng = generator(self.seed, "statistics")
            with seeded(derive(self.seed, "statistics")):
                for _ in range(_STATISTICS):
                    self._painted(torch.from_numpy(self._drawn(rng)))
        learned: Painter = self.painter.eval().requires_grad_(False)
        return learned

    def tensors(self) -> dict[str, Tensor]:
        """Give all that a checkpoint holds beside the course."""
        parts: dict[str, dict[str, Tensor]] = {
            "painter": self.painter.state_dict(),
            "judge": self.judge.state_dict(),
            "average": self.average,
            "painting": _remembered(self.painting),
            "judging": _remembered(self.judging),
        }
        return {
            f"{part}/{name}": value.contiguous() for part, of in parts.items() for name, value in of.items()
        }

    def stand(self, course: Course, tensors: dict[str, Tensor]) -> None:
        """Stand where a course and its tensors say."""
        self.course = course
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = value
        self.painter.load_state_dict(parts["painter"])
        self.judge.load_state_dict(parts["judge"])
        self.average = parts["average"]
        _remember(self.painting, parts["painting"])
        _remember(self.judging, parts["judging"])

    def _shown(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw real images, as many of one class as of another."""
        of = self._drawn(rng)
        rows = np.array([self.rows[one][rng.integers(len(self.rows[one]))] for one in of])
        x = torch.from_numpy(np.asarray(self.pixels[rows])).float() / 255
        if self.teaching.flip:
            turned = torch.from_numpy(rng.random(len(x)) < 0.5)
            x = torch.where(turned.view(-1, 1, 1, 1), x.flip(3), x)
        return scaled(x, self.canvas.size), torch.from_numpy(of)

    def _drawn(self, rng: np.random.Generator) -> Classes:
        """Draw classes, each as often as another, and other ones each time where a batch has no place for all."""
        return rng.permutation(np.resize(rng.permutation(self.canvas.classes), self.teaching.batch))

    def _painted(self, of: Tensor) -> Tensor:
        painted: Tensor = self.painter(torch.randn(len(of), self.canvas.noise), of)
        return painted

    def _changed(self, x: Tensor) -> Tensor:
        return changed(x) if self.teaching.augment else x


def changed(x: Tensor) -> Tensor:
    """Change images (b, channels, height, width) differentiably, each its own way, by PyTorch's random numbers.

    Brightness and contrast, colour where there is any, a shift by up to an eighth, and a square of half a side cut out.
    """
    x = x + (_each(x) - 0.5)
    if x.shape[1] > 1:
        grey = x.mean(1, keepdim=True)
        x = (x - grey) * _each(x) * 2 + grey
    middle = x.mean((1, 2, 3), keepdim=True)
    x = (x - middle) * (_each(x) + 0.5) + middle
    return _cut(_moved(x))


def _moved(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    down, across = (_whole(len(x), -round(n * _SHIFT), round(n * _SHIFT)) for n in (height, width))
    rows = (torch.arange(height) + down[:, None] + 1).clamp(0, height + 1)
    columns = (torch.arange(width) + across[:, None] + 1).clamp(0, width + 1)
    batch = torch.arange(len(x))[:, None, None]
    framed = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    return framed[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    inside = []
    for n in (height, width):
        side = round(n * _CUT)
        start = _whole(len(x), -(side // 2), n - side // 2)[:, None]
        places = torch.arange(n)
        inside.append((places >= start) & (places < start + side))
    return x * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


def _each(x: Tensor) -> Tensor:
    return torch.rand(len(x), 1, 1, 1)


def _whole(n: int, low: int, high: int) -> Tensor:
    """Draw n whole numbers, both ends among them."""
    return torch.randint(low, high + 1, (n,))


def _down(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _remembered(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"{number}.{what}": value for number, of in state.items() for what, value in of.items()}


def _remember(optimizer: torch.optim.Optimizer, remembered: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in remembered.items():
        number, _, what = name.partition(".")
        state.setdefault(int(number), {})[what] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
