"""From evidence to the thresholds of one cascade: what every calibration has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cascade.path import CascadePath
from ..cascade.policy import Forecast, Guarantee, Stage, Student
from ..cascade.score import Score
from ..errors import DataError, NestlingError
from .cost import COST_DIGITS, TimeModel
from .evidence import Evidence, Floats, outcome
from .kept import kept_path
from .learn_then_test import Split, TestPlan, Walk, plan, split, testing_size, texts_in_all, walk
from .risk import examples_needed, fewest_examples, losses_allowed
from .trail import Trail

METHOD = "learn-then-test, fixed sequence, exact binomial"
SCORES = (Score.MARGIN, Score.PROBABILITY)
"""The preferred first: on redraws (`benchmarks.training.guarantee`) the margin costs less."""
WORTH_ANOTHER_SCORE = 0.01
"""By at least this share another score must lower the cost that the ordering part expects."""
LOSSES = {
    "drop": "1{wrong, where the TA is right}",
    "disagreement": "1{differs from the TA's answer}",
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
    """rows: of the evidence, the students that may answer; the TA last. thresholds: one for each,
    of the score that was chosen.

    forecast: of FLOPs, and of seconds where they are what the evidence has as cost. losses: among
    the texts that test. allowed: at which the test still rejects. trail: the path on which it was
    found. path: what is kept of that beside the thresholds.
    """

    score: Score
    rows: tuple[int, ...]
    thresholds: Floats
    forecast: Forecast
    losses: int
    allowed: int
    trail: Trail
    path: CascadePath

    def stages(self, students: Sequence[Student]) -> tuple[Stage, ...]:
        """students: one per row of the evidence."""
        pairs = zip(self.rows, self.thresholds, strict=True)
        return tuple(Stage(students[row], float(threshold), self.score) for row, threshold in pairs)

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


def choose(
    evidence: Mapping[Score, Evidence],
    flops: Floats,
    by: TimeModel | None,
    parts: Split,
    target: RiskTarget,
) -> Choice:
    """The cheapest cascade that keeps the target.

    evidence: of one or more scores, the preferred first, between which the ordering part decides as
    it does between stages. flops: (students, texts), for the forecast. by: whose seconds
    the evidence has as cost; None of FLOPs.
    Raises DataError where the data cannot show the target, with the number that could.
    """
    tested = len(parts.testing)
    allowed = losses_allowed(tested, target.alpha, target.confidence)
    score, chosen = _planned(evidence, parts, (allowed + 0.5) / tested)
    stages = evidence[score].stages(chosen.stages)
    walked = walk(stages.select(parts.testing), chosen.vectors, target.alpha, target.confidence)
    best = _cheapest(stages, chosen, walked, parts, target)
    vector = chosen.vectors[best]
    used = [k for k, threshold in enumerate(vector) if threshold < 1]  # a stage that may answer
    rows = tuple(chosen.stages[k] for k in used)
    forecast = _forecast(evidence[score].stages(rows), flops[list(rows)], by, vector[used])
    trail = Trail.of(stages, chosen, walked, best, tested, target.confidence)
    own, ta_cost = evidence[score].stages(rows), float(stages.cost[-1].mean())
    path = kept_path(own, parts.testing, chosen.vectors[:, used], best, ta_cost)
    losses = int(walked.losses[best])
    return Choice(score, rows, vector[used], forecast, losses, allowed, trail, path)


def _planned(
    evidence: Mapping[Score, Evidence], parts: Split, tolerated: float
) -> tuple[Score, TestPlan]:
    """What is tested, and by which score."""
    plans = [
        (score, plan(each.select(parts.ordering), tolerated)) for score, each in evidence.items()
    ]
    best = plans[0]
    for each in plans[1:]:
        if each[1].expected_cost < best[1].expected_cost * (1 - WORTH_ANOTHER_SCORE):
            best = each
    return best


def _cheapest(
    stages: Evidence, chosen: TestPlan, walked: Walk, parts: Split, target: RiskTarget
) -> int:
    """Index of the accepted vector of least cost over all the data."""
    tested = len(parts.testing)
    alone = float(stages.cost[-1].mean())
    costs = np.round(outcome(stages, chosen.vectors).cost / alone, COST_DIGITS)
    accepted = costs[: walked.accepted]
    if accepted.size and accepted.min() < 1:
        return int(accepted.argmin())  # the first of those that route alike, which is the safest
    cheaper = np.flatnonzero(costs < 1)
    if not len(cheaper):
        raise NestlingError(
            "no cascade is cheaper than the TA on these data: no student answers enough texts "
            "with confidence for its share of the TA's cost"
        )
    first, whose = int(cheaper[0]), "the safest cascade that is cheaper than the TA"
    if not walked.accepted:  # only by rounding can the TA, which is tested first, lose too often
        first, whose = 0, "against the TA in float32, the TA alone in this precision"
    observed = int(walked.losses[first]) / tested
    needed = examples_needed(observed, target.alpha, target.confidence)
    advice = (
        "the risk is too high for any number of examples"
        if needed is None
        else f"about {texts_in_all(needed):,} examples would show it at this rate"
    )
    raise DataError(
        f"no thresholds keep the {target.loss} below {target.alpha:.2%} with "
        f"{target.confidence:.0%} confidence: {whose} has "
        f"{walked.losses[first]} losses in {tested:,} texts ({observed:.2%}); {advice}"
    )


def _forecast(stages: Evidence, flops: Floats, by: TimeModel | None, vector: Floats) -> Forecast:
    shares, relative_flops = _expected(replace(stages, cost=flops), vector)
    if by is None:
        return Forecast(shares, relative_flops)
    return Forecast(shares, relative_flops, _expected(stages, vector)[1], by.profile_sha256)


def _expected(stages: Evidence, vector: Floats) -> tuple[tuple[float, ...], float]:
    """What each stage answers, and the cost of all against the TA's."""
    found = outcome(stages, vector[None])
    shares = tuple(round(float(share), COST_DIGITS) for share in found.shares[0])
    return shares, round(float(found.cost[0] / stages.cost[-1].mean()), COST_DIGITS)
