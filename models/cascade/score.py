"""The score of an answer: what a stage's threshold is held against."""

from __future__ import annotations

from enum import StrEnum


class Score(StrEnum):
    """By name, as it stands in a calibration. Both lie between 0 and 1.

    PROBABILITY is the calibrated confidence; MARGIN is that against the runner-up alone, as if the
    two first labels were all there are. `kernels.gate` computes them.
    """

    PROBABILITY = "probability"
    MARGIN = "margin"

    @property
    def code(self) -> float:
        """What the gate calls it."""
        return 1.0 if self is Score.MARGIN else 0.0
