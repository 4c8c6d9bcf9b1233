"""What the engine asks: all students of one checkpoint, wherever their weights lie."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...models.checkpoint.manifest import Manifest
from ...models.precision import Precision
from ...models.runners.base import ForwardBatch, ForwardOutput


class ExecutorGoneError(Exception):
    """What held the weights has ended; it can be started again."""


class Executor(Protocol):
    """A loaded checkpoint that answers batches, one at a time.

    manifest: what it serves. device: where the weights lie, such as `cpu` or `cuda:0`. precision:
    in which it computes. device_failures: how often it ended since its device answered no more. All
    methods belong to the event loop. What can be awaited may raise ExecutorGoneError, MemoryError
    where a smaller batch may do, and what the computation raises.
    """

    manifest: Manifest
    device: str
    precision: Precision
    device_failures: int

    async def start(self) -> None:
        """Be asked by the running event loop from now on."""

    def ask(self, batch: ForwardBatch) -> Awaitable[ForwardOutput]:
        """What the students say, and the gate."""

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> Awaitable[NDArray[np.float32]]:
        """The leading `dimensions` of each pooled hidden state, of length 1.

        Returns (sequences, dimensions).
        """

    async def turn(self) -> None:
        """Let whoever shares a processor with it have a turn, before the next batch is made."""

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""

    async def restart(self) -> None:
        """Abandon what runs, if anything does, and begin anew."""

    async def stop(self) -> None:
        """Give everything back."""
