"""Texts that a larger student is to answer, which wait for a few of their kind.

To run a large student takes long before it has looked at a text: four texts in one run take little
more than half of what they take one by one. So while there is other work, one that is alone is
passed over, but not often: whoever waits for it does not see it.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Sequence
from math import inf
from operator import attrgetter

from .pending import PendingPart

ENOUGH = 4
"""Texts that ask the same student: they go at once."""
TURNS = 3
"""Batches that may leave without a text which could have been in them."""

_arrival = attrgetter("number")


class EscalatedLane:
    """The texts that some student has passed on, in the order in which they came at first."""

    def __init__(self) -> None:
        self._parts: list[PendingPart] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def parts(self) -> Sequence[PendingPart]:
        """The earliest first."""
        return self._parts

    def put(self, part: PendingPart) -> None:
        """Its turn comes by its arrival, not by when it was passed on."""
        insort(self._parts, part, key=_arrival)

    def take(self, at_once: bool) -> list[PendingPart]:
        """Those whose turn it is; what has no room in the batch is to be put back.

        at_once: there is nothing else to do. Who has a deadline is not passed over either.
        """
        parts, self._parts = self._parts, []
        if at_once:
            return parts
        waiting = Counter[str]()
        for part in parts:
            waiting[part.asks.student.name] += len(part.rows)
        taken = []
        for part in parts:
            enough = waiting[part.asks.student.name] >= ENOUGH
            if enough or part.passed_over >= TURNS or part.decisions.deadline < inf:
                taken.append(part)
            else:
                part.passed_over += 1
                self._parts.append(part)
        return taken

    def drop_closed(self) -> int:
        """Forget those for which nobody waits; returns how many texts they were."""
        closed = [part for part in self._parts if part.request.closed]
        if closed:
            self._parts = [part for part in self._parts if not part.request.closed]
        return sum([len(part.rows) for part in closed])
