"""The client: it sends at given moments, whether or not earlier requests are answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..profile.costs import Costs
from .clock import SimulatedClock
from .idler import IdlePenalty
from .outcome import SimulationResult
from .replica import Replica


class Client:
    """Sends requests of one text each. rows: their texts, of the workload.

    beside: it runs on the core of the server's worker, where it goes first: a load test on the
    machine under test takes time from what it tests. Else it takes nothing.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        replica: Replica,
        outcome: SimulationResult,
        costs: Costs,
        rows: Sequence[int],
        beside: bool,
    ) -> None:
        self._clock, self._replica, self._outcome = clock, replica, outcome
        self._rows, self._beside, self._seconds = rows, beside, costs.client.request / 2
        self._idler = IdlePenalty(clock, costs.client.cold, costs.cooling)
        self._due: list[float] = outcome.due.tolist()
        replica.answered = self._read
        clock.at(self._due[0], lambda: self._send(0))

    def _send(self, number: int) -> None:
        if number + 1 < len(self._due):
            self._clock.at(self._due[number + 1], lambda: self._send(number + 1))
        rows = [self._rows[number]]
        self._compute(lambda: None, lambda: self._replica.receive(number, rows))

    def _read(self, number: int) -> None:
        self._compute(lambda: self._outcome.end(number, self._clock.now), lambda: None)

    def _compute(self, first: Callable[[], None], then: Callable[[], None]) -> None:
        if not self._beside:
            first()
            then()
            return

        def begin() -> float:
            first()
            return self._seconds + self._idler.wake()

        def end() -> None:
            self._idler.rest()
            then()

        self._replica.worker.submit(begin, end, urgent=True)
