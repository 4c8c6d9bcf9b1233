"""What the registry says at a moment, and what came between two moments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reading:
    """Values of some series. at: seconds on a clock that only goes forward."""

    at: float
    values: Mapping[str, Mapping[Labels, float]]

    @classmethod
    def of(cls, registry: CollectorRegistry, names: Iterable[str], at: float) -> Reading:
        """names: of samples, so a histogram's with `_bucket`."""
        values: dict[str, dict[Labels, float]] = {}
        for family in registry.restricted_registry(names).collect():
            for sample in family.samples:
                values.setdefault(sample.name, {})[tuple(sample.labels.items())] = sample.value
        return cls(at, values)

    def since(self, earlier: Reading) -> Reading:
        """By how much each value has risen; a series that was not there before came from zero."""
        return Reading(
            self.at - earlier.at,
            {
                name: {
                    labels: value - earlier.values.get(name, {}).get(labels, 0.0)
                    for labels, value in series.items()
                }
                for name, series in self.values.items()
            },
        )

    def among(self, label: str, values: Collection[str]) -> Reading:
        """The series whose label is one of these."""
        return Reading(
            self.at,
            {
                name: {
                    labels: value
                    for labels, value in series.items()
                    if dict(labels).get(label) in values
                }
                for name, series in self.values.items()
            },
        )

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series of a name that have these labels."""
        wanted = labels.items()
        return sum(
            value
            for found, value in self.values.get(name, {}).items()
            if wanted <= dict(found).items()
        )

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The sums of a name's series, by the values of some labels."""
        sums: dict[tuple[str, ...], float] = {}
        for found, value in self.values.get(name, {}).items():
            known = dict(found)
            key = tuple(known[label] for label in labels)
            sums[key] = sums.get(key, 0.0) + value
        return sums

    def quantile(self, q: float, histogram: str, **labels: str) -> float | None:
        """Interpolated within its bucket, as Prometheus' `histogram_quantile` does; None of none.

        What lies beyond the last bound counts as that bound.
        """
        counts: dict[float, float] = {}
        wanted = labels.items()
        for found, value in self.values.get(f"{histogram}_bucket", {}).items():
            known = dict(found)
            if wanted <= known.items():
                bound = float(known["le"])
                counts[bound] = counts.get(bound, 0.0) + value
        bounds = sorted(counts)
        if not bounds or counts[bounds[-1]] <= 0:
            return None
        rank = q * counts[bounds[-1]]
        below, start = 0.0, 0.0
        for bound in bounds[:-1]:
            if counts[bound] >= rank:
                return start + (bound - start) * (rank - below) / (counts[bound] - below)
            below, start = counts[bound], bound
        return start
