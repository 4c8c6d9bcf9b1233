"""One layer of a student alone, as `models/nested/block.py` has it.

Queries, keys and values of a layer are one product, and the scale of the scores is part of the
query weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....kernels.linear import ACTIVATIONS
from ...nested.block import BlockPrefix
from .embedding import Packing
from .weights import GraphLinear, GraphNorm, bias_of, own


class GraphAttention(nn.Module):
    """Every token asks every token. x: (rows, dim). Returns (rows, inner)."""

    def __init__(self, part: BlockPrefix, head_dim: int) -> None:
        super().__init__()
        parts = [
            GraphLinear.of(part.query, head_dim**-0.5),
            GraphLinear.of(part.key),
            GraphLinear.of(part.value),
        ]
        self.project = GraphLinear(
            torch.cat([each.weight for each in parts], dim=1),
            torch.cat([each.bias for each in parts]),
        )
        self.shape = (3, len(part.query.weight) // head_dim, head_dim)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        split = packing.padded(self.project(x)).view(*packing.places.shape, *self.shape)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head_dim)
        weights = torch.softmax(q @ k.transpose(2, 3) + packing.bias[:, None], dim=-1)
        return packing.packed((weights @ v).transpose(1, 2).flatten(2))


class GraphPooledAttention(nn.Module):
    """The first token alone asks, as `kernels.pooled_attention` computes it.

    x: (rows, dim). Returns (batch, inner).
    """

    def __init__(self, part: BlockPrefix, head_dim: int) -> None:
        super().__init__()
        self.query = GraphLinear.of(part.query, head_dim**-0.5)
        inner, dim = part.key.weight.shape
        shape = (inner // head_dim, head_dim, dim)
        self.key = nn.Buffer(own(part.key.weight.view(shape)))
        self.value = nn.Buffer(own(part.value.weight.view(shape).transpose(1, 2)))
        self.value_bias = nn.Buffer(own(bias_of(part.value)))
        self.shape = shape[:2]

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        x = packing.padded(x)
        q = self.query(x[:, 0]).unflatten(-1, self.shape).transpose(0, 1)
        asked = (q @ self.key).transpose(0, 1)  # (batch, heads, dim)
        weights = torch.softmax(asked @ x.transpose(1, 2) + packing.bias, dim=-1)
        mixed = (weights @ x).transpose(0, 1)
        return (mixed @ self.value).transpose(0, 1).flatten(1) + self.value_bias


class GraphBlock(nn.Module):
    """Attention and FFN; the last one goes on with the first token alone.

    x: (rows, dim). Returns the same shape, or (batch, dim) from the last.
    """

    def __init__(
        self, part: BlockPrefix, head_dim: int, activation: str, eps: float, last: bool
    ) -> None:
        super().__init__()
        self.last = last
        kind: type[GraphAttention | GraphPooledAttention] = (
            GraphPooledAttention if last else GraphAttention
        )
        self.attend = kind(part, head_dim)
        self.output = GraphLinear.of(part.output)
        self.attention_norm = GraphNorm(part.attention_norm, eps)
        self.up = GraphLinear.of(part.up)
        self.down = GraphLinear.of(part.down)
        self.ffn_norm = GraphNorm(part.ffn_norm, eps)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        mixed = self.output(self.attend(x, packing))
        asking = x.index_select(0, packing.places[:, 0]) if self.last else x
        x = self.attention_norm(asking + mixed)
        out: Tensor = self.ffn_norm(x + self.down(self.activation(self.up(x))))
        return out
