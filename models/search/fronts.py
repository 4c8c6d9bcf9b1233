"""Which of many students are worth their cost: nobody else is at least as good for less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .trials import Trial

Quality = Callable[[Trial], float]


def accuracy(trial: Trial) -> float:
    """What a student is worth that answers alone."""
    return trial.accuracy


def kept(trial: Trial) -> float:
    """What a student is worth that answers before another one."""
    return trial.kept


QUALITIES: tuple[Quality, ...] = (accuracy, kept)


def front(trials: Iterable[Trial], quality: Quality) -> list[Trial]:
    """Those of which no other one costs at most as much and is at least as good, cheapest first."""
    found: list[Trial] = []
    for trial in sorted(trials, key=lambda each: (each.cost, -quality(each))):
        if not found or quality(trial) > quality(found[-1]):
            found.append(trial)
    return found


def fronts(trials: Sequence[Trial]) -> list[Trial]:
    """Those that are on the front of any quality, cheapest first.

    Who keeps no more than its share of the TA's cost is of no use before it (TinySaver's rule,
    2403.17726), and on no front.
    """
    useful = [trial for trial in trials if trial.kept > trial.cost]
    on_any = {trial.spec: trial for quality in QUALITIES for trial in front(useful, quality)}
    return sorted(on_any.values(), key=lambda each: each.cost)


def gain(trial: Trial, known: Sequence[Trial]) -> float:
    """How much better it is than the best one that costs no more, by the quality that favours it.

    known: asked for the same texts.
    """
    cheaper = [each for each in known if each.cost <= trial.cost]
    if not cheaper:
        return np.inf
    return max(quality(trial) - max(quality(each) for each in cheaper) for quality in QUALITIES)


def spread(trials: Sequence[Trial], most: int) -> list[Trial]:
    """At most so many of them, the first and the last among these, in about even ratios of cost."""
    if len(trials) <= most:
        return list(trials)
    costs = np.log([trial.cost for trial in trials])
    wanted = np.linspace(costs[0], costs[-1], most)
    rows = np.unique(np.abs(costs[:, None] - wanted).argmin(axis=0))
    return [trials[row] for row in rows]
