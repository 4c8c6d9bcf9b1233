"""From hidden states to an answer: one label, read off the first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels.layout import Groups
from ...kernels.operations import Operations
from ...kernels.prefix import Prefix
from .architecture import Architecture
from .head_spec import HeadSpec
from .weights import Linear


class HeadPrefix(NamedTuple):
    """A student's views: pooler (dim, dim), classifier (labels, dim)."""

    pooler: Prefix
    classifier: Prefix


class ClassifierHead(nn.Module):
    """The first token's row through a pooler, and a logit for each label."""

    def __init__(self, a: Architecture, head: HeadSpec, operations: Operations) -> None:
        super().__init__()
        self._linear = operations.linear
        self.pooler = Linear(a.dim, a.dim)
        self.classifier = Linear(len(head.labels), a.dim)

    def prefix(self, dim: int) -> HeadPrefix:
        """What a student of this width uses."""
        labels = len(self.classifier.bias)
        return HeadPrefix(self.pooler.prefix(dim, dim), self.classifier.prefix(labels, dim))

    def pool(
        self, x: Tensor, students: Sequence[HeadPrefix], rows: Groups, dropout: float
    ) -> Tensor:
        """The pooled hidden state that the classifier reads: (sequences, widest dim)."""
        pooled = self._linear(x, [each.pooler for each in students], rows, "tanh")
        return F.dropout(pooled, dropout)

    def forward(
        self, x: Tensor, students: Sequence[HeadPrefix], rows: Groups, dropout: float
    ) -> Tensor:
        """Logits: (sequences, labels). x: one row per sequence, (sequences, widest dim)."""
        pooled = self.pool(x, students, rows, dropout)
        return self._linear(pooled, [each.classifier for each in students], rows)
