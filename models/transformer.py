"""The one nested transformer: every student is a set of views on the TA's weights.

Hidden rows travel in one packed buffer as wide as the widest student in the batch. Each
operation gets the groups and their widths; at a layer that a student does not have, its width
is 0 and the operation leaves its rows alone. At a student's last layer its rows shrink to the
first token of each sequence, which is all that the classifier reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels import (
    Layout,
    grouped_add_norm,
    grouped_attention,
    grouped_linear,
    pooled_attention,
    prefix,
)
from .architecture import Architecture
from .batch import PackedBatch
from .spec import StudentSpec


@dataclass(frozen=True)
class LayerWidths:
    """What each group of a batch does at one layer: all zeros where it skips the layer."""

    dim: tuple[int, ...]
    heads: tuple[int, ...]
    ffn: tuple[int, ...]
    finished: tuple[bool, ...]

    @classmethod
    def at(cls, layer: int, students: tuple[StudentSpec, ...], shrink: bool = True) -> LayerWidths:
        """shrink: whether a student's rows shrink to the first tokens at its last layer."""
        rows = []
        for s in students:
            if layer in s.layers:
                i = s.layers.index(layer)
                rows.append((s.dim, s.heads[i], s.ffn[i], shrink and i == len(s.layers) - 1))
            else:
                rows.append((0, 0, 0, False))
        return cls(*map(tuple, zip(*rows, strict=True)))


class Norm(nn.Module):
    """LayerNorm of a prefix."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.eps = eps

    def forward(
        self, x: Tensor, residual: Tensor | None, layout: Layout, d: tuple[int, ...]
    ) -> Tensor:
        return grouped_add_norm(x, residual, self.weight, self.bias, layout.rows, d, self.eps)


class Linear(nn.Module):
    """A linear layer of which each group uses a prefix of the outputs and of the inputs."""

    def __init__(self, outputs: int, inputs: int, activation: str = "none") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.activation = activation
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, layout: Layout, n: tuple[int, ...], k: tuple[int, ...]) -> Tensor:
        return grouped_linear(x, self.weight, self.bias, layout.rows, n, k, self.activation)


class Layer(nn.Module):
    """Attention and FFN, each followed by residual add and norm."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        inner = a.heads * a.head_dim
        self.head_dim = a.head_dim
        self.query = Linear(inner, a.dim)
        self.key = Linear(inner, a.dim)
        self.value = Linear(inner, a.dim)
        self.output = Linear(a.dim, inner)
        self.attention_norm = Norm(a.dim, a.norm_eps)
        self.up = Linear(a.ffn, a.dim, a.activation)
        self.down = Linear(a.dim, a.ffn)
        self.ffn_norm = Norm(a.dim, a.norm_eps)

    def forward(
        self, x: Tensor, layout: Layout, w: LayerWidths, dropout: float
    ) -> tuple[Tensor, Layout]:
        inner = tuple(h * self.head_dim for h in w.heads)
        kept, asking = layout.keep_first_rows(w.finished)
        rows = x if asking is layout else x[torch.tensor(kept, device=x.device)]
        queries = self.query(rows, asking, inner, w.dim)
        attended = self._attend(queries, x, asking, layout, w)
        x = rows
        mixed = F.dropout(self.output(attended, asking, w.dim, inner), dropout)
        x = self.attention_norm(x, mixed, asking, w.dim)
        neurons = self.up(x, asking, w.ffn, w.dim)
        mixed = F.dropout(self.down(neurons, asking, w.dim, w.ffn), dropout)
        return self.ffn_norm(x, mixed, asking, w.dim), asking

    def _attend(
        self, queries: Tensor, x: Tensor, asking: Layout, layout: Layout, w: LayerWidths
    ) -> Tensor:
        """Attention of the groups that go on, then of those whose last layer this is."""
        going_on = tuple(0 if done else h for h, done in zip(w.heads, w.finished, strict=True))
        attended = None
        if any(going_on):
            inner = tuple(h * self.head_dim for h in going_on)
            keys, values = self.key(x, layout, inner, w.dim), self.value(x, layout, inner, w.dim)
            attended = grouped_attention(
                queries, keys, values, asking, layout, going_on, self.head_dim
            )
            if not any(w.finished):
                return attended
            attended = F.pad(attended, (0, queries.shape[1] - attended.shape[1]))
        finishing = tuple(h if done else 0 for h, done in zip(w.heads, w.finished, strict=True))
        return pooled_attention(
            queries,
            x,
            self.key.weight,
            self.value.weight,
            self.value.bias,
            asking,
            layout,
            finishing,
            w.dim,
            self.head_dim,
            out=attended,
        )


class NestedTransformer(nn.Module):
    """The TA. Students need nothing but their `StudentSpec`: no weight is copied."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.tokens = nn.Parameter(torch.empty(a.vocabulary, a.dim).normal_(std=0.02))
        self.positions = nn.Parameter(torch.empty(a.max_tokens, a.dim).normal_(std=0.02))
        self.segment = nn.Parameter(torch.zeros(a.dim))
        self.embedding_norm = Norm(a.dim, a.norm_eps)
        layers = [Layer(a) for _ in range(a.layers)]
        # The last layer's one query adds the same to all scores through this bias: no gradient.
        layers[-1].key.bias.requires_grad_(False)
        self.layers = nn.ModuleList(layers)
        self.pooler = Linear(a.dim, a.dim, "tanh")
        self.classifier = Linear(len(a.labels), a.dim)

    def embed(self, batch: PackedBatch) -> Tensor:
        """Sum of token, position and type embeddings before the norm: (rows, widest dim)."""
        d = max(s.dim for s in batch.students)
        device = self.tokens.device
        tokens = F.embedding(batch.tokens.to(device), prefix(self.tokens, len(self.tokens), d))
        positions = F.embedding(
            batch.positions.to(device), prefix(self.positions, len(self.positions), d)
        )
        return tokens + positions + prefix(self.segment, d)

    def forward(
        self, batch: PackedBatch, embedded: Tensor | None = None, dropout: float = 0.0
    ) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels).

        embedded: what `embed` gave for the same tokens, when several students share it.
        dropout: probability, in training only; applied after embeddings, attention and FFN.
        """
        return self.classify(self.pool(batch, embedded, dropout), batch)

    def pool(
        self, batch: PackedBatch, embedded: Tensor | None = None, dropout: float = 0.0
    ) -> Tensor:
        """The pooled hidden state that the classifier reads: (sequences, widest dim)."""
        x, layout = self.encode(batch, embedded, dropout)
        d = tuple(s.dim for s in batch.students)
        return F.dropout(self.pooler(x, layout, d, d), dropout)

    def classify(self, pooled: Tensor, batch: PackedBatch) -> Tensor:
        """Logits from pooled hidden states: (sequences, labels)."""
        layout = Layout((1,) * len(batch.layout.lengths), batch.layout.groups)
        labels = len(self.architecture.labels)
        d = tuple(s.dim for s in batch.students)
        logits: Tensor = self.classifier(pooled, layout, (labels,) * len(d), d)
        return logits

    def encode(
        self,
        batch: PackedBatch,
        embedded: Tensor | None = None,
        dropout: float = 0.0,
        before: int | None = None,
        every_row: bool = False,
    ) -> tuple[Tensor, Layout]:
        """Hidden rows after each group's last layer: the first token of each sequence.

        before: stop at the input of this layer of the TA instead, all rows kept.
        every_row: keep all rows to the end, at the price of a full last layer.
        """
        x = self.embed(batch) if embedded is None else embedded
        layout = batch.layout
        d = tuple(s.dim for s in batch.students)
        x = F.dropout(self.embedding_norm(x, None, layout, d), dropout)
        for index, layer in enumerate(self.layers):
            if index == before:
                break
            widths = LayerWidths.at(index, batch.students, shrink=not every_row)
            if any(widths.dim):
                x, layout = layer(x, layout, widths, dropout)
        return x, layout
