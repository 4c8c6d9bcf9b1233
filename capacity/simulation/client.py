"""The client: it sends at given moments, whether or not earlier requests are answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .clock import SimulatedClock
from .idle import IdlePenalty
from .inputs import SimulationInput
from .replica import Replica
from .result import SimulationResult


class Client:
    """Sends requests of one text each. rows: their texts, of the workload.

    A client beside the server runs on the core of its worker, where it goes first: a load test on
    the machine under test takes time from what it tests. Any other client takes no time.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        replica: Replica,
        inputs: SimulationInput,
        result: SimulationResult,
        rows: Sequence[int],
    ) -> None:
        costs = inputs.costs
        self._clock, self._replica, self._result = clock, replica, result
        self._rows, self._beside, self._seconds = rows, inputs.beside, costs.client.request / 2
        self._idle = IdlePenalty(clock, costs.client.cold, costs.cooling)
        self._due: list[float] = result.due.tolist()
        replica.answered = self._read
        clock.at(self._due[0], lambda: self._send(0))

    def _send(self, number: int) -> None:
        if number + 1 < len(self._due):
            self._clock.at(self._due[number + 1], lambda: self._send(number + 1))
        rows = [self._rows[number]]
        self._compute(lambda: None, lambda: self._replica.receive(number, rows))

    def _read(self, number: int) -> None:
        self._compute(lambda: self._result.end(number, self._clock.now), lambda: None)

    def _compute(self, first: Callable[[], None], then: Callable[[], None]) -> None:
        if not self._beside:
            first()
            then()
            return

        def begin() -> float:
            first()
            return self._seconds + self._idle.wake()

        def end() -> None:
            self._idle.rest()
            then()

        self._replica.worker.submit(begin, end, urgent=True)
