"""From tokens to the first hidden rows: tokens with learned positions."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels.prefix import Prefix, prefix
from .architecture import Architecture
from .batch import PackedBatch
from .weights import Norm, drawn


class EmbeddingPrefix(NamedTuple):
    """A student's views: tokens (vocabulary, dim), positions (max_tokens, dim), segment (dim,)."""

    tokens: Tensor
    positions: Tensor
    segment: Tensor
    norm: Prefix


class TokenEmbedding(nn.Module):
    """A token's row, its position's, and the one row of the type that all tokens have; a norm."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.tokens = drawn(a.vocabulary, a.dim)
        self.positions = drawn(a.max_tokens, a.dim)
        self.segment = nn.Parameter(torch.zeros(a.dim))
        self.norm = Norm(a.dim)

    def prefix(self, dim: int) -> EmbeddingPrefix:
        """What a student of this width uses."""
        return EmbeddingPrefix(
            prefix(self.tokens, len(self.tokens), dim),
            prefix(self.positions, len(self.positions), dim),
            prefix(self.segment, dim),
            self.norm.prefix(dim),
        )

    def forward(self, batch: PackedBatch, widest: EmbeddingPrefix) -> Tensor:
        """The sum before the norm: (rows, dim of `widest`)."""
        device = widest.tokens.device
        tokens = F.embedding(batch.ids.on(device), widest.tokens)
        return tokens + F.embedding(batch.positions.on(device), widest.positions) + widest.segment
