"""Steps of a training as Lightning runs them: on one device or several, in pieces, in 32 or 16 bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from medloom.training.quiet import quiet
from medloom.training.schedule import Schedule
from medloom.training.sharding import share_out, shared_as

if TYPE_CHECKING:
    from medloom.training.fitting import _Run

_TALKATIVE: Final = ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric")
_WIDE: Final = (
    768  # on two Xeons with AMX, a step of 512 takes as long in either; of 64, twice as long in 16 bits
)


def run_steps(run: _Run[Any]) -> None:
    """Take the steps that are left of a training, until it says that it is over."""
    schedule = run.schedule
    with quiet(*_TALKATIVE), _seeded():
        trainer = pl.Trainer(
            accelerator="auto",
            devices=schedule.devices,
            **_strategy(schedule),
            precision=_precision(schedule, run.network),
            max_steps=run.total - run.course.step,
            accumulate_grad_batches=run.pieces,
            gradient_clip_val=schedule.clip or None,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(_Steps(run), DataLoader(_Batches(run), batch_size=None, collate_fn=_as_it_is))


class _Steps(pl.LightningModule):
    def __init__(self, run: _Run[Any]) -> None:
        super().__init__()
        self.network = run.network
        self._run = [run]  # in a list: not a part of the module
        self._sums: list[Tensor] = []
        # DDP warns, at each training, where it looked for parameters without use and found none
        self.idle = torch.nn.Parameter(torch.zeros(1), requires_grad=run.schedule.devices > 1)

    def configure_model(self) -> None:
        run = self._run[0]
        if run.sharded:
            assert self.device_mesh is not None
            share_out(self.network, self.device_mesh["data_parallel"])
            run.share_average()

    def training_step(self, given: tuple[int, Any, float], _index: int) -> Tensor:
        seed, batch, weight = given
        run = self._run[0]
        torch.manual_seed(seed)
        total = run.loss(self.network, batch).sum() * weight
        self._sums.append(total.detach())
        return total

    def configure_optimizers(self) -> Any:
        run = self._run[0]
        learned = [one for one in self.network.parameters() if one.requires_grad]
        shrunk = {id(one) for one in _matrices(self.network)}
        groups = [
            {"params": [one for one in learned if id(one) in shrunk]},
            {"params": [one for one in learned if id(one) not in shrunk], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups, lr=run.schedule.learning_rate, weight_decay=run.schedule.weight_decay
        )
        if run.remembered:
            _remember(optimizer, run.remembered)
        first = run.course.step
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: run.rate(first + done))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def on_train_batch_end(self, *_arguments: Any) -> None:
        if len(self._sums) < self._run[0].pieces:
            return
        run = self._run[0]
        mean = torch.stack(self._sums).mean()
        self._sums.clear()
        if self.trainer.world_size > 1:
            mean = self.trainer.strategy.reduce(mean, reduce_op="mean")
        if not run.stepped(mean.cpu(), self.optimizers(use_pl_optimizer=False)):
            self.trainer.should_stop = True


class _Batches(IterableDataset[Any]):
    def __init__(self, run: _Run[Any]) -> None:
        self._run = run

    def __iter__(self) -> Iterator[Any]:
        return self._run.batches()


def _as_it_is(given: Any) -> Any:
    """Keep the loader from turning row numbers into tensors: a tensor of one is taken for a number."""
    return given


def _matrices(network: torch.nn.Module) -> Iterator[Tensor]:
    """Give the weights that shrink: of products, not of embeddings."""
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.ndim > 1 and not isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag):
                yield parameter


def _remember(optimizer: torch.optim.Optimizer, remembered: dict[str, Tensor]) -> None:
    """Give an optimizer back what it remembered of each parameter."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in remembered.items():
        number, _, what = name.partition(".")
        state.setdefault(int(number), {})[what] = value
    learned = [one for group in optimizer.param_groups for one in group["params"]]
    shared = {
        number: {what: shared_as(value, learned[number]) for what, value in of.items()}
        for number, of in state.items()
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": shared})


def _strategy(schedule: Schedule) -> dict[str, Any]:
    """Say how several processes, which have met already, learn together."""
    if schedule.devices == 1:
        return {}
    strategies = {
        # an objective may have nothing to say of a batch: its head is then left as it is
        "ddp": lambda: DDPStrategy(find_unused_parameters=True),
        "fsdp": lambda: ModelParallelStrategy(schedule.devices, tensor_parallel_size=1),
    }
    return {"strategy": strategies[schedule.strategy](), "plugins": [LightningEnvironment()]}


def _precision(schedule: Schedule, network: torch.nn.Module) -> Any:
    if schedule.precision == "auto":
        faster = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        faster = faster or (_multiplies_in_tiles() and _is_wide(network))
        return "bf16-mixed" if faster else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed"}[schedule.precision]


def _is_wide(network: torch.nn.Module) -> bool:
    """Tell whether products are so wide that a processor wins more by 16 bits than it loses by turning into them."""
    narrow = sorted(min(one.shape) for one in _matrices(network))
    return bool(narrow) and narrow[len(narrow) // 2] >= _WIDE


def _multiplies_in_tiles() -> bool:
    """Tell whether the processor has matrix units for 16 bits (AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())


@contextmanager
def _seeded() -> Iterator[None]:
    """Leave PyTorch's own randomness as it was."""
    own = int(os.environ.get("LOCAL_RANK", "0"))
    with torch.random.fork_rng([own] if torch.cuda.is_available() else []):
        yield
