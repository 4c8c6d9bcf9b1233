"""What became of the requests of a simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SimulationSummary:
    """Figures of one simulation.

    in_time: share of the requests that were answered within the limit, by the cascade that they
    asked for. mean, p50, p99: seconds, of those answered. http, worker: share of the time in
    which the process that serves computed (the event loop), and the worker.
    students: share of the texts that each answered. seconds: until the last answer.
    """

    requests: int
    seconds: float
    in_time: float
    mean: float
    p50: float
    p99: float
    http: float
    worker: float
    texts_per_batch: float
    refused: float
    browned_out: float
    students: dict[str, float]


class SimulationResult:
    """Records each request as it ends, and all batches.

    due: seconds at which each request is sent, float64. limit: seconds that an answer may take.
    latency: seconds from then to its end. refused: the request was turned away. browned_out: a
    shortened cascade answers it. missed: how many have ended, but not in time or not as they asked.
    students: how many texts each answered. batches, batched: how many ran, and the texts in them.
    """

    def __init__(self, due: NDArray[np.float64], limit: float) -> None:
        self.due, self._limit = due, limit
        self.latency = np.zeros(len(due))
        self.ended = np.zeros(len(due), bool)
        self.refused = np.zeros(len(due), bool)
        self.browned_out = np.zeros(len(due), bool)
        self.students: Counter[str] = Counter()
        self.missed = self.batches = self.batched = self._count = 0

    def end(self, number: int, now: float) -> None:
        """A request has ended."""
        latency = now - self.due[number]
        self.latency[number], self.ended[number] = latency, True
        self._count += 1
        if latency > self._limit or self.refused[number] or self.browned_out[number]:
            self.missed += 1

    @property
    def over(self) -> bool:
        """Whether all requests have ended."""
        return self._count == len(self.due)

    def summary(self, seconds: float, http: float, worker: float) -> SimulationSummary:
        """seconds: until the end. http, worker: seconds of them in which each was busy."""
        answered = self.latency[self.ended & ~self.refused]
        p50, p99 = np.quantile(answered, (0.5, 0.99)) if len(answered) else (inf, inf)
        texts = max(1, self.students.total())
        return SimulationSummary(
            requests=len(self.due),
            seconds=seconds,
            in_time=1 - self.missed / len(self.due),
            mean=float(answered.mean()) if len(answered) else inf,
            p50=float(p50),
            p99=float(p99),
            http=http / seconds,
            worker=worker / seconds,
            texts_per_batch=self.batched / max(1, self.batches),
            refused=float(self.refused.mean()),
            browned_out=float(self.browned_out.mean()),
            students={name: count / texts for name, count in sorted(self.students.items())},
        )
