"""One student alone, on padded input: what becomes an ONNX graph.

Padding goes no further than the attention, where sequences have to be told apart: everything else
runs on the tokens end to end. Texts of real traffic are padded to about twice their tokens.

The same arithmetic as `models/nested/trunk.py`, without groups: the widths are those of the
weights. Each weight is a copy of the student's slice, transposed where a product reads it, so that
a graph holds nothing that is computed from weights alone. Queries, keys and values of a layer are
one product, and the scale of the scores is part of the query weights.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....kernels import ACTIVATIONS
from ...nested.spec import StudentSpec
from ...nested.trunk import Layer, NestedTransformer, Norm
from ...nested.trunk import Linear as NestedLinear


class GraphLinear(nn.Module):
    """y = x · W + b. x: (…, inputs) float32. Returns (…, outputs)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(_own(weight))
        self.bias = nn.Buffer(_own(bias))

    @classmethod
    def of(cls, linear: NestedLinear, outputs: int, inputs: int, scale: float = 1.0) -> GraphLinear:
        """A prefix of the TA's."""
        return cls(linear.weight[:outputs, :inputs].T * scale, linear.bias[:outputs] * scale)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class LayerNorm(nn.Module):
    """LayerNorm of the last axis."""

    def __init__(self, norm: Norm, dim: int) -> None:
        super().__init__()
        self.weight = nn.Buffer(_own(norm.weight[:dim]))
        self.bias = nn.Buffer(_own(norm.bias[:dim]))
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


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


class Attention(nn.Module):
    """Every token asks every token. x: (rows, dim). Returns (rows, inner)."""

    def __init__(self, layer: Layer, dim: int, heads: int) -> None:
        super().__init__()
        inner, scale = heads * layer.head_dim, layer.head_dim**-0.5
        parts = [
            GraphLinear.of(layer.query, inner, dim, scale),
            GraphLinear.of(layer.key, inner, dim),
            GraphLinear.of(layer.value, inner, dim),
        ]
        self.project = GraphLinear(
            torch.cat([part.weight for part in parts], dim=1),
            torch.cat([part.bias for part in parts]),
        )
        self.shape = (3, heads, layer.head_dim)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        split = packing.padded(self.project(x)).view(*packing.places.shape, *self.shape)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head_dim)
        weights = torch.softmax(q @ k.transpose(2, 3) + packing.bias[:, None], dim=-1)
        return packing.packed((weights @ v).transpose(1, 2).flatten(2))


class PooledAttention(nn.Module):
    """The first token alone asks, as `kernels.pooled_attention` computes it.

    x: (rows, dim). Returns (batch, inner).
    """

    def __init__(self, layer: Layer, dim: int, heads: int) -> None:
        super().__init__()
        inner, scale = heads * layer.head_dim, layer.head_dim**-0.5
        self.query = GraphLinear.of(layer.query, inner, dim, scale)
        shape = (heads, layer.head_dim, dim)
        self.key = nn.Buffer(_own(layer.key.weight[:inner, :dim].view(shape)))
        self.value = nn.Buffer(_own(layer.value.weight[:inner, :dim].view(shape).transpose(1, 2)))
        self.value_bias = nn.Buffer(_own(layer.value.bias[:inner]))
        self.shape = shape[:2]

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        x = packing.padded(x)
        q = self.query(x[:, 0]).unflatten(-1, self.shape).transpose(0, 1)
        asked = (q @ self.key).transpose(0, 1)  # (batch, heads, dim)
        weights = torch.softmax(asked @ x.transpose(1, 2) + packing.bias, dim=-1)
        mixed = (weights @ x).transpose(0, 1)
        return (mixed @ self.value).transpose(0, 1).flatten(1) + self.value_bias


class Block(nn.Module):
    """Attention and FFN; the last one goes on with the first token alone.

    x: (rows, dim). Returns the same shape, or (batch, dim) from the last.
    """

    def __init__(self, layer: Layer, spec: StudentSpec, index: int, activation: str) -> None:
        super().__init__()
        dim, heads, ffn = spec.dim, spec.heads[index], spec.ffn[index]
        self.last = index == len(spec.layers) - 1
        kind: type[Attention | PooledAttention] = PooledAttention if self.last else Attention
        self.attend = kind(layer, dim, heads)
        self.output = GraphLinear.of(layer.output, dim, heads * layer.head_dim)
        self.attention_norm = LayerNorm(layer.attention_norm, dim)
        self.up = GraphLinear.of(layer.up, ffn, dim)
        self.down = GraphLinear.of(layer.down, dim, ffn)
        self.ffn_norm = LayerNorm(layer.ffn_norm, dim)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        mixed = self.output(self.attend(x, packing))
        asking = x.index_select(0, packing.places[:, 0]) if self.last else x
        x = self.attention_norm(asking + mixed)
        out: Tensor = self.ffn_norm(x + self.down(self.activation(self.up(x))))
        return out


class PaddedStudent(nn.Module):
    """A student's logits of padded sequences, in float32, on the CPU.

    temperature: by which the classifier's weights are divided, and so the logits. typed: whether it
    is told each token's segment, as BERT is elsewhere; there is one segment to be told.
    """

    def __init__(
        self,
        model: NestedTransformer,
        spec: StudentSpec,
        temperature: float = 1.0,
        typed: bool = False,
    ) -> None:
        super().__init__()
        a, d = model.architecture, spec.dim
        positions, segment = model.positions[:, :d].float(), model.segment[:d].float()
        self.tokens = nn.Buffer(_own(model.tokens[:, :d]))
        if typed:
            self.segments = nn.Buffer(_own(segment[None]))
        else:
            positions = positions + segment  # made here, once
        self.positions = nn.Buffer(_own(positions))
        self.embedding_norm = LayerNorm(model.embedding_norm, d)
        self.blocks = nn.ModuleList(
            Block(cast(Layer, model.layers[layer]), spec, i, a.activation)
            for i, layer in enumerate(spec.layers)
        )
        self.pooler = GraphLinear.of(model.pooler, d, d)
        self.classifier = GraphLinear.of(model.classifier, len(a.labels), d, 1 / temperature)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Logits: (batch, labels) float32.

        All inputs: (batch, length) int64. The mask is 1 on tokens and 0 on padding, whose ids may
        be any in the vocabulary. token_type_ids: 0 on all tokens; given if, and only if, `typed`.
        """
        packing = Packing.of(attention_mask)
        ids = input_ids.flatten().index_select(0, packing.rows)
        x = F.embedding(ids, self.tokens) + F.embedding(packing.columns, self.positions)
        if token_type_ids is not None:
            types = token_type_ids.flatten().index_select(0, packing.rows)
            x = x + F.embedding(types, self.segments)
        x = self.embedding_norm(x)
        for block in self.blocks:
            x = block(x, packing)
        logits: Tensor = self.classifier(torch.tanh(self.pooler(x)))
        return logits


def _own(weight: Tensor) -> Tensor:
    """A contiguous float32 copy on the CPU."""
    return weight.detach().to("cpu", torch.float32, copy=True).contiguous()
