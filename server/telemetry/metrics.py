"""What the server counts, as Prometheus reads it. Every series exists at zero from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from ..errors import Reason, Refusal
from .batches import SECONDS, BatchMetrics
from .counts import CountSeries, LabelledCount
from .guarantee import GuaranteeMetrics
from .histogram import Histogram, HistogramSeries, LabelledHistogram

CODES = sorted({200, *(reason.status for reason in Reason)})


class Metrics:
    """The metrics of one server, in a registry of its own, or a given one.

    students: every value that this label can take, cheapest first, the TA last. price_per_hour: of
    the device, in whatever currency the operator pays.
    """

    def __init__(
        self,
        students: Iterable[str],
        price_per_hour: float = 0.0,
        registry: CollectorRegistry | None = None,
    ) -> None:
        # Without this, each counter has a second series with its birth, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=registry)
        self._all_requests = LabelledCount(
            "nestling_requests_total",
            "Requests by endpoint and HTTP status code.",
            ("endpoint", "code"),
            registry,
        )
        self._requests: dict[tuple[str, int], CountSeries] = {}
        self._all_durations = LabelledHistogram(
            "nestling_request_duration_seconds",
            "From the first byte of a request's body to its answer.",
            "endpoint",
            SECONDS,
            registry,
        )
        self._durations: dict[str, HistogramSeries] = {}
        errors = Counter(
            "nestling_errors_total",
            "Requests that were not answered, by reason.",
            ("reason",),
            registry=registry,
        )
        self._errors = {reason: errors.labels(str(reason)) for reason in Reason}
        refusals = Counter(
            "nestling_connection_refusals_total",
            "Requests that the connection refused or cut off, by reason.",
            ("reason",),
            registry=registry,
        )
        self._refusals = {refusal: refusals.labels(refusal.value) for refusal in Refusal}
        self.tokenize_duration = Histogram(
            "nestling_tokenize_duration_seconds",
            "From a request's admission to its tokens, the wait for a tokenizer included.",
            SECONDS,
            registry,
        )
        self.guarantee = GuaranteeMetrics(registry)
        self.batches = BatchMetrics(registry, price_per_hour / 3600)
        self._build = Gauge(
            "nestling_build_info",
            "1 for the version and the weights that answer.",
            ("version", "weights"),
            registry=registry,
        )
        self.know(students)
        self._gauges = [
            Gauge(name, text, registry=registry)
            for name, text in (
                ("nestling_queue_requests", "Texts that wait for a stage."),
                ("nestling_requests_running", "Texts in the batch that runs now."),
                ("nestling_brownout_level", "How far cascades are shortened, 0 to 3."),
                ("nestling_answer_cache_entries", "Answers that are kept."),
            )
        ]
        self.cache_hits = Counter(
            "nestling_answer_cache_hits_total",
            "Texts answered by an answer that was kept.",
            registry=registry,
        )
        self.cache_misses = Counter(
            "nestling_answer_cache_misses_total",
            "Texts for which none was kept.",
            registry=registry,
        )
        self.runner_restarts = Counter(
            "nestling_runner_restarts_total",
            "Engines that had died or hung and were replaced.",
            registry=registry,
        )
        self.device_failures = Counter(
            "nestling_device_failures_total",
            "Engines that were replaced because their GPU answered no more.",
            registry=registry,
        )

    def know(self, students: Iterable[str], abstaining: Iterable[str] = ()) -> None:
        """Series for the students of a checkpoint, at zero if they are new.

        abstaining: policies that may answer without a label.
        """
        self.batches.know(list(students), abstaining)

    def serves(self, version: str, weights: str) -> None:
        """Which version and weights answer from now on."""
        self._build.clear()
        self._build.labels(version, weights).set(1)

    def gauges(
        self,
        queued: Callable[[], float],
        running: Callable[[], float],
        brownout: Callable[[], float],
        cached: Callable[[], float],
    ) -> None:
        """Have the gauges read on each scrape, from now on in this way."""
        for gauge, value in zip(self._gauges, (queued, running, brownout, cached), strict=True):
            gauge.set_function(value)

    def measure(self, endpoints: Iterable[str]) -> None:
        """Have series for these endpoints; requests to no others are counted."""
        for endpoint in endpoints:
            self._durations[endpoint] = self._all_durations.labels(endpoint)
            for code in CODES:
                self._requests[endpoint, code] = self._all_requests.labels(endpoint, str(code))

    def request(self, endpoint: str, code: int, seconds: float) -> None:
        """A request has ended."""
        self._requests[endpoint, code].inc()
        self._durations[endpoint].observe(seconds)

    def error(self, reason: Reason) -> None:
        """A request ended without an answer."""
        self._errors[reason].inc()

    def refused(self, refusal: Refusal) -> None:
        """A connection refused a request, or cut it off."""
        self._refusals[refusal].inc()

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)
