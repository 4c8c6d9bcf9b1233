"""Tests of "more than α is lost", by what breaks and what recovers among the texts that test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import beta, binom, norm

from nestling.models.calibration.risk import p_value

NUISANCE = 0.1
"""The share of δ at which the share of recoveries is bounded (Berger, Boos 1994)."""
GRID = 5
"""Shares of recoveries that are tried between none and that bound."""
BETS = np.geomspace(0.01, 0.9, 24)
Test = Callable[[int, int, int, float, float], float]
"""The p-value from breaks, recoveries, texts, alpha and δ."""


def drop(breaks: int, _: int, texts: int, alpha: float, __: float) -> float:
    """Exact, of what breaks alone."""
    return float(p_value(np.array(breaks), texts, alpha))


@lru_cache(maxsize=100_000)
def trinomial(breaks: int, recoveries: int, texts: int, alpha: float, delta: float) -> float:
    """P(breaks − recoveries are at most so many), exact, where the net risk is alpha and recoveries
    have the share that makes it largest within their bound; plus the chance that they are beyond.
    """
    beyond = NUISANCE * delta
    most = float(beta.ppf(1 - beyond, recoveries + 1, texts - recoveries))
    shares = np.linspace(0, min(most, (1 - alpha) / 2), GRID)
    r = np.arange(int(binom.isf(1e-12, texts, shares[-1])) + 1)
    worst = 0.0
    for share in shares:
        rest = binom.cdf(breaks - recoveries + r, texts - r, (share + alpha) / (1 - share))
        worst = max(worst, float(binom.pmf(r, texts, share) @ rest))
    return worst + beyond


def betting(breaks: int, recoveries: int, texts: int, alpha: float, _: float) -> float:
    """One over what a mixture of constant bets against the hypothesis would have earned."""
    bets = BETS / (1 - alpha)
    same = texts - breaks - recoveries
    logs = (
        breaks * np.log1p(bets * (alpha - 1))
        + same * np.log1p(bets * alpha)
        + recoveries * np.log1p(bets * (alpha + 1))
    )
    return float(min(1.0, np.exp(-np.logaddexp.reduce(logs) + np.log(len(bets)))))


def normal(breaks: int, recoveries: int, texts: int, alpha: float, _: float) -> float:
    """Where the share of what is neither is taken for known."""
    spread = np.sqrt(max(1.0, breaks + recoveries))
    return float(norm.cdf((breaks - recoveries - texts * alpha) / spread))


@dataclass(frozen=True)
class Rule:
    """net: whether recoveries count. any_end: whether there is a second walk."""

    name: str
    test: Test
    net: bool
    any_end: bool = False

    @property
    def walks(self) -> tuple[bool, ...]:
        """For each walk, whether its cascades end in the TA."""
        return (True, False) if self.any_end else (True,)


RULES = (
    Rule("drop", drop, net=False),
    Rule("drop, any", drop, net=False, any_end=True),
    Rule("trinomial", trinomial, net=True),
    Rule("trinomial, any", trinomial, net=True, any_end=True),
    Rule("betting", betting, net=True),
    Rule("normal", normal, net=True),
    Rule("normal, any", normal, net=True, any_end=True),
)
