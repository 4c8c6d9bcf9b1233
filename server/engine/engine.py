"""The engine: one thread that owns the model and turns batches of texts into decisions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from time import perf_counter

from ...models.decision import Decision
from ...models.predictor import step
from ..errors import internal_error
from ..telemetry.metrics import Metrics
from .job import Job, Ticket
from .queue import WorkQueue
from .runner import Runner

log = logging.getLogger(__name__)


class Engine:
    """Takes a batch, runs it, then answers each text or puts it back for its next stage.

    run: the backend. deliver: called on the engine's thread with the jobs that are done.
    """

    def __init__(
        self,
        run: Runner,
        queue: WorkQueue,
        metrics: Metrics,
        deliver: Callable[[Sequence[Job]], None],
    ) -> None:
        self._run = run
        self._queue = queue
        self._metrics = metrics
        self._deliver = deliver
        self._thread: Thread | None = None
        self.running = 0
        """Texts in the batch that runs now."""

    @property
    def alive(self) -> bool:
        """Whether it takes batches."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, warm_up: Sequence[Decision]) -> None:
        """Start, and return once every decision of `warm_up` has been through all its stages.

        Raises what the backend raises on them.
        """
        warm: Future[None] = Future()
        self._thread = Thread(target=self._work, args=(warm_up, warm), name="engine", daemon=True)
        self._thread.start()
        warm.result()

    def submit(self, job: Job) -> None:
        """Queue all texts of a job."""
        self._queue.put([Ticket(decision, job) for decision in job.decisions])

    def stop(self) -> None:
        """Finish what has been accepted, then end."""
        self._queue.close()
        if self._thread:
            self._thread.join()

    def _work(self, warm_up: Sequence[Decision], warm: Future[None]) -> None:
        try:
            # On this thread, because backends keep state by thread.
            waiting = list(warm_up)
            while waiting:
                waiting = step(self._run, waiting)
        except BaseException as error:
            warm.set_exception(error)
            return
        warm.set_result(None)
        while batch := self._queue.take():
            self.running = len(batch)
            self._finish(batch, self._process(batch))
            self.running = 0

    def _process(self, batch: Sequence[Ticket]) -> Exception | None:
        """Ask each text's next student. Returns what went wrong, for this batch alone."""
        try:
            now = perf_counter()
            self._metrics.batch_started([ticket.decision for ticket in batch])
            for ticket in batch:
                self._metrics.queue_duration.observe(now - ticket.since)
            step(self._run, [ticket.decision for ticket in batch])
            self._metrics.batch_finished([ticket.decision for ticket in batch])
        except Exception:
            return internal_error(f"a batch of {len(batch)} texts")
        return None

    def _finish(self, batch: Sequence[Ticket], error: Exception | None) -> None:
        done: dict[Job, None] = {}  # an ordered set
        escalated = []
        for ticket in batch:
            job = ticket.job
            if error:
                job.error, job.closed = error, True
                done[job] = None
            elif ticket.decision.answer.accepted:
                job.open -= 1
                if not job.open:
                    done[job] = None
            else:
                ticket.since = perf_counter()
                escalated.append(ticket)
        if escalated:
            self._queue.put_back(escalated)
        if done:
            self._deliver(list(done))
