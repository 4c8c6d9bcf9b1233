"""From evidence to the thresholds of one cascade: what every calibration has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..cascade.policy import Forecast, Guarantee, Stage, Student
from ..errors import DataError, NestlingError
from .evidence import Evidence, Floats, outcome
from .learn_then_test import Split, TestPlan, Walk, plan, split, testing_size, texts_in_all, walk
from .risk import examples_needed, fewest_examples, losses_allowed
from .trail import Trail

METHOD = "learn-then-test, fixed sequence, exact binomial"
LOSSES = {
    "drop": "1{answered before the TA, and wrong, where the TA is right}",
    "disagreement": "1{answered before the TA, and differs from the TA's answer}",
}


@dataclass(frozen=True)
class RiskTarget:
    """What a cascade shall promise: P(risk ≤ alpha) ≥ confidence, for a loss of `LOSSES`."""

    alpha: float
    confidence: float = 0.95
    loss: str = "drop"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise NestlingError(f"max-drop: {self.alpha} is not between 0 and 1")
        if not 0 < self.confidence < 1:
            raise NestlingError(f"confidence: {self.confidence} is not between 0 and 1")
        if self.loss not in LOSSES:
            raise NestlingError(f"loss: {self.loss!r} is none of {', '.join(LOSSES)}")


def divide(texts: int, target: RiskTarget, data_sha256: str) -> Split:
    """Which texts order the tests, and which test.

    Drawn from the data's hash: the same data give the same thresholds, and there is no seed to try
    until one passes. Raises DataError where there are too few.
    """
    check_enough(texts, target)
    return split(texts, target.alpha, target.confidence, int(data_sha256[:12], 16))


def check_enough(texts: int, target: RiskTarget) -> None:
    """Raises DataError where so few texts could not show the target even without a single loss."""
    testing = testing_size(texts, target.alpha, target.confidence)
    if losses_allowed(testing, target.alpha, target.confidence) < 0:
        least = texts_in_all(fewest_examples(0, target.alpha, target.confidence))
        raise DataError(
            f"{texts:,} examples are too few to show a risk of at most {target.alpha:.2%} with "
            f"{target.confidence:.0%} confidence, even without a single loss: it takes {least:,}"
        )


@dataclass(frozen=True)
class Choice:
    """rows: of the evidence, the students that may answer; the TA last. thresholds: one for each.

    forecast: of what the evidence has as cost, and of FLOPs. losses: among the texts that test.
    allowed: at which the test still rejects. trail: the path on which it was found.
    """

    rows: tuple[int, ...]
    thresholds: Floats
    forecast: Forecast
    losses: int
    allowed: int
    trail: Trail

    def stages(self, students: Sequence[Student]) -> tuple[Stage, ...]:
        """students: one per row of the evidence."""
        pairs = zip(self.rows, self.thresholds, strict=True)
        return tuple(Stage(students[row], float(threshold)) for row, threshold in pairs)

    def guarantee(
        self, target: RiskTarget, parts: Split, data_sha256: str, weights_sha256: str
    ) -> Guarantee:
        """What is promised, and on what it rests."""
        tested = len(parts.testing)
        return Guarantee(
            method=METHOD,
            loss=target.loss,
            alpha=target.alpha,
            confidence=target.confidence,
            examples=tested,
            ordering_examples=len(parts.ordering),
            observed_risk=self.losses / tested,
            data_sha256=data_sha256,
            weights_sha256=weights_sha256,
        )


def choose(evidence: Evidence, flops: Floats, parts: Split, target: RiskTarget) -> Choice:
    """The cheapest cascade that keeps the target.

    flops: (students, texts), for the forecast alone.
    Raises DataError where the data cannot show the target, with the number that could.
    """
    tested = len(parts.testing)
    allowed = losses_allowed(tested, target.alpha, target.confidence)
    chosen = plan(evidence.select(parts.ordering), (allowed + 0.5) / tested)
    stages = evidence.stages(chosen.stages)
    walked = walk(stages.select(parts.testing), chosen.vectors, target.alpha, target.confidence)
    best = _cheapest(stages, chosen, walked, parts, target)
    vector = chosen.vectors[best]
    used = [k for k, threshold in enumerate(vector) if threshold < 1]  # a stage that may answer
    rows = tuple(chosen.stages[k] for k in used)
    forecast = _forecast(evidence.stages(rows), flops[list(rows)], vector[used])
    trail = Trail.of(stages, chosen, walked, best, tested, target.confidence)
    return Choice(rows, vector[used], forecast, int(walked.losses[best]), allowed, trail)


def _cheapest(
    stages: Evidence, chosen: TestPlan, walked: Walk, parts: Split, target: RiskTarget
) -> int:
    """Index of the accepted vector of least cost over all the data."""
    tested = len(parts.testing)
    alone = float(stages.cost[-1].mean())
    accepted = outcome(stages, chosen.vectors[: walked.accepted]).cost
    if accepted.size and accepted.min() < alone:
        return int(accepted.argmin())
    costs = outcome(stages, chosen.vectors).cost
    cheaper = np.flatnonzero(costs < alone)
    if not len(cheaper):
        raise NestlingError(
            "no cascade is cheaper than the TA on these data: no student answers enough texts "
            "with confidence for its share of the TA's time"
        )
    first = int(cheaper[0])
    observed = int(walked.losses[first]) / tested
    needed = examples_needed(observed, target.alpha, target.confidence)
    advice = (
        "the risk is too high for any number of examples"
        if needed is None
        else f"about {texts_in_all(needed):,} examples would show it at this rate"
    )
    raise DataError(
        f"no thresholds keep the {target.loss} below {target.alpha:.2%} with "
        f"{target.confidence:.0%} confidence: the safest cascade that is cheaper than the TA has "
        f"{walked.losses[first]} losses in {tested:,} texts ({observed:.2%}); {advice}"
    )


def _forecast(stages: Evidence, flops: Floats, vector: Floats) -> Forecast:
    seconds = outcome(stages, vector[None])
    in_flops = Evidence(stages.confidence, stages.loss, flops, stages.margin)
    return Forecast(
        tuple(float(share) for share in seconds.shares[0]),
        float(outcome(in_flops, vector[None]).cost[0] / flops[-1].mean()),
        float(seconds.cost[0] / stages.cost[-1].mean()),
    )
