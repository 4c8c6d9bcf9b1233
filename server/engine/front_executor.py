"""An executor in the process that serves, which decides by a batch's length who waits for it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from ...models.runners.base import ForwardBatch, ForwardOutput, ModelRunner
from .in_process import InProcessExecutor, T
from .worker.messages import Opened

log = logging.getLogger(__name__)
INLINE_SECONDS = 0.03
"""A batch that is predicted to be over by then runs on the event loop: to hand it to a thread and
back takes longer than a small student. A longer one runs beside it, and nobody waits for the loop.
"""
TURNS = 3
"""Of the event loop between two batches: in the first, answers go out, and what has come is read;
in the second, that is queued, and what those ask is read who have just been answered; in the third,
that is queued. With two a batch is smaller, and a request takes an eighth more.
"""
WEIGHT = 0.125
"""Of a new observation of a student's speed."""
HANGS = 4
"""Exit status of a process whose batch does not end."""


class FrontExecutor(InProcessExecutor):
    """Computes short batches at once, and long ones on a thread.

    A batch that hangs, or a defect, ends the process: its supervisor starts another.
    """

    def __init__(self, runner: ModelRunner, opened: Opened, served: Opened | None = None) -> None:
        """opened: what the runner says of itself. served: by whose thresholds it answers; None for
        its own.
        """
        super().__init__(runner)
        self.opened = opened
        if served:
            self.manifest = replace(
                self.manifest,
                students=served.students,
                cascades=served.cascades,
                default=served.default,
            )
        self._seconds: dict[str, float] = {}
        """That a token takes, by student."""
        self._on_thread = 0
        """What the thread has to do. Until that is done nothing is asked of the runner here."""

    async def ask(self, batch: ForwardBatch) -> ForwardOutput:
        """What the students say, and the gate."""
        tokens = _tokens(batch)
        predicted = sum(self._seconds.get(name, 1.0) * count for name, count in tokens.items())
        started = perf_counter()
        if predicted <= INLINE_SECONDS and not self._on_thread:
            output = self._runner.forward(batch)
        else:
            output = await super().ask(batch)
        self._learn(tokens, predicted, perf_counter() - started)
        return output

    async def _call(self, function: Callable[..., T], *given: object) -> T:
        self._on_thread += 1
        try:
            return await super()._call(function, *given)
        finally:
            self._on_thread -= 1

    async def turn(self) -> None:
        """Nobody reads what comes while a batch runs on the event loop. So whatever has come until
        now is read first, and its tasks run to the queue: the next batch has all of it.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def restart(self) -> None:
        """What runs in this process cannot be ended without it."""
        log.error("what computes here hangs or has died: this process ends, and another starts")
        logging.shutdown()
        os._exit(HANGS)

    def _learn(self, tokens: dict[str, int], predicted: float, seconds: float) -> None:
        """By how much a batch took longer, each of its students is slower."""
        for name, count in tokens.items():
            before = self._seconds.get(name)
            if before is None:
                self._seconds[name] = seconds / max(1, count)
            else:
                self._seconds[name] = before * (1 + WEIGHT * (seconds / predicted - 1))


def _tokens(batch: ForwardBatch) -> dict[str, int]:
    """By student."""
    found: dict[str, int] = {}
    lengths: list[int] = batch.lengths.tolist()
    first = 0
    for name, count in batch.runs:
        found[name] = found.get(name, 0) + sum(lengths[first : first + count])
        first += count
    return found
