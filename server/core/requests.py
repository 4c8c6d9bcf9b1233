"""What a request brings, and what it gets: the same for every protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.cascade.decisions import Decision


@dataclass(frozen=True)
class Inputs:
    """The texts of one request, or their token ids with special tokens.

    single: it was one text, not a list with one text in it.
    """

    texts: list[str]
    single: bool
    tokens: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.texts if self.tokens is None else self.tokens)

    def field(self, index: int) -> str:
        """What errors call a text."""
        return "inputs" if self.single else f"inputs[{index}]"

    def part(self, indices: Sequence[int]) -> Inputs:
        """Some of them, which errors go on calling as before."""
        texts = [self.texts[index] for index in indices] if self.tokens is None else []
        tokens = None if self.tokens is None else [self.tokens[index] for index in indices]
        return _Part(texts, self.single, tokens, whole=self, indices=indices)


@dataclass(frozen=True)
class _Part(Inputs):
    _: KW_ONLY
    whole: Inputs
    indices: Sequence[int]

    def field(self, index: int) -> str:
        return self.whole.field(self.indices[index])


@dataclass(frozen=True)
class Answers:
    """What a request gets. tokenize_seconds, total_seconds: of the request as a whole."""

    decisions: list[Decision]
    tokenize_seconds: float
    total_seconds: float

    @property
    def queue_seconds(self) -> float:
        """Of the text that waited longest, over all its stages."""
        return max(decision.waited for decision in self.decisions)

    @property
    def inference_seconds(self) -> float:
        """Of the batches of the text that needed most, over all its stages."""
        return max(decision.ran for decision in self.decisions)


@dataclass(frozen=True)
class Embeddings:
    """vectors: (texts, dimensions) float32, each of length 1. tokens: of all texts."""

    vectors: NDArray[np.float32]
    tokens: int
