"""What one replica holds: the highest rate at which 99 % of the requests are answered in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..loadtest.knee import SHARE
from ..models.progress import SILENT, Progress
from ..server.core.load_control import TICK_SECONDS
from .errors import PlanError
from .simulation.inputs import SimulationInput
from .simulation.result import SimulationSummary
from .simulation.run import simulate
from .traffic import Shape, steady

TOLERANCE = 0.02
"""Relative width of the gap between a rate that holds and one that does not, at the end."""
LEAST = 3000
"""Requests of a probe: 30 are beyond p99."""
FULL = 3000
"""Requests that come at once, to find what a replica does at most."""
ALONE = 100
"""Requests that come one after the other, to find how long one takes."""
IDLE = 0.1
"""Share of the time in which a replica that is almost idle has a request."""


@dataclass(frozen=True)
class UpperBound:
    """rate: requests per second that a replica does without a pause. limit: which process is at its
    limit then, `http` (it serves) or `device` (it computes). http, device: how busy they are
    meanwhile.
    """

    rate: float
    limit: str
    http: float
    device: float


@dataclass(frozen=True)
class Capacity:
    """rate: the highest that a replica holds, requests per second over the stretch. summary: of the
    simulation at that rate.
    """

    rate: float
    summary: SimulationSummary
    bound: UpperBound


def upper_bound(inputs: SimulationInput, seed: int = 0) -> UpperBound:
    """What a replica answers of more than it can take, if no cascade is shortened."""
    found = simulate(inputs.without_brownout(), np.zeros(FULL), seed)
    limit = "http" if found.http > found.worker else "device"
    return UpperBound(FULL / found.seconds, limit, found.http, found.worker)


def find_capacity(
    inputs: SimulationInput,
    shape: Shape,
    objective: float,
    seed: int = 0,
    progress: Progress = SILENT,
    phase: str = "simulating",
) -> Capacity:
    """The highest rate that a replica holds. objective: seconds that an answer may take.

    A request that is turned away, or answered by a cascade that the brownout has shortened, was not
    answered in time. phase: what the progress calls the search. Raises PlanError if not even an
    idle replica meets the objective.
    """
    progress.step(phase)
    most = upper_bound(inputs, seed)

    def probe(rate: float, over: Shape, enough: float) -> SimulationSummary:
        due = over.moments(rate, np.random.default_rng(seed), LEAST)
        return simulate(inputs, due, seed, objective, math.ceil(enough * len(due)) + 1)

    alone = simulate(inputs, np.arange(0.0, ALONE * TICK_SECONDS, TICK_SECONDS), seed)
    slow = min(IDLE / alone.p50, most.rate / 2)
    idle = probe(slow, steady(1.0), 1.0)
    if idle.p99 > objective:
        raise PlanError(
            f"objective-ms: {1e3 * objective:g} is below what a request takes that waits for "
            f"nobody: of {inputs.model!r} p50 is {1e3 * idle.p50:.3g} ms and p99 "
            f"{1e3 * idle.p99:.3g} ms. No number of replicas changes that"
        )
    low, best, high = slow, idle, most.rate * (1 + TOLERANCE)
    halvings = math.ceil(math.log2(math.log(high / low) / math.log1p(TOLERANCE)))
    done = 0
    while high / low > 1 + TOLERANCE:
        progress.step(phase, done, halvings)
        done += 1
        middle = math.sqrt(low * high)
        found = probe(middle, shape, 1 - SHARE)
        if found.in_time >= SHARE:
            low, best = middle, found
        else:
            high = middle
    return Capacity(low, best, most)
