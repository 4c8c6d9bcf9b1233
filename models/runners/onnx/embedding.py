"""From padded token ids to the first hidden rows, as `models/nested/embedding.py` has them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...nested.embedding import EmbeddingPrefix
from .weights import GraphNorm, own


class Packing(NamedTuple):
    """Where the tokens stand. Products and norms run on packed rows, attention on padded ones.

    columns: (rows,) int64, each token's place in its sequence. rows: the same in the padded batch,
    counted through. places: (batch, length) int64, the row of each place; a place of padding has
    the row before it, so that what is there is finite. bias: (batch, 1, length), what attention
    adds to the scores.
    """

    columns: Tensor
    rows: Tensor
    places: Tensor
    bias: Tensor

    @classmethod
    def of(cls, attention_mask: Tensor) -> Packing:
        """attention_mask: (batch, length) int64, 1 on tokens, of which each sequence has one."""
        sequences, columns = attention_mask.nonzero().unbind(1)
        rows = sequences * attention_mask.shape[1] + columns
        places = (attention_mask.flatten().cumsum(0) - 1).view_as(attention_mask)
        lowest = torch.finfo(torch.float32).min  # not −∞, whose sums can be NaN
        bias = torch.where(attention_mask[:, None, :] == 0, lowest, 0.0)
        return cls(columns, rows, places, bias)

    def padded(self, x: Tensor) -> Tensor:
        """x: (rows, n). Returns (batch, length, n)."""
        return x.index_select(0, self.places.flatten()).view(*self.places.shape, -1)

    def packed(self, x: Tensor) -> Tensor:
        """x: (batch, length, n). Returns (rows, n)."""
        return x.flatten(0, 1).index_select(0, self.rows)


class GraphEmbedding(nn.Module):
    """Token, position and type embeddings, and their norm.

    typed: whether it takes each token's segment as an input, as BERT does elsewhere; there is only
    one segment.
    """

    def __init__(self, part: EmbeddingPrefix, eps: float, typed: bool) -> None:
        super().__init__()
        positions, segment = part.positions.float(), part.segment.float()
        self.tokens = nn.Buffer(own(part.tokens))
        if typed:
            self.segments = nn.Buffer(own(segment[None]))
        else:
            positions = positions + segment  # made here, once
        self.positions = nn.Buffer(own(positions))
        self.norm = GraphNorm(part.norm, eps)

    def forward(self, ids: Tensor, packing: Packing, types: Tensor | None) -> Tensor:
        """ids, types: (batch, length) int64. Returns (rows, dim)."""
        ids = ids.flatten().index_select(0, packing.rows)
        x = F.embedding(ids, self.tokens) + F.embedding(packing.columns, self.positions)
        if types is not None:
            x = x + F.embedding(types.flatten().index_select(0, packing.rows), self.segments)
        normed: Tensor = self.norm(x)
        return normed
