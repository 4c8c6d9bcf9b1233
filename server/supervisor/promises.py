"""One watch over the promises for all processes: fronts tell, and the supervisor judges."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ...models.cascade.decisions import Decision
from ...models.cascade.policy import Cascade
from ...models.checkpoint.manifest import Manifest
from ..core.guarantee_monitor import GuaranteeMonitor
from ..core.guarantee_watch import GuaranteeWatch
from ..core.repeats import WINDOW, RepeatWindow
from ..core.tightening import Tightening
from ..settings import OnViolation
from ..telemetry.guarantee import GuaranteeMetrics, Unwatched
from .messages import Came, Observed, Stand

Tell = Callable[[object], None]


class FrontWatch(GuaranteeWatch):
    """A front's: it answers by the thresholds that it is told, and tells what it sees.

    key: of the fingerprints of texts, the same in all fronts.
    """

    def __init__(
        self, metrics: GuaranteeMetrics, on_violation: OnViolation, key: bytes, tell: Tell
    ) -> None:
        super().__init__(metrics, on_violation)
        self._key, self._tell = key, tell
        self._stand: Stand = {}

    def stands(self, stand: Stand) -> None:
        """What the supervisor says of the cascades."""
        self._stand = stand
        for name, (version, steps) in stand.items():
            tightening = self.tightenings.get(name)
            if tightening is None or tightening.version != version or tightening.steps == steps:
                continue
            anew = self.tightenings[name] = tightening.restored()
            anew.steps = steps
            served = steps[-1].rung.version if steps else version
            repeats = self._repeats(anew.cascade, served)
            self.monitors[name] = GuaranteeMonitor(anew.cascade, served, repeats)

    def serves(self, manifest: Manifest) -> None:
        super().serves(manifest)
        self.stands(self._stand)

    def observe(self, monitor: GuaranteeMonitor, decision: Decision, agrees: bool) -> None:
        """Left to the supervisor."""
        name = decision.cascade.name
        if self.monitors.get(name) is monitor:
            student = decision.answer.stage.student.name
            digest = monitor.repeats.fingerprint(decision.tokens)
            self._tell(Observed(name, monitor.version, student, agrees, digest))

    def _say_what_an_alarm_does(self, tightening: Tightening) -> None:
        """The supervisor says it."""

    def _repeats(self, cascade: Cascade, version: str) -> RepeatWindow:
        return _ToldRepeats(cascade.name, version, self._key, self._tell)


class _ToldRepeats(RepeatWindow):
    """A window whose supervisor has one of its own, over all fronts."""

    def __init__(self, cascade: str, version: str, key: bytes, tell: Tell) -> None:
        super().__init__(key=key)
        self._cascade, self._version, self._tell = cascade, version, tell

    def is_new(self, tokens: Sequence[int]) -> bool:
        digest = self.fingerprint(tokens)
        new = self.note(digest)
        self._tell(Came(self._cascade, self._version, digest, new))
        return new


class SupervisorWatch(GuaranteeWatch):
    """The one that judges. changed: called when other thresholds hold than before."""

    def __init__(
        self, metrics: GuaranteeMetrics, on_violation: OnViolation, changed: Callable[[], None]
    ) -> None:
        super().__init__(metrics, on_violation)
        self._changed = changed
        self._twice: OrderedDict[bytes, int] = OrderedDict()
        """Texts that two fronts believed to be new: of each, so many observations do not count."""

    @property
    def stand(self) -> Stand:
        """How the promises stand."""
        return {name: (each.version, each.steps) for name, each in self.tightenings.items()}

    def came(self, said: Came) -> None:
        """A front has chosen a text."""
        monitor = self._monitor(said.cascade, said.version)
        if monitor and not monitor.repeats.note(said.fingerprint) and said.new:
            self._twice[said.fingerprint] = self._twice.get(said.fingerprint, 0) + 1
            if len(self._twice) > WINDOW:
                self._twice.popitem(last=False)

    def observed(self, said: Observed) -> None:
        """A front has asked the TA too."""
        monitor = self._monitor(said.cascade, said.version)
        if monitor is None:
            return
        if times := self._twice.pop(said.fingerprint, 0):
            if times > 1:
                self._twice[said.fingerprint] = times - 1
            self._metrics.unwatched(Unwatched.REPEAT)
            return
        self.count(monitor, said.student, said.agrees)

    def _monitor(self, cascade: str, version: str) -> GuaranteeMonitor | None:
        """None where it was said of thresholds that hold no more."""
        monitor = self.monitors.get(cascade)
        return monitor if monitor and monitor.version == version else None

    def _show(self) -> None:
        super()._show()
        self._changed()
