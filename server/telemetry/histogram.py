"""Histograms that are told of many values at once; Prometheus' own takes one call for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class HistogramSeries:
    """Counts of one series. bounds: of its buckets, ascending; infinity is added. Belongs to the
    event loop.
    """

    __slots__ = ("_counts", "_sum", "bounds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = (*bounds, inf)
        self._counts = [0.0] * len(self.bounds)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """The same value, so often."""
        self._counts[bisect_left(self.bounds, value)] += times
        self._sum += value * times

    def observe_all(self, values: Sequence[float]) -> None:
        """Many values, once each."""
        counts, bounds = self._counts, self.bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self._sum += sum(values)

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """As Prometheus wants it: cumulative."""
        names = map(floatToGoString, self.bounds)
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        family.add_metric(labels, buckets, self._sum)


class LabelledHistogram(Collector):
    """A histogram for each value of one label; those that were asked for have series."""

    def __init__(
        self,
        name: str,
        documentation: str,
        label: str,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._buckets = buckets
        self._series: dict[str, HistogramSeries] = {}
        registry.register(self)

    def labels(self, value: str) -> HistogramSeries:
        """The series of a value, at zero if it is new."""
        if (found := self._series.get(value)) is None:
            found = self._series[value] = HistogramSeries(self._buckets)
        return found

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Prometheus'."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        for value, series in self._series.items():
            series.add_to(family, [value])
        yield family

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Prometheus'."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=[self._label])


class Histogram(HistogramSeries, Collector):
    """One without a label."""

    __slots__ = ("_documentation", "_name")

    def __init__(
        self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry
    ) -> None:
        super().__init__(buckets)
        self._name, self._documentation = name, documentation
        registry.register(self)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Prometheus'."""
        for family in self.describe():
            self.add_to(family, [])
            yield family

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Prometheus'."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=[])
