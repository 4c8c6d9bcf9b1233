"""The simulated server decides as the real one does, and repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestling.capacity.profile.costs import ClientCosts, EngineCosts, LoopCosts, Speeds
from nestling.capacity.profile.profile import Profile
from nestling.capacity.simulation.clock import SimulatedClock
from nestling.capacity.simulation.inputs import SimulationInput
from nestling.capacity.simulation.replica import Replica
from nestling.capacity.simulation.result import SimulationResult
from nestling.capacity.simulation.run import simulate
from nestling.capacity.traffic import steady
from nestling.models import Checkpoint
from nestling.models.checkpoint.manifest import Manifest
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.load_control import TICK_SECONDS, Admission, LoadControl
from nestling.server.core.service import Service
from nestling.server.engine.pending import PendingPart
from nestling.server.engine.queue import WorkQueue

from ..server.engine.test_engine import GatedRunner, one, run
from .conftest import costs, inputs

SELDOM = np.arange(200) * 0.01


def test_the_queue_is_the_servers_own(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[int] = []
    original = WorkQueue._pack

    def pack(self: WorkQueue) -> list[PendingPart]:
        batch = original(self)
        packed.append(sum(map(len, batch)))
        return batch

    monkeypatch.setattr(WorkQueue, "_pack", pack)
    found = simulate(inputs(manifest, costs(0.001)), SELDOM)
    assert sum(packed) == found.requests


class Steps:
    """Records the calls of the load control, and when they are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
        self.names: list[str] = []
        self.moments: list[float] = []
        for owner, names in (
            (LoadControl, ("check_delay", "admit")),
            (Admission, ("characters", "tokenized", "tokens", "answered", "close")),
        ):
            for name in names:
                original = getattr(owner, name)

                def step(
                    *given: Any, _name: str = name, _do: Callable[..., Any] = original, **more: Any
                ) -> Any:
                    self.names.append(_name)
                    self.moments.append(clock())
                    return _do(*given, **more)

                monkeypatch.setattr(owner, name, step)


def replica_of(inputs: SimulationInput, clock: SimulatedClock) -> Replica:
    return Replica(clock, inputs, SimulationResult(np.zeros(1), 1.0), 0)


def test_a_request_takes_the_steps_of_the_servers_load_control_in_its_order(
    manifest: Manifest, calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> None:
        steps.names.clear()
        service.load.check_delay()  # which the dispatcher does before it reads the body
        await answer(service, one("book a table"), RequestConstraints("all"))

    steps = Steps(monkeypatch, lambda: 0.0)
    run(calibrated, scenario)
    of_the_server = [*steps.names]
    steps.names.clear()
    simulate(inputs(manifest, costs(0.001), "all"), np.zeros(1))
    assert steps.names == of_the_server
    assert of_the_server == ["check_delay", "admit", "tokens", "answered", "close"]


def test_a_request_has_left_before_its_answer_is_written(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimulatedClock()
    steps = Steps(monkeypatch, lambda: clock.now)
    slow = replace(costs(0.001), loop=LoopCosts(0.02, 0.0, 0.0, 0.0, 0.0))
    replica = replica_of(inputs(manifest, slow, fill_ms=0), clock)
    ended: list[float] = []
    replica.answered = lambda _: ended.append(clock.now)
    replica.receive(0, [0])
    clock.run(stop=lambda: bool(ended))
    # 10 ms to read it, 1 ms to compute, 10 ms to write the answer
    assert steps.moments[-2:] == pytest.approx([0.011, 0.011])
    assert ended == pytest.approx([0.021])


def test_the_event_loop_is_not_late_by_what_its_own_tick_takes(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[tuple[float, float, float]] = []
    monkeypatch.setattr(LoadControl, "tick", lambda _, *given: ticks.append(given))
    slow = replace(costs(0.001), loop=LoopCosts(0.0, 0.0, 0.0, 0.0, 0.02))
    clock = SimulatedClock()
    replica_of(inputs(manifest, slow), clock)
    clock.run(stop=lambda: len(ticks) == 3)
    assert ticks == [
        (pytest.approx(n * 0.07), pytest.approx(n * 0.07 + TICK_SECONDS), 0.0) for n in range(3)
    ]


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
