"""Embeddings: a student's pooled hidden states, computed between the engine's batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .executor import Executor

log = logging.getLogger(__name__)
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
        parts = [await self._ask(part, student, dimensions) for part in _parts(sequences)]
        return np.concatenate(parts)

    async def _ask(
        self, part: list[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        """In two halves if the device has no memory for all of them."""
        try:
            async with self._turn:
                return await self._executor.embed(part, student, dimensions)
        except MemoryError:
            if len(part) == 1:
                raise
        log.warning("no memory to embed %d texts at once: splitting them", len(part))
        half = len(part) // 2
        halves = [await self._ask(each, student, dimensions) for each in (part[:half], part[half:])]
        return np.concatenate(halves)


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
