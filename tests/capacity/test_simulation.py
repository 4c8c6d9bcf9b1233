"""The simulated server decides as the real one does, and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestling.capacity.profile.costs import ClientCosts, EngineCosts, LoopCosts, Speeds
from nestling.capacity.profile.profile import Profile
from nestling.capacity.simulation.run import simulate
from nestling.capacity.traffic import steady
from nestling.models.checkpoint.manifest import Manifest
from nestling.server.engine import queue
from nestling.server.engine.queue import WorkQueue

from .conftest import costs, inputs

SELDOM = np.arange(200) * 0.01


def test_the_queue_is_the_servers_own(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[int] = []
    original = WorkQueue._pack

    def pack(self: WorkQueue) -> list[queue.Ticket]:
        batch = original(self)
        packed.append(len(batch))
        return batch

    monkeypatch.setattr(WorkQueue, "_pack", pack)
    found = simulate(inputs(manifest, costs(0.001)), SELDOM)
    assert sum(packed) == found.requests


def test_the_same_seed_gives_the_same_numbers(manifest: Manifest, profile: Profile) -> None:
    noisy = replace(costs(0.002), speeds=Speeds((0.1, 0.2, 0.1), (0.5, 1.0, 1.5)))
    due = steady(5.0).moments(200, np.random.default_rng(0))
    first, again, other = (
        simulate(inputs(manifest, noisy, "all"), due, seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_cascade_asks_the_next_student_of_what_it_is_not_sure_of(manifest: Manifest) -> None:
    found = simulate(inputs(manifest, costs(0.001), "all", fill_ms=0), SELDOM)
    assert set(found.students) == {"tiny", "ta"}  # the easy text, and the other
    assert found.students["tiny"] == pytest.approx(0.5, abs=0.15)
    # 1 ms for the easy one, three stages of 1 ms for the other
    assert found.p99 == pytest.approx(0.003)


def test_overload_browns_out_and_then_turns_away(manifest: Manifest) -> None:
    due = steady(3.0).moments(2000, np.random.default_rng(0))
    kept = inputs(manifest, costs(0.005), "all", max_batch_requests=4, target_delay_ms=50)
    found = simulate(kept, due, limit=0.05)
    assert found.browned_out > 0
    assert found.refused > 0
    assert found.in_time < 0.5


def test_a_full_queue_turns_away(manifest: Manifest) -> None:
    full = inputs(
        manifest, costs(0.005), max_queued_requests=10, max_client_batch=10, target_delay_ms=0
    )
    assert simulate(full, np.zeros(100)).refused == pytest.approx(0.9)


def test_who_has_rested_is_slower(manifest: Manifest) -> None:
    warm = costs(0.001)
    cold = replace(warm, loop=LoopCosts(0.0, 0.0, 0.0, 0.001, 0.0), cooling=0.0001)
    seldom = np.arange(50) * 0.1
    # the event loop pays when the request comes; its answer, 1 ms later, finds it rested again
    assert simulate(inputs(manifest, cold), seldom).p50 == pytest.approx(0.003, rel=0.02)
    assert simulate(inputs(manifest, warm), seldom).p50 == pytest.approx(0.001)


def test_who_has_slept_pays_for_waking(manifest: Manifest) -> None:
    woken = replace(costs(0.001), loop=LoopCosts(0.0, 0.0, 0.0005, 0.0, 0.0))
    # for the request, and for its answer
    assert simulate(inputs(manifest, woken), np.arange(50) * 0.1).p50 == pytest.approx(0.002)


def test_a_machine_that_is_slow_at_times_is_late_for_some(manifest: Manifest) -> None:
    speeds = Speeds((0.97, 0.03), (1.0, 0.01))
    due = steady(60.0).moments(50, np.random.default_rng(0))
    slow = simulate(inputs(manifest, replace(costs(0.001), speeds=speeds)), due)
    assert slow.p50 == pytest.approx(0.001, rel=0.1)
    # The worker's core all but stands still for 0.03 s in every second, which 3 % of them meet.
    assert 0.01 < slow.p99 < 0.05
    assert simulate(inputs(manifest, costs(0.001)), due).p99 < 0.005


@pytest.mark.slow
def test_a_queue_grows_while_a_machine_stays_slow(manifest: Manifest) -> None:
    """Slow for one second, fast for the next, or in turns within milliseconds: work is the same."""
    due = steady(60.0).moments(600, np.random.default_rng(0))
    long, short = (
        inputs(manifest, replace(costs(0.001), speeds=Speeds((each, each), (0.5, 1.5))), fill_ms=0,
              max_batch_requests=1, max_client_batch=1, target_delay_ms=0)
        for each in (1.0, 0.001)
    )  # fmt: skip
    slow, mixed = simulate(long, due), simulate(short, due)
    assert slow.p99 > 5 * mixed.p99
    assert slow.worker == pytest.approx(mixed.worker, rel=0.25)


def test_a_client_beside_takes_time_from_the_worker(manifest: Manifest) -> None:
    busy = replace(costs(0.001), client=ClientCosts(0.001, 0.0))
    due = steady(10.0).moments(300, np.random.default_rng(0))
    apart = simulate(inputs(manifest, busy), due)
    beside = simulate(replace(inputs(manifest, busy), beside=True), due)
    assert beside.p99 > 1.3 * apart.p99
    assert beside.worker == pytest.approx(apart.worker, rel=0.2)


def test_a_text_that_is_not_old_enough_while_the_engine_settles_is_not_forgotten(
    manifest: Manifest,
) -> None:
    slow = replace(costs(0.0015), engine=EngineCosts(0.002, 0.0))
    found = simulate(inputs(manifest, slow, "all"), np.array([0.0, 0.0, 0.0012, 0.004]))
    assert found.requests == 4
    assert found.p99 < 0.05


def test_without_requests_there_is_nothing_to_simulate(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="due"):
        simulate(inputs(manifest, costs(0.001)), np.zeros(0))
