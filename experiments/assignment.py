"""Which variant a unit gets: the same on every replica, after every restart.

Three independent hashes, each murmur3_32 (x86, seed 0) of a key of its own, each spread over its
range by multiply-shift, (hash × range) >> 32 (Lemire 2019, arXiv 1805.10941):

    enrol/LAYER'S SALT/UNIT             over the layer's buckets: is the unit in, and in which
                                        experiment of the layer?
    variant/EXPERIMENT'S SALT/PHASE/UNIT  over the total weight: which variant?
    pair/EXPERIMENT'S SALT/UNIT         over the buckets: is it answered by both?

Raising the enrolled share adds buckets and moves nobody between variants, because the bucket has
no say in the variant. Layers are independent, because their salts differ. No salt and no phase
holds a `/`, so that no two keys are the same string by accident.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import mmh3

from .definition import BUCKETS, Experiment, ExperimentPlan, Unit, Variant


def spread(key: str, total: int) -> int:
    """A number from 0 to total − 1, from the key alone. UTF-8; a lone surrogate is a unit too."""
    return (mmh3.hash(key.encode("utf-8", "surrogatepass"), 0, signed=False) * total) >> 32


@dataclass(frozen=True)
class Assignment:
    """What one unit got of one experiment. other: the variant that answers too, in a pair."""

    experiment: str
    phase: str
    unit: str
    variant: Variant
    other: Variant | None = None


class Assigner:
    """One experiment's assignment. Holds no state: equal experiments assign equally."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._ends = list(accumulate(variant.weight for variant in experiment.variants))
        self._enrol = f"enrol/{experiment.layer.salt}/"
        self._variant = f"variant/{experiment.salt}/{experiment.phase}/"
        self._pair = f"pair/{experiment.salt}/"
        self._first = experiment.owns.first
        self._end = experiment.owns.first + experiment.enrolled
        self._paired = round(experiment.paired * BUCKETS)

    def enrols(self, unit: str) -> bool:
        """Whether the unit takes part."""
        return self._first <= spread(self._enrol + unit, BUCKETS) < self._end

    def variant(self, unit: str) -> Variant:
        """The variant of a unit that takes part."""
        bucket = spread(self._variant + unit, self._ends[-1])
        return self.experiment.variants[bisect(self._ends, bucket)]

    def assign(self, unit: str, stopped: Collection[str] = ()) -> Assignment | None:
        """None for a unit that does not take part, and for one of a stopped variant: it is served
        as if there were no experiment, and nobody else moves. stopped: names of variants.
        """
        if not self.enrols(unit):
            return None
        variant = self.variant(unit)
        if variant.name in stopped:
            return None
        other = None
        if self._paired and spread(self._pair + unit, BUCKETS) < self._paired:
            [other] = (v for v in self.experiment.variants if v is not variant)
        if other is not None and other.name in stopped:
            other = None
        return Assignment(self.experiment.name, self.experiment.phase, unit, variant, other)


class Assigners:
    """All experiments of a plan."""

    def __init__(self, plan: ExperimentPlan) -> None:
        self._assigners = [Assigner(experiment) for experiment in plan.experiments]

    def assign(
        self,
        unit_of: Callable[[Unit], str | None],
        now: datetime,
        stopped: Collection[tuple[str, str]] = (),
    ) -> tuple[Assignment, ...]:
        """What one request gets: at most one variant per layer, each deciding something else.

        unit_of: reads the unit off the request; None or empty where it has none, and such a request
        takes part in nothing of that unit. now: on a clock that does not go back. stopped:
        (experiment, variant).
        """
        assignments = []
        for assigner in self._assigners:
            experiment = assigner.experiment
            if not experiment.running(now):
                continue
            unit = unit_of(experiment.unit)
            if not unit:
                continue
            gone = [variant for name, variant in stopped if name == experiment.name]
            if assignment := assigner.assign(unit, gone):
                assignments.append(assignment)
        return tuple(assignments)
