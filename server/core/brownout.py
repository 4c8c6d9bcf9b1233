"""Brownout: under overload, answer earlier in the cascade than the policy would, then shed.

A controller compares the predicted delay with its target. Each level up costs accuracy and buys
time; a level is left only after the delay has been well below the target for a while, so that the
server does not swing. What comes beyond the last level is turned away, and so is, at every level,
what no level could answer in time: a burst is over before the levels are climbed.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from ...models.cascade.policy import Cascade
from ..errors import Reason, RequestError

LEVELS = ("none", "relaxed thresholds", "without the last student", "smallest student only")
RELAXED = 4
"""Level 1: a student may be so many times less sure."""
RISE_SECONDS = 0.1
"""How long the delay must be above the target before the next level."""
FALL_SECONDS = 2.0
"""How long it must be below half of the target before the level goes down."""
HOPELESS = 2
"""How many times the target a delay may be before texts are turned away at any level."""


class Brownout:
    """The controller. target: seconds; 0 turns it off. Belongs to the event loop."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.level = 0
        self._since: tuple[int, float] = (0, 0.0)

    def observe(self, delay: float, now: float) -> None:
        """What a text that came now would wait, in seconds."""
        if not self.target:
            return
        wish = 1 if delay > self.target else -1 if delay < self.target / 2 else 0
        if wish != self._since[0]:
            self._since = (wish, now)
            return
        held = now - self._since[1]
        if wish > 0 and held >= RISE_SECONDS and self.level < len(LEVELS) - 1:
            self.level, self._since = self.level + 1, (wish, now)
        elif wish < 0 and held >= FALL_SECONDS and self.level:
            self.level, self._since = self.level - 1, (wish, now)

    def check(self, delay: float) -> None:
        """Raises RequestError if even the last level would leave too long a delay."""
        last = self.level == len(LEVELS) - 1
        if self.target and delay > self.target * (1 if last else HOPELESS):
            raise RequestError(
                Reason.OVERLOADED,
                f"the queue is {1e3 * delay:.0f} ms long, the target is {1e3 * self.target:g} ms; "
                f"try again in {ceil(delay)} s",
                headers={"Retry-After": str(ceil(delay))},
                limit=round(1e3 * self.target),
                actual=round(1e3 * delay),
            )


def browned_out(cascade: Cascade, level: int) -> Cascade:
    """The cascade at a level. One student alone stays what was asked for."""
    if not level or len(cascade.stages) == 1:
        return cascade
    if level == 1:
        stages = tuple(
            replace(stage, threshold=max(0.0, 1 - RELAXED * (1 - stage.threshold)))
            if stage.threshold > 0
            else stage
            for stage in cascade.stages
        )
    else:
        stages = cascade.stages[:-1] if level == 2 else cascade.stages[:1]
        stages = (*stages[:-1], replace(stages[-1], threshold=0.0))
    return replace(cascade, stages=stages)
