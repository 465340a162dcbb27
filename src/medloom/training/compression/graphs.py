"""Networks as ONNX graphs: written from PyTorch, made of 8 bits, and run by ONNX Runtime, which needs no PyTorch."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.model import Model
from medloom.training.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor, nn

Arrays = Mapping[str, NDArray[Any]]
Scaling = Literal["dynamic", "static"]

LIKE: Final = 1e-3
"""By how much answers of a graph may differ from its network's."""

LIBRARIES: Final = ("numpy", "onnxruntime", "polars")
_OPSET: Final = 17
_TALKATIVE: Final = ("torch.onnx", "onnxscript", "onnx_ir", "root")
_SLOWER: Final = ["SkipLayerNormFusion"]  # takes 6 times as long as the sum and the norm it stands for
_NARROW: Final = (
    32  # columns; a product that gives fewer takes no time, and its rounding would go into the answer
)


@dataclass(frozen=True)
class Graph:
    """A network that ONNX Runtime answers with, on one thread.

    Attributes:
        content: of the file.
    """

    content: bytes = field(repr=False)

    def run(self, inputs: Arrays, output: str = "scores") -> NDArray[np.float32]:
        """Give an output for inputs by name.

        Raises:
            InputError: ONNX Runtime is not installed.
        """
        session, reads = self._session
        answered: NDArray[np.float32] = session.run([output], {name: inputs[name] for name in reads})[0]
        return answered

    @cached_property
    def _session(self) -> tuple[Any, list[str]]:
        """Give a session, and the inputs it reads: of one block, what is never read was left out."""
        check_runtime()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            self.content, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER
        )
        return session, [one.name for one in session.get_inputs()]


class GraphAnswering(Model):
    """A model that answers by graphs."""

    def compressed(self, *_arguments: object) -> Model:
        """Refuse: it is as small as it gets.

        Raises:
            InputError: always; compress the model it was made from.
        """
        raise InputError("this model is a graph already; compress the version that it was made from")


def check_runtime() -> None:
    """Refuse to go on where ONNX Runtime is not installed.

    Raises:
        InputError: it is not; the message names the command that installs it.
    """
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        raise InputError(
            'models in the form of graphs need ONNX Runtime; install it with: pip install "medloom[onnx]"'
        )


def as_graph(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    free: Mapping[str, Mapping[int, str]],
    outputs: Sequence[str],
) -> Graph:
    """Write a network as an ONNX graph; the same network gives the same bytes.

    Args:
        network: called with `inputs` in their order; gives a tensor an output.
        inputs: of an example, whose sizes along free axes differ from each other and from 1.
        free: of each input the axes whose length may be any, with a name; equal names are equal lengths.
        outputs: names of what the network gives.
    """
    check_runtime()
    import onnx
    import torch

    written = io.BytesIO()
    with quiet(*_TALKATIVE), torch.no_grad():
        torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            written,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in free.items()},
            opset_version=_OPSET,
            dynamo=False,  # the other exporter takes 15 times as long, and shapes of fewer products are known after it
        )
    made = onnx.load_model_from_string(written.getvalue())
    _forget_origin(made)
    onnx.checker.check_model(made)
    return Graph(made.SerializeToString(deterministic=True))


def check_like(graph: NDArray[Any], network: NDArray[Any]) -> None:
    """Refuse a graph that does not answer as the network that it was written from.

    Args:
        graph: what it answers.
        network: what that answers, of the same shape.

    Raises:
        InputError: they differ by more than `LIKE`.
    """
    apart = float(np.abs(graph - network).max(initial=0.0))
    if not apart <= LIKE:
        raise InputError(
            "the graph does not answer as the network does: answers differ by {apart:.2g}; report this with the "
            "learner's name and parameters",
            apart=apart,
        )


def in_8_bits(graph: Graph, scaling: Scaling, examples: Sequence[Arrays]) -> Graph:
    """Give the same graph with the weights of its products in 8 bits, a scale for each column.

    Of convolutions too, where scaling is `static`, and of LSTM, where it is `dynamic`; not of small products, in which
    rounding weighs more than time.

    Args:
        graph: of 32 bits.
        scaling: of what the weights are multiplied with: `dynamic`, by its range in each answer, or `static`, by the
            range that it had in examples.
        examples: inputs by name, for `static`.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as temporary, quiet(*_TALKATIVE):
        given, before, after = (Path(temporary, f"{name}.onnx") for name in ("given", "before", "after"))
        given.write_bytes(graph.content)
        quant_pre_process(given, before, skip_symbolic_shape=True)
        ready = onnx.load(before)
        wide, reads = _wide_products(ready, scaling), [one.name for one in ready.graph.input]
        if scaling == "dynamic":
            quantize_dynamic(
                before, after, weight_type=QuantType.QInt8, per_channel=True, nodes_to_quantize=wide
            )
        else:
            quantize_static(
                before,
                after,
                _Examples({name: one[name] for name in reads} for one in examples),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                nodes_to_quantize=wide,
            )
        made = onnx.load(after)
    _forget_origin(made)
    return Graph(made.SerializeToString(deterministic=True))


class _Examples:
    """Examples as ONNX Runtime asks for them."""

    def __init__(self, each: Iterator[Arrays]) -> None:
        self._each = each

    def get_next(self) -> dict[str, Any] | None:
        found = next(self._each, None)
        return None if found is None else dict(found)

    def __iter__(self) -> Iterable[Any]:
        return self._each


def _wide_products(made: Any, scaling: Scaling) -> list[str]:
    """Name the products with weights that give many columns, of many numbers each."""
    weights = {one.name: tuple(one.dims) for one in made.graph.initializer}
    kinds = ("MatMul", "Gemm", "Conv") if scaling == "static" else ("MatMul", "Gemm", "LSTM")

    def sides(node: Any) -> tuple[float, int]:
        first, *others = weights[node.input[1]]
        return (math.inf, math.prod(others)) if node.op_type == "LSTM" else (first, math.prod(others))

    return [
        node.name
        for node in made.graph.node
        if node.op_type in kinds and node.input[1] in weights and min(sides(node)) >= _NARROW
    ]


def _forget_origin(made: Any) -> None:
    """Take out where in the sources each node was written: it would change with the folder."""
    for one in (*made.graph.node, *made.graph.value_info, *made.graph.input, *made.graph.output):
        one.doc_string = ""
        del one.metadata_props[:]
    made.doc_string = made.graph.doc_string = ""
    del made.metadata_props[:], made.graph.metadata_props[:]
