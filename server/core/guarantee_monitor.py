"""One cascade's promise, and what its answers have shown of it so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from ...models.calibration.anytime import rate_bounds
from ...models.calibration.drift import DriftDetector, worst_stretch
from ...models.cascade.policy import Cascade, Guarantee
from .repeats import RepeatWindow

DELTA = 0.05
"""The bounds on disagreement fail with this probability."""
LOSSES = 1_000
"""The latest disagreements whose places are remembered, to say since when there have been many."""
DISAGREEMENT = "disagreement"
"""The loss that needs no labels."""


@dataclass(frozen=True)
class Alarm:
    """The text at which the promise was found broken.

    texts, disagreements: of the watch, that text among them. recent_texts, recent_disagreements: of
    the last ones, which speak most against the promise. student: who had answered that text
    otherwise than the TA.
    """

    raised: datetime
    texts: int
    disagreements: int
    recent_texts: int
    recent_disagreements: int
    student: str


class GuaranteeMonitor:
    """Counts one cascade's disagreements with the TA. One thing raises its alarm: the detector.

    cascade: as it is served. version: of its weights, temperatures and thresholds. repeats: the
    texts that it has counted. alarm: stays; it may have been raised for the looser thresholds that
    were served before. lower, upper: bounds on the rate of disagreement at
    every moment, of all texts since the beginning. All lower bounds together hold with the same
    certainty as each, so that the greatest is kept; above the upper one, it says that the rate has
    changed.
    """

    def __init__(
        self, cascade: Cascade, version: str, repeats: RepeatWindow, alarm: Alarm | None = None
    ) -> None:
        self.cascade, self.version, self.repeats = cascade, version, repeats
        self.texts = self.disagreements = 0
        self.lower, self.upper = 0.0, 1.0
        self.alarm = alarm
        self._detector = _detector(cascade.guarantee)
        self._losses: deque[int] = deque(maxlen=LOSSES)

    @property
    def evidence(self) -> float | None:
        """The detector's value; None for a promise that cannot be watched without labels."""
        return self._detector.evidence if self._detector else None

    @property
    def raised(self) -> datetime | None:
        """When the alarm was raised."""
        return self.alarm.raised if self.alarm else None

    @property
    def repeated(self) -> float:
        """Share of the texts that came again while they were remembered."""
        return self.repeats.share

    def observe(self, student: str, agrees: bool, now: datetime) -> Alarm | None:
        """The TA was asked too about what a student had answered.

        Returns what this has shown, where the detector raises its alarm by it.
        """
        self.texts += 1
        self.disagreements += not agrees
        lower, self.upper = rate_bounds(self.disagreements, self.texts, DELTA)
        self.lower = max(self.lower, lower)
        if self._detector is None or self._detector.alarmed:
            return None
        if not agrees:
            self._losses.append(self.texts)
        self._detector.observe(not agrees)
        if not self._detector.alarmed:
            return None
        losses, texts = worst_stretch(self._losses, self.texts, self._detector.risk)
        found = Alarm(now, self.texts, self.disagreements, texts, losses, student)
        self.alarm = self.alarm or found
        return found


def _detector(guarantee: Guarantee | None) -> DriftDetector | None:
    if guarantee is None or guarantee.loss != DISAGREEMENT or not 0 < guarantee.alpha < 1:
        return None
    return DriftDetector(guarantee.alpha)
