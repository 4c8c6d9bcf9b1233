"""Many processes' series as one server's: each by its rule, and no sum falls."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import create_engine

from nestling.experiments.store.writer import Writer
from nestling.server.console.reading import Reading
from nestling.server.telemetry.experiments import ExperimentMetrics
from nestling.server.telemetry.metrics import Metrics
from nestling.server.telemetry.processes import ProcessMetrics
from nestling.server.telemetry.summed import GAUGES, SummedRegistry


def front(requests: int, level: int, waiting: int) -> CollectorRegistry:
    """What one process says."""
    registry = CollectorRegistry()
    Counter("nestling_requests", "", ("code",), registry=registry).labels("200").inc(requests)
    seconds = Histogram("nestling_seconds", "", buckets=(1, 2), registry=registry)
    for _ in range(requests):
        seconds.observe(1.5)
    Gauge("nestling_brownout_level", "", registry=registry).set(level)
    Gauge("nestling_queue_requests", "", registry=registry).set(waiting)
    Gauge("nestling_guarantee_broken", "", ("cascade",), registry=registry).labels("a").set(0)
    return registry


def values(registry: SummedRegistry, *names: str) -> list[float]:
    reading = Reading.of(registry, names, 0.0)
    return [reading.total(name) for name in names]


NAMES = (
    "nestling_requests_total",
    "nestling_seconds_count",
    "nestling_seconds_sum",
    "nestling_brownout_level",
    "nestling_queue_requests",
    "nestling_guarantee_broken",
)


def test_each_series_by_its_rule_and_no_sum_falls() -> None:
    summed = SummedRegistry()
    Counter("nestling_requests", "", ("code",), registry=summed).labels("404").inc(7)
    Gauge("nestling_guarantee_broken", "", ("cascade",), registry=summed).labels("a").set(1)
    Gauge("nestling_queue_requests", "", registry=summed).set(0)
    summed.read(1, list(front(2, 3, 10).collect()))
    summed.read(2, list(front(5, 1, 20).collect()))
    assert values(summed, *NAMES) == [14, 7, 10.5, 3, 30, 1]
    summed.ended(1)
    assert values(summed, *NAMES) == [14, 7, 10.5, 1, 20, 1]
    summed.read(3, list(front(1, 0, 0).collect()))
    summed.ended(2)
    summed.ended(3)
    assert values(summed, *NAMES[:3]) == [15, 8, 12]
    assert b'nestling_requests_total{code="200"} 8.0' in generate_latest(summed)


def test_every_gauge_has_a_rule() -> None:
    metrics = Metrics(["tiny", "ta"])
    ProcessMetrics(metrics.registry)
    writer = Writer(create_engine("sqlite://"))
    ExperimentMetrics(metrics.registry).watch(writer)
    gauges = {each.name for each in metrics.registry.collect() if each.type == "gauge"}
    writer.close(1)
    assert gauges - GAUGES.keys() == set()
