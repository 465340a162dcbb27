"""Models of images made faster: written as graphs, with weights of 32 or of 8 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from medloom.features.images import image_of
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.learners.image.graph_model import INPUT, OUTPUTS, ImageGraphModel
from medloom.learners.image.model import ImageModel
from medloom.learners.image.network import ImageNetwork, views_of
from medloom.tasks.samples import Samples
from medloom.training.compression.graphs import as_graph, check_like, in_8_bits
from medloom.training.compression.plan import Plan
from medloom.training.novelty import where_known

_COMPARED: Final = 20  # images
_EXAMPLES: Final = 64  # images, by whose ranges numbers of 8 bits are scaled


def compressed(model: ImageModel, plan: Plan, train: Samples, tuning: Samples, seed: int) -> ImageGraphModel:
    """Make a model of images a graph, whose weights have 8 bits where the plan says `int8`.

    Args:
        model: to be made faster.
        plan: `onnx`, or `int8` by the ranges of examples.
        train: of which some are the examples.
        tuning: of which some, or of `train` where there are none, are answered by the network and by the graph, which
            must say the same.
        seed: of the choice of examples.

    Raises:
        InputError: it is to be something else, or the graph does not answer as the network does.
    """
    if plan.to not in ("onnx", "int8") or plan.way == "dynamic":
        raise InputError(
            "models of images are made into onnx, or into int8 by the method static, not into {to}",
            to=plan.to,
        )
    example = torch.zeros(1, model.framing.channels, *model.framing.size)
    graph = as_graph(_Viewed(model.network, model.views, model.mirrored), {INPUT: example}, {}, OUTPUTS)
    bias = tuple(float(one) for one in model.network.head.bias.detach())
    made = ImageGraphModel(
        model.origin, model.framing, model.form, bias, graph, model.spacing, novelty=model.novelty
    )
    few = (tuning if len(tuning) else train).among(range(min(_COMPARED, len(tuning) or len(train))))
    outputs = model.origin.question.outputs
    mine, its = (np.asarray(one.predict(few).matrix(outputs)) for one in (model, made))
    check_like(its, mine)
    if plan.to == "onnx":
        return made
    chosen = generator(seed, "examples").permutation(len(train))[:_EXAMPLES].tolist()
    examples = [{INPUT: model.framing.framed(image_of(train, place))[None]} for place in chosen]
    coarse = replace(made, graph=in_8_bits(graph, "static", examples))
    if coarse.novelty is None:
        return coarse
    return replace(coarse, novelty=where_known(coarse.represent(train), train.groups))


class _Viewed(nn.Module):
    """What the graph gives of an image: scores, the mean of its views; of itself what is known, and shares."""

    def __init__(self, network: ImageNetwork, views: int, mirrored: bool) -> None:
        super().__init__()
        self.network, self.views, self.mirrored = network, views, mirrored

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.network.maps(x)
        known = maps.flatten(2).mean(2)
        scores = [self.network.head(known)]
        others = views_of(x, self.views, self.mirrored)
        next(others)
        scores += [self.network(view) for view in others]
        return torch.stack(scores).mean(0), known, self.network.shares(maps)
