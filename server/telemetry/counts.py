"""Counters of an event loop; Prometheus' own take a lock for each thing that they count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class CountSeries:
    """One series, which only rises. Belongs to the event loop."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """So many more."""
        self.value += amount


class LabelledCount(Collector):
    """A counter for each value of its labels; those that were asked for have series."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._series: dict[tuple[str, ...], CountSeries] = {}
        registry.register(self)

    def labels(self, *values: str) -> CountSeries:
        """The series of these values, at zero if it is new."""
        if (found := self._series.get(values)) is None:
            found = self._series[values] = CountSeries()
        return found

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Prometheus'."""
        for family in self.describe():
            for values, series in self._series.copy().items():
                family.add_metric(values, series.value)
            yield family

    def describe(self) -> Iterable[CounterMetricFamily]:
        """Prometheus'."""
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labels)


class Count(CountSeries, Collector):
    """One without labels."""

    __slots__ = ("_documentation", "_name")

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        super().__init__()
        self._name, self._documentation = name, documentation
        registry.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Prometheus'."""
        yield CounterMetricFamily(self._name, self._documentation, self.value)

    def describe(self) -> Iterable[CounterMetricFamily]:
        """Prometheus'."""
        yield CounterMetricFamily(self._name, self._documentation)
