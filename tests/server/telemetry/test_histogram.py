"""Our histograms say what Prometheus' own would say of the same values."""

from __future__ import annotations

import prometheus_client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from nestling.server.telemetry.histogram import Histogram, LabelledHistogram

SMALL = 2**-10
"""A float whose sums are exact, in whatever order."""
BOUNDS = (SMALL, 0.5, 1, 8)
values = st.lists(st.sampled_from([0.0, SMALL, 0.25, 0.5, 0.75, 1, 2, 8, 9]), max_size=20)


@given(values, values)
def test_the_same_text_for_the_same_values(alone: list[float], together: list[float]) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = Histogram("h", "Seconds.", BOUNDS, ours)
    labelled = LabelledHistogram("l", "Sure.", "student", BOUNDS, ours)
    plain_too = prometheus_client.Histogram("h", "Seconds.", buckets=BOUNDS, registry=theirs)
    labelled_too = prometheus_client.Histogram(
        "l", "Sure.", ("student",), buckets=BOUNDS, registry=theirs
    )
    labelled.labels("ta")
    labelled_too.labels("ta")
    for value in alone:
        plain.observe(value)
        plain_too.observe(value)
    labelled.labels("tiny").observe_all(together)
    labelled_too.labels("tiny")
    for value in together:
        labelled_too.labels("tiny").observe(value)
    labelled.labels("tiny").observe(0.5, times=3)
    for _ in range(3):
        labelled_too.labels("tiny").observe(0.5)
    assert generate_latest(ours) == generate_latest(theirs)
