"""What the server counts, as Prometheus reads it. Every series exists at zero from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from ...models.cascade.decisions import Decision
from ..errors import Reason, Refusal
from .guarantee import GuaranteeMetrics
from .scope import ScopeMetrics

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Buckets for encoders: a small student answers in less than a millisecond."""
TOKENS = tuple(2**n for n in range(3, 17))
TEXTS = tuple(2**n for n in range(11))
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1)
OUTCOMES = ("accepted", "escalated", "limited", "abstained")
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
        students = list(students)
        self._all_requests = Counter(
            "nestling_requests_total",
            "Requests by endpoint and HTTP status code.",
            ("endpoint", "code"),
            registry=registry,
        )
        self._requests: dict[tuple[str, int], Counter] = {}
        self._all_durations = Histogram(
            "nestling_request_duration_seconds",
            "From the first byte of a request's body to its answer.",
            ("endpoint",),
            buckets=SECONDS,
            registry=registry,
        )
        self._durations: dict[str, Histogram] = {}
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
        self.queue_duration = Histogram(
            "nestling_queue_duration_seconds",
            "Time that a text waits for a stage, observed at each stage.",
            buckets=SECONDS,
            registry=registry,
        )
        self.tokenize_duration = Histogram(
            "nestling_tokenize_duration_seconds",
            "From a request's admission to its tokens, the wait for a tokenizer included.",
            buckets=SECONDS,
            registry=registry,
        )
        self._inference_duration = Histogram(
            "nestling_inference_duration_seconds",
            "Time that a batch runs.",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_tokens = Histogram(
            "nestling_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=registry
        )
        self.batch_texts = Histogram(
            "nestling_batch_texts", "Texts of a batch.", buckets=TEXTS, registry=registry
        )
        self._confidence = Histogram(
            "nestling_confidence",
            "Calibrated confidence of each student's answers, accepted or not.",
            ("student",),
            buckets=CONFIDENCES,
            registry=registry,
        )
        self._answer_duration = Histogram(
            "nestling_answer_duration_seconds",
            "From a text's tokens to its answer, over all stages, by the student that answered.",
            ("student",),
            buckets=SECONDS,
            registry=registry,
        )
        self._escalations = Counter(
            "nestling_escalations_total",
            "Texts passed on from one student to another.",
            ("source", "target"),
            registry=registry,
        )
        self.guarantee = GuaranteeMetrics(registry)
        self._scope = ScopeMetrics(registry)
        self._price = price_per_hour / 3600
        self._cost = Counter(
            "nestling_cost_total",
            "Device time at the price per hour that the operator stated.",
            registry=registry,
        )
        self._ta_cost = Counter(
            "nestling_ta_cost_total",
            "What the TA alone would have cost on the texts answered, at its measured speed.",
            registry=registry,
        )
        self._build = Gauge(
            "nestling_build_info",
            "1 for the version and the weights that answer.",
            ("version", "weights"),
            registry=registry,
        )
        self._stage_answers = Counter(
            "nestling_stage_answers_total",
            "Answers of each student: accepted, escalated, standing for want of time or budget, or "
            "abstained: found out of scope, and so without a label.",
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
        self._confidences: dict[str, Histogram] = {}
        self._answer_durations: dict[str, Histogram] = {}
        self._passed_on: dict[tuple[str, str], Counter] = {}
        self._seconds_per_flop = 0.0
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

    def know(self, students: Iterable[str], abstaining: Iterable[str] = ()) -> None:
        """Series for the students of a checkpoint, at zero if they are new.

        abstaining: policies that may answer without a label.
        """
        students = list(students)
        self._scope.know(students, abstaining)
        self._largest = students[-1] if students else ""
        for pair in combinations(students, 2):
            self._passed_on[pair] = self._escalations.labels(*pair)
        for student in students:
            self._confidences[student] = self._confidence.labels(student)
            self._answer_durations[student] = self._answer_duration.labels(student)
            self._device[student] = self._device_seconds.labels(student)
            for outcome in OUTCOMES:
                self._answers[student, outcome] = self._stage_answers.labels(student, outcome)

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

    def batch_finished(self, decisions: Sequence[Decision], seconds: float) -> None:
        """Account for the last step of each decision. seconds: that the batch ran."""
        self._inference_duration.observe(seconds)
        flops = ta_flops = tokens = 0.0
        for decision in decisions:
            step = decision.answer
            student = step.stage.student.name
            self._device[student].inc(step.seconds)
            if decision.shadow:
                continue
            self._confidences[student].observe(step.confidence)
            flops += step.flops
            if student == self._largest or not self._seconds_per_flop:
                self._seconds_per_flop = step.seconds / step.flops
            if not decision.answered:
                self._answers[student, "escalated"].inc()
                self._passed_on[student, decision.stage.student.name].inc()
                self._scope.passed_on(step)
                continue
            self._answers[student, self._scope.outcome(decision)].inc()
            self._answer_durations[student].observe(decision.waited + decision.ran)
            ta_flops += decision.ta_flops
            tokens += len(decision.tokens)
            if decision.brownout:
                self._browned_out[decision.brownout].inc()
        self._flops.inc(flops)
        self._ta_flops.inc(ta_flops)
        self._tokens.inc(tokens)
        self._cost.inc(self._price * sum(decision.answer.seconds for decision in decisions))
        self._ta_cost.inc(self._price * ta_flops * self._seconds_per_flop)

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)
