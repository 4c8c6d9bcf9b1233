"""What an experiment is: its variants, its place in a layer, what it measures, what stops it.

`parsing` makes these from a declaration and `conflicts` compares them with each other, so that
whatever has one can rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .metrics import MEASURED, GuardrailMetric, Metric

BUCKETS = 10_000
"""A layer has so many; the smallest share of traffic is one of them."""


class Source(StrEnum):
    """Where a request's unit is read."""

    HEADER = "header"
    USER = "user"
    REQUEST = "request"


@dataclass(frozen=True)
class Unit:
    """What is assigned. header: the name of the header, in lower case, where that is the source."""

    source: Source
    header: str | None = None

    def __str__(self) -> str:
        return f"header {self.header}" if self.header else self.source.value


@dataclass(frozen=True)
class Variant:
    """One way to answer, with its weight.

    policy: `auto`, a cascade's or a student's name. thresholds: in place of the cascade's own, one
    per stage but the last. runner: the one that computes it. None leaves each as it is served.
    """

    name: str
    weight: int
    policy: str | None = None
    thresholds: tuple[float, ...] | None = None
    runner: str | None = None

    @property
    def parameters(self) -> frozenset[str]:
        """Which parts of a request's way this variant decides."""
        decided = {"policy": self.policy, "runner": self.runner}
        return frozenset(name for name, value in decided.items() if value is not None)


@dataclass(frozen=True)
class Guardrail:
    """What stops a variant by itself: a metric beyond a limit, or worse than control by a margin.

    confidence: 1 − the chance that it ever stops a variant that keeps to it.
    """

    metric: GuardrailMetric
    limit: float | None = None
    margin: float | None = None
    confidence: float = 0.99


@dataclass(frozen=True)
class ExperimentLayer:
    """Experiments in one layer are exclusive; experiments in two layers are independent."""

    name: str
    salt: str


@dataclass(frozen=True)
class BucketRange:
    """The buckets of its layer that an experiment owns: first ≤ bucket < end."""

    first: int
    end: int

    @classmethod
    def of(cls, low: float, high: float) -> BucketRange:
        """From shares of the layer, 0 to 1."""
        return cls(round(low * BUCKETS), round(high * BUCKETS))

    @property
    def width(self) -> int:
        return self.end - self.first

    def __str__(self) -> str:
        return f"[{self.first / BUCKETS:g}, {self.end / BUCKETS:g}]"

    def overlaps(self, other: BucketRange) -> bool:
        return self.first < other.end and other.first < self.end


@dataclass(frozen=True)
class RampPhase:
    """A stretch of an experiment in which nobody changes variant. since: when it began."""

    name: str
    since: datetime


@dataclass(frozen=True)
class Experiment:
    """One declared experiment; the first variant is the control.

    owns: its buckets of the layer. enrolled: how many of them take part, from the first on.
    phase: whose name is part of the variants' hash. end: None is open. primary: the metric that
    the verdict is about. smallest_effect: the difference worth knowing of, in the metric's unit.
    confidence: of intervals and verdict. planned_units: in all variants, where the intervals are
    narrowest. paired: share of the enrolled units that are answered by both variants.
    """

    name: str
    salt: str
    unit: Unit
    layer: ExperimentLayer
    owns: BucketRange
    enrolled: int
    phase: str
    variants: tuple[Variant, ...]
    start: datetime
    end: datetime | None
    primary: Metric
    smallest_effect: float
    guardrails: tuple[Guardrail, ...] = ()
    confidence: float = 0.95
    planned_units: int = 10_000
    paired: float = 0.0

    @property
    def control(self) -> Variant:
        return self.variants[0]

    @property
    def treatments(self) -> tuple[Variant, ...]:
        return self.variants[1:]

    @property
    def compares_pairs(self) -> bool:
        """Whether the verdict rests on the pairs. An outcome that clients report is of the answer
        that was served, so that it has no pairs; and a request that failed is in none.
        """
        return self.paired > 0 and self.primary.name in MEASURED.keys() - {"error_rate"}

    @property
    def parameters(self) -> frozenset[str]:
        """Which parts of a request's way this experiment decides."""
        return frozenset[str]().union(*(variant.parameters for variant in self.variants))

    def started(self, now: datetime) -> bool:
        return self.start <= now

    def ended(self, now: datetime) -> bool:
        return self.end is not None and self.end <= now

    def running(self, now: datetime) -> bool:
        return self.started(now) and not self.ended(now)

    def meets(self, other: Experiment) -> bool:
        """Whether there is a moment at which both run."""
        return not (self.ended(other.start) or other.ended(self.start))


@dataclass(frozen=True)
class ExperimentPlan:
    """Everything that is declared, valid as a whole."""

    experiments: tuple[Experiment, ...] = ()

    def __getitem__(self, name: str) -> Experiment:
        """Raises KeyError."""
        return self.by_name[name]

    @property
    def by_name(self) -> Mapping[str, Experiment]:
        return {experiment.name: experiment for experiment in self.experiments}
