"""How far cascades have gone back along their path, after their promises were found broken."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge


class TightenedCascade(Protocol):
    """steps: those that hold now. since: when the last of them was taken; None without one."""

    @property
    def steps(self) -> Sized: ...
    @property
    def since(self) -> datetime | None: ...


class TighteningMetrics:
    """Of the cascades that are served now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = Gauge(
            "nestling_guarantee_steps",
            "Steps by which a cascade's thresholds are tighter than they were calibrated.",
            ("cascade",),
            registry=registry,
        )
        self._since = Gauge(
            "nestling_guarantee_tightened_timestamp_seconds",
            "When the last of these steps was taken, in Unix time; 0 without one.",
            ("cascade",),
            registry=registry,
        )
        self._taken = Counter(
            "nestling_guarantee_tightenings_total",
            "Such steps that were ever taken.",
            ("cascade",),
            registry=registry,
        )

    def shows(self, tightened: Mapping[str, TightenedCascade]) -> None:
        """By cascade, as they stand; there are series for no others."""
        self._steps.clear()
        self._since.clear()
        for cascade, each in tightened.items():
            self._steps.labels(cascade).set(len(each.steps))
            self._since.labels(cascade).set(each.since.timestamp() if each.since else 0)
            self._taken.labels(cascade)

    def tightened(self, cascade: str) -> None:
        """A step has been taken."""
        self._taken.labels(cascade).inc()
