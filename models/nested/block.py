"""One layer: bidirectional attention and a plain FFN, each followed by residual add and norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels.operations import Operations
from ...kernels.prefix import Prefix
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


class StepPrefixes(NamedTuple):
    """What each operation of a layer is given: each group's views, or none.

    key, value: of the groups that go on. last_key, last_value: of those whose last layer this is.
    """

    query: Prefixes
    key: Prefixes
    value: Prefixes
    last_key: Prefixes
    last_value: Prefixes
    output: Prefixes
    attention_norm: Prefixes
    up: Prefixes
    down: Prefixes
    ffn_norm: Prefixes

    @classmethod
    def of(cls, students: Sequence[BlockPrefix | None], finished: Sequence[bool]) -> StepPrefixes:
        """students: each group's views of the layer. finished: whose last layer it is."""
        query, key, value, *rest = zip(*(each or SKIPPED for each in students), strict=True)
        return cls(
            query,
            _only(key, finished, False),
            _only(value, finished, False),
            _only(key, finished, True),
            _only(value, finished, True),
            *rest,
        )


class PostNormBlock(nn.Module):
    """Queries, keys and values of whole heads; then an FFN with one activation."""

    def __init__(self, a: Architecture, operations: Operations) -> None:
        super().__init__()
        inner = a.attention_heads * a.head_dim
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
        views = StepPrefixes.of(students, step.finished)
        linear, norm = self._operations.linear, self._operations.norm
        rows = step.remaining.rows
        asking = x if step.kept is None else x.index_select(0, step.kept.on(x.device))
        queries = linear(asking, views.query, rows)
        attended = self._attend(queries, x, views, step)
        mixed = F.dropout(linear(attended, views.output, rows), dropout)
        x = norm(asking, mixed, views.attention_norm, rows, self.eps)
        neurons = linear(x, views.up, rows, self.activation)
        mixed = F.dropout(linear(neurons, views.down, rows), dropout)
        return norm(x, mixed, views.ffn_norm, rows, self.eps)

    def _attend(self, queries: Tensor, x: Tensor, views: StepPrefixes, step: LayerStep) -> Tensor:
        """Attention of the groups that go on, then of those whose last layer this is."""
        attended = None
        heads = tuple(0 if k is None else len(k.weight) // self.head_dim for k in views.key)
        if any(heads):
            keys = self._operations.linear(x, views.key, step.layout.rows)
            values = self._operations.linear(x, views.value, step.layout.rows)
            if any(step.finished):
                attended = queries.new_empty(queries.shape)
            attended = self._operations.attention(
                queries, keys, values, step.remaining, step.layout, heads, self.head_dim, attended
            )
            if not any(step.finished):
                return attended
        return self._operations.pooled_attention(
            queries,
            x,
            views.last_key,
            views.last_value,
            step.remaining,
            step.layout,
            self.head_dim,
            out=attended,
        )


def _only(prefixes: Prefixes, finished: Sequence[bool], wanted: bool) -> Prefixes:
    """Those of the groups that finish here, or of those that do not; none for the others."""
    return tuple(
        each if done == wanted else None for each, done in zip(prefixes, finished, strict=True)
    )
