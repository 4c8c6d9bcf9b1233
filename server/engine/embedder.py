"""Embeddings: a student's pooled hidden states, computed between the engine's batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .executor import Executor

PART_TOKENS = 2048
"""Tokens that are embedded in one go: as long, a batch of the engine waits for its turn."""


class Embedder:
    """Has an executor embed texts, one part of them at a time. Belongs to the event loop."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._turn = asyncio.Lock()

    async def embed(
        self, sequences: list[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        """The leading `dimensions` of each pooled hidden state, of length 1.

        Returns (sequences, dimensions). Raises what the executor raises.
        """
        parts = []
        for part in _parts(sequences):
            async with self._turn:
                parts.append(await self._executor.embed(part, student, dimensions))
        return np.concatenate(parts)


def _parts(sequences: list[list[int]]) -> Iterator[list[list[int]]]:
    part: list[list[int]] = []
    tokens = 0
    for ids in sequences:
        if part and tokens + len(ids) > PART_TOKENS:
            yield part
            part, tokens = [], 0
        part.append(ids)
        tokens += len(ids)
    yield part
