"""How long, how fast and on what a network is trained; plain values, the same for every neural learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from medloom.foundation.errors import InputError

PRECISIONS: Final = ("32", "bf16", "auto")
STRATEGIES: Final = ("ddp", "fsdp")


@dataclass(frozen=True)
class Schedule:
    """A course of training.

    Attributes:
        epochs: passes over the rows at most.
        batch: rows a step, over all devices and pieces.
        learning_rate: of AdamW (Loshchilov and Hutter, ICLR 2019), at its highest.
        weight_decay: by which weights shrink; biases, norms and embeddings do not.
        warmup: share of the steps over which the rate rises; then it falls along a cosine.
        last_rate: what the rate falls to, as a share of the highest.
        clip: longest step of the gradient.
        patience: judgements without gain before it stops; None: it never does.
        judgements: how often an epoch it is judged.
        pieces: into which a batch is cut where it does not fit into memory at once; their gradients add up.
        minutes: after which it stops, with what is best so far; None: no limit.
        average: decay of the moving average of weights that is judged and kept; None: the weights themselves.
        precision: `bf16` where matrices may be multiplied in 16 bits; `auto`: where the machine is faster so.
        devices: processes, on as many processors or accelerators.
        strategy: of several devices: `ddp`, each has all weights; `fsdp`, each has a share of them.

    Raises:
        InputError: there is no such precision or strategy.
    """

    epochs: int = 20
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    last_rate: float = 0.05
    clip: float = 1.0
    patience: int | None = 5
    judgements: int = 1
    pieces: int = 1
    minutes: float | None = None
    average: float | None = None
    precision: str = "32"
    devices: int = 1
    strategy: str = "ddp"

    def __post_init__(self) -> None:
        for name, known in (("precision", PRECISIONS), ("strategy", STRATEGIES)):
            if getattr(self, name) not in known:
                raise InputError(
                    "there is no {name} {value!r}; there are: {known}",
                    name=name,
                    value=getattr(self, name),
                    known=known,
                )

    def steps(self, rows: int) -> int:
        """Count the steps of an epoch over so many rows.

        >>> Schedule(batch=64).steps(100)
        2
        """
        return max(1, -(-rows // self.batch))
