"""What more texts would buy: smaller promises on the path that was tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .samples import fewest_texts, with_chance
from .trail import Trail

SHARES = (1 / 2, 1 / 4)
"""Of the risk that is promised: smaller promises that are looked at."""
CHANCE = 0.8
ROOM = 0.5
"""A risk that is observed at this share of what shall be promised leaves room for a test."""


@dataclass(frozen=True)
class Outlook:
    """A smaller promise, and a vector of the path that may keep it.

    vector: its index. texts: in all, with which it would pass with a chance of `CHANCE` if its true
    risk were the one observed; None if no number would do, or more than anybody has.
    """

    alpha: float
    vector: int
    texts: int | None


def outlooks(trail: Trail, alpha: float, known: int = 0) -> Iterator[Outlook]:
    """For each smaller promise the vector that serves now, and the cheapest one with room for it.

    alpha: the risk that is promised now. known: texts beside those of the calibration that order,
    and do so of more texts where that still helps.
    Of a net risk nothing is said: it hangs on how many texts recover too.
    """
    if trail.net:
        return
    risks = trail.risks
    for smaller in (share * alpha for share in SHARES):
        fit = np.flatnonzero((risks <= ROOM * smaller) & (trail.cost < 1))
        cheapest = [int(fit[trail.cost[fit].argmin()])] if len(fit) else []
        for vector in dict.fromkeys([trail.chosen, *cheapest]):
            risk = float(risks[vector])
            texts = texts_for(risk, smaller, trail.confidence, known)
            yield Outlook(smaller, vector, texts)


def texts_for(risk: float, alpha: float, confidence: float, known: int = 0) -> int | None:
    """With which a cascade of this true risk passes with a chance of `CHANCE`; None if no number
    would do, or more than anybody has.
    """
    if risk >= alpha:
        return None
    found = fewest_texts(with_chance(CHANCE), risk, alpha, confidence, known)
    return found.texts if found else None
