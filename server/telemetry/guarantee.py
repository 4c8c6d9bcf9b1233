"""What the cascades promise, and what the watch over them has seen."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from ...models.cascade.decisions import Decision
from ...models.cascade.policy import Cascade


class GuaranteeMetrics:
    """Of the cascades that are served now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._texts = Counter(
            "nestling_shadow_texts_total",
            "Texts that all of their cascade were asked, and whether the TA agreed.",
            ("cascade", "student", "agrees"),
            registry=registry,
        )
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
        self._violated = Gauge(
            "nestling_guarantee_broken",
            "1 once the bounds refute what a cascade promises of its disagreement.",
            ("cascade",),
            registry=registry,
        )
        self._guarantee = Gauge(
            "nestling_guarantee_promise_ratio",
            "The risk that a cascade promises at most, of texts like those of its calibration.",
            ("cascade", "loss"),
            registry=registry,
        )

    def watches(self, cascades: Iterable[Cascade]) -> None:
        """Series for a checkpoint's cascades, at the start of the watch."""
        for gauge in (self._bounds, self._violated, self._guarantee):
            gauge.clear()
        for cascade in cascades:
            self._bounds.labels(cascade.name, "lower").set(0)
            self._bounds.labels(cascade.name, "upper").set(1)
            self._violated.labels(cascade.name).set(0)
            if guarantee := cascade.guarantee:
                self._guarantee.labels(cascade.name, guarantee.loss).set(guarantee.alpha)
            for stage in cascade.stages:
                for agrees in ("false", "true"):
                    self._texts.labels(cascade.name, stage.student.name, agrees)

    def shadowed(
        self, decision: Decision, agrees: bool, bounds: tuple[float, float], violated: bool
    ) -> None:
        """The TA has been asked too. bounds: on the cascade's disagreement so far. violated:
        whether they refute its guarantee.
        """
        cascade, student = decision.cascade, decision.answer.stage.student.name
        self._texts.labels(cascade.name, student, str(agrees).lower()).inc()
        for bound, value in zip(("lower", "upper"), bounds, strict=True):
            self._bounds.labels(cascade.name, bound).set(value)
        self._violated.labels(cascade.name).set(violated)
