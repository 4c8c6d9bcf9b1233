"""One reordering of the TA's model dimensions, heads and neurons, so that prefixes serve best.

Rows and columns move together, so at full width the output is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..nested.architecture import Architecture
from ..nested.shapes import head_weight


@dataclass(frozen=True)
class Order:
    """Indices from most to least important, each a permutation, int64.

    dim: (dim,). pooled: outputs of each head's pooler, (dim,). heads: per layer, (heads,).
    ffn: per layer, (ffn,).
    """

    dim: Tensor
    pooled: Mapping[str, Tensor]
    heads: tuple[Tensor, ...]
    ffn: tuple[Tensor, ...]


def permute(
    weights: dict[str, Tensor], order: Order, architecture: Architecture
) -> dict[str, Tensor]:
    """The same TA with its parts in another order. Names and shapes as in the model's state."""
    result = dict(weights)

    def rows(name: str, index: Tensor) -> None:
        result[name] = result[name][index]

    def columns(name: str, index: Tensor) -> None:
        result[name] = result[name][..., index]

    d = order.dim
    for name in ("tokens", "positions", "segment"):
        columns(name, d)
    for name in ("embedding_norm.weight", "embedding_norm.bias"):
        rows(name, d)
    for layer, (heads, ffn) in enumerate(zip(order.heads, order.ffn, strict=True)):
        prefix = f"layers.{layer}."
        inner = (
            heads[:, None] * architecture.head_dim + torch.arange(architecture.head_dim)
        ).flatten()
        for part in ("query", "key", "value"):
            columns(f"{prefix}{part}.weight", d)
            rows(f"{prefix}{part}.weight", inner)
            rows(f"{prefix}{part}.bias", inner)
        columns(f"{prefix}output.weight", inner)
        columns(f"{prefix}up.weight", d)
        rows(f"{prefix}up.weight", ffn)
        rows(f"{prefix}up.bias", ffn)
        columns(f"{prefix}down.weight", ffn)
        for part in ("output", "down"):
            rows(f"{prefix}{part}.weight", d)
            rows(f"{prefix}{part}.bias", d)
        for part in ("attention_norm", "ffn_norm"):
            rows(f"{prefix}{part}.weight", d)
            rows(f"{prefix}{part}.bias", d)
    for head, pooled in order.pooled.items():
        columns(head_weight(head, "pooler.weight"), d)
        rows(head_weight(head, "pooler.weight"), pooled)
        rows(head_weight(head, "pooler.bias"), pooled)
        columns(head_weight(head, "classifier.weight"), pooled)
    return result
