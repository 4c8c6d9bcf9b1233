"""Are there as many units in each variant as the weights say? If not, no number can be trusted.

The counts of enrolled units are multinomial with the weights' shares π. Mixing the likelihood over
a Dirichlet prior and dividing by that of π is a non-negative martingale if the shares are right, so
its inverse is a p-value at every look, exactly (Lindon, Malek 2022, arXiv 2011.03567):

    M = Γ(c) / Γ(c + n) · Π Γ(cπ_i + n_i) / Γ(cπ_i) · Π π_i^(−n_i)

A concentration c of 10,000 finds small deviations in many units, one of 100 gross deviations in
few; the mean of the two martingales is one too, and finds both.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log

CONCENTRATIONS = (100.0, 10_000.0)
ALPHA = 0.01
"""Below it the verdict is blocked: at most one sound experiment in a hundred, ever."""


def sample_ratio_p_value(counts: Sequence[int], weights: Sequence[int]) -> float:
    """Anytime-valid and exact for units that are assigned independently.

    Of a variant that a guardrail stopped leave out both numbers: the others' counts, given their
    sum, keep the shares of their weights. Raises ValueError for counts below 0, weights not above
    0, and lists of different lengths.
    """
    if len(counts) != len(weights):
        raise ValueError(f"weights: {len(weights)} for {len(counts)} counts")
    for index, (count, weight) in enumerate(zip(counts, weights, strict=True)):
        if count < 0:
            raise ValueError(f"counts[{index}]: {count} is below 0")
        if not weight > 0:
            raise ValueError(f"weights[{index}]: {weight} is not above 0")
    total = sum(weights)
    shares = [weight / total for weight in weights]
    logs = [_log_evidence(counts, shares, c) for c in CONCENTRATIONS]
    largest = max(logs)
    mixed = largest + log(sum(exp(each - largest) for each in logs) / len(logs))
    return exp(min(0.0, -mixed))


def _log_evidence(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    evidence = lgamma(concentration) - lgamma(concentration + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = concentration * share
        evidence += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return evidence
