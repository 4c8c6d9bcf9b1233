"""What is counted of batches: once for each, by sums over its texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

from prometheus_client import CollectorRegistry

from ...models.cascade.parts import StagePart
from ...models.cascade.steps import StepColumns
from ...models.runners.scheduled import P, Said
from .counts import Count, LabelledCount
from .histogram import Histogram, HistogramSeries, LabelledHistogram

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Buckets for encoders: a small student answers in less than a millisecond."""
TOKENS = tuple(2**n for n in range(3, 17))
TEXTS = tuple(2**n for n in range(11))
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1)
OUTCOMES = ("accepted", "escalated", "limited", "abstained")


class BatchMetrics:
    """Of all batches of a server. price: of a second of the device. Belongs to the event loop."""

    def __init__(self, registry: CollectorRegistry, price: float) -> None:
        self._price = price
        self._queue_duration = Histogram(
            "nestling_queue_duration_seconds",
            "Time that a text waits for a stage, observed at each stage.",
            SECONDS,
            registry,
        )
        self._inference_duration = Histogram(
            "nestling_inference_duration_seconds", "Time that a batch runs.", SECONDS, registry
        )
        self._batch_tokens = Histogram(
            "nestling_batch_tokens", "Tokens of a batch.", TOKENS, registry
        )
        self._batch_texts = Histogram("nestling_batch_texts", "Texts of a batch.", TEXTS, registry)
        self._confidence = LabelledHistogram(
            "nestling_confidence",
            "Calibrated confidence of each student's answers, accepted or not.",
            "student",
            CONFIDENCES,
            registry,
        )
        self._answer_duration = LabelledHistogram(
            "nestling_answer_duration_seconds",
            "From a text's tokens to its answer, over all stages, by the student that answered.",
            "student",
            SECONDS,
            registry,
        )
        self._escalations = LabelledCount(
            "nestling_escalations_total",
            "Texts passed on from one student to another.",
            ("source", "target"),
            registry,
        )
        self._stage_answers = LabelledCount(
            "nestling_stage_answers_total",
            "Answers of each student: accepted, escalated, standing for want of time or budget, or "
            "abstained: found out of scope, and so without a label.",
            ("student", "outcome"),
            registry,
        )
        self._device_seconds = LabelledCount(
            "nestling_device_seconds_total",
            "Device time by student: a batch's time, shared by the FLOPs of its texts.",
            ("student",),
            registry,
        )
        self._cost = Count(
            "nestling_cost_total",
            "Device time at the price per hour that the operator stated.",
            registry,
        )
        self._ta_cost = Count(
            "nestling_ta_cost_total",
            "What the TA alone would have cost on the texts answered, at its measured speed.",
            registry,
        )
        self._flops = Count(
            "nestling_flops_total",
            "Floating-point operations of all stages that ran.",
            registry,
        )
        self._ta_flops = Count(
            "nestling_ta_flops_total",
            "What the TA alone would have cost on the texts answered.",
            registry,
        )
        browned_out = LabelledCount(
            "nestling_brownout_answers_total",
            "Texts answered by a cascade that overload had shortened, by level.",
            ("level",),
            registry,
        )
        self._browned_out = {level: browned_out.labels(str(level)) for level in (1, 2, 3)}
        self._tokens = Count(
            "nestling_tokens_total",
            "Tokens of the texts answered, special tokens included.",
            registry,
        )
        self._abstained = LabelledCount(
            "nestling_abstained_total",
            "Texts found out of scope and answered without a label, by policy.",
            ("policy",),
            registry,
        )
        self._scope_escalations = LabelledCount(
            "nestling_scope_escalations_total",
            "Texts passed on by a student that found them out of scope, sure or not.",
            ("student",),
            registry,
        )
        self._confidences: dict[str, HistogramSeries] = {}
        self._answer_durations: dict[str, HistogramSeries] = {}
        self._seconds_per_flop = 0.0

    def know(self, students: Sequence[str], abstaining: Iterable[str]) -> None:
        """Series at zero for students, the TA last, and for policies that may abstain."""
        self._largest = students[-1] if students else ""
        for pair in combinations(students, 2):
            self._escalations.labels(*pair)
        for student in students:
            self._confidences[student] = self._confidence.labels(student)
            self._answer_durations[student] = self._answer_duration.labels(student)
            self._device_seconds.labels(student)
            self._scope_escalations.labels(student)
            for outcome in OUTCOMES:
                self._stage_answers.labels(student, outcome)
        for policy in abstaining:
            self._abstained.labels(policy)

    def finished(
        self, parts: Sequence[StagePart], began: float, said: Sequence[Said[P]], seconds: float
    ) -> None:
        """Account for a batch. began: when it did, on `time.perf_counter`'s clock. said: of those
        of its parts that have not failed. seconds: that it ran.
        """
        tokens = texts = 0
        for part in parts:
            count = len(part.rows)
            tokens, texts = tokens + sum(part.lengths), texts + count
            self._queue_duration.observe(began - part.since, count)
        self._batch_tokens.observe(tokens)
        self._batch_texts.observe(texts)
        if not said:
            return
        self._inference_duration.observe(seconds)
        device: dict[str, float] = defaultdict(float)
        confidences: dict[str, list[float]] = defaultdict(list)
        outcomes: dict[tuple[str, str], int] = defaultdict(int)
        flops = ta_flops = answered_tokens = 0.0
        for part, step, left in said:
            student, cost, decisions = step.stage.student.name, sum(step.flops), part.decisions
            device[student] += cost * step.seconds_per_flop
            if decisions.shadow:
                continue
            confidences[student] += step.confidences
            flops += cost
            if student == self._largest or not self._seconds_per_flop:
                self._seconds_per_flop = step.seconds_per_flop
            lengths = part.lengths
            if left:
                outcomes[student, "escalated"] += len(left)
                self._passed_on(part, step, left)
                lengths = [decisions.lengths[row] for row in set(part.rows).difference(left)]
            answered = len(lengths)
            if not answered:
                continue
            took = part.waited + step.waited + part.ran + step.ran
            self._answer_durations[student].observe(took, answered)
            accepted = sum(step.accepts)
            outcomes[student, "accepted"] += accepted
            if accepted < answered:
                abstained = self._without_label(part, step, left)
                outcomes[student, "abstained"] += abstained
                outcomes[student, "limited"] += answered - accepted - abstained
            ta_flops += sum(map(decisions.ta.__getitem__, lengths))
            answered_tokens += sum(lengths)
            if decisions.brownout:
                self._browned_out[decisions.brownout].inc(answered)
        for student, spent in device.items():
            self._device_seconds.labels(student).inc(spent)
        for student, sure in confidences.items():
            self._confidences[student].observe_all(sure)
        for (student, outcome), count in outcomes.items():
            if count:
                self._stage_answers.labels(student, outcome).inc(count)
        self._flops.inc(flops)
        self._ta_flops.inc(ta_flops)
        self._tokens.inc(answered_tokens)
        self._cost.inc(self._price * sum(device.values()))
        self._ta_cost.inc(self._price * ta_flops * self._seconds_per_flop)

    def _passed_on(self, part: StagePart, step: StepColumns, left: Sequence[int]) -> None:
        student = step.stage.student.name
        target = part.decisions.cascade.stages[part.stage + 1].student.name
        self._escalations.labels(student, target).inc(len(left))
        if step.stage.scope > 0:
            inside = dict(zip(step.rows, step.inside, strict=True))
            self._scope_escalations.labels(student).inc(sum(not inside[row] for row in left))

    def _without_label(self, part: StagePart, step: StepColumns, left: Sequence[int]) -> int:
        """How many answers of a step stand without their label."""
        cascade = part.decisions.cascade
        if not cascade.abstains:
            return 0
        outside = {row for row, within in zip(step.rows, step.inside, strict=True) if not within}
        count = len(outside.difference(left))
        self._abstained.labels(cascade.policy).inc(count)
        return count
