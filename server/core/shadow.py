"""A share of the answered texts is asked of all students of its cascade, when nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from ...models.calibration.records import AskedStudent, ShadowRecord
from ...models.cascade.decisions import Decision, Step
from ...models.cascade.policy import Cascade, Student
from ...models.checkpoint.manifest import TA, Manifest
from ...models.precision import Precision
from ...models.runners.scheduled import decide
from ..settings import Settings
from ..telemetry.metrics import Metrics
from .shadow_log import ShadowLog
from .shadow_sampler import ShadowSampler, violated

DELTA = 0.05
"""The bounds on disagreement fail with this probability."""


class ShadowEvaluator:
    """Chooses texts, has them asked, counts, and writes the records if there is a log.

    precision: in which the students answer. ask: has decisions answered, each by its own cascade.
    Belongs to the event loop.
    """

    def __init__(
        self,
        manifest: Manifest,
        precision: Precision,
        settings: Settings,
        metrics: Metrics,
        ask: Callable[[list[Decision]], Awaitable[list[Decision]]],
    ) -> None:
        self._manifest, self._metrics, self._ask = manifest, metrics, ask
        self.sampler = ShadowSampler(settings.shadow)
        self._precision = precision
        self._log = (
            ShadowLog(settings.shadow_log, metrics.guarantee.log_errors.inc)
            if settings.shadow_log
            else None
        )
        self._writer = ThreadPoolExecutor(1, "shadow-log")
        self._tasks: set[asyncio.Task[None]] = set()

    def consider(self, answered: Sequence[Decision]) -> None:
        """Texts that have just been answered."""
        for decision in answered:
            if self.sampler.chooses(decision):
                self.sampler.waiting += 1
                task = asyncio.create_task(self._evaluate(decision))
                self._tasks.add(task)
                task.add_done_callback(self._done)

    async def stop(self) -> None:
        """Leave what has not been asked yet; finish what is being written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._writer.shutdown)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.sampler.waiting -= 1

    async def _evaluate(self, decision: Decision) -> None:
        steps = {step.stage.student.name: step for step in decision.steps}
        wanted = {stage.student.name: stage.student for stage in decision.cascade.stages}
        wanted.setdefault(TA, self._manifest.ta)
        steps |= await self._ask_alone(
            [student for name, student in wanted.items() if name not in steps], decision.tokens
        )
        agrees = steps[TA].label == decision.answer.label
        watched = self.sampler.observe(decision.cascade, agrees)
        bounds = watched.bounds(DELTA)
        refuted = violated(decision.cascade, bounds[0])
        self._metrics.guarantee.shadowed(decision, agrees, bounds, refuted)
        if self._log:
            record = self._record(decision, [steps[name] for name in wanted], steps[TA].label)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, self._log.write, record)

    async def _ask_alone(self, students: Sequence[Student], tokens: list[int]) -> dict[str, Step]:
        """Each student's answer, at the temperature that it has in its cascade."""
        if not students:
            return {}
        decisions = [decide(self._manifest, Cascade.alone(s), tokens) for s in students]
        for decision in decisions:
            decision.shadow = True
        asked = await self._ask(decisions)
        return {d.answer.stage.student.name: d.answer for d in asked}

    def _record(self, decision: Decision, steps: Sequence[Step], ta: int) -> ShadowRecord:
        weights = self._manifest.weights_sha256
        return ShadowRecord(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            weights_sha256=weights,
            cascade=decision.cascade.name,
            version=decision.cascade.version(weights),
            precision=self._precision,
            tokens=len(decision.tokens),
            stages=tuple(
                AskedStudent(
                    step.stage.student.name,
                    step.stage.student.temperature,
                    step.label,
                    step.confidence,
                )
                for step in steps
            ),
            served=decision.answer.stage.student.name,
            ta=ta,
        )
