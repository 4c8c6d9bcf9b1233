"""The score of an answer: what a stage's threshold is held against."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Score(StrEnum):
    """By name, as it stands in a calibration. All lie between 0 and 1.

    PROBABILITY is the calibrated confidence; MARGIN is that against the runner-up alone, as if the
    first two labels were all there are; ENTROPY is 1 where one label has all the probability, 0
    where all have the same; ENERGY says how much speaks for any label at all. `kernels.gate`
    computes them. code: what the gate calls it.
    """

    code: float

    def __new__(cls, name: str, code: float) -> Self:
        score = str.__new__(cls, name)
        score._value_, score.code = name, code
        return score

    PROBABILITY = "probability", 0.0
    MARGIN = "margin", 1.0
    ENTROPY = "entropy", 2.0
    ENERGY = "energy", 3.0
