"""A simulation from its first request to its last answer."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from .client import Client
from .clock import SimulatedClock
from .inputs import SimulationInput
from .replica import Replica
from .result import SimulationResult, SimulationSummary


def simulate(
    inputs: SimulationInput,
    due: NDArray[np.float64],
    seed: int = 0,
    limit: float = inf,
    enough: int | None = None,
) -> SimulationSummary:
    """Send requests at these moments (seconds, float64, ascending).

    limit: seconds that an answer may take. enough: the simulation ends early when so many requests
    were not answered in time, since that is all it was to find out. Raises ValueError without
    requests.
    """
    if not len(due):
        raise ValueError("due: has no requests")
    clock, result = SimulatedClock(), SimulationResult(due, limit)
    replica = Replica(clock, inputs, result, seed)
    rows = np.random.default_rng(seed).integers(0, len(inputs.workload), len(due))
    Client(clock, replica, inputs, result, rows.tolist())
    most = len(due) if enough is None else enough
    clock.run(stop=lambda: result.over or result.missed >= most)
    return result.summary(clock.now, replica.serving.busy, replica.worker.busy)
