"""What the cascades promise, and what the watch over them has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from math import log10
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from ...models.cascade.policy import Cascade
from .tightening import TightenedCascade, TighteningMetrics


class Unwatched(StrEnum):
    """Why an answer that was chosen for the shadow says nothing of a promise: a label.

    student: one was asked for, no cascade. calibration: stages or thresholds other than those
    served under that name, by an experiment, or before a reload or a tightening. brownout.
    min_confidence, max_cost, deadline: the request's, if it could have cut the cascade short. path:
    whatever else has.
    repeat: the text has been counted already. waiting: as many wait as may. failed: somebody who
    was asked did not answer.
    """

    STUDENT = "student"
    CALIBRATION = "calibration"
    BROWNOUT = "brownout"
    MIN_CONFIDENCE = "min_confidence"
    MAX_COST = "max_cost"
    DEADLINE = "deadline"
    PATH = "path"
    REPEAT = "repeat"
    WAITING = "waiting"
    FAILED = "failed"


class WatchedCascade(Protocol):
    """What is told of one cascade's watch.

    lower, upper: bounds on its disagreement with the TA. evidence: that its promise is broken, from
    0 on; None if nothing without labels can say. raised: when that was found. repeated: share of
    the texts that came again.
    """

    cascade: Cascade
    lower: float
    upper: float

    @property
    def evidence(self) -> float | None: ...
    @property
    def raised(self) -> datetime | None: ...
    @property
    def repeated(self) -> float: ...


class GuaranteeMetrics:
    """Of the cascades that are served now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._texts = Counter(
            "nestling_shadow_texts_total",
            "Answers that their cascade's promise covers, and whether the TA, asked too, agreed.",
            ("cascade", "student", "agrees"),
            registry=registry,
        )
        unwatched = Counter(
            "nestling_shadow_unwatched_total",
            "Texts that were chosen for the shadow and say nothing of a promise, by why.",
            ("reason",),
            registry=registry,
        )
        self._unwatched = {reason: unwatched.labels(reason.value) for reason in Unwatched}
        self.log_errors = Counter(
            "nestling_shadow_log_errors_total",
            "Records of such texts that could not be written.",
            registry=registry,
        )
        self._bounds = Gauge(
            "nestling_shadow_disagreement_ratio",
            "Bounds on a cascade's disagreement with the TA, valid at every moment.",
            ("cascade", "bound"),
            registry=registry,
        )
        self._repeats = Gauge(
            "nestling_shadow_repeats_ratio",
            "Share of the texts that came again while they were remembered, and count once.",
            ("cascade",),
            registry=registry,
        )
        self._evidence = Gauge(
            "nestling_guarantee_evidence",
            "Of a broken promise, as log10(1 + M) of the detector; the alarm is raised at 6.",
            ("cascade",),
            registry=registry,
        )
        self._broken = Gauge(
            "nestling_guarantee_broken",
            "1 from the alarm on, until it is reset or the cascade is calibrated again.",
            ("cascade",),
            registry=registry,
        )
        self._raised = Gauge(
            "nestling_guarantee_broken_timestamp_seconds",
            "When that alarm was raised, in Unix time; 0 without one.",
            ("cascade",),
            registry=registry,
        )
        self._promise = Gauge(
            "nestling_guarantee_promise_ratio",
            "The risk that a cascade promises at most, of texts like those of its calibration.",
            ("cascade", "loss"),
            registry=registry,
        )
        self._tightening = TighteningMetrics(registry)
        self.tightened = self._tightening.tightened

    def watches(
        self, watched: Iterable[WatchedCascade], tightened: Mapping[str, TightenedCascade]
    ) -> None:
        """Series for the cascades that are served, as their watch stands, and for no others."""
        self._tightening.shows(tightened)
        for gauge in (
            self._bounds,
            self._repeats,
            self._evidence,
            self._broken,
            self._raised,
            self._promise,
        ):
            gauge.clear()
        for each in watched:
            cascade = each.cascade
            self._show(each)
            if guarantee := cascade.guarantee:
                self._promise.labels(cascade.name, guarantee.loss).set(guarantee.alpha)
            for stage in cascade.stages:
                for agrees in ("false", "true"):
                    self._texts.labels(cascade.name, stage.student.name, agrees)

    def shadowed(self, watched: WatchedCascade, student: str, agrees: bool) -> None:
        """The TA has been asked too about what a student had answered."""
        self._texts.labels(watched.cascade.name, student, str(agrees).lower()).inc()
        self._show(watched)

    def unwatched(self, reason: Unwatched) -> None:
        """An answer was chosen for the shadow, and nobody counts it."""
        self._unwatched[reason].inc()

    def _show(self, watched: WatchedCascade) -> None:
        name, raised = watched.cascade.name, watched.raised
        self._bounds.labels(name, "lower").set(watched.lower)
        self._bounds.labels(name, "upper").set(watched.upper)
        self._repeats.labels(name).set(watched.repeated)
        if watched.evidence is not None:
            self._evidence.labels(name).set(log10(1 + watched.evidence))
        self._broken.labels(name).set(raised is not None)
        self._raised.labels(name).set(raised.timestamp() if raised else 0)
