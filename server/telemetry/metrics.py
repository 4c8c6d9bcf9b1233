"""What the server counts, as Prometheus reads it. Every series exists at zero from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from ...models.decision import Decision
from ..errors import STATUS, Reason

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Buckets for encoders: a small student answers in less than a millisecond."""
TOKENS = tuple(2**n for n in range(3, 17))
OUTCOMES = ("accepted", "escalated", "limited")
CODES = sorted({200, *STATUS.values()})


class Metrics:
    """The metrics of one server, in a registry of its own.

    endpoints, students: every value that these labels can take.
    """

    def __init__(self, endpoints: Iterable[str], students: Iterable[str]) -> None:
        # Without this, each counter has a second series with its birth, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        endpoints, students = list(endpoints), list(students)
        requests = Counter(
            "nestling_requests_total",
            "Requests by endpoint and HTTP status code.",
            ("endpoint", "code"),
            registry=registry,
        )
        self._requests = {(e, c): requests.labels(e, str(c)) for e in endpoints for c in CODES}
        duration = Histogram(
            "nestling_request_duration_seconds",
            "From the first byte of a request's body to its answer.",
            ("endpoint",),
            buckets=SECONDS,
            registry=registry,
        )
        self._durations = {e: duration.labels(e) for e in endpoints}
        errors = Counter(
            "nestling_errors_total",
            "Requests that were not answered, by reason.",
            ("reason",),
            registry=registry,
        )
        self._errors = {reason: errors.labels(reason.value) for reason in Reason}
        self.queue_duration = Histogram(
            "nestling_queue_duration_seconds",
            "Time that a text waits for a stage, observed at each stage.",
            buckets=SECONDS,
            registry=registry,
        )
        self._batch_tokens = Histogram(
            "nestling_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=registry
        )
        self._stage_answers = Counter(
            "nestling_stage_answers_total",
            "Answers of each student: accepted, escalated, or standing for want of time or budget.",
            ("student", "outcome"),
            registry=registry,
        )
        self._device_seconds = Counter(
            "nestling_device_seconds_total",
            "Device time by student: a batch's time, shared by the FLOPs of its texts.",
            ("student",),
            registry=registry,
        )
        self._answers: dict[tuple[str, str], Counter] = {}
        self._device: dict[str, Counter] = {}
        self.know(students)
        self._flops = Counter(
            "nestling_flops_total",
            "Floating-point operations of all stages that ran.",
            registry=registry,
        )
        self._ta_flops = Counter(
            "nestling_ta_flops_total",
            "What the TA alone would have cost on the texts answered.",
            registry=registry,
        )
        self._gauges = [
            Gauge(name, text, registry=registry)
            for name, text in (
                ("nestling_queue_requests", "Texts that wait for a stage."),
                ("nestling_requests_running", "Texts in the batch that runs now."),
                ("nestling_brownout_level", "How far cascades are shortened, 0 to 3."),
            )
        ]
        self.runner_restarts = Counter(
            "nestling_runner_restarts_total",
            "Engines that had died or hung and were replaced.",
            registry=registry,
        )
        browned_out = Counter(
            "nestling_brownout_answers_total",
            "Texts answered by a cascade that overload had shortened, by level.",
            ("level",),
            registry=registry,
        )
        self._browned_out = {level: browned_out.labels(str(level)) for level in (1, 2, 3)}
        self._tokens = Counter(
            "nestling_tokens_total",
            "Tokens of the texts answered, special tokens included.",
            registry=registry,
        )

    def know(self, students: Iterable[str]) -> None:
        """Series for the students of a checkpoint, at zero if they are new."""
        for student in students:
            self._device[student] = self._device_seconds.labels(student)
            for outcome in OUTCOMES:
                self._answers[student, outcome] = self._stage_answers.labels(student, outcome)

    def gauges(
        self,
        queued: Callable[[], float],
        running: Callable[[], float],
        brownout: Callable[[], float],
    ) -> None:
        """Have the gauges read on each scrape, from now on in this way."""
        for gauge, value in zip(self._gauges, (queued, running, brownout), strict=True):
            gauge.set_function(value)

    def request(self, endpoint: str, code: int, seconds: float) -> None:
        """A request has ended."""
        self._requests[endpoint, code].inc()
        self._durations[endpoint].observe(seconds)

    def error(self, reason: Reason) -> None:
        """A request ended without an answer."""
        self._errors[reason].inc()

    def batch_started(self, decisions: Sequence[Decision]) -> None:
        """A batch is about to run."""
        self._batch_tokens.observe(sum(len(decision.tokens) for decision in decisions))

    def batch_finished(self, decisions: Sequence[Decision]) -> None:
        """Account for the last step of each decision."""
        counts: dict[tuple[str, str], int] = {}
        seconds: dict[str, float] = {}
        flops = ta_flops = tokens = 0.0
        for decision in decisions:
            step = decision.answer
            student = step.stage.student.name
            outcome = (
                "accepted" if step.accepted else "limited" if decision.limited_by else "escalated"
            )
            key = (student, outcome)
            counts[key] = counts.get(key, 0) + 1
            seconds[student] = seconds.get(student, 0.0) + step.seconds
            flops += step.flops
            if decision.answered:
                ta_flops += decision.ta_flops
                tokens += len(decision.tokens)
                if decision.brownout:
                    self._browned_out[decision.brownout].inc()
        for key, count in counts.items():
            self._answers[key].inc(count)
        for student, spent in seconds.items():
            self._device[student].inc(spent)
        self._flops.inc(flops)
        self._ta_flops.inc(ta_flops)
        self._tokens.inc(tokens)

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)
