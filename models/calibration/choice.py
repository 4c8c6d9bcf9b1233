"""From evidence to the thresholds of one cascade: what every calibration has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cascade.group import GroupEvidence
from ..cascade.path import CascadePath
from ..cascade.policy import Forecast, Guarantee, Stage, Student
from ..cascade.score import Score
from ..errors import DataError
from .cheapest import cheapest, end_of
from .cost import COST_DIGITS, TimeModel
from .enough import check_enough_of_each
from .evidence import Evidence, Floats, outcome
from .groups import TextGroups
from .kept import kept_path
from .learn_then_test import (
    Split,
    TestPlan,
    Walk,
    plan,
    split,
    split_groups,
    walk,
)
from .risk import fewest_examples, losses_allowed
from .sizes import testing_size, texts_needed
from .target import RiskTarget
from .trail import Trail

METHOD = "learn-then-test, fixed sequence, exact binomial"
NET_METHOD = "learn-then-test, fixed sequence, exact score test of breaks less recoveries"
SCORES = (Score.MARGIN, Score.PROBABILITY)
"""The preferred first: on redraws (`benchmarks.training.guarantee`) the margin costs less."""
WORTH_ANOTHER_SCORE = 0.01
"""By at least this share another score must lower the cost that the ordering part expects."""


def divide(
    texts: int,
    target: RiskTarget,
    data_sha256: str,
    groups: TextGroups | None = None,
    known: int = 0,
) -> Split:
    """Which texts order the tests, and which test; of each group, where there are groups.

    known: other texts that order, too; none where there are groups. Drawn from the data's hash:
    there is no seed to try until one passes. With more or fewer known, other texts test: to try
    several, in hope that one passes, spends the promise. Raises DataError where there are too few.
    """
    seed = int(data_sha256[:12], 16)
    if groups is not None:
        check_enough_of_each(groups, target.alpha, target.confidence)
        return split_groups(groups, target.alpha, target.confidence, seed)
    check_enough(texts, target, known)
    return split(texts, target.alpha, target.confidence, seed, known)


def check_enough(texts: int, target: RiskTarget, known: int = 0) -> None:
    """Raises DataError where so few texts could not show the target even without a single loss.

    known: other texts that order the tests.
    """
    testing = testing_size(texts, target.alpha, target.confidence, known)
    if losses_allowed(testing, target.alpha, target.confidence) < 0:
        least = fewest_examples(0, target.alpha, target.confidence)
        least = texts_needed(least, target, known)
        raise DataError(
            f"{texts:,} examples are too few to show a risk of at most {target.alpha:.2%} with "
            f"{target.confidence:.0%} confidence, even without a single loss: it takes {least:,}"
        )


@dataclass(frozen=True)
class Choice:
    """rows: of the evidence, the students that may answer; the last, often the TA, always does.
    thresholds: one for each, of the score that was chosen.

    forecast: of FLOPs, and of seconds where they are what the evidence has as cost. losses,
    recovered: among the texts that test; the second only of a net risk. allowed: losses, with so
    many recovered, at which the test still rejects; of groups each has its own number, and it is
    their sum. known: texts beside the data that ordered the tests. trail: the path on which it was
    found. path: what is kept of that beside the thresholds. groups: of each, what was found. by:
    the column that has them.
    """

    score: Score
    rows: tuple[int, ...]
    thresholds: Floats
    forecast: Forecast
    losses: int
    recovered: int
    allowed: int
    known: int
    trail: Trail
    path: CascadePath
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
            method=NET_METHOD if target.net else METHOD,
            loss=target.loss,
            alpha=target.alpha,
            confidence=target.confidence,
            examples=tested,
            ordering_examples=len(parts.ordering),
            held_out_examples=self.known,
            observed_risk=(self.losses - self.recovered) / tested,
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
    known: Mapping[Score, Evidence] | None = None,
) -> Choice:
    """The cheapest cascade that keeps the target.

    evidence: of one or more scores, the preferred first, between which the ordering part decides as
    it does between stages. flops: (students, texts), for the forecast. by: whose seconds the
    evidence has as cost; None of FLOPs. known: evidence of other texts, by the same scores, by
    which the tests are ordered too. Raises DataError where the data cannot show the target, with
    the number that could.
    """
    apart = next(iter(evidence.values())).select(parts.testing).promised_apart
    tested = np.array([len(rows) for rows in apart])
    allowed = [losses_allowed(int(n), target.alpha, target.confidence) for n in tested]
    ordering = {score: each.select(parts.ordering) for score, each in evidence.items()}
    if known is not None:
        ordering = {score: known[score].joined(each) for score, each in ordering.items()}
    score, chosen = _planned(ordering, (np.array(allowed) + 0.5) / tested)
    stages = evidence[score].stages(chosen.stages)
    testing = stages.select(parts.testing)
    walked = walk(testing, chosen.vectors, target.alpha, target.confidence, target.net)
    others = 0 if known is None else known[score].texts
    best = cheapest(stages, chosen, walked, target, others)
    vector = chosen.vectors[best]
    used = _used(vector)
    rows = tuple(chosen.stages[k] for k in used)
    forecast = _forecast(evidence[score], flops, by, rows, vector[used])
    trail = Trail.of(stages, chosen, walked, best, target.confidence)
    own, ta_cost = evidence[score].stages(rows), float(stages.cost[-1].mean())
    vectors, place = _ending(chosen.vectors[:, used], best)
    path = kept_path(own, parts.testing, vectors, place, ta_cost)
    losses, recovered = int(walked.losses[best]), int(walked.recovered[best])
    if walked.nets:
        back = zip(walked.nets, walked.recovered_by_group[:, best], strict=True)
        allowed = [int(test.allowed(won)) for test, won in back]
    column: str | None = None
    groups: tuple[GroupEvidence, ...] = ()
    if stages.groups is not None:
        column, groups = stages.groups.column, _of_groups(stages.groups, walked, best)
    return Choice(
        score=score,
        rows=rows,
        thresholds=vector[used],
        forecast=forecast,
        losses=losses,
        recovered=recovered,
        allowed=sum(allowed),
        known=others,
        trail=trail,
        path=path,
        groups=groups,
        by=column,
    )


def _ending(vectors: Floats, chosen: int) -> tuple[Floats, int]:
    """Those that end in their last stage, and where the chosen one is among them.

    Where a cascade ends before the TA, safer vectors were tested with what comes after it, and
    without that they would be others. In place of the first, the last stage alone.
    """
    first = int(np.argmax(vectors[:, -1] <= 0))
    ending = np.concatenate([vectors[:1], vectors[max(1, first) :]])
    ending[0, -1] = 0
    return ending, chosen - max(1, first) + 1


def _of_groups(groups: TextGroups, walked: Walk, vector: int) -> tuple[GroupEvidence, ...]:
    losses, back = walked.by_group[:, vector], walked.recovered_by_group[:, vector]
    found = zip(groups.names, groups.sizes, walked.tested, losses, back, strict=True)
    return tuple(
        GroupEvidence.of(name, int(n), texts - int(n), int(lost), int(won))
        for name, texts, n, lost, won in found
    )


def _used(vector: Floats) -> list[int]:
    """The stages that may answer, up to the first that always does: the TA, or one before it."""
    return [k for k in range(end_of(vector) + 1) if vector[k] < 1]


def _planned(ordering: Mapping[Score, Evidence], tolerated: Floats) -> tuple[Score, TestPlan]:
    """What is tested, and by which score."""
    plans = [(score, plan(each, tolerated)) for score, each in ordering.items()]
    best = plans[0]
    for each in plans[1:]:
        if each[1].expected_cost < best[1].expected_cost * (1 - WORTH_ANOTHER_SCORE):
            best = each
    return best


def _forecast(
    evidence: Evidence,
    flops: Floats,
    by: TimeModel | None,
    rows: tuple[int, ...],
    vector: Floats,
) -> Forecast:
    shares, relative_flops = _expected(replace(evidence, cost=flops), rows, vector)
    if by is None:
        return Forecast(shares, relative_flops)
    return Forecast(shares, relative_flops, _expected(evidence, rows, vector)[1], by.profile_sha256)


def _expected(
    evidence: Evidence, rows: tuple[int, ...], vector: Floats
) -> tuple[tuple[float, ...], float]:
    """What each stage answers, and the cost of all against the TA's."""
    found = outcome(evidence.stages(rows), vector[None])
    shares = tuple(round(float(share), COST_DIGITS) for share in found.shares[0])
    return shares, round(float(found.cost[0] / evidence.cost[-1].mean()), COST_DIGITS)
