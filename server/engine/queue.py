"""The queue: first come, first served, packed to a token budget; escalated work goes first.

Three lanes. What has been answered by a smaller student comes before anything new, in the order of
its first arrival. New texts come next. The texts of large requests have a lane of their own, which
gets a quarter of every batch as long as others wait too: neither starves the other. Shadow texts,
for which nobody waits, go when there is nothing else.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from math import inf
from time import perf_counter

from .requests import QueueEntry

BULK_SHARE = 4
"""One in so many places of a batch is kept for large requests."""
WINDOW = 4
"""How many batches ahead texts may be chosen from by their length."""


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
        self._fill_seconds, self._clock = fill_seconds, clock
        self._escalated: list[tuple[int, QueueEntry]] = []  # a heap: earliest arrival first
        self._fresh: deque[QueueEntry] = deque()
        self._bulk: deque[QueueEntry] = deque()
        self._shadow: deque[QueueEntry] = deque()
        self._arrivals = 0
        self.closed = False
        """Whether nothing more is accepted."""
        self._hungry = False
        """Whether the engine has asked and found nothing: it takes at once what comes."""

    def __len__(self) -> int:
        return len(self._escalated) + len(self._fresh) + len(self._bulk) + len(self._shadow)

    def age(self) -> float:
        """Seconds that the oldest text has waited, those of large requests and shadows apart."""
        heads = [ticket.arrived for _, ticket in self._escalated[:1]]
        if self._fresh:
            heads.append(self._fresh[0].arrived)
        return self._clock() - min(heads) if heads else 0.0

    def is_large(self, texts: int) -> bool:
        """Whether a request of so many texts waits in the lane for large ones."""
        return texts > self.max_texts // BULK_SHARE

    def put(self, tickets: Sequence[QueueEntry]) -> None:
        """The texts of one request. Raises RuntimeError once the queue is closed."""
        if self.closed:
            raise RuntimeError("the queue is closed")
        lane = self._bulk if self.is_large(len(tickets)) else self._fresh
        if tickets[0].decision.shadow:
            lane = self._shadow
        for ticket in tickets:
            ticket.number = self._arrivals
            self._arrivals += 1
            lane.append(ticket)

    def put_back(self, tickets: Sequence[QueueEntry]) -> None:
        """Texts that a larger student is to answer. They keep the place of their arrival."""
        for ticket in tickets:
            heapq.heappush(self._escalated, (ticket.number, ticket))

    def take(self) -> tuple[list[QueueEntry], float]:
        """The next batch; or none, and the seconds after which to ask again.

        Infinite where nothing waits. Something new is a reason to ask again in any case. A batch
        leaves when it is full, its oldest text is old enough, the queue is closed, or the engine
        has nothing to do.
        """
        if not len(self):
            self._hungry = True
            return [], inf
        if not (self._hungry or self.closed or self._full()) and (left := self._left()) > 0:
            return [], left
        batch = self._pack()
        self._hungry = not batch
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
        if len(self) >= self.max_texts:
            return True
        waiting = [*(ticket for _, ticket in self._escalated), *self._fresh, *self._bulk]
        return sum(len(ticket.decision.tokens) for ticket in waiting) >= self.max_tokens

    def _pack(self) -> list[QueueEntry]:
        batch = _Batch(self.max_tokens, self.max_texts)
        while self._escalated:
            ticket = self._escalated[0][1]
            if not ticket.job.closed and not batch.add(ticket):
                break
            heapq.heappop(self._escalated)
        kept = BULK_SHARE if self._bulk else 0
        self._move(self._fresh, batch, kept)
        self._move(self._bulk, batch)
        self._move(self._fresh, batch)
        if not batch.tickets:
            self._move(self._shadow, batch)
        return batch.tickets

    def _move(self, lane: deque[QueueEntry], batch: _Batch, kept: int = 0) -> None:
        """Fill a batch from a lane: in order, or, where more wait than fit, by length.

        By length means the oldest, and those of the next few batches whose length is nearest to
        its own. The oldest always goes, so nobody waits for more than its turn.
        kept: one in so many places stays free for another lane.
        """
        batch.keep(kept)
        window: list[QueueEntry] = []
        while lane and len(window) <= WINDOW * self.max_texts:
            if not (ticket := lane.popleft()).job.closed:
                window.append(ticket)
        order = list(range(len(window)))
        if len(window) > batch.places:
            length = len(window[0].decision.tokens)
            order.sort(key=lambda i: abs(len(window[i].decision.tokens) - length))
        taken = set(takewhile(lambda i: batch.add(window[i]), order))
        lane.extendleft(window[i] for i in reversed(range(len(window))) if i not in taken)


class _Batch:
    """Tickets within a budget."""

    def __init__(self, tokens: int, texts: int) -> None:
        self.tickets: list[QueueEntry] = []
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
        return max(0, self._most_texts - len(self.tickets))

    def add(self, ticket: QueueEntry) -> bool:
        """Whether the ticket had room, and is in."""
        tokens = self._tokens + len(ticket.decision.tokens)
        if self.places < 1 or (self.tickets and tokens > self._most_tokens):
            return False
        self.tickets.append(ticket)
        self._tokens = tokens
        return True
