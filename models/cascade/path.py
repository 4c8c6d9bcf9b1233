"""The calibrated path of a cascade: its thresholds when it must be safer, and when cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from ..limits import number_between

NEVER = 1.0
"""A threshold that no score reaches: the gate asks for its margin above it."""


@dataclass(frozen=True)
class PathVector:
    """One vector of thresholds, and what the calibration saw of it.

    thresholds: one per stage of the cascade, the last 0. risk: the share of the texts that tested
    which were lost. relative_cost: of all stages that may answer, against asking the TA alone.
    """

    thresholds: tuple[float, ...]
    risk: float
    relative_cost: float


@dataclass(frozen=True)
class CascadePath:
    """Some of the vectors that a calibration tested, from the safest to the cheapest.

    steps: at the first one only the last stage answers; thresholds never rise from one to the next.
    chosen: which of them the cascade has.
    """

    steps: tuple[PathVector, ...]
    chosen: int

    def tighter(self) -> tuple[PathVector, ...]:
        """What the cascade goes back to, one after the other.

        Each is the cheapest with at most half of the risk of the one before; where that is 0, or
        nothing else has so little, only the last stage answers.
        """
        found, at = [], self.chosen
        while at > 0:
            half, before = self.steps[at].risk / 2, range(at - 1, 0, -1)
            at = next((i for i in before if self.steps[i].risk <= half), 0) if half else 0
            found.append(self.steps[at])
        return tuple(found)

    def looser(self, risk: float) -> PathVector | None:
        """The cheapest of at most this risk; None where none is cheaper than the chosen one."""
        cheaper = self.steps[self.chosen + 1 :]
        return next((step for step in reversed(cheaper) if step.risk <= risk), None)

    def to_json(self) -> dict[str, Any]:
        steps = [asdict(step) | {"thresholds": list(step.thresholds)} for step in self.steps]
        return {"steps": steps, "chosen": self.chosen}

    @classmethod
    def from_json(cls, data: Any, thresholds: Sequence[float], where: str) -> CascadePath:
        """thresholds: those of the cascade's stages. where: begins the message of an error.

        Raises KeyError for a field that is missing, ValueError for a number out of range, for
        another number of thresholds, for some that rise, and for a chosen step that has others than
        the cascade.
        """
        if not isinstance(data, dict):
            raise ValueError(f"{where}path: is no object")
        if not isinstance(data["steps"], list):
            raise ValueError(f"{where}path.steps: is no list")
        steps = tuple(
            _step(each, len(thresholds), f"{where}path.steps[{index}]")
            for index, each in enumerate(data["steps"])
        )
        for index, (safer, cheaper) in enumerate(pairwise(steps), 1):
            pairs = zip(safer.thresholds, cheaper.thresholds, strict=True)
            if any(after > before for before, after in pairs):
                raise ValueError(
                    f"{where}path.steps[{index}].thresholds: one is above that of the step before"
                )
        chosen = data["chosen"]
        if type(chosen) is not int or not 0 <= chosen < len(steps):
            raise ValueError(
                f"{where}path.chosen: {str(chosen)[:32]} is none of the {len(steps)} steps"
            )
        if steps[chosen].thresholds != tuple(thresholds):
            raise ValueError(f"{where}path.chosen: its thresholds are not those of the stages")
        return cls(steps, chosen)


def _step(data: Any, stages: int, where: str) -> PathVector:
    if not isinstance(data, dict):
        raise ValueError(f"{where}: is no object")
    thresholds = data["thresholds"]
    if not isinstance(thresholds, list) or len(thresholds) != stages:
        raise ValueError(f"{where}.thresholds: is no list of {stages} numbers, one per stage")
    read = tuple(number_between(0, 1, each, f"{where}.thresholds") for each in thresholds)
    if read[-1] > 0:
        raise ValueError(f"{where}.thresholds: the last stage must accept always (threshold 0)")
    return PathVector(
        read,
        number_between(0, 1, data["risk"], f"{where}.risk"),
        number_between(0, 1, data["relative_cost"], f"{where}.relative_cost"),
    )
