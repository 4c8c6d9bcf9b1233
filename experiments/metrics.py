"""What an experiment can measure, and in which direction it is good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """rate: every value lies in [0, 1]; mean: any number."""

    RATE = "rate"
    MEAN = "mean"


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Metric:
    """A unit's value is the mean over its requests; a variant's is the mean over its units."""

    name: str
    kind: Kind
    better: Better


MEASURED = {
    metric.name: metric
    for metric in (
        Metric("latency_ms", Kind.MEAN, Better.LOWER),
        Metric("error_rate", Kind.RATE, Better.LOWER),
        Metric("cost", Kind.MEAN, Better.LOWER),
        Metric("relative_cost", Kind.MEAN, Better.LOWER),
        Metric("escalations", Kind.MEAN, Better.LOWER),
        Metric("confidence", Kind.RATE, Better.HIGHER),
        Metric("accuracy", Kind.RATE, Better.HIGHER),
    )
}
"""Known by name; every other name is an outcome that a client reports. Of one request: cost in
money, relative_cost to what the TA alone would take, escalations over all its texts; accuracy by
reported labels.
"""


@dataclass(frozen=True)
class GuardrailMetric:
    """What a guardrail watches.

    metric: of which it takes one value per unit. quantile: of the latency, of which the limit
    speaks; the value is then the share of a unit's requests that took longer than the limit.
    """

    name: str
    metric: Metric
    quantile: float | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the values that are tested."""
        return Kind.RATE if self.quantile else self.metric.kind


GUARDED = {
    guarded.name: guarded
    for guarded in (
        GuardrailMetric("latency_p50_ms", MEASURED["latency_ms"], 0.50),
        GuardrailMetric("latency_p95_ms", MEASURED["latency_ms"], 0.95),
        GuardrailMetric("latency_p99_ms", MEASURED["latency_ms"], 0.99),
        GuardrailMetric("error_rate", MEASURED["error_rate"]),
        GuardrailMetric("cost", MEASURED["cost"]),
        GuardrailMetric("accuracy", MEASURED["accuracy"]),
    )
}
