"""Exposures on their way to the database: a bounded buffer and one thread, off the request's path.

While the database is away the buffer fills. Beyond its bound the newest is dropped: the oldest may
be in the batch under way, its outcome may have come already, and what a unit met first is what
reports go by. Neither choice favours a variant.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from time import monotonic, sleep
from typing import TypeGuard

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ..records import Exposure
from .database import place, why
from .schema import exposure_row, exposures, insert_new

log = logging.getLogger(__name__)
BOUND = 100_000
BATCH = 1000
FLUSH_SECONDS = 0.5
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0
ALARM_SECONDS = 5.0
"""Between two lines in the log that say how many were dropped."""
STALLED_SECONDS = 10.0
"""A write that takes longer is as good as a failing one."""


class Writer:
    """Starts its thread at once. `add` belongs to the event loop, all counts to whoever reads.

    bound: exposures that may wait. batch: of one transaction. written, dropped: exposures so far;
    one that the database had already counts as written. failing_since: when the database went
    away, None while it is there.
    """

    def __init__(self, engine: Engine, bound: int = BOUND, batch: int = BATCH) -> None:
        self.bound, self.batch = bound, batch
        self.written = 0
        self.failing_since: datetime | None = None
        self._engine = engine
        self._buffer: deque[Exposure] = deque()
        self._overflowed = self._refused = self._lost = 0
        self._alarmed, self._next_alarm = 0, 0.0
        self._writing_since: float | None = None
        self._deadline: float | None = None  # of `close`, once it was called
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="exposures", daemon=True)
        self._thread.start()

    def add(self, exposure: Exposure) -> None:
        """Have it written within a second. Never waits, never raises; counts what does not fit."""
        waiting = len(self._buffer)
        if waiting >= self.bound or self._deadline is not None:
            self._overflowed += 1
            return
        self._buffer.append(exposure)
        if waiting % self.batch == self.batch - 1:
            self._wake.set()

    @property
    def buffered(self) -> int:
        """Exposures that wait, those of the batch under way included."""
        return len(self._buffer)

    @property
    def dropped(self) -> int:
        """For want of room, refused by the database one by one, or lost when closing."""
        return self._overflowed + self._refused + self._lost

    @property
    def up(self) -> bool:
        """Whether the database takes what it is given."""
        since = self._writing_since
        stalled = since is not None and monotonic() - since > STALLED_SECONDS
        return self.failing_since is None and not stalled

    def close(self, timeout: float) -> int:
        """Write what waits, for at most `timeout` seconds. Returns how many exposures are lost."""
        self._deadline = monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout + 1)
        self._lost = len(self._buffer)
        if not self._thread.is_alive():
            self._buffer.clear()
        if self._lost:
            log.error("store: %d exposures could not be written and are lost", self._lost)
        return self._lost

    def _run(self) -> None:
        while not self._closing.is_set() or self._buffer:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._flush()
            if self._out_of_time():
                return

    def _flush(self) -> None:
        """Write full batches while there are any, then what is left."""
        more = True
        while more and not self._out_of_time():
            more = len(self._buffer) > self.batch
            # They leave the buffer once they are written, so that its length is the truth.
            count = min(self.batch, len(self._buffer))
            batch = [self._buffer[index] for index in range(count)]
            if batch:
                self._write(batch)
            self._alarm()

    def _write(self, rows: Sequence[Exposure]) -> None:
        """Until it is done, refused or too late. A row at fault is found by halving."""
        delay = FIRST_RETRY_SECONDS
        while not self._out_of_time():
            try:
                self._insert(rows)
            except Exception as error:
                if _is_outage(error):
                    self._failed(error)
                    self._pause(delay)
                    delay = min(2 * delay, LAST_RETRY_SECONDS)
                    continue
                if len(rows) > 1:
                    middle = len(rows) // 2
                    self._write(rows[:middle])
                    self._write(rows[middle:])
                    return
                self._refuse(rows[0], error)
            else:
                self.written += len(rows)
                self._recovered()
            for _ in rows:
                self._buffer.popleft()
            return

    def _insert(self, rows: Sequence[Exposure]) -> None:
        self._writing_since = monotonic()
        try:
            # In one order everywhere: replicas that write the same rows do not deadlock.
            new = sorted(map(exposure_row, rows), key=itemgetter(*exposures.primary_key.c.keys()))
            with self._engine.begin() as connection:
                connection.execute(insert_new(connection, exposures), new)
        finally:
            self._writing_since = None

    def _refuse(self, row: Exposure, error: Exception) -> None:
        self._refused += 1
        reason = why(error) if isinstance(error, DBAPIError) else type(error).__name__
        log.error("store: exposure %r is refused: %s", row.request_id, reason)

    def _failed(self, error: DBAPIError) -> None:
        if self.failing_since is None:
            self.failing_since = datetime.now(UTC)
            log.error(
                "store: %s: %s; up to %d exposures wait until it is back",
                place(self._engine.url),
                why(error),
                self.bound,
            )
        self._alarm()

    def _recovered(self) -> None:
        if self.failing_since is not None:
            log.warning("store: it takes exposures again, %d wait", self.buffered)
            self.failing_since = None

    def _alarm(self) -> None:
        if self._overflowed > self._alarmed and monotonic() >= self._next_alarm:
            self._alarmed, self._next_alarm = self._overflowed, monotonic() + ALARM_SECONDS
            log.error("store: the buffer is full, %d exposures dropped so far", self._alarmed)

    def _pause(self, seconds: float) -> None:
        if self._deadline is None:
            self._closing.wait(seconds)  # `close` cuts it short
        else:
            sleep(max(0.0, min(seconds, self._deadline - monotonic())))

    def _out_of_time(self) -> bool:
        return self._deadline is not None and monotonic() > self._deadline


def _is_outage(error: Exception) -> TypeGuard[DBAPIError]:
    """Whether the database is at fault and not the row; a full disk and a lock are outages too."""
    return isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | DataError)
