"""What a cascade becomes once its promise is found broken, step by step."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime

from ...models.cascade.path import PathVector
from ...models.cascade.policy import Cascade, Stage
from ...models.cascade.scope import ScopePromise
from ...models.checkpoint.manifest import TA, Manifest
from ..settings import OnViolation
from .guarantee_monitor import Alarm


@dataclass(frozen=True)
class Rung:
    """One set of thresholds. risk, relative_cost: what its calibration saw of them; None if it has
    kept no path.
    """

    cascade: Cascade
    version: str
    risk: float | None = None
    relative_cost: float | None = None


@dataclass(frozen=True)
class TighteningStep:
    """The thresholds that hold since an alarm was raised for those before them."""

    alarm: Alarm
    rung: Rung


class Tightening:
    """A cascade as it is served: by the thresholds of its calibration, or by tighter ones.

    calibrated: as it was read. version: of that. rungs: what it becomes, one after the other; none
    if an alarm changes nothing. steps: those that were taken.
    """

    def __init__(self, calibrated: Cascade, manifest: Manifest, on_violation: OnViolation) -> None:
        self.calibrated = calibrated
        self.version = calibrated.version(manifest.weights_sha256)
        self.rungs = _rungs(calibrated, manifest, on_violation)
        self.steps: tuple[TighteningStep, ...] = ()

    @property
    def cascade(self) -> Cascade:
        """By which it is answered now."""
        return self.steps[-1].rung.cascade if self.steps else self.calibrated

    @property
    def since(self) -> datetime | None:
        """When the last step was taken."""
        return self.steps[-1].alarm.raised if self.steps else None

    def same(self, cascade: Cascade, version: str) -> bool:
        """Whether a cascade that was read is the one that this has been."""
        mine = self.calibrated
        return (version, cascade.guarantee, cascade.path) == (
            self.version,
            mine.guarantee,
            mine.path,
        )

    def tighten(self, alarm: Alarm) -> TighteningStep | None:
        """One step back, for an alarm; None if there is none left."""
        if len(self.steps) == len(self.rungs):
            return None
        step = TighteningStep(alarm, self.rungs[len(self.steps)])
        self.steps = (*self.steps, step)
        return step

    def restored(self) -> Tightening:
        """The same by its calibrated thresholds, none of the steps taken."""
        anew = copy(self)
        anew.steps = ()
        return anew


def _rungs(cascade: Cascade, manifest: Manifest, on_violation: OnViolation) -> tuple[Rung, ...]:
    """Along the calibrated path; the last is the TA alone, with or without a path."""
    last = cascade.stages[-1]
    # Of the same score, which the records of its answers need to be of use to a calibration.
    alone = last if last.student.name == TA else Stage(manifest.ta, 0.0, last.score)
    if on_violation == "alarm" or cascade.stages == (alone,):
        return ()
    steps = cascade.path.tighter() if cascade.path else ()
    if last is not alone and cascade.path:  # its last student alone was not tested
        steps = tuple(step for step in steps if step is not cascade.path.steps[0])
    if on_violation == "ta":
        steps = steps[-1:] if last is alone else ()

    def scope_of(stages: tuple[Stage, ...]) -> ScopePromise | None:
        """Of the stages that are left; None where the TA comes in place of all."""
        names = [stage.student.name for stage in cascade.stages]
        if cascade.scope is None or any(stage.student.name not in names for stage in stages):
            return None
        return cascade.scope.of([names.index(stage.student.name) for stage in stages])

    def rung(stages: tuple[Stage, ...], step: PathVector | None = None) -> Rung:
        # It promises what it did: whatever is safer than the chosen thresholds has passed the test.
        found = replace(cascade, stages=stages, forecast=None, path=None, scope=scope_of(stages))
        version = found.version(manifest.weights_sha256)
        return Rung(found, version, *((step.risk, step.relative_cost) if step else ()))

    rungs = [rung(cascade.along(step).stages, step) for step in steps]
    if not rungs or rungs[-1].cascade.stages != (alone,):
        rungs.append(rung((alone,)))
    return tuple(rungs)
