"""The one nested transformer: every student is a set of views on the TA's weights.

It is assembled from an embedding, blocks and a head, each of which says what a student uses of it.
Hidden rows travel in one packed buffer as wide as the widest student in the batch. Each operation
gets the groups and their views; at a layer that a student does not have, it has none, and the
operation leaves its rows alone. At a student's last layer its rows shrink to the first token of
each sequence, which is all that the head reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...kernels.layout import Layout
from ...kernels.operations import REFERENCE, Operations
from .architecture import Architecture
from .batch import PackedBatch, plan
from .block import BlockPrefix, PostNormBlock, Prefixes, StepPrefixes
from .embedding import EmbeddingPrefix, TokenEmbedding
from .heads import ClassifierHead, HeadPrefix
from .shapes import head_weight
from .spec import StudentSpec


@dataclass(frozen=True)
class StudentWeights:
    """A student's views of the TA's weights. blocks: by the layer's index in the TA."""

    dim: int
    embedding: EmbeddingPrefix
    blocks: Mapping[int, BlockPrefix]
    head: HeadPrefix


class NestedTransformer(nn.Module):
    """The TA. Students need nothing but their `StudentSpec`: no weight is copied.

    Its state has the names that checkpoints have. operations: what computes it; `operations_for` a
    device to serve, the reference to train.
    """

    def __init__(self, architecture: Architecture, operations: Operations = REFERENCE) -> None:
        super().__init__()
        a = self.architecture = architecture
        self._norm = operations.norm
        self.embedding = TokenEmbedding(a)
        layers = [PostNormBlock(a, operations) for _ in range(a.layers)]
        # The last layer's one query adds the same to all scores through this bias: no gradient.
        layers[-1].key.bias.requires_grad_(False)
        self.layers = nn.ModuleList(layers)
        self.heads = nn.ModuleList([ClassifierHead(a, head, operations) for head in a.heads])
        of_heads = {f"heads.{i}.": head_weight(h.name, "") for i, h in enumerate(a.heads)}
        self._stored = {"embedding.norm.": "embedding_norm.", "embedding.": "", **of_heads}
        self.register_state_dict_post_hook(_to_stored)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_stored)  # type: ignore[no-untyped-call]

    def student(self, spec: StudentSpec) -> StudentWeights:
        """A student's weights, to keep for its batches while the TA's stay where they are.

        Raises ValueError that names the field for a student that does not fit in the TA.
        """
        spec.validate(self.architecture)
        blocks = {
            layer: self.block(layer).prefix(spec.dim, heads, ffn)
            for layer, heads, ffn in zip(spec.layers, spec.attention_heads, spec.ffn, strict=True)
        }
        return StudentWeights(
            spec.dim, self.embedding.prefix(spec.dim), blocks, self.head().prefix(spec.dim)
        )

    def operations(self, students: Sequence[StudentWeights]) -> Iterator[tuple[Prefixes, ...]]:
        """What the operations of a forward of these groups are given: the embedding's, those of
        each layer, the head's.
        """
        yield (tuple(each.embedding.norm for each in students),)
        for layer in sorted({layer for each in students for layer in each.blocks}):
            blocks = [each.blocks.get(layer) for each in students]
            finished = [max(each.blocks) == layer for each in students]
            yield StepPrefixes.of(blocks, finished)
        yield tuple(zip(*(each.head for each in students), strict=True))

    def block(self, layer: int) -> PostNormBlock:
        """A layer of the TA."""
        return cast(PostNormBlock, self.layers[layer])

    def head(self, name: str | None = None) -> ClassifierHead:
        """By its name; the first without one."""
        a = self.architecture
        return cast(ClassifierHead, self.heads[a.heads.index(a.head(name))])

    def embed(self, batch: PackedBatch) -> Tensor:
        """Sum of token, position and type embeddings before the norm: (rows, widest dim)."""
        widest = self.embedding.prefix(max(student.dim for student in batch.students))
        embedded: Tensor = self.embedding(batch.to(self.device), widest)
        return embedded

    def forward(
        self,
        batch: PackedBatch,
        embedded: Tensor | None = None,
        dropout: float = 0.0,
        students: Sequence[StudentWeights] | None = None,
    ) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels).

        embedded: what `embed` gave for the same tokens, when several students share it.
        dropout: probability, in training only; applied after embeddings, attention and FFN.
        students: each group's weights, if they are kept. Raises ValueError for a wrong batch.
        """
        students = students or self._students(batch)
        x, layout = self.encode(batch, embedded, dropout, students)
        logits: Tensor = self.head()(x, [each.head for each in students], layout.rows, dropout)
        return logits

    def pool(self, batch: PackedBatch, students: Sequence[StudentWeights] | None = None) -> Tensor:
        """The pooled hidden state that the classifier reads: (sequences, widest dim)."""
        students = students or self._students(batch)
        x, layout = self.encode(batch, students=students)
        return self.head().pool(x, [each.head for each in students], layout.rows, 0.0)

    def encode(
        self,
        batch: PackedBatch,
        embedded: Tensor | None = None,
        dropout: float = 0.0,
        students: Sequence[StudentWeights] | None = None,
        before: int | None = None,
        every_row: bool = False,
    ) -> tuple[Tensor, Layout]:
        """Hidden rows after each group's last layer: the first token of each sequence.

        before: stop at the input of this layer of the TA instead, all rows kept.
        every_row: keep all rows to the end, at the price of a full last layer.
        """
        batch.check(self.architecture)
        students = students or self._students(batch)
        if embedded is None:
            widest = max(students, key=lambda each: each.dim).embedding
            embedded = self.embedding(batch.to(self.device), widest)
        layout, eps = batch.layout, self.architecture.norm_eps
        norms = [each.embedding.norm for each in students]
        x = F.dropout(self._norm(embedded, None, norms, layout.rows, eps), dropout)
        for step in plan(layout, batch.students, shrink=False) if every_row else batch.plan:
            if before is not None and step.layer >= before:
                break
            blocks = [each.blocks.get(step.layer) for each in students]
            x, layout = self.layers[step.layer](x, step, blocks, dropout), step.remaining
        return x, layout

    def stored_name(self, name: str) -> str:
        """What a weight of `named_parameters` is called in a checkpoint."""
        for here, there in self._stored.items():
            if name.startswith(here):
                return there + name.removeprefix(here)
        return name

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.embedding.tokens.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of the logits."""
        return self.embedding.tokens.dtype

    def _students(self, batch: PackedBatch) -> list[StudentWeights]:
        return [self.student(spec) for spec in batch.students]


def _to_stored(
    module: NestedTransformer, state: MutableMapping[str, Any], prefix: str, _: Any
) -> None:
    for name in [name for name, _ in module.named_parameters()]:
        state[prefix + module.stored_name(name)] = state.pop(prefix + name)


def _from_stored(
    module: NestedTransformer, state: MutableMapping[str, Any], prefix: str, *_: Any
) -> None:
    for name in [name for name, _ in module.named_parameters()]:
        if (stored := prefix + module.stored_name(name)) in state:
            state[prefix + name] = state.pop(stored)
