"""Our counters say what Prometheus' own would say of the same counts."""

from __future__ import annotations

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from nestling.server.telemetry.counts import Count, LabelledCount


def test_the_same_text_for_the_same_counts() -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain, labelled = Count("a_total", "Of all.", ours), LabelledCount("b_total", "b", "xy", ours)
    plain_too = prometheus_client.Counter("a_total", "Of all.", registry=theirs)
    labelled_too = prometheus_client.Counter("b_total", "b", ("x", "y"), registry=theirs)
    assert generate_latest(ours) == generate_latest(theirs)
    labelled.labels("1", "2")
    labelled_too.labels("1", "2")
    for amount in (1, 0, 2.5, 1e9, 1e-7):
        plain.inc(amount)
        plain_too.inc(amount)
        labelled.labels("1", 'a "b"\n').inc(amount)
        labelled_too.labels("1", 'a "b"\n').inc(amount)
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_name_that_is_taken_is_refused() -> None:
    registry = CollectorRegistry()
    Count("a_total", "Of all.", registry)
    with pytest.raises(ValueError, match="a_total"):
        LabelledCount("a_total", "Of all.", ("x",), registry)
