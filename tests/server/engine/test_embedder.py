"""Embeddings where the device has memory for few texts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.models import Checkpoint
from nestling.models.runners.torch import TorchRunner
from nestling.server.engine.embedder import Embedder
from nestling.server.engine.in_process import InProcessExecutor

TEXTS = [[2, 5, 3], [2, 6, 7, 3], [2, 8, 3], [2, 9, 3], [2, 10, 11, 12, 3]]


class Small(TorchRunner):
    """Has memory for so many texts."""

    room = 2

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        if len(sequences) > self.room:
            raise MemoryError("no room")
        return super().embed(sequences, student, dimensions)


def embedded(runner: TorchRunner) -> NDArray[np.float32]:
    async def main() -> NDArray[np.float32]:
        executor = InProcessExecutor(runner)
        try:
            return await Embedder(executor).embed(TEXTS, "tiny", 8)
        finally:
            await executor.stop()

    return asyncio.run(main())


def test_what_does_not_fit_is_embedded_in_parts(
    calibrated: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    expected = embedded(TorchRunner(calibrated))
    assert np.allclose(embedded(Small(calibrated)), expected, atol=1e-6)
    assert "no memory to embed 5 texts at once: splitting them" in caplog.text


def test_one_text_that_does_not_fit_is_an_error(calibrated: Checkpoint) -> None:
    runner = Small(calibrated)
    runner.room = 0
    with pytest.raises(MemoryError, match="no room"):
        embedded(runner)
