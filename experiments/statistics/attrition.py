"""Is as much missing in one variant as in another? If not, what is there cannot be compared.

A unit's share, a, is how much of what was to be seen of it has been seen, from 0 to 1: of its
requests those with an outcome, say. Where nothing is missing because of the variant, the shares of
all units are what they are, and the variants were drawn beside them: each unit is treated with the
probability π that the weights say. So given the shares, with ā their mean and Q the sum of squared
deviations from it, and with A 1 for a treated unit and 0 for one in control, S = Σ A(a − ā) obeys

    P(|S| ≥ s)  ≤  2 exp(−s² / 2VQ),            V = (1 − 2π) / (2 ln((1 − π)/π)), or 1/4
    P(|S| ≥ s)  ≤  2 exp(−(v/r²) h(rs/v)),      v = π(1 − π)Q, h(x) = (1 + x) ln(1 + x) − x

(Kearns, Saul 1998, arXiv 1301.7392; Bennett 1962, r being at least the largest |(A − π)(a − ā)|).
Both hold exactly, so the smaller does. Nothing is assumed to be normal, nor the requests of one
unit to be independent.

Outcomes come late. Shares move after a unit has been counted, so S at successive looks is no
martingale: each look finds other units waiting, and a line for random walks would be crossed sooner
or later. So looks are counted instead. One is taken whenever the number of observations has grown
by `GROWTH`, which a variant without influence can neither bring forward nor put off, and each has
its share of the error, the largest at the planned number (a union bound). Between two looks the
last one's result holds.
"""

from __future__ import annotations

from math import ceil, exp, floor, log, log1p, pi, tanh

from .mixture import MOST_UNITS
from .summary import Summary

GROWTH = 1.05
WIDTH = log(2) / log(GROWTH)
"""Looks on each side of the planned one over which their shares fall by half: a doubling."""
TOTAL = pi * WIDTH / tanh(pi * WIDTH)
"""Σ 1 / (1 + (j/WIDTH)²) over all integers j."""


def looks(planned: int) -> list[int]:
    """All numbers of observations after which one looks, in ascending order."""
    first, last = _look(1, planned), _look(MOST_UNITS, planned)
    return sorted({ceil(planned * GROWTH**look) for look in range(first, last + 1)})


def look_share(observed: int, planned: int) -> float:
    """Of the error, that of the look taken after so many observations. All together have 1."""
    return 1 / (1 + (_look(observed, planned) / WIDTH) ** 2) / TOTAL


def attrition_p_value(treatment: Summary, control: Summary, weights: tuple[int, int]) -> float:
    """Of shares between 0 and 1, at one look. weights: of treatment and control."""
    both = treatment.merge(control)
    s = abs(treatment.n * (treatment.mean - both.mean))
    if not (s and both.m2):
        return 1.0
    treated = weights[0] / sum(weights)
    variance = treated * (1 - treated) * both.m2
    largest = max(treated, 1 - treated) * max(both.mean, 1 - both.mean)
    x = largest * s / variance
    bennett = variance / largest**2 * ((1 + x) * log1p(x) - x)
    kearns_saul = s * s / (2 * _proxy(treated) * both.m2)
    return min(1.0, 2 * exp(-max(bennett, kearns_saul)))


def _look(observed: int, planned: int) -> int:
    return floor(log(observed / planned) / log(GROWTH))


def _proxy(treated: float) -> float:
    """The variance of the normal whose cumulants bound those of a draw with this probability."""
    odds = log((1 - treated) / treated)
    return (1 - 2 * treated) / (2 * odds) if odds else 0.25
