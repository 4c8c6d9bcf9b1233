"""From what a replica holds to replicas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nestling.capacity.bounds import find_capacity, upper_bound
from nestling.capacity.errors import PlanError
from nestling.capacity.plan import PlannedPolicy, PlanRequest, plan
from nestling.capacity.profile.costs import LoopCosts
from nestling.capacity.profile.estimate import Estimate
from nestling.capacity.profile.library import find
from nestling.capacity.profile.profile import Profile
from nestling.capacity.traffic import Shape, steady
from nestling.models.checkpoint.manifest import Manifest
from nestling.server.settings import Settings

from .conftest import costs, inputs


def planned(
    manifest: Manifest,
    hardware: Profile | Estimate,
    host: Profile,
    request: PlanRequest,
    shape: Shape | None = None,
    models: tuple[str, ...] = ("ta",),
) -> list[PlannedPolicy]:
    return plan(
        manifest, Settings(max_batch_requests=1), hardware, host, shape or steady(2.0),
        [*models], request, 0,
    )  # fmt: skip


def test_the_bound_names_the_busier_process(manifest: Manifest) -> None:
    slow_device = inputs(manifest, costs(0.002), max_batch_requests=1)
    assert upper_bound(slow_device).limit == "device"
    assert upper_bound(slow_device).rate == pytest.approx(500, rel=0.02)
    slow_loop = replace(costs(1e-5), loop=LoopCosts(0.002, 0.0, 0.0, 0.0, 0.0))
    assert upper_bound(inputs(manifest, slow_loop)).limit == "http"
    assert upper_bound(inputs(manifest, slow_loop)).rate == pytest.approx(500, rel=0.02)


def test_what_a_replica_holds_is_below_its_bound_and_grows_with_the_objective(
    manifest: Manifest,
) -> None:
    alone = inputs(manifest, costs(0.002), max_batch_requests=1, target_delay_ms=0)
    strict, loose = (find_capacity(alone, steady(2.0), each) for each in (0.006, 0.03))
    # M/D/1: at 6 ms for 99 % about half of 500 per second
    assert 150 < strict.rate < 350
    assert strict.rate < loose.rate < 500
    assert strict.summary.p99 <= 0.006


def test_an_objective_below_the_time_of_a_request_is_refused(manifest: Manifest) -> None:
    with pytest.raises(PlanError, match=r"objective-ms: 1 is below .* 'ta' p50 is 2 ms"):
        find_capacity(inputs(manifest, costs(0.002)), steady(2.0), 0.001)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_replicas_machines_and_price(manifest: Manifest, profile: Profile) -> None:
    request = PlanRequest((1000.0, 100_000.0), 0.05, 0.25, 2, 3.6, 4)
    ta, cascade = planned(manifest, profile, profile, request, models=("ta", "all"))
    for each in (ta, cascade):
        for deployment in each.deployments:
            needed = deployment.rate / (0.75 * each.capacity.rate)
            assert needed <= deployment.replicas - 2 < needed + 1
            assert deployment.machines == -(-deployment.replicas // 4)
            # 3.6 per hour are 0.001 per second
            assert deployment.per_million == pytest.approx(
                deployment.machines * 1e3 / deployment.rate
            )
            assert deployment.device <= 0.75
    # half of the texts take the cascade three stages, and all take the TA one
    assert ta.capacity.rate > 1.3 * cascade.capacity.rate


@pytest.mark.usefixtures("brief")
def test_a_peak_needs_more(manifest: Manifest, profile: Profile) -> None:
    flat, peaked = steady(2.0), replace(steady(2.0), peak=3.0)
    request = PlanRequest((50_000.0,), 0.05, spare=0)
    (a, *_), (b, *_) = (planned(manifest, profile, profile, request, s) for s in (flat, peaked))
    assert b.deployments[0].replicas == pytest.approx(3 * a.deployments[0].replicas, rel=0.02)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_an_estimate_is_a_range_and_a_shared_device_is_slower(
    manifest: Manifest, profile: Profile
) -> None:
    h200 = find("h200")
    assert isinstance(h200, Estimate)
    found = planned(manifest, h200, profile, PlanRequest((1000.0,), 0.05))
    assert [each.guess for each in found] == ["pessimistic", "middle", "optimistic"]
    guess = h200.guesses[0]
    alone, shared = (h200.costs(guess, manifest, profile, n) for n in (1, 4))
    part = alone.worker.students["ta"].fixed - profile.costs.worker.students["tiny"].fixed
    grown = shared.worker.students["ta"].fixed - alone.worker.students["ta"].fixed
    assert grown == pytest.approx(3 * part)
    assert alone.loop == profile.costs.loop
    assert alone.worker.grouped
    best = h200.costs(h200.guesses[-1], manifest, profile)
    assert best.worker.students["ta"].fixed < alone.worker.students["ta"].fixed


@pytest.mark.parametrize(
    ("rates", "objective", "headroom", "said"),
    [
        ((0.0,), 0.05, 0.2, "rate: 0"),
        ((float("inf"),), 0.05, 0.2, "rate: inf"),
        ((1.0,), -0.05, 0.2, "objective-ms: -50"),
        ((1.0,), 0.05, 1.0, "headroom: 1 is not"),
    ],
)
def test_wrong_wishes(
    rates: tuple[float, ...], objective: float, headroom: float, said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        PlanRequest(rates, objective, headroom)
