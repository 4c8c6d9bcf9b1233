"""How far a start is that nobody waits for at a terminal: lines of the log, now and then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from ...models.progress import Progress

log = logging.getLogger(__name__)
EVERY = 4.0
"""Seconds between two lines, where there is something to say."""


class Logged(Progress):
    """Logs the steps of what takes long; what is over sooner leaves no line.

    prefix: before the name of each phase.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._started = self._said = monotonic()

    def note(self, text: str) -> None:
        log.info("%s%s", self._prefix, text)

    def step(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        detail: Callable[[], str] | None = None,
    ) -> None:
        now = monotonic()
        if now - self._said < EVERY:
            return
        self._said = now
        of = f" {done:,} of {total:,}," if total else ""
        log.info("%s%s:%s %.0f s so far", self._prefix, phase, of, now - self._started)
