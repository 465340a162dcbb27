"""Timeline models made smaller or faster: as graphs, in 8 bits, pruned, or learned from by a smaller body."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.timeline.adapted import AdaptedModel
from medloom.learners.timeline.batches import Timelines
from medloom.learners.timeline.body import BodyConfig, Size, TimelineBody, size_named
from medloom.learners.timeline.graph import FREE, OUTPUTS, RowGraph, body_of, row_form
from medloom.learners.timeline.graph_model import GraphModel
from medloom.learners.timeline.learner import LabelledRows
from medloom.learners.timeline.model import TimelineModel, exact
from medloom.learners.timeline.network import TimelineNetwork, mean_loss, scores_of
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples
from medloom.training.additions import additions
from medloom.training.compression.graphs import Scaling, as_graph, check_like, in_8_bits
from medloom.training.compression.plan import Plan
from medloom.training.compression.pruning import heaviest, kept_only, masks_of
from medloom.training.fitting import fit
from medloom.training.novelty import where_they_lie
from medloom.training.schedule import Schedule
from medloom.training.seeding import seeded

Floats = NDArray[np.float64]

_COMPARED: Final = 100  # samples
_EXAMPLES: Final = 200  # training samples that tell the ranges of 8 bits
_WEIGHED: Final = 512  # training samples that tell which heads and units matter
_TOGETHER: Final = 64
_PATIENCE: Final = 3
_HIDDEN: Final = 0.1  # of facts, while it learns again
_LEAST_HEAD: Final = 8  # wide
_UNITS_TOGETHER: Final = 8  # processors multiply so many at once


def compressed(model: TimelineModel, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
    """Make a model smaller or faster.

    Raises:
        InputError: its body is no transformer, or has layers behind layers that only a distilled one can do without; or
            the graph does not answer as the network does.
    """
    own = model.alone() if isinstance(model, AdaptedModel) else model
    if additions(body_of(own.network)) and plan.to != "distilled":
        raise InputError(
            "what stands behind layers (adapt: adapter) cannot be written as a graph or pruned; make it distilled, or "
            "adapt with lora"
        )
    if plan.to in ("onnx", "int8"):
        return _as_graph(own, plan, train, tuning)
    task = _Task.of(own, plan, train, tuning, derive(seed, "compression"))
    if plan.to == "distilled":
        return task.distilled()
    return task.without_units() if plan.way == "units" else task.without_weights()


def _as_graph(model: TimelineModel, plan: Plan, train: Samples, tuning: Samples) -> GraphModel:
    network = deepcopy(model.network).float().eval()
    vocabulary, gathering = model.reading.vocabulary, model.reading.gathering
    form = row_form(body_of(network))
    few = model.reading.timelines(train.among(range(min(_EXAMPLES, len(train)))))
    examples = [form.arrays(few.arrays(np.array([place]))) for place in range(len(few))]
    inputs = {name: torch.from_numpy(one) for name, one in examples[0].items()}
    graph = as_graph(RowGraph(network, vocabulary), inputs, FREE, OUTPUTS)
    made = GraphModel(model.origin, vocabulary, gathering, model.form, form, graph)
    _check_like(made, model, tuning)
    if plan.to == "int8":
        scaling: Scaling = "dynamic" if plan.way == "dynamic" else "static"
        made = replace(made, graph=in_8_bits(graph, scaling, examples))
    return made if model.novelty is None else replace(made, novelty=where_they_lie(made, train))


def _check_like(made: GraphModel, model: TimelineModel, samples: Samples) -> None:
    """Refuse a graph that does not answer as its network."""
    compared = model.reading.timelines(samples.among(range(min(_COMPARED, len(samples)))))
    check_like(made.scores(compared), scores_of(model.network, compared))


@dataclass(frozen=True)
class _Task:
    """Learning again, from labels and from what the model answered before."""

    model: TimelineModel
    plan: Plan
    train: Samples
    tuning: Samples
    learned: Timelines
    seed: int

    @classmethod
    def of(cls, model: TimelineModel, plan: Plan, train: Samples, tuning: Samples, seed: int) -> _Task:
        return cls(model, plan, train, tuning, model.reading.timelines(train), seed)

    def distilled(self) -> TimelineModel:
        """Let a smaller body learn."""
        before = body_of(self.model.network).config
        size = size_named(self.plan.size) if self.plan.size else _half(before.size)
        config = replace(before, size=size, kept=())
        with seeded(self.seed):
            network = TimelineNetwork(TimelineBody(config), self.model.form.k)
        network.level(self.model.form.targets(self.train).level)
        return self._learned(network, config)

    def without_units(self) -> TimelineModel:
        """Take out the heads and hidden units that matter least."""
        network = self._network()
        body = body_of(network)
        heads, units = self._importance(network)
        width = body.config.size.width // body.config.size.heads
        kept, state = [], dict(body.state_dict())
        for place, (of_heads, of_units) in enumerate(zip(heads, units, strict=True)):
            left = heaviest(of_heads, self.plan.share)
            these = heaviest(of_units, self.plan.share, _UNITS_TOGETHER)
            inside = (left[:, None] * width + torch.arange(width)).ravel()
            for name, rows in (
                ("query", inside),
                ("key", inside),
                ("value", inside),
                ("up", these),
                ("gate", these),
            ):
                state[f"blocks.{place}.{name}.weight"] = state[f"blocks.{place}.{name}.weight"][rows]
            for name, columns in (("out", inside), ("down", these)):
                state[f"blocks.{place}.{name}.weight"] = state[f"blocks.{place}.{name}.weight"][:, columns]
            kept.append((len(left), len(these)))
        config = replace(body.config, kept=tuple(kept))
        smaller = TimelineBody(config)
        smaller.load_state_dict(state)
        network.body = smaller
        return self._learned(network, config)

    def without_weights(self) -> TimelineModel:
        """Set the weights of products that are nearest to nothing to nothing."""
        network = self._network()
        body = body_of(network)
        masks = masks_of(_products(body), self.plan.share)
        kept_only(masks)
        return self._learned(network, body.config, lambda *_: kept_only(masks))

    def _network(self) -> TimelineNetwork:
        network: TimelineNetwork = deepcopy(self.model.network).float().requires_grad_(True)
        return network

    def _importance(self, network: TimelineNetwork) -> tuple[list[Tensor], list[Tensor]]:
        """Weigh heads and units of each block by what the loss would change without them, to first order.

        Molchanov et al., CVPR 2019, group weights: (weight · slope)², summed over batches.
        """
        body, targets = body_of(network), self.model.form.targets(self.train)
        heads = [torch.zeros(block.heads) for block in body.blocks]
        units = [torch.zeros(block.down.in_features) for block in body.blocks]
        rows = np.arange(min(_WEIGHED, len(self.learned)))
        for first in range(0, len(rows), _TOGETHER):
            part = rows[first : first + _TOGETHER]
            network.zero_grad()
            targets.losses(network(self.learned.batch(part)), part).mean().backward()
            for place, block in enumerate(body.blocks):
                of_out = (block.out.weight * block.out.weight.grad).sum(0).detach()
                heads[place] += of_out.view(block.heads, -1).sum(1) ** 2
                units[place] += (block.down.weight * block.down.weight.grad).sum(0).detach() ** 2
        network.zero_grad()
        return heads, units

    def _learned(
        self,
        network: TimelineNetwork,
        config: BodyConfig,
        on_step: Callable[[nn.Module, int, int], None] | None = None,
    ) -> TimelineModel:
        """Train a network on labels and on the model's scores, half each."""
        form = self.model.form
        said = torch.from_numpy(scores_of(deepcopy(self.model.network).float(), self.learned)).float()
        targets, aims = form.targets(self.train), form.targets(self.tuning)
        watched = self.model.reading.timelines(self.tuning)

        def losses(net: nn.Module, given: tuple[object, object, NDArray[np.int64]]) -> Tensor:
            batch, shown, rows = given
            scores = net(batch, shown)
            apart = (scores - said[torch.from_numpy(rows)].to(scores)).square().mean(1)
            return (targets.losses(scores, rows) + apart) / 2

        plan = self.plan
        fit(
            network,
            LabelledRows(self.learned, _HIDDEN),
            losses,
            Schedule(
                epochs=plan.epochs,
                learning_rate=plan.learning_rate,
                patience=_PATIENCE,
                minutes=plan.minutes,
            ),
            seed=self.seed,
            judged=lambda net: mean_loss(net, watched, aims),
            on_step=on_step,
            doing=tr("Learning again"),
        )
        made = TimelineModel(self.model.origin, self.model.reading, form, exact(network), config.to_json())
        return made if self.model.novelty is None else made.knowing(self.train)


def _products(body: TimelineBody) -> list[nn.Parameter]:
    """Give the matrices of the blocks."""
    return [one for block in body.blocks for one in block.parameters() if one.ndim > 1]


def _half(size: Size) -> Size:
    """Give half the width, and a layer less."""
    width = max(_LEAST_HEAD, size.width // 2)
    return Size(width, max(1, size.layers - 1), max(1, min(size.heads, width // _LEAST_HEAD)), size.dropout)
