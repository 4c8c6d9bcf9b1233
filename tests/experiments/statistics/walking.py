"""Experiments unit by unit, looked at again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nestling.experiments.statistics.summary import Summary

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def from_sums(n: int, total: float, squares: float) -> Summary:
    """From Σx and Σx²."""
    return Summary(n, total / n, max(0.0, squares - total**2 / n)) if n else Summary()


def looks(
    draw: Draw, effect: float, units: int, every: int, seed: int, share: float = 0.5
) -> Iterator[tuple[Summary, Summary]]:
    """Treatment and control after every so many units. effect: what the treatment adds."""
    rng = np.random.default_rng(seed)
    treated = rng.random(units) < share
    values = draw(rng, units) + effect * treated
    at = np.arange(every, units + 1, every) - 1
    sums = [
        [
            np.cumsum(np.where(arm, column, 0.0))[at]
            for column in (np.ones(units), values, values**2)
        ]
        for arm in (treated, ~treated)
    ]
    for look in range(len(at)):
        treatment, control = (
            from_sums(int(n[look]), float(total[look]), float(squares[look]))
            for n, total, squares in sums
        )
        yield treatment, control
