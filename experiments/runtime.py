"""The experiments of a running server: the plan that holds, who gets what, what is recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine

from ..models.cascade.decisions import OUT_OF_SCOPE
from ..models.checkpoint.manifest import Manifest
from ..models.errors import NestlingError
from ..models.precision import Precision
from .analysis import Analysis, analyse, deadlines, report_of, violations
from .apply import EMPTY, declare, plan_of
from .assignment import Assigners, Assignment
from .clock import SteadyClock
from .definition import Experiment, ExperimentPlan, Unit
from .diff import Change
from .errors import DeclarationError, Problem, StoreError
from .field_checks import Known
from .outcome_checks import KnownLabels, check_rates
from .parsing import parse
from .records import Exposure, Outcome
from .statistics.report import Report
from .store.database import transaction
from .store.outcomes import Receipt
from .store.outcomes import record as record_outcomes
from .store.plans import NOTHING, Stops, StoredPlan, latest_plan, latest_version, stop, stopped
from .store.retention import prune
from .store.writer import Writer
from .telemetry import ExperimentTelemetry

log = logging.getLogger(__name__)
REFRESH_SECONDS = 2.0
"""How soon a replica takes up what another one was told."""
ANALYSIS_SECONDS = 30.0
"""How often guardrails, sample ratios and what is missing are looked at."""
PRUNE_SECONDS = 3600.0
"""How often what is too old is deleted, where anything is."""
MOST_COUNTERFACTUALS = 64
"""Requests that may wait for the other variant of their pair."""


def known_of(manifest: Manifest, precision: Precision) -> Known:
    """What variants may name of a checkpoint that is served in a precision."""
    names = ["auto", *manifest.cascades, *manifest.students]
    thresholds = {name: len(manifest.policy(name).stages) - 1 for name in names}
    head = manifest.architecture.head()
    labels, several = head.labels, head.task == "multi_label"
    if any(cascade.abstains for cascade in manifest.cascades.values()):
        labels = (*labels, OUT_OF_SCOPE)
    return Known(thresholds, labels=labels, several=several, precision=precision)


class Experiments:
    """All methods belong to the event loop; threads ask the database.

    engine: an open database; it is this object's from now on. known: what may be declared now.
    pin: has the runners served that variants pin; raises NestlingError. keep: age at which what is
    recorded is deleted; None for never. judges: looks at guardrails and deletes; of the processes
    of one server, one does.
    """

    def __init__(
        self,
        engine: Engine,
        known: Callable[[], Known],
        pin: Callable[[Collection[str]], Awaitable[None]],
        metrics: ExperimentTelemetry,
        keep: timedelta | None = None,
        judges: bool = True,
    ) -> None:
        self.engine = engine
        self.clock = SteadyClock()
        self.plan = EMPTY
        self._known, self._pin, self._metrics, self._keep = known, pin, metrics, keep
        self._judges = judges
        self._stored = NOTHING
        self._stops: Stops = {}
        self._stopped: Collection[tuple[str, str]] = ()
        self._assigners = Assigners(EMPTY)
        self._writer = Writer(engine)
        self.labels = KnownLabels(engine, known)
        self._tasks: list[asyncio.Task[None]] = []
        self._counterfactuals: set[asyncio.Task[None]] = set()
        metrics.watch(self._writer)

    async def start(self) -> None:
        """Read the plan that holds, and look after it from now on.

        Raises StoreError, and NestlingError for a runner that cannot be started.
        """
        await self.refresh()
        self._tasks = [asyncio.create_task(self._repeat(REFRESH_SECONDS, self.refresh))]
        if not self._judges:
            return
        guard = self._repeat(ANALYSIS_SECONDS, self._check_guardrails)
        self._tasks.append(asyncio.create_task(guard))
        if self._keep is not None:
            forget = partial(self._prune, self._keep)
            self._tasks.append(asyncio.create_task(self._repeat(PRUNE_SECONDS, forget, True)))

    async def stop(self, timeout: float) -> None:
        """Write the exposures that wait, for at most `timeout` seconds."""
        for task in (*self._tasks, *self._counterfactuals):
            task.cancel()
        await asyncio.to_thread(self._writer.close, timeout)
        self.engine.dispose()

    def accept(self, manifest: Manifest, precision: Precision) -> None:
        """Raises DeclarationError for a checkpoint that lacks what the experiments name."""
        if self.version:
            parse(self.declared, replace(known_of(manifest, precision), stored=True))

    @property
    def declared(self) -> Any:
        """The declaration that holds, as it was given."""
        return self._stored.declared

    @property
    def version(self) -> int:
        """The number of the declaration that holds; 0 if nothing was ever declared."""
        return self._stored.version

    def assign(self, unit_of: Callable[[Unit], str | None]) -> tuple[Assignment, ...]:
        """The variants of a request that asks for `auto`. unit_of: reads a unit off it."""
        if not self.plan.experiments:
            return ()
        return self._assigners.assign(unit_of, self.clock.now(), self._stopped)

    def record(self, exposures: Sequence[Exposure]) -> None:
        """Have exposures written soon. This never waits and never fails."""
        for exposure in exposures:
            self._metrics.exposed(exposure.experiment, exposure.variant)
            self._writer.add(exposure)

    def later(self, work: Coroutine[Any, Any, Sequence[Exposure]]) -> None:
        """Have the other variant of a pair asked, and what it answers recorded.

        Where MOST_COUNTERFACTUALS wait already, the work is dropped: such a request is no pair, and
        is served as it was.
        """
        if len(self._counterfactuals) >= MOST_COUNTERFACTUALS:
            work.close()
            return
        task = asyncio.create_task(self._record_later(work))
        self._counterfactuals.add(task)
        task.add_done_callback(self._counterfactuals.discard)

    async def _record_later(self, work: Coroutine[Any, Any, Sequence[Exposure]]) -> None:
        self.record(await work)

    async def take(self, given: Mapping[str, Outcome]) -> list[Receipt]:
        """Store outcomes, by their places in what was sent. Raises FieldError, StoreError."""
        now = self.clock.now()
        late = deadlines(self.plan.by_name, now)
        check_rates(given, self.plan)
        await asyncio.to_thread(self.labels.check, given)
        outcomes = list(given.values())
        return await asyncio.to_thread(record_outcomes, self.engine, outcomes, now, late)

    async def declare(self, declared: object) -> Sequence[Change]:
        """Have a declaration hold on all replicas, whole or not at all.

        Raises DeclarationError, also for a runner that cannot be started, StoreError,
        PlanMovedError.
        """
        known, now = self._known(), self.clock.now()
        # A runner must be there before anybody is sent to it.
        runners = _runners(parse(declared, known)) | _runners(self.plan)
        try:
            await self._pin(runners)
        except NestlingError as error:
            raise DeclarationError([Problem("", str(error))]) from error
        _, steps = await asyncio.to_thread(declare, self.engine, declared, known, now)
        await self.refresh()
        return steps

    async def report(self, name: str) -> Analysis:
        """All numbers of an experiment. Raises KeyError for an unknown one, StoreError."""
        return await asyncio.to_thread(self._analyse, self.plan[name])

    def why_stopped(self, experiment: Experiment) -> Mapping[str, str]:
        """Why variants of the present phase were stopped, by variant."""
        return self._stops.get((experiment.name, experiment.phase), {})

    def _analyse(self, experiment: Experiment) -> Analysis:
        with transaction(self.engine) as connection:
            return analyse(connection, experiment, self.why_stopped(experiment))

    async def refresh(self) -> None:
        """Take over what the database says."""
        stored, stops = await asyncio.to_thread(self._read)
        if stored.version == self._stored.version and stops == self._stops:
            return
        plan = plan_of(stored)
        await self._pin(_runners(plan))
        self._adopt(stored, plan, stops)

    def _read(self) -> tuple[StoredPlan, Stops]:
        self.labels.note()
        with transaction(self.engine) as connection:
            if latest_version(connection) == self._stored.version:
                return self._stored, stopped(connection)
            return latest_plan(connection), stopped(connection)

    def _adopt(self, stored: StoredPlan, plan: ExperimentPlan, stops: Stops) -> None:
        self._metrics.declared(plan)
        self._stops = stops
        self._stored, self.plan, self._assigners = stored, plan, Assigners(plan)
        self._stopped = {
            (experiment.name, variant)
            for experiment in plan.experiments
            for variant in self.why_stopped(experiment)
        }

    async def _check_guardrails(self) -> None:
        """Stop variants that violate a guardrail, and watch what blocks a verdict."""
        now = self.clock.now()
        for experiment in self.plan.experiments:
            if experiment.running(now):
                self._metrics.analysed(await asyncio.to_thread(self._check_one, experiment, now))
        await self.refresh()

    def _check_one(self, experiment: Experiment, now: datetime) -> Report:
        why = self.why_stopped(experiment)
        with transaction(self.engine) as connection:
            report = report_of(connection, experiment, why)
            violated = violations(connection, experiment, why)
            for each in violated:
                name, phase = experiment.name, experiment.phase
                stop(connection, name, phase, each.variant, each.why, now)
        for each in violated:
            log.error("experiments: %s: %s", experiment.name, each.why)
        return report

    async def _prune(self, keep: timedelta) -> None:
        """Delete the rows that are older, except those of experiments that are declared."""
        starts = (experiment.start for experiment in self.plan.experiments)
        before = min([self.clock.now() - keep, *starts])
        try:
            exposures, outcomes = await asyncio.to_thread(prune, self.engine, before)
        except StoreError as error:
            self._metrics.prune_failed()
            log.error("store: what is too old stays for another hour: %s", error)
            return
        self._metrics.pruned(exposures, outcomes)
        if exposures or outcomes:
            log.info(
                "store: deleted %d exposures and %d outcomes from before %s",
                exposures,
                outcomes,
                before.isoformat(timespec="seconds"),
            )

    async def _repeat(
        self, seconds: float, work: Callable[[], Awaitable[None]], at_once: bool = False
    ) -> None:
        failing = False
        if not at_once:
            await asyncio.sleep(seconds)
        while True:
            try:
                await work()
                failing = False
            except NestlingError as error:
                if not failing:
                    log.error("experiments: what holds stays as it is: %s", error)
                failing = True
            except Exception:  # a defect of ours, which the next turn may not meet
                log.exception("experiments: could not be looked after")
            await asyncio.sleep(seconds)


def _runners(plan: ExperimentPlan) -> set[str]:
    """The runners that variants pin."""
    return {
        variant.runner
        for experiment in plan.experiments
        for variant in experiment.variants
        if variant.runner is not None
    }
