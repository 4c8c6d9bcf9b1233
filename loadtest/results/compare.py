"""Two reports side by side: the ratio of the second to the first, metric by metric.

The ratio is that of the medians over the repeats. Its spread runs from the smallest value of the
second over the largest of the first to the largest over the smallest. Without repeats there is no
spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ..errors import LoadtestError
from ..files import read_json
from .summary import value_at

METRICS = {
    "throughput_per_second": "higher",
    "goodput_per_second": "higher",
    "within_objective_share": "higher",
    "latency_ms.p50": "lower",
    "latency_ms.p95": "lower",
    "latency_ms.p99": "lower",
    "latency_ms.p99.9": "lower",
    "accuracy": "higher",
    "agreement": "higher",
    "cost.relative": "lower",
    "cost.device_seconds": "lower",
    "energy.joules_per_1000_requests": "lower",
}
"""Where each metric stands in a run, and which direction is better."""


@dataclass(frozen=True)
class Ratio:
    """first, second: the medians. low, high: of the ratio over repeats, None without repeats."""

    metric: str
    better: str
    first: float
    second: float
    ratio: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """Which of the two is better, as far as the spread tells."""
        if self.low is None or self.high is None:
            return "no repeats"
        if self.low <= 1 <= self.high:
            return "no clear difference"
        return "better" if (self.low > 1) == (self.better == "higher") else "worse"


def read_report(path: Path) -> dict[str, Any]:
    """Raises LoadtestError for a file that is no report of a load test."""
    report = read_json(path)
    if not isinstance(report, dict) or report.get("benchmark") != "loadtest":
        raise LoadtestError(f"{path}: is no report of `nestling loadtest`")
    return report


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, list[Ratio]]:
    """Ratios by model. Models are paired by name; two single ones are a pair by any name."""
    ours, theirs = _by_model(first), _by_model(second)
    if len(ours) == len(theirs) == 1:
        (name, left), (other, right) = *ours.items(), *theirs.items()
        pairs = {name if name == other else f"{other} / {name}": (left, right)}
    else:
        pairs = {name: (ours[name], theirs[name]) for name in ours if name in theirs}
    found = {name: _ratios(left, right) for name, (left, right) in pairs.items()}
    if "knee" in first and "knee" in second:
        found["knee"] = [_knee(first["knee"], second["knee"])]
    if not found:
        raise LoadtestError("compare: the reports have no model in common")
    return found


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """What makes a comparison doubtful."""
    doubts = []
    for name in ("hardware", "traffic", "objective_ms"):
        if first[name] != second[name]:
            doubts.append(f"{name}: {first[name]} against {second[name]}")
    if first["data"]["sha256"] != second["data"]["sha256"]:
        doubts.append("data: of different files")
    return doubts


def _by_model(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in report["runs"]:
        runs.setdefault(run["model"], []).append(run)
    return runs


def _ratios(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[Ratio]:
    found = []
    for metric, better in METRICS.items():
        left = [value_at(run, metric) for run in first]
        right = [value_at(run, metric) for run in second]
        a, b = [v for v in left if v], [v for v in right if v]
        if len(a) == len(left) and len(b) == len(right):
            repeated = len(a) > 1 and len(b) > 1
            found.append(
                Ratio(
                    metric,
                    better,
                    median(a),
                    median(b),
                    median(b) / median(a),
                    min(b) / max(a) if repeated else None,
                    max(b) / min(a) if repeated else None,
                )
            )
    return found


def _knee(first: dict[str, Any], second: dict[str, Any]) -> Ratio:
    a, b = first["rate_per_second"], second["rate_per_second"]
    low = b / first["fails_at_per_second"]
    high = second["fails_at_per_second"] / a
    return Ratio("rate_per_second", "higher", a, b, b / a, low, high)
