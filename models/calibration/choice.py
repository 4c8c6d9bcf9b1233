"""From evidence to the thresholds of one cascade: what every calibration has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cascade.group import GroupEvidence
from ..cascade.policy import Forecast, Guarantee, Stage, Student
from ..cascade.score import Score
from ..errors import DataError, NestlingError
from .cost import TimeModel
from .enough import check_enough_of_each
from .evidence import Evidence, Floats, outcome
from .groups import TextGroups, named
from .learn_then_test import (
    FEWEST_ORDERING,
    Split,
    TestPlan,
    Walk,
    fewest_ordering,
    plan,
    split,
    split_groups,
    testing_size,
    texts_in_all,
    walk,
)
from .risk import examples_needed, fewest_examples, losses_allowed
from .trail import Trail

METHOD = "learn-then-test, fixed sequence, exact binomial"
COST_DIGITS = 9
"""Of a cost against the TA's: more would tell in which order it was summed."""
SCORES = (Score.MARGIN, Score.PROBABILITY)
"""The preferred first: on redraws (`benchmarks.training.guarantee`) the margin costs less."""
WORTH_ANOTHER_SCORE = 0.01
"""By at least this share another score must lower the cost that the ordering part expects."""
LOSSES = {
    "drop": "1{is wrong, where the TA is right}",
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


def divide(
    texts: int, target: RiskTarget, data_sha256: str, groups: TextGroups | None = None
) -> Split:
    """Which texts order the tests, and which test; of each group, where there are groups.

    Drawn from the data's hash: the same data give the same thresholds, and there is no seed to try
    until one passes. Raises DataError where there are too few.
    """
    seed = int(data_sha256[:12], 16)
    if groups is not None:
        check_enough_of_each(groups, target.alpha, target.confidence)
        return split_groups(groups, target.alpha, target.confidence, seed)
    check_enough(texts, target)
    return split(texts, target.alpha, target.confidence, seed)


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
    the texts that test. allowed: at which the test still rejects; of groups each has its own
    number, and it is their sum. trail: the path on which it was found. groups: of each, what was
    found. by: the column that has them.
    """

    score: Score
    rows: tuple[int, ...]
    thresholds: Floats
    forecast: Forecast
    losses: int
    allowed: int
    trail: Trail
    groups: tuple[GroupEvidence, ...] = ()
    by: str | None = None

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
            by=self.by,
            groups=self.groups,
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
    apart = next(iter(evidence.values())).select(parts.testing).promised_apart
    tested = np.array([len(rows) for rows in apart])
    allowed = [losses_allowed(int(n), target.alpha, target.confidence) for n in tested]
    score, chosen = _planned(evidence, parts, (np.array(allowed) + 0.5) / tested)
    stages = evidence[score].stages(chosen.stages)
    walked = walk(stages.select(parts.testing), chosen.vectors, target.alpha, target.confidence)
    best = _cheapest(stages, chosen, walked, target)
    vector = chosen.vectors[best]
    used = [k for k, threshold in enumerate(vector) if threshold < 1]  # a stage that may answer
    rows = tuple(chosen.stages[k] for k in used)
    forecast = _forecast(evidence[score].stages(rows), flops[list(rows)], by, vector[used])
    trail = Trail.of(stages, chosen, walked, best, target.confidence)
    losses, groups, column = int(walked.losses[best]), stages.groups, None
    of_groups: tuple[GroupEvidence, ...] = ()
    if groups is not None:
        column, of_groups = groups.column, _of_groups(groups, walked, best)
    return Choice(
        score, rows, vector[used], forecast, losses, sum(allowed), trail, of_groups, column
    )


def _of_groups(groups: TextGroups, walked: Walk, vector: int) -> tuple[GroupEvidence, ...]:
    losses = walked.by_group[:, vector].tolist()
    found = zip(groups.names, groups.sizes, walked.tested.tolist(), losses, strict=True)
    return tuple(GroupEvidence.of(name, n, texts - n, lost) for name, texts, n, lost in found)


def _planned(
    evidence: Mapping[Score, Evidence], parts: Split, tolerated: Floats
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


def _cheapest(stages: Evidence, chosen: TestPlan, walked: Walk, target: RiskTarget) -> int:
    """Index of the accepted vector of least cost over all the data."""
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
    losses, tested = (int(of_all[first]) for of_all in walked.of_worst)
    where, fewest = "", FEWEST_ORDERING
    if stages.groups is not None:
        where = f" of {stages.groups.column} {named(stages.groups.names[walked.worst[first]])}"
        fewest = fewest_ordering(len(stages.groups.names))
    needed = examples_needed(losses / tested, target.alpha, target.confidence)
    advice = (
        "the risk is too high for any number of examples"
        if needed is None
        else f"about {texts_in_all(needed, fewest):,} examples{where} would show it at this rate"
    )
    raise DataError(
        f"no thresholds keep the {target.loss} below {target.alpha:.2%} with "
        f"{target.confidence:.0%} confidence: {whose} has "
        f"{losses} losses in {tested:,} texts{where} ({losses / tested:.2%}); {advice}"
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
