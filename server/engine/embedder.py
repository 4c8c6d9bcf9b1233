"""Embeddings: a student's pooled hidden state, on a thread of its own beside the engine's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.batch import PackedBatch
from ...models.cascade import Student
from ...models.transformer import NestedTransformer


class Embedder:
    """Vectors of texts. max_tokens: of one batch."""

    def __init__(self, model: NestedTransformer, max_tokens: int) -> None:
        self._model, self._max_tokens = model, max_tokens

    @torch.inference_mode()
    def embed(self, sequences: Sequence[list[int]], student: Student, dimensions: int) -> Tensor:
        """The leading `dimensions` of each pooled hidden state, of length 1.

        Returns (sequences, dimensions) float32 on the CPU.
        """
        vectors = [
            self._model.pool(PackedBatch.of(batch, student.spec))[:, :dimensions].float().cpu()
            for batch in self._batches(sequences)
        ]
        return F.normalize(torch.cat(vectors), dim=-1)

    def _batches(self, sequences: Sequence[list[int]]) -> Iterator[list[list[int]]]:
        batch: list[list[int]] = []
        tokens = 0
        for ids in sequences:
            if batch and tokens + len(ids) > self._max_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append(ids)
            tokens += len(ids)
        yield batch
