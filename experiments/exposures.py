"""From a request that met variants, and its answers, to the records of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..models.cascade.decisions import OUT_OF_SCOPE, Decision
from .assignment import Assignment
from .definition import Variant
from .records import MOST_PATHS, Exposure, StudentAsked


@dataclass(frozen=True)
class ExposureContext:
    """A request that met variants. at: when it came. covariate: what was known of its unit."""

    request_id: str
    at: datetime
    assignments: Sequence[Assignment]
    covariate: float | None = None


class Answered(Protocol):
    """The answers of one request."""

    @property
    def decisions(self) -> Sequence[Decision]:
        """One per text, in order."""


@dataclass(frozen=True)
class RequestResult:
    """How the request ended. texts: that were asked. answers: None where there is an error.
    weights_sha256: of what was asked.
    """

    status: int
    seconds: float
    texts: int
    weights_sha256: str
    answers: Answered | None = None


def exposures(
    context: ExposureContext,
    result: RequestResult,
    name: Callable[[int], str],
    price_per_second: float,
) -> list[Exposure]:
    """One for each experiment, of the variant that was served. name: of an answer."""
    return [
        _exposure(context, assignment, assignment.variant, result, name, price_per_second, True)
        for assignment in context.assignments
    ]


def counterfactual_arm(
    context: ExposureContext,
    assignment: Assignment,
    result: RequestResult,
    name: Callable[[int], str],
    price_per_second: float,
) -> Exposure:
    """Of the variant that answered too, unseen by the client."""
    if assignment.other is None:
        raise ValueError(f"{assignment.experiment}: {assignment.unit!r} is not in a pair")
    return _exposure(context, assignment, assignment.other, result, name, price_per_second, False)


def _exposure(
    context: ExposureContext,
    assignment: Assignment,
    variant: Variant,
    result: RequestResult,
    name: Callable[[int], str],
    price_per_second: float,
    served: bool,
) -> Exposure:
    decisions = result.answers.decisions if result.answers else []
    first = decisions[0].answer if decisions else None
    label = name(first.label) if first else None
    if decisions and decisions[0].abstained:
        label = OUT_OF_SCOPE
    return Exposure(
        request_id=context.request_id,
        experiment=assignment.experiment,
        phase=assignment.phase,
        variant=variant.name,
        unit=assignment.unit,
        at=context.at,
        texts=result.texts,
        latency_seconds=result.seconds,
        relative_cost=sum(decision.relative_cost for decision in decisions),
        cost=price_per_second * sum(decision.seconds for decision in decisions),
        flops=sum(decision.flops for decision in decisions),
        escalations=sum(len(decision.steps) - 1 for decision in decisions),
        status=result.status,
        student=first.stage.student.name if first else None,
        label=label,
        confidence=first.confidence if first else None,
        brownout=max((decision.brownout for decision in decisions), default=0),
        path=[
            [
                StudentAsked(step.stage.student.name, name(step.label), step.confidence)
                for step in decision.steps
            ]
            for decision in decisions[:MOST_PATHS]
        ],
        paired=assignment.other is not None,
        served=served,
        covariate=context.covariate,
        version=decisions[0].cascade.version(result.weights_sha256) if decisions else None,
    )
