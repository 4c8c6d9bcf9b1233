"""Which answers tell of the promises that are served, and the monitors that count them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from ...models.cascade.decisions import Decision
from ...models.cascade.policy import Cascade
from ...models.checkpoint.manifest import Manifest
from ..settings import OnViolation
from ..telemetry.guarantee import GuaranteeMetrics, Unwatched
from .guarantee_monitor import DISAGREEMENT, Alarm, GuaranteeMonitor
from .repeats import RepeatWindow
from .tightening import Tightening

log = logging.getLogger(__name__)


class GuaranteeWatch:
    """The monitors of what is served now, by cascade. Belongs to the event loop.

    It outlives the services: a reload of the same cascade leaves its monitor as it is, alarm and
    all, and another calibration begins with a new one. on_violation: what an alarm does to the
    thresholds; tightenings: how they stand, by cascade.
    """

    def __init__(self, metrics: GuaranteeMetrics, on_violation: OnViolation = "alarm") -> None:
        self._metrics, self._on_violation = metrics, on_violation
        self.monitors: dict[str, GuaranteeMonitor] = {}
        self.tightenings: dict[str, Tightening] = {}

    def serves(self, manifest: Manifest) -> None:
        """These cascades are served from now on."""
        before, self.monitors = self.monitors, {}
        known, self.tightenings = self.tightenings, {}
        for name, cascade in manifest.cascades.items():
            version = cascade.version(manifest.weights_sha256)
            tightening, monitor = known.get(name), before.get(name)
            if tightening is None or monitor is None or not tightening.same(cascade, version):
                tightening = Tightening(cascade, manifest, self._on_violation)
                monitor = GuaranteeMonitor(cascade, version, self._repeats(cascade, version))
                self._say_what_an_alarm_does(tightening)
            self.monitors[name], self.tightenings[name] = monitor, tightening
        self._show()

    def served(self, cascade: Cascade) -> Cascade:
        """What answers in place of a cascade as it was calibrated: the same, unless its promise was
        found broken.
        """
        tightening = self.tightenings.get(cascade.name)
        if tightening and tightening.steps and tightening.calibrated.stages == cascade.stages:
            return tightening.cascade
        return cascade

    def monitor_of(self, decision: Decision, weights_sha256: str) -> GuaranteeMonitor | Unwatched:
        """Who counts an answer that its cascade's promise covers; else why nobody does.

        Covered is what was answered by the cascade that is served, stage for stage, and was free to
        walk it to its end. Whether a limit got in the way must not matter where it could have: it
        cuts just those texts short that are passed on, and what remained would tell of others.
        """
        cascade = decision.cascade
        monitor = self.monitors.get(cascade.name)
        if monitor is None or monitor.version != cascade.version(weights_sha256):
            if decision.brownout:
                return Unwatched.BROWNOUT
            alone = monitor is None and len(cascade.stages) == 1
            return Unwatched.STUDENT if alone else Unwatched.CALIBRATION
        if (limit := decision.may_be_cut_by) is not None:
            return Unwatched(limit.value)
        return monitor if decision.walked_its_cascade else Unwatched.PATH

    def observe(self, monitor: GuaranteeMonitor, decision: Decision, agrees: bool) -> None:
        """The TA was asked too about an answer that a monitor counts."""
        cascade, student = decision.cascade.name, decision.answer.stage.student.name
        if self.monitors.get(cascade) is not monitor:
            return  # it was chosen before a reload, a reset, or a step
        self.count(monitor, student, agrees)

    def count(self, monitor: GuaranteeMonitor, student: str, agrees: bool) -> None:
        """The same of an answer, of which its monitor is the one that holds."""
        alarm = monitor.observe(student, agrees, datetime.now(UTC))
        self._metrics.shadowed(monitor, student, agrees)
        if alarm:
            self._broken(monitor, alarm)

    def reset(self, cascade: str) -> tuple[GuaranteeMonitor, Tightening]:
        """Begin anew with a cascade, by its calibrated thresholds; returns how it stood until now.

        Raises KeyError for one that is not served.
        """
        before, tightening = self.monitors[cascade], self.tightenings[cascade]
        anew = self.tightenings[cascade] = tightening.restored()
        self.monitors[cascade] = GuaranteeMonitor(anew.cascade, anew.version, before.repeats)
        self._show()
        log.warning(
            "the watch over %s begins anew, after %d texts and %s alarm%s",
            cascade,
            before.texts,
            "an" if before.alarm else "no",
            f"; its calibrated thresholds (version {anew.version}) are back"
            if tightening.steps
            else "",
        )
        return before, tightening

    def _broken(self, monitor: GuaranteeMonitor, alarm: Alarm) -> None:
        guarantee, name = monitor.cascade.guarantee, monitor.cascade.name
        log.error(
            "the guarantee of %s (version %s) is broken: it promises to differ from the TA on "
            "at most %g of the texts, and has on %d of the last %d that were watched (%d of "
            "all %d); the alarm stays until POST /admin/guarantees/reset, or until it is "
            "calibrated again",
            name,
            monitor.version,
            guarantee.alpha if guarantee else 0.0,
            alarm.recent_disagreements,
            alarm.recent_texts,
            alarm.disagreements,
            alarm.texts,
        )
        tightening = self.tightenings[name]
        step = tightening.tighten(alarm)
        if step is None:
            return
        rung = step.rung
        self.monitors[name] = GuaranteeMonitor(
            rung.cascade, rung.version, monitor.repeats, monitor.alarm
        )
        self._metrics.tightened(name)
        self._show()
        log.warning(
            "%s is tightened, step %d of %d, from version %s to %s: it is answered by %s; that is "
            "watched anew, and POST /admin/guarantees/reset puts the calibrated thresholds back",
            name,
            len(tightening.steps),
            len(tightening.rungs),
            monitor.version,
            rung.version,
            _in_words(rung.cascade),
        )

    def _repeats(self, cascade: Cascade, version: str) -> RepeatWindow:
        """For a new monitor."""
        return RepeatWindow()

    def _show(self) -> None:
        """Called whenever a monitor begins."""
        self._metrics.watches(self.monitors.values(), self.tightenings)

    def _say_what_an_alarm_does(self, tightening: Tightening) -> None:
        cascade = tightening.calibrated
        if self._on_violation == "alarm" or not tightening.rungs:
            return
        if cascade.guarantee is None or cascade.guarantee.loss != DISAGREEMENT:
            log.warning(
                "nothing will tighten %s: without labels no alarm can be raised for %s",
                cascade.name,
                f"its promise, {cascade.guarantee.loss}" if cascade.guarantee else "no promise",
            )
        elif self._on_violation == "tighten" and cascade.path is None:
            log.warning(
                "%s has no calibrated path: if its promise is broken, the TA alone answers; "
                "`nestling calibrate` writes one",
                cascade.name,
            )


def _in_words(cascade: Cascade) -> str:
    """Such as `tiny ≥ 0.9931, then ta`."""
    *before, last = cascade.stages
    words = [f"{stage.student.name} ≥ {stage.threshold:.6g}, then " for stage in before]
    return "".join(words) + last.student.name + ("" if before else " alone")
