"""The price of having been idle: whoever has paused is slower at first."""

from __future__ import annotations

from math import exp

from .clock import SimulatedClock


class IdlePenalty:
    """Costs waking + cold · (1 − exp(−pause / cooling)) seconds; see `profile.costs`."""

    def __init__(
        self, clock: SimulatedClock, cold: float, cooling: float, waking: float = 0.0
    ) -> None:
        self._clock, self._cold, self._cooling = clock, cold, cooling
        self._waking = waking
        self._rested = 0.0

    def wake(self) -> float:
        """Seconds that the pause until now costs; 0 without a pause."""
        pause = self._clock.now - self._rested
        if not pause:
            return 0.0
        return self._waking + self._cold * (1 - exp(-pause / self._cooling))

    def rest(self) -> None:
        """A pause begins."""
        self._rested = self._clock.now
