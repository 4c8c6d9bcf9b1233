"""Risk against cost along the path, as places in a drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from ..trail import Trail

HEADROOM = 2.5
"""The highest risk that is drawn, in risks that are promised: what lies above is of no use."""
COSTS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
"""That an axis may name."""
LEFT, RIGHT, TOP, BOTTOM = 56.0, 16.0, 20.0, 44.0
"""Room for what stands beside the drawing."""
APART = 44.0
"""Between two names on an axis, at least."""
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Dot:
    """A vector of the path. bound: the height of its bound."""

    vector: int
    x: float
    y: float
    bound: float


@dataclass(frozen=True)
class Chart:
    """Places in a drawing of `width` by `height`; y grows downwards.

    left, right, top, bottom: of the plane. costs, risks: what the axes name, each with its place.
    alpha: the height of what is promised. passed: the vectors that passed. others: those that did
    not, after the last that did, to which their line begins.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    costs: list[tuple[float, float]]
    risks: list[tuple[float, float]]
    alpha: float
    passed: list[Dot]
    others: list[Dot]
    chosen: Dot


def draw(trail: Trail, alpha: float, width: float, height: float) -> Chart:
    """Cost on a logarithmic scale, up to the first vector whose risk is above all that is drawn."""
    risks, bounds, highest = trail.risks, trail.bounds, HEADROOM * alpha
    above = np.flatnonzero(risks > highest)
    shown = trail.cost[: above[0] if len(above) else None]
    low, high = float(shown.min()), max(1.0, float(shown.max()))
    left, right, top, bottom = LEFT, width - RIGHT, TOP, height - BOTTOM
    span = log(high / low) or 1.0

    def across(cost: float) -> float:
        return round(left + (right - left) * log(cost / low) / span, 2)

    def down(risk: float) -> float:
        return round(bottom + (top - bottom) * min(risk / highest, 1.0), 2)

    def dot(vector: int) -> Dot:
        at = across(float(trail.cost[vector]))
        return Dot(vector, at, down(float(risks[vector])), down(float(bounds[vector])))

    dots = [dot(vector) for vector in range(len(shown))]
    halves = [half * alpha / 2 for half in range(int(2 * HEADROOM) + 1)]
    return Chart(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        costs=_apart([(cost, across(cost)) for cost in COSTS if low <= cost <= high]),
        risks=[(risk, down(risk)) for risk in halves],
        alpha=down(alpha),
        passed=dots[: trail.accepted],
        others=dots[trail.accepted - 1 :],
        chosen=dot(trail.chosen),
    )


def _apart(names: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that have room beside the last one, from the right."""
    kept: list[tuple[float, float]] = []
    for value, place in names:
        if not kept or kept[-1][1] - place >= APART:
            kept.append((value, place))
    return kept
