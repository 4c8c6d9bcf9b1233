"""Thresholds with a guarantee (Learn-then-Test, Angelopoulos et al. 2021, arXiv 2110.01052).

The data are split at random. The ordering part fixes everything that is tested: temperatures,
which students are stages, the path of threshold vectors. The testing part walks that path by
fixed-sequence testing: each vector's H0 "its risk is above α" is tested at the full level
δ = 1 − confidence, and the walk ends at the first that is not rejected. A walk can go wrong only
at the first true H0 on its way, so P(any accepted vector has risk > α) ≤ δ, and the cheapest
accepted vector may be picked by any means. The risk is that of the whole cascade, end to end.
Where it is promised to groups apart (`groups`), H0 is that it is above α in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence, Floats, outcome
from .groups import TextGroups
from .net import NetTest, net_test
from .path import estimated_risk, subsets, threshold_path
from .risk import p_value
from .sizes import fewest_ordering, tested_of, testing_size

MOST_STAGES = 4
WORTH_A_STAGE = 0.01
"""A further stage must lower the expected cost by at least this share."""


@dataclass(frozen=True)
class Split:
    """Rows of the data, at random: (texts,) int64 each."""

    ordering: NDArray[np.int64]
    testing: NDArray[np.int64]


def split(n: int, alpha: float, confidence: float, seed: int, known: int = 0) -> Split:
    """Divide n texts at random, independently of what they are. known: other texts that order."""
    order = n - testing_size(n, alpha, confidence, known)
    rows = np.random.default_rng(seed).permutation(n)
    return Split(rows[:order], rows[order:])


def split_groups(groups: TextGroups, alpha: float, confidence: float, seed: int) -> Split:
    """The same within each group. Together they have as many texts to order by as all need."""
    rng, ordering, testing = np.random.default_rng(seed), [], []
    fewest = fewest_ordering(len(groups.names))
    for own in groups.rows:
        order = len(own) - tested_of(len(own), alpha, confidence, fewest, 0)
        rows = rng.permutation(own)
        ordering.append(rows[:order])
        testing.append(rows[order:])
    return Split(np.concatenate(ordering), np.concatenate(testing))


@dataclass(frozen=True)
class TestPlan:
    """What is tested, in order. stages: rows of the evidence, the TA last.

    vectors: (vectors, stages). expected_cost: what the ordering part expects of the outcome.
    """

    stages: tuple[int, ...]
    vectors: Floats
    expected_cost: float


def plan(ordering: Evidence, tolerated: float | Floats, most_stages: int = MOST_STAGES) -> TestPlan:
    """Choose the stages and the path on the ordering part.

    A student is worth a stage if it lowers E[cost] = Σ cost_k · P(reach k) at the risk that the
    test will tolerate. For one student before the TA that is TinySaver's rule (2403.17726): its
    exit rate must exceed its share of the TA's cost.

    tolerated: the observed risk up to which the test will reject, below alpha; (groups,) where the
    evidence has groups.
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
    ordering: Evidence, risk: Floats, stages: tuple[int, ...], tolerated: float | Floats
) -> TestPlan:
    """The path of some stages, and its least cost while no group is expected to stop it. risk: of
    all students, by `estimated_risk`.
    """
    part, part_risk = ordering.stages(stages), risk[list(stages)]
    vectors = threshold_path(part, part_risk)
    apart = part.promised_apart
    sizes = np.array([len(rows) for rows in apart])
    expected = [outcome(part.select(rows), vectors, part_risk[:, rows]) for rows in apart]
    losses = np.stack([each.losses for each in expected])
    cost = sizes @ np.stack([each.cost for each in expected]) / part.texts
    # The first is the TA alone, which may lose by rounding: nothing is safer.
    room = np.maximum((np.asarray(tolerated) * sizes)[:, None], losses[:, :1])
    safe = (losses <= room).all(axis=0)
    return TestPlan(stages, vectors, float(cost[safe].min()))


def _allowance(further_stages: int) -> float:
    return float((1 - WORTH_A_STAGE) ** max(0, further_stages))


@dataclass(frozen=True)
class Walk:
    """How far fixed-sequence testing went.

    by_group, recovered_by_group: (groups, vectors) int64, losses on the testing part, and what was
    recovered, of a net risk alone, else 0; there is one group where none are told apart. tested:
    (groups,) int64, texts. nets: of each group, the test of a net risk; empty else. worst:
    (vectors,) int64, the group nearest to breaking the promise. accepted: the number of leading
    vectors whose H0 was rejected; all of them, together, have risk at most alpha with the given
    confidence, in each group.
    """

    by_group: NDArray[np.int64]
    recovered_by_group: NDArray[np.int64]
    tested: NDArray[np.int64]
    nets: tuple[NetTest, ...]
    worst: NDArray[np.int64]
    accepted: int

    @property
    def losses(self) -> NDArray[np.int64]:
        """(vectors,) of all groups together."""
        return np.asarray(self.by_group.sum(axis=0))

    @property
    def recovered(self) -> NDArray[np.int64]:
        """(vectors,) of all groups together."""
        return np.asarray(self.recovered_by_group.sum(axis=0))

    @property
    def of_worst(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(vectors,) the losses of the worst group of each, what it recovered, and how many of its
        texts tested."""
        at = self.worst, np.arange(len(self.worst))
        return self.by_group[at], self.recovered_by_group[at], self.tested[self.worst]


def walk(
    testing: Evidence, vectors: Floats, alpha: float, confidence: float, net: bool = False
) -> Walk:
    """Test the vectors in order; stop at the first whose risk may be above alpha, in any group.

    net: whether the risk is net of what recovers.
    """
    apart = testing.promised_apart
    parts = [testing.select(rows) for rows in apart]
    losses = _counts([outcome(part, vectors).losses for part in parts])
    recovered, nets = np.zeros_like(losses), []
    tested = np.array([len(rows) for rows in apart])
    if net:
        nets = [net_test(int(n), alpha, confidence) for n in tested]
        back = [outcome(part, vectors, part.recovered.astype(np.float64)) for part in parts]
        recovered = _counts([each.losses for each in back])
        groups = zip(nets, losses, recovered, strict=True)
        excess = np.stack([lost - test.allowed(won) for test, lost, won in groups])
        rejected, danger = excess.max(axis=0) <= 0, excess / tested[:, None]
    else:
        each = zip(losses, tested, strict=True)
        danger = np.stack([p_value(lost, int(n), alpha) for lost, n in each])
        rejected = danger.max(axis=0) <= 1 - confidence
    # Where p is 1, by observed risk.
    worst = np.lexsort(((losses - recovered) / tested[:, None], danger), axis=0)[-1]
    accepted = len(rejected) if rejected.all() else int(np.argmin(rejected))
    return Walk(losses, recovered, tested, tuple(nets), worst, accepted)


def _counts(sums: list[Floats]) -> NDArray[np.int64]:
    return np.rint(np.stack(sums)).astype(np.int64)
