"""What one replica holds: the highest rate at which 99 % of the requests are answered in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..models.progress import SILENT, Progress
from ..server.core.load_control import TICK_SECONDS
from .errors import PlanError
from .simulation.run import Found, SimulationInput, simulate
from .traffic import Shape, steady

SHARE = 0.99
"""Of the requests that must be answered in time, as the load test's knee has it."""
TOLERANCE = 0.02
"""Relative width of the gap between a rate that holds and one that does not, at the end."""
LEAST = 3000
"""Requests of a probe: 30 are beyond p99."""
FULL = 3000
"""Requests at once, by which a replica shows what it can do at most."""
ALONE = 100
"""Requests that come one after the other, by which it shows how long one takes."""
IDLE = 0.1
"""Share of the time in which one is there, of a replica that has hardly anything to do."""


@dataclass(frozen=True)
class UpperBound:
    """rate: requests per second, were nobody ever idle. limit: who could not do more.

    `http` is the process that serves, `device` the one that computes. http, device: how busy they
    are meanwhile.
    """

    rate: float
    limit: str
    http: float
    device: float


@dataclass(frozen=True)
class Capacity:
    """rate: the highest that holds, requests per second over the stretch; found: at that rate."""

    rate: float
    found: Found
    bound: UpperBound


def bound(scene: SimulationInput, seed: int = 0) -> UpperBound:
    """What a replica does with more than it can take, quality kept."""
    found = simulate(scene.unhurried(), np.zeros(FULL), seed)
    limit = "http" if found.http > found.worker else "device"
    return UpperBound(FULL / found.seconds, limit, found.http, found.worker)


def capacity(
    scene: SimulationInput,
    shape: Shape,
    objective: float,
    seed: int = 0,
    progress: Progress = SILENT,
    phase: str = "simulating",
) -> Capacity:
    """The highest rate that a replica holds. objective: seconds that an answer may take.

    phase: what the progress calls it.

    What is turned away, or answered by a cascade that brownout has shortened, was not answered in
    time. Raises PlanError if not even an idle replica meets the objective.
    """
    progress.step(phase)
    most = bound(scene, seed)

    def probe(rate: float, over: Shape, enough: float) -> Found:
        due = over.moments(rate, np.random.default_rng(seed), LEAST)
        return simulate(scene, due, seed, objective, math.ceil(enough * len(due)) + 1)

    alone = simulate(scene, np.arange(0.0, ALONE * TICK_SECONDS, TICK_SECONDS), seed)
    slow = min(IDLE / alone.p50, most.rate / 2)
    idle = probe(slow, steady(1.0), 1.0)
    if idle.p99 > objective:
        raise PlanError(
            f"objective-ms: {1e3 * objective:g} is below what a request takes that waits for "
            f"nobody: of {scene.model!r} p50 is {1e3 * idle.p50:.3g} ms and p99 "
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
