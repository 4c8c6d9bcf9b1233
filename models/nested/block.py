"""One layer: bidirectional attention and a plain FFN, each followed by residual add and norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels import Operations, Prefix
from .architecture import Architecture
from .batch import LayerStep
from .weights import Linear, Norm

Prefixes = tuple[Prefix | None, ...]


class BlockPrefix(NamedTuple):
    """A student's views of a layer's weights."""

    query: Prefix
    key: Prefix
    value: Prefix
    output: Prefix
    attention_norm: Prefix
    up: Prefix
    down: Prefix
    ffn_norm: Prefix


SKIPPED = (None,) * len(BlockPrefix._fields)
"""Of a student that does not have the layer."""


class PostNormBlock(nn.Module):
    """Queries, keys and values of whole heads; then an FFN with one activation."""

    def __init__(self, a: Architecture, operations: Operations) -> None:
        super().__init__()
        inner = a.heads * a.head_dim
        self.head_dim, self.eps, self.activation = a.head_dim, a.norm_eps, a.activation
        self._operations = operations
        self.query = Linear(inner, a.dim)
        self.key = Linear(inner, a.dim)
        self.value = Linear(inner, a.dim)
        self.output = Linear(a.dim, inner)
        self.attention_norm = Norm(a.dim)
        self.up = Linear(a.ffn, a.dim)
        self.down = Linear(a.dim, a.ffn)
        self.ffn_norm = Norm(a.dim)

    def prefix(self, dim: int, heads: int, ffn: int) -> BlockPrefix:
        """What a student of these widths uses."""
        inner = heads * self.head_dim
        return BlockPrefix(
            self.query.prefix(inner, dim),
            self.key.prefix(inner, dim),
            self.value.prefix(inner, dim),
            self.output.prefix(dim, inner),
            self.attention_norm.prefix(dim),
            self.up.prefix(ffn, dim),
            self.down.prefix(dim, ffn),
            self.ffn_norm.prefix(dim),
        )

    def forward(
        self, x: Tensor, step: LayerStep, students: Sequence[BlockPrefix | None], dropout: float
    ) -> Tensor:
        """Hidden rows after the layer, those that `step` keeps. students: each group's views."""
        query, key, value, output, attention_norm, up, down, ffn_norm = zip(
            *(each or SKIPPED for each in students), strict=True
        )
        linear, norm = self._operations.linear, self._operations.norm
        rows = step.remaining.rows
        asking = x if step.kept is None else x.index_select(0, step.kept.on(x.device))
        queries = linear(asking, query, rows)
        attended = self._attend(queries, x, key, value, step)
        mixed = F.dropout(linear(attended, output, rows), dropout)
        x = norm(asking, mixed, attention_norm, rows, self.eps)
        neurons = linear(x, up, rows, self.activation)
        mixed = F.dropout(linear(neurons, down, rows), dropout)
        return norm(x, mixed, ffn_norm, rows, self.eps)

    def _attend(
        self, queries: Tensor, x: Tensor, key: Prefixes, value: Prefixes, step: LayerStep
    ) -> Tensor:
        """Attention of the groups that go on, then of those whose last layer this is."""
        attended = None
        if not all(step.finished):
            on_key, on_value = _only(key, step, False), _only(value, step, False)
            heads = tuple(0 if k is None else len(k.weight) // self.head_dim for k in on_key)
            if any(heads):
                keys = self._operations.linear(x, on_key, step.layout.rows)
                values = self._operations.linear(x, on_value, step.layout.rows)
                attended = self._operations.attention(
                    queries, keys, values, step.remaining, step.layout, heads, self.head_dim
                )
                if not any(step.finished):
                    return attended
                attended = F.pad(attended, (0, queries.shape[1] - attended.shape[1]))
        return self._operations.pooled_attention(
            queries,
            x,
            _only(key, step, True),
            _only(value, step, True),
            step.remaining,
            step.layout,
            self.head_dim,
            out=attended,
        )


def _only(prefixes: Prefixes, step: LayerStep, finished: bool) -> Prefixes:
    """Those of the groups that finish here, or of those that do not; none for the others."""
    return tuple(
        each if done == finished else None
        for each, done in zip(prefixes, step.finished, strict=True)
    )
