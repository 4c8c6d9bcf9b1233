"""Embeddings: a student's pooled hidden states, computed between the engine's batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from .backend import Backend

PART_TOKENS = 2048
"""Tokens that are embedded in one go: as long, a batch of the engine waits for its turn."""


class Embedder:
    """Has a backend embed texts. Belongs to the event loop; a thread waits for the backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._thread = ThreadPoolExecutor(1, "embedder")

    async def embed(
        self, sequences: list[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        """The leading `dimensions` of each pooled hidden state, of length 1.

        Returns (sequences, dimensions). Raises what the backend raises.
        """
        loop = asyncio.get_running_loop()
        parts = [
            await loop.run_in_executor(self._thread, self._backend.embed, part, student, dimensions)
            for part in _parts(sequences)
        ]
        return np.concatenate(parts)

    def stop(self) -> None:
        """End the thread."""
        self._thread.shutdown()


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
