"""An executor without a worker: the weights in the server's own process.

What the server would be without a process of its own for them. Tests hold it in their hand, and
`benchmarks/server/engine.py` measures what the other process is worth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...models.precision import Precision
from ...models.runners.base import ForwardBatch, ForwardOutput, ModelRunner

T = TypeVar("T")


class InProcessExecutor:
    """Asks a runner on one thread of its own; torch keeps state by thread."""

    def __init__(self, runner: ModelRunner) -> None:
        self.manifest, self.device = runner.manifest, runner.device
        self.precision: Precision = runner.precision
        self.device_failures = 0
        self._runner = runner
        self._thread = ThreadPoolExecutor(1, "runner")

    async def start(self) -> None:
        """There is nothing to be linked to."""

    def ask(self, batch: ForwardBatch) -> Awaitable[ForwardOutput]:
        return self._call(self._runner.forward, batch)

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> Awaitable[NDArray[np.float32]]:
        return self._call(self._runner.embed, sequences, student, dimensions)

    @property
    def alive(self) -> bool:
        return True

    async def turn(self) -> None:
        """It has a processor to itself."""

    async def restart(self) -> None:
        """A thread cannot be ended: what runs there is left alone, and another one begins."""
        self._thread.shutdown(wait=False)
        self._thread = ThreadPoolExecutor(1, "runner")

    async def stop(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    def _call(self, function: Callable[..., T], *given: object) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *given)
