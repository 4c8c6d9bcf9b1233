"""The engine: one thread that has batches of texts computed and makes decisions of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Thread
from time import perf_counter

from ...models.decision import Decision
from ...models.step import step
from ..errors import internal_error
from ..routing.contract import limit
from ..routing.durations import Durations
from ..telemetry.metrics import Metrics
from .backend import Backend, BackendGoneError
from .job import Job, Ticket
from .queue import WorkQueue

log = logging.getLogger(__name__)


class Engine:
    """Takes a batch, runs it, then answers each text or puts it back for its next stage.

    durations: learns how long batches take. deliver: called on the engine's thread with the jobs
    that are done.
    """

    def __init__(
        self,
        backend: Backend,
        queue: WorkQueue,
        metrics: Metrics,
        durations: Durations,
        deliver: Callable[[Sequence[Job]], None],
    ) -> None:
        self._backend = backend
        self._queue = queue
        self._metrics = metrics
        self._durations = durations
        self._deliver = deliver
        self._thread: Thread | None = None
        self._batch: list[Ticket] = []
        self.busy_since: float | None = None
        """When the batch began that runs now, on `time.perf_counter`'s clock."""

    @property
    def alive(self) -> bool:
        """Whether its thread lives."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def running(self) -> int:
        """Texts in the batch that runs now."""
        return len(self._batch)

    def start(self, warm_up: Sequence[Decision]) -> None:
        """Start, and return once every decision of `warm_up` has been through all its stages.

        Raises what the backend raises on them.
        """
        warm: Future[None] = Future()
        thread = Thread(target=self._work, args=(warm_up, warm), name="engine", daemon=True)
        self._thread = thread
        thread.start()
        warm.result()

    def restart(self, warm_up: Sequence[Decision]) -> None:
        """Abandon a thread and a backend that have died or hang, and begin others.

        The texts that it held are asked again by the next one, once: those that it fails again
        fail. Raises what the backend raises on the warm-up.
        """
        self._thread = None  # if it wakes up now, it finds that it was abandoned
        held, self._batch, self.busy_since = self._batch, [], None
        again = [ticket for ticket in held if not ticket.retried]
        for ticket in again:
            # The abandoned thread may still write to the decision that it has.
            index = ticket.job.decisions.index(ticket.decision)
            ticket.decision = replace(ticket.decision, steps=list(ticket.decision.steps))
            ticket.job.decisions[index] = ticket.decision
            ticket.retried = True
        failed = [ticket for ticket in held if ticket not in again]
        if failed:
            self._finish(failed, internal_error("a batch, twice,"))
        self._queue.put_back(again)
        self._backend.restart()
        self.start(warm_up)

    def submit(self, job: Job) -> None:
        """Queue all texts of a job."""
        self._queue.put([Ticket(decision, job) for decision in job.decisions])

    def stop(self) -> None:
        """Finish what has been accepted, then end."""
        self._queue.close()
        if self._thread:
            self._thread.join()

    def _work(self, warm_up: Sequence[Decision], warm: Future[None]) -> None:
        mine = self._thread
        try:
            # On this thread, because backends keep state by thread.
            waiting = list(warm_up)
            while waiting:
                self._ask(waiting)
                waiting = [decision for decision in waiting if not decision.answered]
        except BaseException as error:
            warm.set_exception(error)
            return
        warm.set_result(None)
        while batch := self._queue.take():
            self._batch, self.busy_since = batch, perf_counter()
            try:
                wrong = self._process(batch)
            except BackendGoneError:
                return  # the next thread answers these texts, by the next backend
            if self._thread is not mine:
                return  # abandoned: another thread answers these texts
            self._batch, self.busy_since = [], None
            self._finish(batch, wrong)

    def _process(self, batch: Sequence[Ticket]) -> Exception | None:
        """Ask each text's next student. Returns what went wrong, for this batch alone."""
        try:
            self._metrics.batch_started([ticket.decision for ticket in batch])
            now = perf_counter()
            for ticket in batch:
                ticket.decision.waited += now - ticket.since
                self._metrics.queue_duration.observe(now - ticket.since)
            self._ask([ticket.decision for ticket in batch])
            seconds = perf_counter() - now
            self._metrics.batch_finished([ticket.decision for ticket in batch], seconds)
        except BackendGoneError:
            raise
        except Exception:
            return internal_error(f"a batch of {len(batch)} texts")
        return None

    def _ask(self, decisions: Sequence[Decision]) -> None:
        """One step for each; in two halves if the device has no memory for all of them."""
        started = perf_counter()
        asked = {decision.stage.student.name for decision in decisions}
        try:
            escalated = step(self._backend.ask, decisions)
        except MemoryError:
            if len(decisions) == 1:
                raise
            log.warning("no memory for a batch of %d texts: splitting it", len(decisions))
            half = len(decisions) // 2
            self._ask(decisions[:half])
            self._ask(decisions[half:])
            return
        now = perf_counter()
        self._durations.observe(asked, now - started)
        for decision in decisions:
            decision.ran += now - started
        for decision in escalated:
            decision.limited_by = limit(decision, self._durations, now)

    def _finish(self, batch: Sequence[Ticket], error: Exception | None) -> None:
        if error:
            done = list(dict.fromkeys(ticket.job for ticket in batch))
            for job in done:
                job.error, job.closed = error, True
        else:
            done, escalated = settle(batch, perf_counter())
            if escalated:
                self._queue.put_back(escalated)
        if done:
            self._deliver(done)


def settle(batch: Sequence[Ticket], now: float) -> tuple[list[Job], list[Ticket]]:
    """After a step: the jobs that are answered now, and the texts to be put back.

    now: from when those wait for their next stage.
    """
    done, escalated = [], []
    for ticket in batch:
        if ticket.decision.answered:
            ticket.job.open -= 1
            if not ticket.job.open:
                done.append(ticket.job)
        else:
            ticket.since = now
            escalated.append(ticket)
    return done, escalated
