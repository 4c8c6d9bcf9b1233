"""The one nested transformer: every student is a set of views on the TA's weights.

Hidden rows travel in one packed buffer as wide as the widest student in the batch. Each
operation gets the groups and their widths; at a layer that a student does not have, its width
is 0 and the operation leaves its rows alone. At a student's last layer its rows shrink to the
first token of each sequence, which is all that the classifier reads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels import REFERENCE, Layout, Operations, prefix
from .architecture import Architecture
from .batch import PackedBatch
from .plan import LayerStep, plan


class Norm(nn.Module):
    """LayerNorm of a prefix."""

    def __init__(self, dim: int, eps: float, operations: Operations) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.eps, self._add_norm = eps, operations.add_norm

    def forward(
        self, x: Tensor, residual: Tensor | None, layout: Layout, d: tuple[int, ...]
    ) -> Tensor:
        return self._add_norm(x, residual, self.weight, self.bias, layout.rows, d, self.eps)


class Linear(nn.Module):
    """A linear layer of which each group uses a prefix of the outputs and of the inputs."""

    def __init__(
        self, outputs: int, inputs: int, operations: Operations, activation: str = "none"
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.activation, self._linear = activation, operations.linear
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, layout: Layout, n: tuple[int, ...], k: tuple[int, ...]) -> Tensor:
        return self._linear(x, self.weight, self.bias, layout.rows, n, k, self.activation)


class Layer(nn.Module):
    """Attention and FFN, each followed by residual add and norm."""

    def __init__(self, a: Architecture, operations: Operations) -> None:
        super().__init__()
        inner = a.heads * a.head_dim
        self.head_dim, self._operations = a.head_dim, operations
        self.query = Linear(inner, a.dim, operations)
        self.key = Linear(inner, a.dim, operations)
        self.value = Linear(inner, a.dim, operations)
        self.output = Linear(a.dim, inner, operations)
        self.attention_norm = Norm(a.dim, a.norm_eps, operations)
        self.up = Linear(a.ffn, a.dim, operations, a.activation)
        self.down = Linear(a.dim, a.ffn, operations)
        self.ffn_norm = Norm(a.dim, a.norm_eps, operations)

    def forward(self, x: Tensor, step: LayerStep, dropout: float) -> Tensor:
        inner = tuple(h * self.head_dim for h in step.heads)
        asking = step.remaining
        rows = x if step.kept is None else x[step.kept.on(x.device)]
        queries = self.query(rows, asking, inner, step.dim)
        attended = self._attend(queries, x, step)
        x = rows
        mixed = F.dropout(self.output(attended, asking, step.dim, inner), dropout)
        x = self.attention_norm(x, mixed, asking, step.dim)
        neurons = self.up(x, asking, step.ffn, step.dim)
        mixed = F.dropout(self.down(neurons, asking, step.dim, step.ffn), dropout)
        out: Tensor = self.ffn_norm(x, mixed, asking, step.dim)
        return out

    def _attend(self, queries: Tensor, x: Tensor, step: LayerStep) -> Tensor:
        """Attention of the groups that go on, then of those whose last layer this is."""
        each = list(zip(step.heads, step.finished, strict=True))
        going_on = tuple(0 if done else h for h, done in each)
        attended = None
        if any(going_on):
            inner = tuple(h * self.head_dim for h in going_on)
            keys = self.key(x, step.layout, inner, step.dim)
            values = self.value(x, step.layout, inner, step.dim)
            attended = self._operations.attention(
                queries, keys, values, step.remaining, step.layout, going_on, self.head_dim
            )
            if not any(step.finished):
                return attended
            attended = F.pad(attended, (0, queries.shape[1] - attended.shape[1]))
        return self._operations.pooled_attention(
            queries,
            x,
            self.key.weight,
            self.value.weight,
            self.value.bias,
            step.remaining,
            step.layout,
            tuple(h if done else 0 for h, done in each),
            step.dim,
            self.head_dim,
            out=attended,
        )


class NestedTransformer(nn.Module):
    """The TA. Students need nothing but their `StudentSpec`: no weight is copied.

    operations: what computes it; `operations_for` a device to serve, the reference to train.
    """

    def __init__(self, architecture: Architecture, operations: Operations = REFERENCE) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.tokens = nn.Parameter(torch.empty(a.vocabulary, a.dim).normal_(std=0.02))
        self.positions = nn.Parameter(torch.empty(a.max_tokens, a.dim).normal_(std=0.02))
        self.segment = nn.Parameter(torch.zeros(a.dim))
        self.embedding_norm = Norm(a.dim, a.norm_eps, operations)
        layers = [Layer(a, operations) for _ in range(a.layers)]
        # The last layer's one query adds the same to all scores through this bias: no gradient.
        layers[-1].key.bias.requires_grad_(False)
        self.layers = nn.ModuleList(layers)
        self.pooler = Linear(a.dim, a.dim, operations, "tanh")
        self.classifier = Linear(len(a.labels), a.dim, operations)

    def embed(self, batch: PackedBatch) -> Tensor:
        """Sum of token, position and type embeddings before the norm: (rows, widest dim)."""
        d = max(s.dim for s in batch.students)
        batch = batch.to(self.tokens.device)
        tokens = F.embedding(batch.tokens, prefix(self.tokens, len(self.tokens), d))
        positions = F.embedding(batch.positions, prefix(self.positions, len(self.positions), d))
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
        layout = batch.layout.first_rows
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
        steps = plan(layout, batch.students, shrink=False) if every_row else batch.plan
        for step in steps:
            if before is not None and step.layer >= before:
                break
            x, layout = self.layers[step.layer](x, step, dropout), step.remaining
        return x, layout
