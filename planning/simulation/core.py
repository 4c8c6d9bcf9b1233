"""A core: what is to be computed on it takes turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .clock import Clock


@dataclass(slots=True)
class _Work:
    begin: Callable[[], float]
    then: Callable[[], None]
    left: float = -1.0
    """Seconds; below 0 until it has begun."""
    number: int = -1
    """Of its end, on the clock."""
    resumed: float = 0.0


class Core:
    """Does one thing at a time, first come, first served; urgent work interrupts all else.

    wake: seconds until it begins, where it had nothing to do: whoever sleeps has to be woken.
    busy: seconds that it has worked so far.
    """

    def __init__(self, clock: Clock, wake: float = 0.0) -> None:
        self._clock, self._wake = clock, wake
        self._urgent: deque[_Work] = deque()
        self._waiting: deque[_Work] = deque()
        self._running: tuple[_Work, bool] | None = None
        self.busy = 0.0

    def submit(
        self, begin: Callable[[], float], then: Callable[[], None], urgent: bool = False
    ) -> None:
        """Something to be done. begin: called when its turn comes; the seconds that it takes.

        then: called at its end.
        """
        (self._urgent if urgent else self._waiting).append(_Work(begin, then))
        if self._running is None:
            self._next(self._wake)
        elif urgent and not self._running[1]:
            self._interrupt(self._running[0])
            self._next()

    def _interrupt(self, work: _Work) -> None:
        self._clock.call_off(work.number)
        if work.left >= 0:
            worked = self._clock.now - work.resumed
            self.busy += worked
            work.left -= worked
        self._waiting.appendleft(work)

    def _next(self, delay: float = 0.0) -> None:
        urgent = bool(self._urgent)
        if not (lane := self._urgent or self._waiting):
            self._running = None
            return
        work = lane.popleft()
        self._running = (work, urgent)
        if delay:
            work.number = self._clock.after(delay, lambda: self._begin(work))
        else:
            self._begin(work)

    def _begin(self, work: _Work) -> None:
        if work.left < 0:
            work.left = work.begin()
        work.resumed = self._clock.now
        work.number = self._clock.after(work.left, lambda: self._end(work))

    def _end(self, work: _Work) -> None:
        self.busy += self._clock.now - work.resumed
        work.then()  # what it submits waits its turn
        self._next()
