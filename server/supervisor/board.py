"""What all processes see at once: numbers in memory that they share.

A message per connection, or per beat, would cost more than what it says.
"""

from __future__ import annotations

from mmap import mmap
from struct import Struct
from time import monotonic

BEAT, CLOSED, READY = Struct("=d"), Struct("=Q"), Struct("=B")
AT_BEAT, AT_CLOSED, AT_READY, SIZE = 0, 8, 16, 64
"""A slot is a cache line of its own."""


class Board:
    """One slot per front: each is written by its front, and read by the supervisor.

    The clock is the system's since its start, the same in all processes.
    """

    def __init__(self, slots: int) -> None:
        self._memory = mmap(-1, slots * SIZE)

    def clear(self, slot: int) -> None:
        """For another process, before it starts."""
        self._memory[slot * SIZE : (slot + 1) * SIZE] = bytes(SIZE)

    def beat(self, slot: int, ready: bool) -> None:
        """The front's event loop runs. ready: whether it answers texts."""
        READY.pack_into(self._memory, slot * SIZE + AT_READY, ready)
        BEAT.pack_into(self._memory, slot * SIZE + AT_BEAT, monotonic())

    def closed(self, slot: int, connections: int) -> None:
        """So many connections of the front have ended since its start."""
        CLOSED.pack_into(self._memory, slot * SIZE + AT_CLOSED, connections)

    def ended(self, slot: int) -> int:
        """How many have."""
        return int(CLOSED.unpack_from(self._memory, slot * SIZE + AT_CLOSED)[0])

    def silent(self, slot: int) -> float:
        """Seconds since the last beat."""
        return monotonic() - float(BEAT.unpack_from(self._memory, slot * SIZE + AT_BEAT)[0])

    def ready(self, slot: int) -> bool:
        """Whether it answered texts at the last beat."""
        return bool(READY.unpack_from(self._memory, slot * SIZE + AT_READY)[0])
