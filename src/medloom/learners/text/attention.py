"""Attention of encoders of Transformers as one operation of ONNX Runtime, faster than the products it is made of."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NAME: Final = "medloom_graph"
_OPERATION: Final = "com.microsoft::MultiHeadAttention"


def with_one_operation(encoder: nn.Module) -> bool:
    """Let an encoder attend so, in place; tell whether it can be told to."""
    if not hasattr(encoder, "set_attn_implementation"):
        return False
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attended)
    encoder.set_attn_implementation(_NAME)
    return bool(encoder.config._attn_implementation == _NAME)


def with_products(encoder: nn.Module) -> None:
    """Let an encoder attend by plain products, in place, which every exporter can write."""
    if hasattr(encoder, "set_attn_implementation"):
        encoder.set_attn_implementation("eager")


def _attended(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_rest: Any,
) -> tuple[Tensor, None]:
    """Attend to all tokens: heads (b, heads, t, d) → (b, t, heads, d); Transformers asks this way."""
    del module, attention_mask  # windows have no filling
    heads, depth = query.shape[1], query.shape[3]
    rows = [one.transpose(1, 2).flatten(2) for one in (query, key, value)]
    said = _Attention.apply(*rows, int(heads), float(scaling or depth**-0.5))
    return said.unflatten(2, (int(heads), int(depth))), None


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, heads: int, scale: float) -> Tensor:
        """Attend as PyTorch does: (b, t, width) each → (b, t, width)."""
        del ctx
        one, two, three = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query, key, value))
        said: Tensor = F.scaled_dot_product_attention(one, two, three, scale=scale)
        return said.transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(graph: Any, query: Any, key: Any, value: Any, heads: int, scale: float) -> Any:
        """Write it as the one operation."""
        written = graph.op(_OPERATION, query, key, value, num_heads_i=heads, scale_f=scale)
        return written.setType(query.type())
