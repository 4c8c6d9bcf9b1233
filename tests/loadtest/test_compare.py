"""Ratios of two reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.results.compare import Ratio, compare, differences, read_report


def report(goodputs: list[float], p99: float = 50.0, model: str = "auto", **more: Any) -> Any:
    runs = [
        {
            "model": model,
            "throughput_per_second": goodput,
            "goodput_per_second": goodput,
            "within_objective_share": 1.0,
            "latency_ms": {"p50": 10.0, "p99": p99},
            "accuracy": 0.9,
            "agreement": None,
            "cost": {},
            "energy": {"readable": False},
        }
        for goodput in goodputs
    ]
    return {
        "benchmark": "loadtest",
        "hardware": {"cores": 2},
        "traffic": {},
        "objective_ms": 100,
        "data": {"sha256": "a"},
        "runs": runs,
        **more,
    }


def ratios(first: Any, second: Any, name: str = "auto") -> dict[str, Ratio]:
    return {ratio.metric: ratio for ratio in compare(first, second)[name]}


def test_ratio_of_medians_with_the_spread_of_repeats() -> None:
    found = ratios(report([90, 100, 110]), report([180, 200, 240]))["goodput_per_second"]
    assert (found.first, found.second, found.ratio) == (100, 200, 2)
    assert found.low == pytest.approx(180 / 110)
    assert found.high == pytest.approx(240 / 90)
    assert found.verdict == "better"


def test_what_the_repeats_leave_open_is_no_difference() -> None:
    found = ratios(report([90, 110]), report([100, 120]))["goodput_per_second"]
    assert found.verdict == "no clear difference"


def test_less_is_better_of_latency() -> None:
    found = ratios(report([1, 1], p99=50), report([1, 1], p99=25))["latency_ms.p99"]
    assert (found.ratio, found.verdict) == (0.5, "better")


def test_without_repeats_there_is_no_spread() -> None:
    found = ratios(report([100]), report([200, 200]))["goodput_per_second"]
    assert (found.ratio, found.low, found.verdict) == (2, None, "no repeats")


def test_what_is_not_known_of_both_is_left_out() -> None:
    found = ratios(report([1]), report([1]))
    assert "agreement" not in found
    assert "cost.relative" not in found
    assert "latency_ms.p99.9" not in found


def test_only_models_are_compared_by_their_place() -> None:
    assert "tiny / auto" in compare(report([1]), report([1], model="tiny"))
    mixed = report([1])
    mixed["runs"] += report([1], model="tiny")["runs"]
    assert list(compare(mixed, report([1], model="tiny"))) == ["tiny"]
    with pytest.raises(LoadtestError, match="no model in common"):
        compare(mixed, report([1], model="ta"))


def test_knees_are_compared_within_their_gaps() -> None:
    first = report([1], knee={"rate_per_second": 100, "fails_at_per_second": 105})
    second = report([1], knee={"rate_per_second": 200, "fails_at_per_second": 210})
    found = compare(first, second)["knee"][0]
    assert (found.ratio, found.verdict) == (2, "better")
    assert found.low == pytest.approx(200 / 105)
    assert found.high == pytest.approx(2.1)


def test_what_makes_a_comparison_doubtful_is_said() -> None:
    other = report([1], hardware={"cores": 64}, data={"sha256": "b"})
    assert differences(report([1]), report([1])) == []
    assert [line.split(":")[0] for line in differences(report([1]), other)] == ["hardware", "data"]


def test_a_file_that_is_no_report(tmp_path: Path) -> None:
    for content, why in ((b"{", "is not JSON"), (b"[]", "is no report"), (b"{}", "is no report")):
        path = tmp_path / "report.json"
        path.write_bytes(content)
        with pytest.raises(LoadtestError, match=why):
            read_report(path)
    with pytest.raises(LoadtestError, match="cannot be read"):
        read_report(tmp_path / "missing.json")
    path.write_bytes(orjson.dumps(report([1])))
    assert read_report(path)["benchmark"] == "loadtest"
