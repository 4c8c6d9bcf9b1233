"""A simulation from its first request to its last answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from ...models.checkpoint.manifest import Manifest
from ...server.settings import Settings
from ..profile.costs import Costs
from ..profile.workload import Workload
from .client import Client
from .clock import SimulatedClock
from .outcome import SimulationResult
from .replica import Replica


@dataclass(frozen=True)
class SimulationInput:
    """What a simulation is of.

    model: what requests ask for, as in their `model` field. beside: whether the client runs on the
    core of the server's worker.
    """

    manifest: Manifest
    settings: Settings
    costs: Costs
    workload: Workload
    model: str = "auto"
    beside: bool = False

    def unhurried(self) -> SimulationInput:
        """The same without a brownout."""
        return replace(self, settings=replace(self.settings, target_delay_ms=0))


@dataclass(frozen=True)
class Found:
    """Of one simulation.

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


def simulate(
    scene: SimulationInput,
    due: NDArray[np.float64],
    seed: int = 0,
    limit: float = inf,
    enough: int | None = None,
) -> Found:
    """Send requests at these moments (seconds, float64, ascending).

    limit: seconds that an answer may take. enough: so many that were not answered in time end the
    simulation: it has shown what it was to show. Raises ValueError without requests.
    """
    if not len(due):
        raise ValueError("due: has no requests")
    clock, outcome = SimulatedClock(), SimulationResult(due, limit)
    replica = Replica(
        clock, scene.manifest, scene.settings, scene.costs, scene.workload, scene.model, outcome,
        seed,
    )  # fmt: skip
    rows = np.random.default_rng(seed).integers(0, len(scene.workload), len(due))
    Client(clock, replica, outcome, scene.costs, rows.tolist(), scene.beside)
    most = len(due) if enough is None else enough
    clock.run(stop=lambda: outcome.over or outcome.missed >= most)
    return _found(outcome, replica, clock.now)


def _found(outcome: SimulationResult, replica: Replica, seconds: float) -> Found:
    answered = outcome.latency[outcome.ended & ~outcome.refused]
    p50, p99 = np.quantile(answered, (0.5, 0.99)) if len(answered) else (inf, inf)
    texts = max(1, sum(outcome.students.values()))
    return Found(
        requests=len(outcome.due),
        seconds=seconds,
        in_time=1 - outcome.missed / len(outcome.due),
        mean=float(answered.mean()) if len(answered) else inf,
        p50=float(p50),
        p99=float(p99),
        http=replica.serving.busy / seconds,
        worker=replica.worker.busy / seconds,
        texts_per_batch=replica.batched / max(1, replica.batches),
        refused=float(outcome.refused.mean()),
        browned_out=float(outcome.browned_out.mean()),
        students={name: count / texts for name, count in sorted(outcome.students.items())},
    )
