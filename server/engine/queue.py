"""The queue, and what waits in it.

First come, first served, packed to a token budget; escalated work goes first.

Three lanes. What has been answered by a smaller student comes before anything new, in the order of
its first arrival, though one alone waits a little for others. New texts come next. The texts of
large requests have a lane of their own, which gets a quarter of every batch as long as others wait
too: neither starves the other. Shadow texts, for which nobody waits, go when there is nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter

from .escalated import EscalatedLane
from .pending import PendingPart, PendingRequest

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
        self.largest_small = max_texts // BULK_SHARE
        """Requests with more texts than this wait in the lane for large ones."""
        self._fill_seconds, self._clock = fill_seconds, clock
        self._escalated = EscalatedLane()
        self._fresh: deque[PendingPart] = deque()
        self._bulk: deque[PendingPart] = deque()
        self._shadow: deque[PendingPart] = deque()
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
        heads = [part.request.arrived for part in self._escalated.parts[:1]]
        if self._fresh:
            heads.append(self._fresh[0].request.arrived)
        return self._clock() - min(heads) if heads else 0.0

    def put(self, request: PendingRequest) -> None:
        """The texts of a request. Raises RuntimeError once the queue is closed."""
        if self.closed:
            raise RuntimeError("the queue is closed")
        texts = request.open
        lane = self._bulk if texts > self.largest_small else self._fresh
        if request.decisions.shadow:
            lane = self._shadow
        request.number = self._arrivals
        lane.append(request.part())
        self._arrivals += texts
        self.waiting += texts

    def requeue(self, parts: Sequence[PendingPart]) -> None:
        """Texts that a larger student is to answer. They keep the place of their arrival."""
        for part in parts:
            part.passed_over = 0
            self._escalated.put(part)
            self.waiting += len(part.rows)

    def take(self) -> tuple[list[PendingPart], float]:
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
        heads = [lane[0] for lane in (self._fresh, self._bulk, self._shadow) if lane]
        if self._escalated:
            heads.append(self._escalated.parts[0])
        arrived = min([part.request.arrived for part in heads])
        return arrived + self._fill_seconds - self._clock()

    def _full(self) -> bool:
        if self.waiting >= self.max_texts:
            return True
        waiting = [*self._escalated.parts, *self._fresh, *self._bulk]
        return sum([sum(part.lengths) for part in waiting]) >= self.max_tokens

    def _pack(self) -> list[PendingPart]:
        batch = _Batch(self.max_tokens, self.max_texts)
        self.waiting -= self._escalated.drop_closed()
        self._add_escalated(batch, at_once=self.closed or not (self._fresh or self._bulk))
        kept = BULK_SHARE if self._bulk else 0
        self._move(self._fresh, batch, kept)
        self._move(self._bulk, batch)
        self._move(self._fresh, batch)
        if not batch.parts:  # nobody waited any more for what was new
            self._add_escalated(batch, at_once=True)
        if not batch.parts:
            self._move(self._shadow, batch)
        self.waiting -= batch.texts
        return batch.parts

    def _add_escalated(self, batch: _Batch, at_once: bool) -> None:
        for part in batch.add_in_order(self._escalated.take(at_once)):
            self._escalated.put(part)

    def _move(self, lane: deque[PendingPart], batch: _Batch, kept: int = 0) -> None:
        """Fill a batch from a lane: in order, or, where more wait than fit, by length.

        By length means the oldest, and those of the next few batches whose length is nearest to
        its own. The oldest always goes, so nobody waits for more than its turn.
        kept: one in so many places stays free for another lane.
        """
        if not lane:
            return
        batch.keep(kept)
        window: list[PendingPart] = []
        texts = 0
        while lane and texts <= WINDOW * self.max_texts:
            part = lane.popleft()
            if part.request.closed:
                self.waiting -= len(part.rows)
            else:
                window.append(part)
                texts += len(part.rows)
        add = batch.add_alike if texts > batch.places else batch.add_in_order
        lane.extendleft(reversed(add(window)))


class _Batch:
    """Parts of requests within a budget. texts: that all of them have."""

    def __init__(self, tokens: int, texts: int) -> None:
        self.parts: list[PendingPart] = []
        self.texts = 0
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
        return max(0, self._most_texts - self.texts)

    def add(self, part: PendingPart) -> PendingPart | None:
        """As many of its texts as have room, the first ones first. Returns the rest, if any."""
        fit = self._fitting(part.lengths)
        if fit == len(part.rows):
            self.parts.append(part)
            return None
        if fit:
            self.parts.append(part.only(part.rows[:fit]))
        return part.only(part.rows[fit:]) if fit else part

    def add_in_order(self, parts: Sequence[PendingPart]) -> list[PendingPart]:
        """As many as have room, until one has not. Returns the rest."""
        for index, part in enumerate(parts):
            if (rest := self.add(part)) is not None:
                return [rest, *parts[index + 1 :]]
        return []

    def add_alike(self, parts: Sequence[PendingPart]) -> list[PendingPart]:
        """The first text, and those whose length is nearest to its own. Returns the rest."""
        texts = [(at, row) for at, part in enumerate(parts) for row in part.rows]
        lengths = [length for part in parts for length in part.lengths]
        order = sorted(range(len(texts)), key=lambda i: abs(lengths[i] - lengths[0]))
        fit = self._fitting([lengths[i] for i in order[: self.places + 1]])
        taken: dict[int, set[int]] = {}
        for at, row in [texts[i] for i in order[:fit]]:
            taken.setdefault(at, set()).add(row)
        left = []
        for at, part in enumerate(parts):
            rows = taken.get(at, ())
            if len(rows) == len(part.rows):
                self.parts.append(part)
            elif not rows:
                left.append(part)
            else:
                self.parts.append(part.only(sorted(rows)))
                left.append(part.only([row for row in part.rows if row not in rows]))
        return left

    def _fitting(self, lengths: Sequence[int]) -> int:
        """How many of the next texts have room, from the first on; they are counted as in."""
        if (
            len(lengths) <= self.places
            and (all_of := self._tokens + sum(lengths)) <= self._most_tokens
        ):
            self._tokens, self.texts = all_of, self.texts + len(lengths)
            return len(lengths)
        count = 0
        for length in lengths:
            tokens = self._tokens + length
            if self.places < 1 or (self.texts and tokens > self._most_tokens):
                break
            self._tokens, self.texts, count = tokens, self.texts + 1, count + 1
        return count
