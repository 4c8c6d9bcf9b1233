"""A core of the simulated machine, on which pieces of work take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .clock import SimulatedClock
from .speed import Speed


@dataclass(slots=True)
class _Work:
    begin: Callable[[], float]
    then: Callable[[], None]
    urgent: bool
    left: float = -1.0
    """Seconds at speed 1; below 0 until it has begun."""
    number: int = -1
    """Of its end, on the clock."""
    resumed: float = 0.0


class Core:
    """Does one piece of work at a time, first come, first served; urgent work interrupts others.

    wake: seconds that an idle core needs before it begins, since a process that sleeps has to be
    woken. busy: seconds that it has worked so far on what is not urgent.
    """

    def __init__(self, clock: SimulatedClock, speed: Speed, wake: float = 0.0) -> None:
        self._clock, self._speed, self._wake = clock, speed, wake
        self._urgent: deque[_Work] = deque()
        self._waiting: deque[_Work] = deque()
        self._running: _Work | None = None
        self.busy = 0.0

    def submit(
        self, begin: Callable[[], float], then: Callable[[], None], urgent: bool = False
    ) -> None:
        """Add a piece of work. begin: called when its turn comes; returns the seconds that the work
        takes at speed 1. then: called at its end.
        """
        (self._urgent if urgent else self._waiting).append(_Work(begin, then, urgent))
        if self._running is None:
            self._next(self._wake)
        elif urgent and not self._running.urgent:
            self._interrupt(self._running)
            self._next()

    def _interrupt(self, work: _Work) -> None:
        self._clock.cancel(work.number)
        if work.left >= 0:
            now = self._clock.now
            self.busy += now - work.resumed
            done = self._speed.done(now) - self._speed.done(work.resumed)
            work.left = max(0.0, work.left - done)
        self._waiting.appendleft(work)

    def _next(self, delay: float = 0.0) -> None:
        if not (lane := self._urgent or self._waiting):
            self._running = None
            return
        self._running = work = lane.popleft()
        if delay:
            work.number = self._clock.after(delay, lambda: self._begin(work))
        else:
            self._begin(work)

    def _begin(self, work: _Work) -> None:
        if work.left < 0:
            work.left = work.begin()
        work.resumed = self._clock.now
        end = self._speed.end(work.resumed, work.left)
        work.number = self._clock.at(end, lambda: self._end(work))

    def _end(self, work: _Work) -> None:
        if not work.urgent:
            self.busy += self._clock.now - work.resumed
        work.then()  # what it submits waits its turn
        self._next()
