"""The processes of one server that answer texts."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class ProcessMetrics:
    """running: how many there are now; where there is one, it is the server itself."""

    def __init__(
        self, registry: CollectorRegistry, running: Callable[[], float] = lambda: 1
    ) -> None:
        gauge = Gauge("nestling_processes", "Processes that answer texts.", registry=registry)
        gauge.set_function(running)
        restarts = Counter(
            "nestling_process_restarts_total",
            "Processes that answered texts and had to be replaced.",
            registry=registry,
        )
        self.restarted = restarts.inc
