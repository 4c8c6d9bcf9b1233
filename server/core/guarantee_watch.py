"""Which answers tell of the promises that are served, and the monitors that count them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from ...models.cascade.decisions import Decision
from ...models.checkpoint.manifest import Manifest
from ..telemetry.guarantee import GuaranteeMetrics, Unwatched
from .guarantee_monitor import GuaranteeMonitor
from .repeats import RepeatWindow

log = logging.getLogger(__name__)


class GuaranteeWatch:
    """The monitors of what is served now, by cascade. Belongs to the event loop.

    It outlives the services: a reload of the same cascade leaves its monitor as it is, alarm and
    all, and another calibration begins with a new one.
    """

    def __init__(self, metrics: GuaranteeMetrics) -> None:
        self._metrics = metrics
        self.monitors: dict[str, GuaranteeMonitor] = {}

    def serves(self, manifest: Manifest) -> None:
        """These cascades are served from now on."""
        before, self.monitors = self.monitors, {}
        for name, cascade in manifest.cascades.items():
            version = cascade.version(manifest.weights_sha256)
            monitor = before.get(name)
            if monitor is None or not monitor.same(cascade, version):
                monitor = GuaranteeMonitor(cascade, version, RepeatWindow())
            self.monitors[name] = monitor
        self._metrics.watches(self.monitors.values())

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
            return  # it was chosen before a reload, or a reset
        raised = monitor.observe(student, agrees, datetime.now(UTC))
        self._metrics.shadowed(monitor, student, agrees)
        guarantee, alarm = monitor.cascade.guarantee, monitor.alarm
        if raised and guarantee and alarm:
            log.error(
                "the guarantee of %s (version %s) is broken: it promises to differ from the TA on "
                "at most %g of the texts, and has on %d of the last %d that were watched (%d of "
                "all %d); the alarm stays until POST /admin/guarantees/reset, or until it is "
                "calibrated again",
                cascade,
                monitor.version,
                guarantee.alpha,
                alarm.recent_disagreements,
                alarm.recent_texts,
                alarm.disagreements,
                alarm.texts,
            )

    def reset(self, cascade: str) -> GuaranteeMonitor:
        """Begin anew with a cascade; returns what has been watched until now.

        Raises KeyError for one that is not served.
        """
        before = self.monitors[cascade]
        self.monitors[cascade] = GuaranteeMonitor(before.cascade, before.version, before.repeats)
        self._metrics.watches(self.monitors.values())
        log.warning(
            "the watch over %s begins anew, after %d texts and %s alarm",
            cascade,
            before.texts,
            "an" if before.alarm else "no",
        )
        return before
