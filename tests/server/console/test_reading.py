"""Sums and quantiles of the registry, as the console reads them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from nestling.server.console.reading import Reading

NAMES = ("texts_total", "seconds_bucket")


class Counts:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.texts = Counter("texts", "of tests", ("student", "outcome"), registry=self.registry)
        self.seconds = Histogram(
            "seconds", "of tests", ("student",), buckets=(1, 2, 4), registry=self.registry
        )

    def read(self, at: float) -> Reading:
        return Reading.of(self.registry, NAMES, at)


@pytest.fixture
def counts() -> Counts:
    return Counts()


def test_a_rise_is_what_came_between_two_readings(counts: Counts) -> None:
    counts.texts.labels("tiny", "accepted").inc(3)
    before = counts.read(10)
    counts.texts.labels("tiny", "accepted").inc(2)
    counts.texts.labels("ta", "accepted").inc(5)
    rise = counts.read(14).since(before)
    assert rise.at == 4
    assert rise.total("texts_total") == 7
    assert rise.total("texts_total", student="tiny") == 2
    assert rise.total("texts_total", student="small") == 0
    assert rise.by("texts_total", "student") == {("tiny",): 2, ("ta",): 5}
    assert rise.among("student", {"ta"}).total("texts_total") == 5


def test_a_quantile_lies_between_the_bounds_of_its_bucket(counts: Counts) -> None:
    for value in (0.5, 0.5, 1.5, 1.5):
        counts.seconds.labels("tiny").observe(value)
    rise = counts.read(1)
    assert rise.quantile(0.5, "seconds") == 1
    assert rise.quantile(0.75, "seconds", student="tiny") == 1.5
    assert rise.quantile(0.5, "seconds", student="ta") is None
    counts.seconds.labels("ta").observe(100)
    assert counts.read(2).quantile(0.99, "seconds") == 4  # all that is known of it
    assert counts.read(2).since(counts.read(2)).quantile(0.5, "seconds") is None
