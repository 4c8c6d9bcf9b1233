"""What is counted of texts that seem to belong to none of the labels."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from ...models.cascade.decisions import Decision, Step


class ScopeMetrics:
    """Of all policies that have scopes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._abstained = Counter(
            "nestling_abstained_total",
            "Texts found out of scope and answered without a label, by policy.",
            ("policy",),
            registry=registry,
        )
        self._escalations = Counter(
            "nestling_scope_escalations_total",
            "Texts passed on by a student that found them out of scope, sure or not.",
            ("student",),
            registry=registry,
        )

    def know(self, students: Iterable[str], abstaining: Iterable[str]) -> None:
        """Series at zero for students, and for policies that may answer without a label."""
        for student in students:
            self._escalations.labels(student)
        for policy in abstaining:
            self._abstained.labels(policy)

    def passed_on(self, step: Step) -> None:
        """An answer was not accepted, and another student is asked."""
        if not step.inside:
            self._escalations.labels(step.stage.student.name).inc()

    def outcome(self, decision: Decision) -> str:
        """Of an answer that stands: counts it, and says how it came to stand."""
        if decision.abstained:
            self._abstained.labels(decision.cascade.policy).inc()
            return "abstained"
        return "accepted" if decision.answer.accepted else "limited"
