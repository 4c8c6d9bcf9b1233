"""Thresholds with a guarantee (Learn-then-Test, Angelopoulos et al. 2021, arXiv 2110.01052).

The data are split at random. The ordering part fixes everything that is tested: temperatures,
which students are stages, the path of threshold vectors. The testing part walks that path by
fixed-sequence testing: each vector's H0 "its risk is above α" is tested at the full level
δ = 1 − confidence, and the walk ends at the first that is not rejected. A walk can go wrong only
at the first true H0 on its way, so P(any accepted vector has risk > α) ≤ δ, and the cheapest
accepted vector may be picked by any means. The risk is that of the whole cascade, end to end.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence, Floats, outcome
from .net import NetTest
from .path import estimated_risk, subsets, threshold_path
from .risk import fewest_examples, losses_allowed, p_value

ORDERING_SHARE = 0.25
"""At least this share of the data orders the tests: fewer texts make a poor order, and every text
that orders is one less that tests. On redraws (`benchmarks.training.guarantee`) 0.12 and 0.35 both
cost more."""
FEWEST_ORDERING = 50
MOST_STAGES = 4
WORTH_A_STAGE = 0.01
"""A further stage must lower the expected cost by at least this share."""


@dataclass(frozen=True)
class Split:
    """Rows of the data, at random: (texts,) int64 each."""

    ordering: NDArray[np.int64]
    testing: NDArray[np.int64]


def split(n: int, alpha: float, confidence: float, seed: int) -> Split:
    """Divide n texts at random, independently of what they are."""
    order = n - testing_size(n, alpha, confidence)
    rows = np.random.default_rng(seed).permutation(n)
    return Split(rows[:order], rows[order:])


def testing_size(n: int, alpha: float, confidence: float) -> int:
    """How many of n texts test.

    The testing part is as small as it can be for the number of losses that it allows: texts
    beyond that would not buy another allowed loss, but they do improve the order.
    """
    most = most_testing(n)
    allowed = losses_allowed(most, alpha, confidence) if most > 0 else -1
    return fewest_examples(allowed, alpha, confidence) if allowed >= 0 else max(0, most)


def most_testing(n: int) -> int:
    """How many of n texts may test, as the others must order; below 1 if they are too few."""
    return n - max(FEWEST_ORDERING, math.ceil(ORDERING_SHARE * n))


def texts_in_all(testing: int) -> int:
    """The fewest texts, ordering and testing ones together, of which so many may test."""
    candidates = range(testing, 2 * (testing + FEWEST_ORDERING))
    return testing + bisect_left(candidates, testing, key=most_testing)


@dataclass(frozen=True)
class TestPlan:
    """What is tested, in order. stages: rows of the evidence, the TA last.

    vectors: (vectors, stages). expected_cost: what the ordering part expects of the outcome.
    """

    stages: tuple[int, ...]
    vectors: Floats
    expected_cost: float


def plan(ordering: Evidence, tolerated: float, most_stages: int = MOST_STAGES) -> TestPlan:
    """Choose the stages and the path on the ordering part.

    A student is worth a stage if it lowers E[cost] = Σ cost_k · P(reach k) at the risk that the
    test will tolerate. For one student before the TA that is TinySaver's rule (2403.17726): its
    exit rate must exceed its share of the TA's cost.

    tolerated: the observed risk up to which the test will reject, below alpha.
    """
    risk = estimated_risk(ordering)
    best: TestPlan | None = None
    for stages in subsets(len(ordering.score), most_stages):
        candidate = plan_of(ordering, risk, stages, tolerated)
        if best is None or candidate.expected_cost < best.expected_cost * _allowance(
            len(stages) - len(best.stages)
        ):
            best = candidate
    if best is None:
        raise ValueError("a cascade needs a student besides the TA")
    return best


def plan_of(
    ordering: Evidence, risk: Floats, stages: tuple[int, ...], tolerated: float
) -> TestPlan:
    """The path of some stages. risk: of all students, by `estimated_risk`."""
    part, part_risk = ordering.stages(stages), risk[list(stages)]
    vectors = threshold_path(part, part_risk)
    expected = outcome(part, vectors, part_risk)
    # The first is the TA alone, which may lose by rounding: nothing is safer.
    safe = expected.losses <= max(tolerated * ordering.texts, expected.losses[0])
    return TestPlan(stages, vectors, float(expected.cost[safe].min()))


def _allowance(further_stages: int) -> float:
    return float((1 - WORTH_A_STAGE) ** max(0, further_stages))


@dataclass(frozen=True)
class Walk:
    """How far fixed-sequence testing went.

    losses, recovered: (vectors,) int64, on the testing part; the second only if it tests a net
    risk, else 0. accepted: the number of leading vectors whose
    H0 was rejected; all of them, together, have risk at most alpha with the given confidence.
    """

    losses: NDArray[np.int64]
    accepted: int
    recovered: NDArray[np.int64]


def walk(
    testing: Evidence,
    vectors: Floats,
    alpha: float,
    confidence: float,
    net: NetTest | None = None,
) -> Walk:
    """Test the vectors in order; stop at the first whose risk may be above alpha.

    net: the test of a net risk, for so many texts and the same alpha and confidence.
    """
    losses = np.rint(outcome(testing, vectors).losses).astype(np.int64)
    recovered = np.zeros_like(losses)
    if net is None:
        rejected = p_value(losses, testing.texts, alpha) <= 1 - confidence
    else:
        back = outcome(testing, vectors, testing.recovered.astype(np.float64)).losses
        recovered = np.rint(back).astype(np.int64)
        rejected = net.rejects(losses, recovered)
    accepted = len(rejected) if rejected.all() else int(np.argmin(rejected))
    return Walk(losses, accepted, recovered)
