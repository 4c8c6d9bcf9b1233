"""Whom to ask next: children of the best students so far, of which the better half is asked more.

An evolution over students as in Once-for-All (Cai et al. 2020, 1908.09791), which looks for a
front instead of one winner (NSGA-II, Deb et al. 2002); within a generation the texts are shared out
by successive halving (Jamieson and Talwalkar 2016, 1502.07943): all children are asked a few texts,
and the half that gains most over who costs no more is asked them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from ..nested.spec import StudentSpec
from ..progress import SILENT, Progress
from .fronts import fronts, gain
from .space import SearchSpace
from .trials import Trial, Trials

CHILDREN = 12
"""Of a generation."""
PATIENCE = 25
"""Generations without anything new on the fronts, after which the search is at its end."""
TRIES = 50
"""For a child that was not asked before; a small TA has no more of them at some point."""


class Evolution:
    """trials: who asks. cost: of a student, as a share of the TA's. allowed: whether one may be
    asked at all.
    """

    def __init__(
        self,
        space: SearchSpace,
        trials: Trials,
        cost: Callable[[StudentSpec], float],
        allowed: Callable[[StudentSpec], bool],
        rng: np.random.Generator,
    ) -> None:
        self._space, self._trials, self._rng = space, trials, rng
        self._cost, self._allowed = cost, allowed
        self._met = {trials.ta.spec}
        self._origins = [trials.ta.spec, space.smallest]
        self._waiting = list(space.gradual())
        self._whole: list[Trial] = []

    @property
    def best(self) -> list[Trial]:
        """Those that were asked for all texts and are on a front, cheapest first."""
        return fronts(self._whole)

    def begin(self, specs: Sequence[StudentSpec], progress: Progress = SILENT) -> None:
        """Ask the students that there are for all texts. Those that are not allowed are not asked,
        but their children may be.
        """
        self._origins += specs
        allowed = [spec for spec in specs if spec not in self._met and self._allowed(spec)]
        for done, spec in enumerate(allowed):
            progress.step("asking the students there are", done, len(allowed))
            self._met.add(spec)
            self._whole.append(self._trials.rest(self._trials.first(spec, self._cost(spec))))

    def run(self, seconds: float, progress: Progress = SILENT) -> str:
        """Generation after generation, for so many seconds. Returns why it came to an end."""
        began, idle = time.monotonic(), 0
        while (spent := time.monotonic() - began) < seconds:
            progress.step("searching", int(spent), int(seconds) or 1, self._detail)
            children = self._children()
            if not children:
                return "every student that could be reached was asked"
            before = {trial.spec for trial in self.best}
            self._generation(children)
            idle = 0 if {trial.spec for trial in self.best} - before else idle + 1
            if idle == PATIENCE:
                return f"{PATIENCE} generations found nothing better"
        return "the time was used up"

    def _generation(self, children: Sequence[StudentSpec]) -> None:
        known = [self._trials.beginning(trial) for trial in self.best]
        first = [self._trials.first(spec, self._cost(spec)) for spec in children]
        first.sort(key=lambda trial: gain(trial, known), reverse=True)
        self._whole += [self._trials.rest(trial) for trial in first[: (len(first) + 1) // 2]]

    def _children(self) -> list[StudentSpec]:
        """Students that were not asked before: those of gradual widths, which come first, and then
        each a step from one on a front. While nobody is on one, whoever is known is a parent: the
        limits may allow none of the students that there are.
        """
        parents = [trial.spec for trial in self.best]
        if not parents:
            parents = [*self._origins, *(trial.spec for trial in self._whole)]
        found: list[StudentSpec] = []
        for _ in range(CHILDREN * TRIES):
            if self._waiting:
                child = self._waiting.pop()
            else:
                parent = parents[self._rng.integers(len(parents))]
                child = self._space.changed(parent, self._rng)
            if child not in self._met and self._allowed(child):
                self._met.add(child)
                found.append(child)
            if len(found) == CHILDREN:
                break
        return found

    def _detail(self) -> str:
        return f"{self._trials.asked:,} students asked, {len(self.best)} on the fronts"
