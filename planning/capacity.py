"""What one replica holds: the highest rate at which 99 % of the requests are answered in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .errors import PlanError
from .simulation.run import Found, Scene, simulate
from .traffic import Shape, steady

SHARE = 0.99
"""Of the requests that must be answered in time, as the load test's knee has it."""
TOLERANCE = 0.02
"""Relative width of the gap between a rate that holds and one that does not, at the end."""
LEAST = 1000
"""Requests of a probe: ten are beyond p99."""
FULL = 4_000
"""Requests at once, by which a replica shows what it can do at most."""
IDLE = 0.02
"""Share of that at which hardly anybody waits."""


@dataclass(frozen=True)
class Bound:
    """rate: requests per second, were nobody ever idle. limit: who could not do more.

    `http` is the process that serves, `device` the one that computes. http, device: how busy they
    are meanwhile.
    """

    rate: float
    limit: str
    http: float
    device: float


@dataclass(frozen=True)
class Held:
    """rate: the highest that holds, requests per second over the stretch; found: at that rate."""

    rate: float
    found: Found
    bound: Bound


def bound(scene: Scene, seed: int = 0) -> Bound:
    """What a replica does with more than it can take, quality kept."""
    found = simulate(scene.unhurried(), np.zeros(FULL), seed)
    limit = "http" if found.http > found.worker else "device"
    return Bound(FULL / found.seconds, limit, found.http, found.worker)


def capacity(scene: Scene, shape: Shape, objective: float, seed: int = 0) -> Held:
    """The highest rate that a replica holds. objective: seconds that an answer may take.

    What is turned away, or answered by a cascade that brownout has shortened, was not answered in
    time. Raises PlanError if not even an idle replica meets the objective.
    """
    most = bound(scene, seed)

    def probe(rate: float, shape: Shape) -> Found:
        due = shape.moments(rate, np.random.default_rng(seed))
        if len(due) < LEAST:
            raise PlanError(
                f"seconds: {shape.seconds:g} of them hold {len(due)} requests at {rate:.3g} per "
                f"second, and p99 needs {LEAST}: simulate more"
            )
        return simulate(scene, due, seed, objective, math.ceil((1 - SHARE) * len(due)) + 1)

    slow = IDLE * most.rate
    idle = simulate(scene, steady(FULL / slow).moments(slow, np.random.default_rng(seed)), seed)
    if idle.p99 > objective:
        raise PlanError(
            f"objective-ms: {1e3 * objective:g} is below what a request takes that waits for "
            f"nobody: of {scene.model!r} p50 is {1e3 * idle.p50:.3g} ms and p99 "
            f"{1e3 * idle.p99:.3g} ms. No number of replicas changes that"
        )
    low, best, high = most.rate * IDLE, idle, most.rate * (1 + TOLERANCE)
    while high / low > 1 + TOLERANCE:
        middle = math.sqrt(low * high)
        found = probe(middle, shape)
        if found.in_time >= SHARE:
            low, best = middle, found
        else:
            high = middle
    return Held(low, best, most)
