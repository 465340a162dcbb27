"""Learning small networks by gradient descent with PyTorch, stopped early; what is learned is kept as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.training.networks import Network

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_SLOW: Final = 0.9  # share of the mean slope kept a step; these three as Adam was published
_SLOWER: Final = 0.999  # of the mean square
_TINY: Final = 1e-8


def has_torch() -> bool:
    """Tell whether PyTorch is installed, without importing it."""
    return find_spec("torch") is not None


def check_torch(learner: str) -> None:
    """Refuse to go on where PyTorch is not installed.

    Raises:
        InputError: it is not; the message names the command that installs it.
    """
    if not has_torch():
        raise InputError(
            'learner {learner!r} needs PyTorch; install it with: pip install "medloom[deep]"', learner=learner
        )


@dataclass(frozen=True)
class Descent:
    """How a network is learned.

    Attributes:
        hidden: units of each hidden layer, rectified.
        dropout: share of hidden units left out at random in each step (Srivastava et al., JMLR 2014;15:1929-1958).
        weight_decay: by which weights shrink (AdamW; Loshchilov and Hutter, ICLR 2019).
        learning_rate: of AdamW.
        batch: samples a step.
        max_epochs: passes over the samples at most.
        patience: passes without gain on the samples judged by before it stops.
    """

    hidden: tuple[int, ...]
    dropout: float
    weight_decay: float
    learning_rate: float
    batch: int
    max_epochs: int
    patience: int

    def network(
        self,
        x: Floats,
        outputs: int,
        loss: Callable[[Tensor, Rows], Tensor],
        judged: Callable[[Network], float],
        seed: int,
        level: Floats | None = None,
    ) -> Network:
        """Learn a network, and give it as it was after the best pass.

        Args:
            x: (n, c), standardised.
            outputs: scores a sample.
            loss: of the scores (b, outputs) of some rows (b,) of `x`; a step without gradient is left out.
            judged: the loss of a network on other samples.
            seed: of first weights, dropout and the order of samples.
            level: (outputs,) scores to begin with; None: about 0.
        """
        import torch

        rng = np.random.default_rng(seed)
        shapes = [*pairwise((x.shape[1], *self.hidden, outputs))]
        first = [rng.uniform(-1, 1, shape) / np.sqrt(shape[0]) for shape in shapes]
        if level is not None:
            first[-1] = np.zeros(shapes[-1])
        last = np.zeros(outputs) if level is None else level
        biases = [*(np.zeros(shape[1]) for shape in shapes[:-1]), last]
        learned = [
            torch.tensor(one, dtype=torch.float32, requires_grad=True)
            for pair in zip(first, biases, strict=True)
            for one in pair
        ]
        inputs = torch.from_numpy(np.asarray(x, dtype=np.float32))
        adam = _Adam(learned, self.learning_rate, self.weight_decay)
        best = _as_arrays(learned)
        least, since = judged(best), 0
        with _one_thread():
            for _ in range(self.max_epochs):
                for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // self.batch)):
                    value = loss(self._scores(learned, inputs[torch.from_numpy(rows)], rng), rows)
                    if value.requires_grad:
                        value.backward()
                        adam.step()
                network = _as_arrays(learned)
                reached = judged(network)
                if reached < least:
                    best, least, since = network, reached, 0
                else:
                    since += 1
                if since >= self.patience:
                    break
        return best

    def _scores(self, learned: Sequence[Tensor], reached: Tensor, rng: np.random.Generator) -> Tensor:
        import torch

        *inner, (weights, bias) = zip(learned[::2], learned[1::2], strict=True)
        for one, level in inner:
            reached = torch.relu(reached @ one + level)
            if self.dropout:
                kept = rng.random(tuple(reached.shape), dtype=np.float32) >= self.dropout
                reached = reached * torch.from_numpy(kept) / (1 - self.dropout)
        return reached @ weights + bias


class _Adam:
    """Adam's steps (Kingma and Ba, ICLR 2015), with weights shrunk apart from them (AdamW), and biases not.

    PyTorch's own first loads its compiler, which takes longer than a small network.
    """

    def __init__(self, learned: Sequence[Tensor], rate: float, decay: float) -> None:
        self._learned, self._rate, self._decay = learned, rate, decay
        self._values = [one.detach().numpy() for one in learned]  # the same memory
        self._mean, self._square = ([np.zeros_like(one) for one in self._values] for _ in range(2))
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        rate = self._rate * np.sqrt(1 - _SLOWER**self._steps) / (1 - _SLOW**self._steps)
        for one, value, mean, square in zip(
            self._learned, self._values, self._mean, self._square, strict=True
        ):
            slope = one.grad.numpy()
            mean += (1 - _SLOW) * (slope - mean)
            square += (1 - _SLOWER) * (slope**2 - square)
            if value.ndim > 1:
                value *= 1 - self._rate * self._decay
            value -= rate * mean / (np.sqrt(square) + _TINY)
            one.grad = None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: more are slower for small networks, and would make sums depend on the machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _as_arrays(learned: Sequence[Tensor]) -> Network:
    arrays = [one.detach().numpy().astype(np.float64) for one in learned]
    return Network(tuple(arrays[::2]), tuple(arrays[1::2]))
