"""Bounds on a rate that hold at every moment, however often one looks.

For 0/1 outcomes with rate p, the mixture of likelihood ratios over a Beta(a, b) prior is a
non-negative martingale under p. By Ville's inequality it exceeds 1/δ with probability at most δ,
ever (Robbins 1970; Howard et al. 2021, arXiv 1810.08240, section 3.2), so

    { p : B(a + s, b + n − s) / B(a, b) < p^s (1 − p)^(n − s) / δ }

holds the true rate for all n at once with probability at least 1 − δ.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log

PRIOR = (0.5, 10.0)
"""Beta(a, b): most rates watched here are a few percent."""
STEPS = 60


def rate_bounds(
    successes: float, trials: int, delta: float, prior: tuple[float, float] = PRIOR
) -> tuple[float, float]:
    """Lower and upper end of the confidence sequence at level 1 − delta; (0, 1) before any trial.

    successes: a count, or the sum of values in [0, 1], for which the bound holds just as well: the
    likelihood ratio is convex in the value (Hoeffding 1963). prior: where the rate is expected.
    Raises ValueError for counts that cannot be, and for a delta outside (0, 1).
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes: {successes} of {trials} trials")
    if not 0 < delta < 1:
        raise ValueError(f"delta: {delta} is not between 0 and 1")
    if not trials:
        return 0.0, 1.0
    a, b = prior
    failures = trials - successes
    bound = _log_beta(a + successes, b + failures) - _log_beta(a, b) + log(delta)

    def excluded(p: float) -> bool:
        return successes * _log(p) + failures * _log(1 - p) < bound

    rate = successes / trials
    return _edge(excluded, 0.0, rate), _edge(excluded, 1.0, rate)


def _edge(excluded: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where `excluded` changes between a rate outside the set and the one it is built around."""
    if not excluded(outside):
        return outside
    for _ in range(STEPS):
        middle = (outside + inside) / 2
        if excluded(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _log(x: float) -> float:
    return log(x) if x > 0 else -1e300


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
