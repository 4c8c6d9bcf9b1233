"""The knee of a server whose capacity is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nestling.loadtest.errors import FellBehindError, LoadtestError
from nestling.loadtest.knee import Knee, Search
from nestling.loadtest.running import find_knee
from nestling.loadtest.setup import Setup

from .stub import Stub


def silent(_: str) -> None:
    pass


def model(capacity: float, noise: float = 0.0) -> Callable[[float, float], dict[str, Any]]:
    """A server that keeps its objective up to a rate; noise: relative, of that rate."""
    rng = np.random.default_rng(0)

    def probe(rate: float, seconds: float) -> dict[str, Any]:
        sent = int(rate * seconds)
        good = rate < capacity * (1 + noise * rng.standard_normal())
        return {"requests": sent, "within_objective": sent if good else sent // 2}

    return probe


@pytest.mark.parametrize("start", [1.0, 900.0, 30_000.0])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_found_from_below_and_from_above(start: float, noise: float) -> None:
    found = Knee(Search(start), model(1000, noise), silent).find()
    assert found["rate_per_second"] == pytest.approx(1000, rel=0.1)
    assert found["fails_at_per_second"] <= found["rate_per_second"] * 1.05
    assert found["limited_by"] == "server"


def test_a_rate_that_chance_leaves_open_is_tried_again() -> None:
    tried = []

    def probe(rate: float, seconds: float) -> dict[str, Any]:
        tried.append(rate)
        share = 0.991 if rate < 100 else 0.5
        return {"requests": 1000, "within_objective": int(1000 * share)}

    Knee(Search(50, tolerance=0.5, tries=3), probe, silent).find()
    assert tried[:4] == [50, 50, 50, 100]


def test_probes_are_long_enough_for_their_p99() -> None:
    lengths = []

    def probe(rate: float, seconds: float) -> dict[str, Any]:
        lengths.append(rate * seconds)
        return model(100)(rate, seconds)

    Knee(Search(10, seconds=1), probe, silent).find()
    assert min(lengths) >= 1000 - 1e-6


def test_a_client_that_cannot_send_more_is_named() -> None:
    def probe(rate: float, seconds: float) -> dict[str, Any]:
        if rate > 500:
            raise FellBehindError("late")
        return model(1e9)(rate, seconds)

    found = Knee(Search(100), probe, silent).find()
    assert found["limited_by"] == "client"
    assert found["rate_per_second"] == pytest.approx(500, rel=0.1)


def test_no_rate_holds_or_none_fails() -> None:
    with pytest.raises(LoadtestError, match="is the objective below"):
        Knee(Search(100), model(0), silent).find()
    with pytest.raises(LoadtestError, match="every rate up to"):
        Knee(Search(100), model(1e12), silent).find()


@pytest.mark.slow
def test_against_a_server_that_takes_its_time(setup: Callable[..., Setup]) -> None:
    """Four at a time, 40 ms each: 100 a second, and waits that end far above every noise."""
    with Stub(service=0.04, capacity=4, queue=200) as stub:
        given = setup(stub.url, objective_ms=300.0, reference=None)
        report = find_knee(
            given, Search(64, seconds=2, tolerance=0.8, tries=1, samples=150), 0, "auto"
        )
    knee = report["knee"]
    assert 30 <= knee["rate_per_second"] <= 130
    assert knee["fails_at_per_second"] > 80
    assert report["runs"][0]["accuracy"] == 1
