"""The simulation against queueing theory, where theory has an answer."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from nestling.capacity.profile.costs import Speeds
from nestling.capacity.simulation.clock import SimulatedClock
from nestling.capacity.simulation.core import Core
from nestling.capacity.simulation.run import simulate
from nestling.capacity.simulation.speed import Speed
from nestling.capacity.traffic import steady
from nestling.models.checkpoint.manifest import Manifest

from .conftest import costs, inputs, workload

SERVICE = 0.002
REQUESTS = 15_000
MEAN = 50
EXPONENTIAL = tuple(max(1, round(-MEAN * log(1 - (i + 0.5) / 1000))) for i in range(1000))
"""Quantiles of a length whose mean is MEAN: tokens of texts."""


def mean_latency(manifest: Manifest, load: float, lengths: tuple[int, ...]) -> float:
    """Of one text at a time, whose tokens take the time: a single server, first come, first
    served.
    """
    alone = inputs(
        manifest,
        costs(0.0, token=SERVICE / MEAN),
        max_batch_requests=1,
        fill_ms=0,
        target_delay_ms=0,
        max_queued_requests=10**6,
        max_client_batch=1,
    )
    alone = replace(alone, workload=workload(manifest, lengths))
    rate = load / SERVICE
    due = steady(REQUESTS / rate).moments(rate, np.random.default_rng(1))
    return simulate(alone, due).mean


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_equal_times_wait_as_in_m_d_1(manifest: Manifest, load: float) -> None:
    waits = load * SERVICE / (2 * (1 - load))  # Pollaczek and Khinchine
    assert mean_latency(manifest, load, (MEAN,)) == pytest.approx(SERVICE + waits, rel=0.08)


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_exponential_times_wait_as_in_m_m_1(manifest: Manifest, load: float) -> None:
    expected = SERVICE / (1 - load)
    assert mean_latency(manifest, load, EXPONENTIAL) == pytest.approx(expected, rel=0.08)


def test_urgent_work_waits_as_if_alone_and_the_rest_as_with_preemption() -> None:
    """M/M/1 with preemptive priority: T₂ = (1/μ) / ((1 − ρ₁)(1 − ρ₁ − ρ₂))."""
    rng, clock = np.random.default_rng(2), SimulatedClock()
    core, rate, service = Core(clock, Speed(Speeds(), 0.0)), 0.3, 1.0
    took: dict[bool, list[float]] = {True: [], False: []}

    def send(urgent: bool, moment: float, seconds: float) -> None:
        core.submit(lambda: seconds, lambda: took[urgent].append(clock.now - moment), urgent)

    for urgent in (True, False):
        for moment in np.cumsum(rng.exponential(1 / rate, REQUESTS)).tolist():
            seconds = float(rng.exponential(service))
            clock.at(moment, lambda u=urgent, m=moment, s=seconds: send(u, m, s))  # type: ignore[misc]
    clock.run()
    assert np.mean(took[True]) == pytest.approx(1 / (1 - 0.3), rel=0.08)
    assert np.mean(took[False]) == pytest.approx(1 / ((1 - 0.3) * (1 - 0.6)), rel=0.12)
    assert core.busy == pytest.approx(0.3 * clock.now, rel=0.03)


def test_batches_hold_what_has_come_meanwhile(manifest: Manifest) -> None:
    """At once, in one batch of 256 and one of 44, whoever waits: two batches' time."""
    found = simulate(inputs(manifest, costs(SERVICE), target_delay_ms=0), np.zeros(300))
    assert found.texts_per_batch == pytest.approx(150)
    assert found.seconds == pytest.approx(2 * SERVICE)
