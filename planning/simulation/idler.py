"""Somebody who is slower after a pause."""

from __future__ import annotations

from math import exp

from .clock import Clock


class Idler:
    """Pays cold · (1 − exp(−pause / cooling)) seconds when woken; see `profile.costs`."""

    def __init__(self, clock: Clock, cold: float, cooling: float) -> None:
        self._clock, self._cold, self._cooling = clock, cold, cooling
        self._rested = 0.0

    def wake(self) -> float:
        """Seconds that the pause until now costs."""
        if not self._cold:
            return 0.0
        return self._cold * (1 - exp((self._rested - self._clock.now) / self._cooling))

    def rest(self) -> None:
        """A pause begins."""
        self._rested = self._clock.now
