"""Records in numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestling.loadtest.client.plan import SendPlan
from nestling.loadtest.client.records import Records, blank
from nestling.loadtest.results import energy
from nestling.loadtest.results.latency import distribution, interval, quantiles_ms
from nestling.loadtest.results.summary import Truth, summarize

TRUTH = Truth(np.array(["a", "b"], object), np.array(["a", ""], object))


def records(status: list[int], latency: list[float], **texts: Any) -> Records:
    """Requests of one text each, one every tenth of a second, the rows 0 and 1 in turn."""
    n = len(status)
    none = np.zeros(n, np.int16)
    plan = SendPlan(np.arange(n) / 10, none, none - 1, np.ones(n, np.int32),
                np.arange(n, dtype=np.int32) % 2)  # fmt: skip
    requests, of_texts = blank(plan)
    requests.status[:] = status
    requests.latency[:] = latency
    columns = {name: np.array(value) for name, value in texts.items()}
    return Records(requests, replace(of_texts, **columns), ("a", "c"), ("tiny", "ta"), 0.001, 1.0)


def test_goodput_accuracy_cost_and_outcomes() -> None:
    given = records(
        [200, 200, 200, 429, -1],
        [0.01, 0.2, 0.05, 0.001, 30],
        label=[0, 1, 0, -1, -1],
        student=[0, 1, 0, -1, -1],
        cost=np.array([0.1, 1.0, 0.1, np.nan, np.nan], np.float32),
        seconds=np.array([0.001, 0.01, 0.001, np.nan, np.nan], np.float32),
    )
    found = summarize(given, 0.5, 100, TRUTH, price_per_hour=3.6)
    assert found["outcomes"] == {"timeout": 1, "200": 3, "429": 1}
    assert found["offered_per_second"] == 10
    assert found["goodput_per_second"] == 4
    assert found["within_objective_share"] == 0.4
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["agreement"] == 1  # the reference has not answered the other text
    assert list(found["students"]) == ["tiny", "ta"]
    assert found["students"]["tiny"] == pytest.approx(
        {"share": 2 / 3, "accuracy": 1, "relative_cost": 0.1}
    )
    assert found["cost"]["relative"] == pytest.approx(400)
    assert found["cost"]["device_seconds"] == pytest.approx(4)
    assert found["cost"]["money_device_time"] == pytest.approx(0.004)
    assert found["cost"]["money_machine"] == pytest.approx(3.6 * 0.5 / 3600 / 0.003)
    assert found["timeline"]["shed"] == [1]
    assert found["timeline"]["failed"] == [1]


def test_nothing_answered_is_no_accuracy() -> None:
    found = summarize(records([429, 500], [0.01, 0.01]), 0.2, 100, TRUTH, 0)
    assert (found["accuracy"], found["students"], found["latency_ms"]) == (None, {}, {})


def test_quantiles_only_with_enough_beyond_them() -> None:
    assert list(quantiles_ms(np.ones(19, np.float32))) == ["mean", "max"]
    assert list(quantiles_ms(np.ones(1000, np.float32))) == ["p50", "p90", "p95", "p99", "mean",
                                                             "max"]  # fmt: skip
    assert "p99.99" in quantiles_ms(np.ones(100_000, np.float32))
    found = quantiles_ms(np.linspace(0, 1, 1001, dtype=np.float32))
    assert found["p99"] == pytest.approx(990, abs=0.1)


def test_distribution_reaches_the_last() -> None:
    found = distribution(np.linspace(0, 1, 1001, dtype=np.float32))
    assert found["beyond"][0] == 1
    assert found["beyond"][-1] == pytest.approx(1 / 1001, rel=1e-3)
    assert found["ms"] == sorted(found["ms"])
    assert distribution(np.zeros(0, np.float32)) == {"beyond": [], "ms": []}


def test_interval_of_a_share() -> None:
    low, high = interval(990, 1000)
    assert low == pytest.approx(0.98169, abs=1e-4)
    assert high == pytest.approx(0.99456, abs=1e-4)
    assert interval(0, 0) == (0, 1)


def test_energy_of_processors(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    (tmp_path / "intel-rapl:0:0").mkdir()
    zone.mkdir()
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("10000000\n")
    (zone / "energy_uj").write_text("9000000\n")
    counted = energy.start(local=True, rapl=tmp_path)
    (zone / "energy_uj").write_text("1000000\n")  # it has wrapped
    found = counted.read(500)
    assert found["joules"]["package-0"] == pytest.approx(2)
    assert found["readable"]


def test_energy_that_is_not_readable_says_why(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    assert str(zone) in energy.start(local=True, rapl=tmp_path).read(1)["why"]
    assert energy.start(local=False, rapl=tmp_path).read(1)["why"] == (
        "the server is on another machine"
    )
