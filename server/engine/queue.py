"""The queue, and what waits in it.

First come, first served, packed to a token budget; escalated work goes first.

Three lanes. What has been answered by a smaller student comes before anything new, in the order of
its first arrival. New texts come next. The texts of large requests have a lane of their own, which
gets a quarter of every batch as long as others wait too: neither starves the other. Shadow texts,
for which nobody waits, go when there is nothing else.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import inf
from time import perf_counter

from ...models.cascade.decisions import Decision, Limit
from ..errors import Reason, RequestError

BULK_SHARE = 4
"""One in so many places of a batch is kept for large requests."""
WINDOW = 4
"""How many batches ahead texts may be chosen from by their length."""


@dataclass(eq=False)
class PendingRequest:
    """The texts of one request, answered together.

    open: texts not yet answered; only the engine counts it down. closed: nobody waits for the
    answer any more, because the client has gone, a batch has failed or the deadline has passed;
    the queue drops what is left of it.
    """

    decisions: list[Decision]
    future: asyncio.Future[list[Decision]]
    open: int = field(init=False)
    closed: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.open = len(self.decisions)

    def entries(self) -> list[QueueEntry]:
        """Its texts, for the queue."""
        return [QueueEntry(decision, self) for decision in self.decisions]

    def deliver(self) -> None:
        """Wake whoever waits."""
        if self.future.done():
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.decisions)

    def expire(self) -> None:
        """The deadline has passed: answer by what there is."""
        if self.future.done():
            return
        self.closed = True
        # The engine may have a batch under way that adds to them.
        taken = [replace(d, steps=list(d.steps)) for d in self.decisions]
        if without := sum(not decision.steps for decision in taken):
            self.future.set_exception(
                RequestError(
                    Reason.DEADLINE,
                    f"passed while {without} of {len(taken)} texts waited for their first answer",
                    "deadline_ms",
                )
            )
            return
        for decision in taken:
            if not decision.answered:
                decision.stop(Limit.DEADLINE)
        self.future.set_result(taken)


@dataclass(eq=False, slots=True)
class QueueEntry:
    """One text on its way through the stages.

    number: its first arrival, in order over all texts; it keeps it when it is queued again.
    arrived: when that was. since: when it began to wait for its next stage. retried: whether an
    engine that had it has died or hung.
    """

    decision: Decision
    request: PendingRequest
    number: int = -1
    arrived: float = field(default_factory=perf_counter)
    retried: bool = False
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.arrived


class WorkQueue:
    """Texts that wait for a student. Belongs to the event loop.

    max_tokens, max_texts: what one batch may hold. A text longer than max_tokens goes alone.
    fill_seconds: how old the oldest text must be before a batch that is not full leaves, while the
    engine is busy. An idle engine takes what comes at once.
    """

    def __init__(
        self,
        max_tokens: int,
        max_texts: int,
        fill_seconds: float = 0.0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.max_tokens = max_tokens
        self.max_texts = max_texts
        self.largest_small = max_texts // BULK_SHARE
        """Requests with more texts than this wait in the lane for large ones."""
        self._fill_seconds, self._clock = fill_seconds, clock
        self._escalated: list[tuple[int, QueueEntry]] = []  # a heap: earliest arrival first
        self._fresh: deque[QueueEntry] = deque()
        self._bulk: deque[QueueEntry] = deque()
        self._shadow: deque[QueueEntry] = deque()
        self._arrivals = 0
        self.closed = False
        """Whether nothing more is accepted."""
        self._idle = False
        """Whether the engine has asked and found nothing: it takes at once what comes."""

        self.waiting = 0
        """Texts that wait, in whatever lane."""

    def __len__(self) -> int:
        return self.waiting

    def age(self) -> float:
        """Seconds that the oldest text has waited, those of large requests and shadows apart."""
        heads = [entry.arrived for _, entry in self._escalated[:1]]
        if self._fresh:
            heads.append(self._fresh[0].arrived)
        return self._clock() - min(heads) if heads else 0.0

    def put(self, entries: Sequence[QueueEntry]) -> None:
        """The texts of one request. Raises RuntimeError once the queue is closed."""
        if self.closed:
            raise RuntimeError("the queue is closed")
        lane = self._bulk if len(entries) > self.largest_small else self._fresh
        if entries[0].decision.shadow:
            lane = self._shadow
        for entry in entries:
            entry.number = self._arrivals
            self._arrivals += 1
            lane.append(entry)
        self.waiting += len(entries)

    def requeue(self, entries: Sequence[QueueEntry]) -> None:
        """Texts that a larger student is to answer. They keep the place of their arrival."""
        for entry in entries:
            heapq.heappush(self._escalated, (entry.number, entry))
        self.waiting += len(entries)

    def take(self) -> tuple[list[QueueEntry], float]:
        """The next batch; or none, and the seconds after which to ask again.

        Infinite where nothing waits. Something new is a reason to ask again in any case. A batch
        leaves when it is full, its oldest text is old enough, the queue is closed, or the engine
        has nothing to do.
        """
        if not self.waiting:
            self._idle = True
            return [], inf
        if not (self._idle or self.closed or self._full()) and (left := self._left()) > 0:
            return [], left
        batch = self._pack()
        self._idle = not batch
        return batch, inf

    def close(self) -> None:
        """Accept nothing more; what has been accepted can still be taken."""
        self.closed = True

    def _left(self) -> float:
        """Seconds until the oldest text is old enough."""
        heads = [lane[0].arrived for lane in (self._fresh, self._bulk, self._shadow) if lane]
        if self._escalated:
            heads.append(self._escalated[0][1].arrived)
        return min(heads) + self._fill_seconds - self._clock()

    def _full(self) -> bool:
        if self.waiting >= self.max_texts:
            return True
        waiting = [*(entry for _, entry in self._escalated), *self._fresh, *self._bulk]
        return sum(len(entry.decision.tokens) for entry in waiting) >= self.max_tokens

    def _pack(self) -> list[QueueEntry]:
        batch = _Batch(self.max_tokens, self.max_texts)
        while self._escalated:
            entry = self._escalated[0][1]
            if not entry.request.closed and not batch.add(entry):
                break
            heapq.heappop(self._escalated)
        kept = BULK_SHARE if self._bulk else 0
        self._move(self._fresh, batch, kept)
        self._move(self._bulk, batch)
        self._move(self._fresh, batch)
        if not batch.entries:
            self._move(self._shadow, batch)
        # Counted anew, since entries that nobody waits for have been dropped.
        lanes = (self._fresh, self._bulk, self._shadow)
        self.waiting = len(self._escalated) + sum(map(len, lanes))
        return batch.entries

    def _move(self, lane: deque[QueueEntry], batch: _Batch, kept: int = 0) -> None:
        """Fill a batch from a lane: in order, or, where more wait than fit, by length.

        By length means the oldest, and those of the next few batches whose length is nearest to
        its own. The oldest always goes, so nobody waits for more than its turn.
        kept: one in so many places stays free for another lane.
        """
        if not lane:
            return
        batch.keep(kept)
        window: list[QueueEntry] = []
        while lane and len(window) <= WINDOW * self.max_texts:
            if not (entry := lane.popleft()).request.closed:
                window.append(entry)
        order = list(range(len(window)))
        if len(window) > batch.places:
            length = len(window[0].decision.tokens)
            order.sort(key=lambda i: abs(len(window[i].decision.tokens) - length))
        taken = set(takewhile(lambda i: batch.add(window[i]), order))
        lane.extendleft(window[i] for i in reversed(range(len(window))) if i not in taken)


class _Batch:
    """Entries within a budget."""

    def __init__(self, tokens: int, texts: int) -> None:
        self.entries: list[QueueEntry] = []
        self._tokens, self._budget = 0, (tokens, texts)
        self._most_tokens, self._most_texts = self._budget

    def keep(self, share: int) -> None:
        """Keep one in `share` places free from now on; 0 for none."""
        tokens, texts = self._budget
        self._most_tokens = tokens - tokens // share if share else tokens
        self._most_texts = texts - texts // share if share else texts

    @property
    def places(self) -> int:
        """How many more texts it may hold; it may hold more already than is open to all."""
        return max(0, self._most_texts - len(self.entries))

    def add(self, entry: QueueEntry) -> bool:
        """Whether the entry had room, and is in."""
        tokens = self._tokens + len(entry.decision.tokens)
        if self.places < 1 or (self.entries and tokens > self._most_tokens):
            return False
        self.entries.append(entry)
        self._tokens = tokens
        return True
