"""The order in which threshold vectors are tested: one path from the safest to the cheapest.

Found on data that does not test it. There, losses among confident answers are too rare to be
counted one by one, so the risk r_k(s) of taking student k's answer at score s comes from a logistic
regression of its losses on log((1 − s) / s), the log-odds of an error as the score has them. For a
price μ of a loss, the best thresholds minimise

    E[ Σ_k cost_k · 1{reaches k} + μ Σ_k r_k · 1{answered by k} ]

and the path is their solution as μ falls: the lower envelope of expected cost against risk.
Thresholds only ever fall along it, so the risk rises smoothly and a walk that stops at its first
failure goes about as far as it could.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..cascade.path import NEVER
from .evidence import Evidence, Floats, accepts

PRIOR = np.array([-1.0, 1.0])
"""Odds of a loss before any is seen: e⁻¹ of the odds of an error, as the TA shares most errors."""
PRECISION = np.array([0.25, 1.0])
"""Of the prior: a standard deviation of 2 for the constant, of 1 for the slope."""
PRECISION_OF_A_GROUP = 1.0
"""Of the logarithm of what a group's odds are of those of all."""
NEWTON_STEPS = 12
PRICES = np.concatenate([np.geomspace(1e-5, 1.0, 64), [2.0, 5.0, 20.0, 100.0]])
"""Of the TA's cost over the price of a loss: how much risk saving one call of the TA is worth. The
last ones lead to the cheapest student alone."""
SWEEPS = 2
BETWEEN = 8
"""Vectors inserted between two solutions, so that the walk's steps are small."""
LEAST = 1e-4
"""The lowest threshold of a stage that may pass a text on; at 0 it accepts always."""


def estimated_risk(evidence: Evidence) -> Floats:
    """r_k of each text, were student k to answer it: (students, texts).

    The TA loses only by rounding, too rarely for a regression: it has the same on all texts. Where
    there are groups, each has odds of its own, shrunk towards those of all. A student never answers
    what is out of its scope, where its score is 0: nothing is learned there.
    """
    risk = np.zeros(evidence.score.shape)
    risk[-1] = evidence.broken[-1].mean()
    own = np.zeros((evidence.texts, 0))
    if evidence.groups is not None:
        own = evidence.groups.of[:, None] == np.arange(len(evidence.groups.names))
    for k in range(len(risk) - 1):
        inside = evidence.score[k] > 0
        seen, lost = doubt(evidence.score[k, inside]), evidence.broken[k, inside]
        risk[k, inside] = _logistic(seen, own[inside], lost)
    return risk


def doubt(score: NDArray[np.float32]) -> Floats:
    """log((1 − s) / s) of a score s: the log-odds of an error."""
    s = np.clip(score.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log1p(-s) - np.log(s))


def _logistic(x: Floats, own: Floats, loss: NDArray[np.bool_]) -> Floats:
    """P(loss | x, group) by logistic regression, its coefficients shrunk towards `PRIOR`, and those
    of groups towards 0. own: (texts, groups), 1 where a text is of a group.
    """
    design = np.column_stack([np.ones_like(x), x, own])
    prior = np.concatenate([PRIOR, np.zeros(own.shape[1])])
    precision = np.concatenate([PRECISION, np.full(own.shape[1], PRECISION_OF_A_GROUP)])
    beta = prior.copy()
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-design @ beta))
        slope = design.T @ (p - loss) + precision * (beta - prior)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(precision)
        move = np.linalg.solve(curvature, slope)
        beta -= move * min(1.0, 2 / np.abs(move).max(initial=1e-9))
    return np.asarray(1 / (1 + np.exp(-design @ beta)))


def threshold_path(evidence: Evidence, risk: Floats) -> Floats:
    """Threshold vectors from the safest to the cheapest: (vectors, stages), last column 0.

    evidence: the stages' rows, the TA last. risk: `estimated_risk` of the same rows.
    """
    stages = len(evidence.score)
    thresholds = np.full(stages, NEVER)
    thresholds[-1] = 0.0
    solutions = [thresholds.copy()]
    orders = [np.argsort(-evidence.score[k], kind="stable") for k in range(stages - 1)]
    ta_cost = evidence.cost[-1].mean()
    for worth in PRICES:
        for _ in range(SWEEPS if stages > 2 else 1):
            _sweep(evidence, risk * (ta_cost / worth), orders, thresholds)
        solutions.append(thresholds.copy())
    return _fill(np.array(solutions))


def _sweep(
    evidence: Evidence, loss: Floats, orders: list[NDArray[np.int64]], thresholds: Floats
) -> None:
    """Lower each threshold, from the last stage to the first, to its best value given the rest."""
    last = len(thresholds) - 1
    for k in range(last - 1, -1, -1):
        onwards = evidence.cost[last] + loss[last]  # what it costs to pass a text on from stage k
        for j in range(last - 1, k, -1):
            taken = accepts(evidence.score[j], float(thresholds[j]), evidence.margin)
            onwards = evidence.cost[j] + np.where(taken, loss[j], onwards)
        reaching = np.ones(evidence.texts, dtype=bool)
        for j in range(k):
            reaching &= ~accepts(evidence.score[j], float(thresholds[j]), evidence.margin)
        order = orders[k][reaching[orders[k]]]
        inside = order[evidence.score[k][order] > 0]  # what is out of its scope it never answers
        gain = np.concatenate([[0.0], np.cumsum((onwards - loss[k])[inside])])
        accepted = int(gain.argmax())
        if accepted and accepted == len(order):
            best = 0.0
        else:
            best = _threshold(evidence.score[k][inside], accepted, evidence.margin)
        thresholds[k] = min(thresholds[k], best)


def _threshold(descending: NDArray[np.float32], accepted: int, margin: float) -> float:
    """Halfway between the last accepted score and the first refused one."""
    if accepted == 0:
        return NEVER
    inside = float(descending[accepted - 1])
    outside = float(descending[accepted]) if accepted < len(descending) else 0.0
    return max(LEAST, (inside + outside) / 2 - margin)


def _fill(solutions: Floats) -> Floats:
    """Insert vectors between the solutions and drop repetitions; float32, as the gate reads."""
    weights = np.arange(BETWEEN) / BETWEEN
    steps = solutions[:-1, None] * (1 - weights[:, None]) + solutions[1:, None] * weights[:, None]
    dense = np.concatenate([steps.reshape(-1, solutions.shape[1]), solutions[-1:]])
    dense = dense.astype(np.float32).astype(np.float64)
    changed = np.concatenate([[True], (np.diff(dense, axis=0) != 0).any(axis=1)])
    return np.asarray(dense[changed], dtype=np.float64)


def subsets(students: int, most_stages: int) -> Iterator[tuple[int, ...]]:
    """Every choice of stages that ends in the TA (the last student) and has one before it."""
    for count in range(1, most_stages):
        for chosen in combinations(range(students - 1), count):
            yield (*chosen, students - 1)
