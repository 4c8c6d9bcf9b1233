"""MLPerf's scenarios at their tiniest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.report.page import page
from nestling.loadtest.running import run_mlperf
from nestling.loadtest.scenario import Rules, Scenario
from nestling.loadtest.setup import Setup

from .stub import Stub

Make = Callable[..., Setup]


@pytest.mark.parametrize("scenario", Scenario)
def test_verdict_and_logs_are_kept(setup: Make, tmp_path: Path, scenario: Scenario) -> None:
    with Stub(service=0.002) as stub:
        given = setup(stub.url, batches={"8": 1.0}, objective_ms=5000.0, reference="ta")
        rules = Rules(scenario, seconds=0.2, queries=10, rate=50)
        report = run_mlperf(given, rules, "auto", tmp_path / "logs")
    found, run = report["mlperf"], report["runs"][0]
    assert found["scenario"] == scenario.value
    assert found["verdict"] in ("VALID", "INVALID")
    assert found["failed_requests"] == 0
    assert found["results"]["min_queries_met"]
    assert (tmp_path / "logs" / "mlperf_log_summary.txt").read_text("utf-8")
    assert run["accuracy"] == run["agreement"] == 1
    assert run["texts"] >= 10
    assert f"MLPerf scenario {scenario.value}" in page(report)


def test_a_failed_request_is_invalid(setup: Make, tmp_path: Path) -> None:
    with Stub(status=500) as stub:
        rules = Rules(Scenario.SINGLE_STREAM, seconds=0.1, queries=5)
        report = run_mlperf(setup(stub.url), rules, "auto", tmp_path)
    assert report["mlperf"]["verdict"] == "INVALID"
    assert report["mlperf"]["failed_requests"] == report["runs"][0]["requests"]


def test_no_mix(setup: Make, tmp_path: Path) -> None:
    with Stub() as stub:
        given = setup(stub.url, batches={"1": 0.5, "2": 0.5})
    with pytest.raises(LoadtestError, match="takes one --protocol and one --batch"):
        run_mlperf(given, Rules(Scenario.SERVER), "auto", tmp_path)
    with pytest.raises(LoadtestError, match="queries: 0 is not"):
        Rules(Scenario.SERVER, queries=0)
