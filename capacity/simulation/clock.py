"""Simulated time: it jumps from each event to the next one that is due."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class SimulatedClock:
    """Seconds since the start of a simulation, and the events that are still due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()  # events of the same moment happen in the order of their calls
        self._cancelled: set[int] = set()

    def at(self, moment: float, call: Callable[[], None]) -> int:
        """Call it then; a moment that has passed is now. Returns what `cancel` takes."""
        number = next(self._numbers)
        heapq.heappush(self._due, (max(moment, self.now), number, call))
        return number

    def after(self, seconds: float, call: Callable[[], None]) -> int:
        """Call it so many seconds from now."""
        return self.at(self.now + seconds, call)

    def cancel(self, number: int) -> None:
        """Cancel an event that is still due."""
        self._cancelled.add(number)

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Run until nothing is due, or `stop` returns true after an event."""
        while self._due:
            moment, number, call = heapq.heappop(self._due)
            if number in self._cancelled:
                self._cancelled.remove(number)
                continue
            self.now = moment
            call()
            if stop():
                return
