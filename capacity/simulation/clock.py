"""Simulated time: what is due next happens next, and no time passes between."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from math import inf


class SimulatedClock:
    """Seconds since the start of a simulation, and what is to happen at which moment."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()  # what is due at the same moment happens in the order of asking
        self._called_off: set[int] = set()

    def at(self, moment: float, call: Callable[[], None]) -> int:
        """Call it then; a moment that has passed is now. Returns what `call_off` takes."""
        number = next(self._numbers)
        heapq.heappush(self._due, (max(moment, self.now), number, call))
        return number

    def after(self, seconds: float, call: Callable[[], None]) -> int:
        """Call it so many seconds from now."""
        return self.at(self.now + seconds, call)

    def call_off(self, number: int) -> None:
        """Let something that is still due not happen."""
        self._called_off.add(number)

    def run(self, until: float = inf, stop: Callable[[], bool] = lambda: False) -> None:
        """Until nothing is due, the next would be later, or `stop` says so after something."""
        while self._due and self._due[0][0] <= until:
            moment, number, call = heapq.heappop(self._due)
            if number in self._called_off:
                self._called_off.remove(number)
                continue
            self.now = moment
            call()
            if stop():
                return
