"""Accuracy lost against the TA on the same texts, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z = 1.959964
"""Of a normal distribution, at 95 %, two-sided."""


@dataclass(frozen=True)
class Lost:
    """share: of the texts, lost on balance. low, high: at 95 %. broken: share of the texts on which
    the TA alone is right.
    """

    share: float
    low: float
    high: float
    broken: float


def accuracy_lost(broken: int, recovered: int, texts: int) -> Lost:
    """Of paired answers. broken: texts on which the TA alone is right; recovered: the other way
    round. Raises ValueError where there are no texts.

    The interval is that of Agresti and Min (2005, Statistics in Medicine 24, 729–740): Wald's after
    half a text is added to each of the four cells, which keeps its level where few texts differ.
    """
    if texts < 1:
        raise ValueError("texts: there are none")
    lost, back, n = broken + 0.5, recovered + 0.5, texts + 2
    middle = (lost - back) / n
    half = Z * sqrt(lost + back - (lost - back) ** 2 / n) / n
    return Lost((broken - recovered) / texts, middle - half, middle + half, broken / texts)
