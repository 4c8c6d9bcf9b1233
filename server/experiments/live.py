"""The experiments of a running server: what holds, who gets what, what is recorded of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from ...models.manifest import Manifest
from ..telemetry.experiments import ExperimentMetrics
from .assignment import Assigners, Assignment
from .changes import Change, changes
from .clock import SteadyClock
from .definition import Experiment, Phase, Plan, Unit
from .judging import breaches, judge
from .parsing import Known, parse
from .records import Exposure
from .statistics.report import Report
from .store.database import StoreError, transaction
from .store.plans import (
    NOTHING,
    StoredPlan,
    Stops,
    latest_plan,
    latest_version,
    save_plan,
    stop,
    stopped,
)
from .store.writer import Writer

log = logging.getLogger(__name__)
REFRESH_SECONDS = 2.0
"""How soon a replica takes up what another one was told."""
JUDGE_SECONDS = 30.0
"""How often guardrails and sample ratios are looked at."""
EMPTY = Plan()


def known_of(manifest: Manifest) -> Known:
    """What variants may name: what a checkpoint serves."""
    names = ["auto", *manifest.cascades, *manifest.students]
    return Known({name: len(manifest.policy(name).stages) - 1 for name in names})


class Experiments:
    """Belongs to the event loop; the database is asked by threads.

    engine: an open database; it is this object's from now on. known: what may be declared now.
    """

    def __init__(
        self, engine: Engine, known: Callable[[], Known], metrics: ExperimentMetrics
    ) -> None:
        self.engine = engine
        self.clock = SteadyClock()
        self.plan = EMPTY
        self._known, self._metrics = known, metrics
        self._stored = NOTHING
        self._stops: Stops = {}
        self._gone: Collection[tuple[str, str]] = ()
        self._assigners = Assigners(EMPTY)
        self._writer = Writer(engine)
        self._tasks: list[asyncio.Task[None]] = []
        metrics.watch(self._writer)

    async def start(self, declared: object = None) -> None:
        """Take up what holds; then `declared`, if it differs. Raises DeclarationError, StoreError."""
        await asyncio.to_thread(self._load)
        if declared is not None and declared != self._stored.declared:
            for change in await self.declare(declared):
                log.info("experiments: %s: %s", change.name, "; ".join(change.words))
        self._tasks = [
            asyncio.create_task(self._every(REFRESH_SECONDS, self._refresh)),
            asyncio.create_task(self._every(JUDGE_SECONDS, self._guard)),
        ]

    async def stop(self, timeout: float) -> None:
        """Write what waits, for at most so many seconds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._writer.close, timeout)
        self.engine.dispose()

    @property
    def declared(self) -> Any:
        """What holds, as it was declared."""
        return self._stored.declared

    @property
    def version(self) -> int:
        """Of what holds; 0 if nothing was ever declared."""
        return self._stored.version

    def assign(self, unit_of: Callable[[Unit], str | None]) -> tuple[Assignment, ...]:
        """What a request that asks for `auto` gets. unit_of: reads the unit off it."""
        if not self.plan.experiments:
            return ()
        return self._assigners.assign(unit_of, self.clock.now(), self._gone)

    def record(self, exposures: Sequence[Exposure]) -> None:
        """Have them written soon. Never waits, never fails."""
        for exposure in exposures:
            self._metrics.exposed(exposure.experiment, exposure.variant)
            self._writer.add(exposure)

    async def declare(self, declared: object) -> Sequence[Change]:
        """Have a declaration hold on all replicas, whole or not at all.

        Raises DeclarationError, StoreError, PlanMovedError.
        """
        known, now = self._known(), self.clock.now()
        plan = parse(declared, known)
        old, before = self.plan, self._stored
        phases = {name: [Phase(*each) for each in listed] for name, listed in before.phases.items()}
        steps = changes(old, plan, now, phases)
        begun: dict[str, Sequence[tuple[str, datetime]]] = dict(before.phases)
        for step in steps:
            if step.phase:
                started = old.by_name.get(step.name)
                kept = begun.get(step.name, ()) if started and started.started(now) else ()
                begun[step.name] = [*kept, (step.phase.name, step.phase.since)]
        stored = StoredPlan(before.version + 1, declared, known.policies, begun)
        await asyncio.to_thread(save_plan, self.engine, stored, now)
        self._adopt(stored, plan)
        return steps

    async def report(self, name: str) -> Report:
        """Raises KeyError for an unknown experiment, StoreError."""
        return await asyncio.to_thread(self._judge, self.plan[name])

    def why_stopped(self, experiment: Experiment) -> Mapping[str, str]:
        """By variant of its present phase."""
        return self._stops.get((experiment.name, experiment.phase), {})

    def _judge(self, experiment: Experiment) -> Report:
        with transaction(self.engine) as connection:
            return judge(connection, experiment, self.why_stopped(experiment))

    def _load(self) -> None:
        with transaction(self.engine) as connection:
            stored, stops = latest_plan(connection), stopped(connection)
        plan = parse(stored.declared, Known(stored.policies)) if stored.version else EMPTY
        self._stops = stops
        self._adopt(stored, plan)

    def _adopt(self, stored: StoredPlan, plan: Plan) -> None:
        self._metrics.declared(plan)
        self._stored, self.plan, self._assigners = stored, plan, Assigners(plan)
        self._gone = self._stopped_now()

    def _stopped_now(self) -> Collection[tuple[str, str]]:
        return {
            (experiment.name, variant)
            for experiment in self.plan.experiments
            for variant in self.why_stopped(experiment)
        }

    def _refresh(self) -> None:
        """What another replica was told, or stopped."""
        with transaction(self.engine) as connection:
            version, stops = latest_version(connection), stopped(connection)
        if version != self._stored.version:
            self._load()
        elif stops != self._stops:
            self._stops = stops
            self._gone = self._stopped_now()

    def _guard(self) -> None:
        """Stop variants that break a guardrail; watch the sample ratios."""
        now = self.clock.now()
        for experiment in self.plan.experiments:
            if not experiment.running(now):
                continue
            with transaction(self.engine) as connection:
                why = self.why_stopped(experiment)
                self._metrics.judged(judge(connection, experiment, why))
                broken = breaches(connection, experiment, why)
                for each in broken:
                    phase = experiment.phase
                    stop(connection, experiment.name, phase, each.variant, each.why, now)
            for each in broken:
                log.error("experiments: %s: %s", experiment.name, each.why)
        self._refresh()

    async def _every(self, seconds: float, work: Callable[[], None]) -> None:
        failing = False
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(work)
                failing = False
            except StoreError as error:
                if not failing:
                    log.error("experiments: what holds stays as it is: %s", error)
                failing = True
