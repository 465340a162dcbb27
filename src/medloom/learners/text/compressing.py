"""Models of notes made faster: written as graphs of windows, with weights of 32 or of 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from inspect import signature
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.learners.text.attention import with_one_operation, with_products
from medloom.learners.text.classifying import graph_model as note_graph
from medloom.learners.text.classifying.graph_model import NoteGraphModel
from medloom.learners.text.classifying.model import NoteModel
from medloom.learners.text.classifying.network import AnswerNetwork
from medloom.learners.text.encoders import VOCABULARY, Vocabulary
from medloom.learners.text.graphs import FREE, arrays_of, read_each
from medloom.learners.text.tagging import graph_model as tagger_graph
from medloom.learners.text.tagging.graph_model import TaggerGraphModel
from medloom.learners.text.tagging.model import TaggerModel
from medloom.learners.text.tagging.network import TagNetwork
from medloom.learners.text.windows import Note, Window, Windowing
from medloom.tasks.samples import Samples
from medloom.training.compression.graphs import Graph, Scaling, as_graph, check_like, in_8_bits
from medloom.training.compression.plan import Plan

_COMPARED: Final = 20  # windows that network and graph both read
_EXAMPLES: Final = 64  # windows, by whose ranges numbers of 8 bits are scaled
_USUAL: Final = "dynamic"  # of `int8`: nearer than `static`, and faster


def tagger_compressed(
    model: TaggerModel, plan: Plan, train: Samples, tuning: Samples, seed: int
) -> TaggerGraphModel:
    """Make a tagger a graph, whose weights have 8 bits where the plan says `int8`; tags are put in rows outside of it.

    Args:
        model: to be made faster.
        plan: `onnx`, or `int8`, by the ranges in each answer if nothing else is said.
        train: notes by which network and graph are compared, and that tell ranges.
        tuning: not looked at.
        seed: of the choice of notes.

    Raises:
        InputError: it is to be something else, its encoder cannot be written, or the graph does not answer as it does.
    """
    del tuning
    _check(plan)
    windows = _windows(train, model.vocabulary, model.windowing, seed)
    graph = _written(_Tagging(model.network), windows, tagger_graph.OUTPUT)
    return TaggerGraphModel(
        model.origin,
        model.chains,
        tuple(model.network.all_moves()),
        model.windowing,
        model.files[VOCABULARY],
        model.vocabulary,
        _as_planned(graph, plan, windows),
    )


def note_model_compressed(
    model: NoteModel, plan: Plan, train: Samples, tuning: Samples, seed: int
) -> NoteGraphModel:
    """Make a model of whole notes a graph; as `tagger_compressed`."""
    del tuning
    _check(plan)
    windows = _windows(train, model.vocabulary, model.windowing, seed)
    graph = _written(_Summing(model.network), windows, note_graph.OUTPUT)
    head = model.network.head
    return NoteGraphModel(
        model.origin,
        model.form,
        head.weight.detach().double().cpu().numpy(),
        head.bias.detach().double().cpu().numpy(),
        model.windowing,
        model.files[VOCABULARY],
        model.vocabulary,
        _as_planned(graph, plan, windows),
    )


class _Tagging(nn.Module):
    """What a tagger's graph gives of a window: scores of tags, all chains side by side."""

    def __init__(self, network: TagNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, shapes: Tensor, heads: Tensor) -> Tensor:
        reached = self.network.body.whole(ids, shapes)
        places = heads.unsqueeze(-1).expand(-1, -1, self.network.body.width)
        scores: Tensor = self.network.head(reached.gather(1, places))
        return scores


class _Summing(nn.Module):
    """What the graph of a model of whole notes gives of a window: the mean of what is known of its tokens."""

    def __init__(self, network: AnswerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, shapes: Tensor) -> Tensor:
        known: Tensor = self.network.body.whole(ids, shapes).mean(1)
        return known


def _check(plan: Plan) -> None:
    if plan.to not in ("onnx", "int8"):
        raise InputError("models of notes are made into onnx or int8, not into {to}", to=plan.to)


def _windows(samples: Samples, vocabulary: Vocabulary, windowing: Windowing, seed: int) -> list[Window]:
    """Choose windows of notes at random: as many as are needed, of at least two words each."""
    found: list[Window] = []
    texts = samples.texts()
    for place in generator(seed, "examples").permutation(len(texts)):
        note = Note.of(texts[place], vocabulary)
        found += [one for one in windowing.of(note, vocabulary) if len(one.heads) > 1]
        if len(found) >= _EXAMPLES:
            break
    if not found:
        raise InputError("all notes to learn from are empty")
    return found[:_EXAMPLES]


def _written(network: nn.Module, windows: Sequence[Window], output: str) -> Graph:
    """Write what reads windows as a graph that reads them alike; with attention as one operation if that can be.

    Raises:
        InputError: it cannot be written, or the graph does not answer as the network does.
    """
    copied = deepcopy(network).float().eval()
    encoder = copied.network.body.encoder
    with_products(encoder)
    if with_one_operation(encoder):
        with suppress(InputError):
            return _alike(copied, network, windows, output)
        with_products(encoder)
    return _alike(copied, network, windows, output)


def _alike(copied: nn.Module, network: nn.Module, windows: Sequence[Window], output: str) -> Graph:
    names = signature(copied.forward).parameters
    longest = arrays_of(max(windows, key=lambda one: len(one.ids)))
    inputs = {name: torch.from_numpy(np.repeat(longest[name], 2, 0)) for name in names}
    try:
        graph = as_graph(copied, inputs, {name: FREE[name] for name in names}, [output])
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise InputError(
            "this encoder cannot be written as a graph: it does what ONNX has no words for"
        ) from error
    few = windows[:_COMPARED]
    with torch.inference_mode():
        for window, its in zip(few, read_each(graph, few, output), strict=True):
            arrays = arrays_of(window)
            mine = network(*(torch.from_numpy(arrays[name]) for name in names))
            check_like(its, mine[0].double().numpy())
    return graph


def _as_planned(graph: Graph, plan: Plan, windows: Sequence[Window]) -> Graph:
    if plan.to == "onnx":
        return graph
    scaling: Scaling = "static" if (plan.method or _USUAL) == "static" else "dynamic"
    return in_8_bits(graph, scaling, [arrays_of(one) for one in windows])
