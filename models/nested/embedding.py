"""From tokens to the first hidden rows: tokens with learned positions, and types."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels.prefix import Prefix, prefix
from .architecture import Architecture
from .batch import PackedBatch
from .shapes import weight_shapes
from .weights import Norm, drawn


class EmbeddingPrefix(NamedTuple):
    """A student's views: tokens (vocabulary, dim), positions (max_tokens, dim), and segment, (dim,)
    or (token_types, dim).
    """

    tokens: Tensor
    positions: Tensor
    segment: Tensor
    norm: Prefix


class TokenEmbedding(nn.Module):
    """A token's row, its position's, and its type's; a norm.

    Where there is one type, all tokens have it. Of two, the second is that of ids beyond the
    vocabulary, which stand for the same tokens in the second text of a pair.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.tokens = drawn(a.vocabulary, a.dim)
        self.positions = drawn(a.max_tokens, a.dim)
        self.segment = nn.Parameter(torch.zeros(weight_shapes(a)["segment"]))
        self.norm = Norm(a.dim)

    def prefix(self, dim: int) -> EmbeddingPrefix:
        """What a student of this width uses."""
        return EmbeddingPrefix(
            prefix(self.tokens, len(self.tokens), dim),
            prefix(self.positions, len(self.positions), dim),
            prefix(self.segment, *self.segment.shape[:-1], dim),
            self.norm.prefix(dim),
        )

    def forward(self, batch: PackedBatch, widest: EmbeddingPrefix) -> Tensor:
        """The sum before the norm: (rows, dim of `widest`)."""
        device = widest.tokens.device
        ids, types = batch.ids.on(device), widest.segment
        if types.dim() == 2:
            vocabulary = len(widest.tokens)
            types = F.embedding(ids // vocabulary, types)
            ids = ids % vocabulary
        tokens = F.embedding(ids, widest.tokens)
        return tokens + F.embedding(batch.positions.on(device), widest.positions) + types
