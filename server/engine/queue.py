"""The queue: first come, first served, packed to a token budget; escalated work goes first.

There is no timer. The engine takes a batch whenever it is free, so a lone text never waits, and
a batch fills exactly while the one before it runs.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from threading import Condition

from .job import Ticket


class WorkQueue:
    """Texts that wait for a student, filled by the event loop, emptied by the engine's thread.

    max_tokens, max_texts: what one batch may hold. A text longer than max_tokens goes alone.
    """

    def __init__(self, max_tokens: int, max_texts: int) -> None:
        self.max_tokens = max_tokens
        self.max_texts = max_texts
        self._fresh: deque[Ticket] = deque()
        self._escalated: list[tuple[int, Ticket]] = []  # a heap: earliest arrival first
        self._arrivals = 0
        self._closed = False
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._escalated)

    def put(self, tickets: Iterable[Ticket]) -> None:
        """Texts that arrive now. Raises RuntimeError once the queue is closed."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the queue is closed")
            for ticket in tickets:
                ticket.number = self._arrivals
                self._arrivals += 1
                self._fresh.append(ticket)
            self._changed.notify()

    def put_back(self, tickets: Iterable[Ticket]) -> None:
        """Texts that a larger student is to answer. They keep the place of their arrival."""
        with self._changed:
            for ticket in tickets:
                heapq.heappush(self._escalated, (ticket.number, ticket))

    def take(self) -> list[Ticket]:
        """The next batch; waits while there is none. Empty once the queue is closed and empty."""
        with self._changed:
            while not (batch := self._pack()) and not self._closed:
                self._changed.wait()
            return batch

    def close(self) -> None:
        """Accept nothing more; what has been accepted can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pack(self) -> list[Ticket]:
        batch: list[Ticket] = []
        tokens = 0
        while len(batch) < self.max_texts and (ticket := self._next()):
            if not ticket.job.closed:
                tokens += len(ticket.decision.tokens)
                if batch and tokens > self.max_tokens:
                    break
                batch.append(ticket)
            self._drop_next()
        return batch

    def _next(self) -> Ticket | None:
        if self._escalated:
            return self._escalated[0][1]
        return self._fresh[0] if self._fresh else None

    def _drop_next(self) -> None:
        if self._escalated:
            heapq.heappop(self._escalated)
        else:
            self._fresh.popleft()
