"""A share of the answered texts is asked of all students of its cascade, when nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from ...models.calibration.records import AskedStudent, ShadowRecord
from ...models.cascade.columns import Decisions
from ...models.cascade.decisions import Decision, Step
from ...models.cascade.policy import Cascade, Stage
from ...models.checkpoint.manifest import TA, Manifest
from ...models.inputs.text import Text
from ...models.precision import Precision
from ...models.runners.scheduled import decide
from ..settings import Settings
from ..telemetry.guarantee import GuaranteeMetrics, Unwatched
from .guarantee_monitor import GuaranteeMonitor
from .guarantee_watch import GuaranteeWatch
from .shadow_log import ShadowLog
from .shadow_sampler import ShadowSampler

UNRECORDED = (Unwatched.STUDENT, Unwatched.BROWNOUT, Unwatched.WAITING)
"""What is answered by one student, or by a cascade that load has shortened, is no record of its
cascade. All else is one: every stage is asked, wherever the answer came from."""


class ShadowEvaluator:
    """Chooses texts and has them asked; what the promise covers is counted, and all is recorded if
    there is a log.

    precision: in which the students answer. ask: has texts answered by their cascade.
    Belongs to the event loop.
    """

    def __init__(
        self,
        manifest: Manifest,
        precision: Precision,
        settings: Settings,
        metrics: GuaranteeMetrics,
        watch: GuaranteeWatch,
        ask: Callable[[Decisions], Awaitable[Decisions]],
    ) -> None:
        self._manifest, self._metrics, self._watch, self._ask = manifest, metrics, watch, ask
        self.sampler = ShadowSampler(settings.shadow)
        self._precision = precision
        self._log = (
            ShadowLog(settings.shadow_log, metrics.log_errors.inc) if settings.shadow_log else None
        )
        self._keeps_texts = settings.shadow_texts
        self._writer = ThreadPoolExecutor(1, "shadow-log")
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: asyncio.Task[None] | None = None

    def consider(self, answered: Decisions, texts: Sequence[Text]) -> None:
        """Texts that have just been answered. texts: in the same order; none if they came as
        tokens.
        """
        for row in range(len(answered)):
            if not self.sampler.chooses():
                continue
            decision = answered[row]
            found = self._monitor_of(decision)
            monitor = None if isinstance(found, Unwatched) else found
            if isinstance(found, Unwatched):
                self._metrics.unwatched(found)
                if found in UNRECORDED or not self._log:
                    continue
            self.sampler.waiting += 1
            text = texts[row] if self._keeps_texts and texts else None
            task = asyncio.create_task(self._evaluate(decision, text, monitor, self._last))
            self._last = task
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def stop(self) -> None:
        """Leave what has not been asked yet; finish what is being written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._writer.shutdown)

    def _monitor_of(self, decision: Decision) -> GuaranteeMonitor | Unwatched:
        """Who counts an answer; else why nobody does."""
        monitor = self._watch.monitor_of(decision, self._manifest.weights_sha256)
        if isinstance(monitor, Unwatched):
            return Unwatched.WAITING if self.sampler.full else monitor
        if self.sampler.full:
            return Unwatched.WAITING
        return monitor if monitor.repeats.is_new(decision.tokens) else Unwatched.REPEAT

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.sampler.waiting -= 1
        if not task.cancelled() and task.exception():  # it is in the log by whoever failed
            self._metrics.unwatched(Unwatched.FAILED)

    async def _evaluate(
        self,
        decision: Decision,
        text: Text | None,
        monitor: GuaranteeMonitor | None,
        before: asyncio.Task[None] | None,
    ) -> None:
        steps = {step.stage.student.name: step for step in decision.steps}
        # A tightened cascade has fewer stages; it is calibrated anew by what all of them say.
        calibrated = self._manifest.cascades.get(decision.cascade.name, decision.cascade)
        wanted = {stage.student.name: stage for stage in calibrated.stages}
        # Where the cascade ends before it, what it would take to bring it back is recorded too.
        score = calibrated.stages[0].score
        wanted.setdefault(TA, Stage(self._manifest.ta, 0.0, score))
        steps |= await self._ask_alone(
            [stage for name, stage in wanted.items() if name not in steps], decision.tokens
        )
        if before:
            # Counted in the order in which they were chosen: what the TA has answered already is
            # known at once, and would come before its turn.
            await asyncio.wait([before])
        if monitor:
            self._watch.observe(monitor, decision, agrees(decision, steps[TA]))
        if self._log:
            asked = [steps[name] for name in wanted]
            record = self._record(decision, asked, steps[TA].label, text)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, self._log.write, record)

    async def _ask_alone(self, stages: Sequence[Stage], tokens: list[int]) -> dict[str, Step]:
        """Each stage's answer, at the temperature and with the score that it has in its cascade."""
        if not stages:
            return {}
        alone = [Cascade(s.student.name, (replace(s, threshold=0.0),)) for s in stages]
        requests = [decide(self._manifest, each, [tokens]) for each in alone]
        for decisions in requests:
            decisions.shadow = True
        asked = await asyncio.gather(*map(self._ask, requests))
        return {d.answer.stage.student.name: d.answer for decisions in asked for d in decisions}

    def _record(
        self, decision: Decision, steps: Sequence[Step], ta: int, text: Text | None
    ) -> ShadowRecord:
        weights = self._manifest.weights_sha256
        first, second = text if isinstance(text, tuple) else (text, None)
        return ShadowRecord(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            weights_sha256=weights,
            cascade=decision.cascade.name,
            version=decision.cascade.version(weights),
            precision=self._precision,
            tokens=len(decision.tokens),
            stages=tuple(map(AskedStudent.of, steps)),
            served=decision.answer.stage.student.name,
            ta=ta,
            text=first,
            text_pair=second,
        )


def agrees(decision: Decision, ta: Step) -> bool:
    """Whether the TA, under the same policy, answers alike: with the same label, or with none."""
    if decision.cascade.abstains and not ta.inside:
        return decision.abstained
    return not decision.abstained and ta.label == decision.answer.label
