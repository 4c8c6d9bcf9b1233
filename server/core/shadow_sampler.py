"""Which of the answered texts are asked of all students of their cascade."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

MOST_WAITING = 64
"""Shadow texts that may wait; what comes beyond is not asked again."""


@dataclass
class ShadowSampler:
    """share: of the texts, 0 to 1. waiting: texts that were chosen and have not been asked yet.

    Belongs to the event loop.
    """

    share: float
    waiting: int = 0
    _number: int = 0

    @property
    def full(self) -> bool:
        """Whether as many wait as may."""
        return self.waiting >= MOST_WAITING

    def chooses(self) -> bool:
        """Whether the next text is one of them.

        By a hash of its number, so that no pattern in the traffic can meet a pattern here.
        """
        self._number += 1
        digest = blake2b(self._number.to_bytes(8), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64
