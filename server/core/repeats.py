"""Which texts have come before, told by fingerprints that nobody else can make."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from secrets import token_bytes

WINDOW = 10_000
"""Distinct texts that are remembered."""


class RepeatWindow:
    """The last distinct texts, and how often each of them came.

    A text is kept as a fingerprint of its token ids, under a key that is drawn for this window
    alone, or for those of one server's processes: nobody can read a text from it, or look for one
    in it. A text that has left the window
    counts as new.
    """

    def __init__(self, size: int = WINDOW, key: bytes | None = None) -> None:
        self._size, self._key = size, key or token_bytes(16)
        self._times: OrderedDict[bytes, int] = OrderedDict()
        self._all = 0

    def is_new(self, tokens: Sequence[int]) -> bool:
        """Note a text, given as its token ids; whether it is not in the window yet."""
        return self.note(self.fingerprint(tokens))

    def fingerprint(self, tokens: Sequence[int]) -> bytes:
        """What is kept of a text."""
        return blake2b(array("q", tokens).tobytes(), key=self._key, digest_size=8).digest()

    def note(self, digest: bytes) -> bool:
        """The same as `is_new`, of a fingerprint under this window's key."""
        before = self._times.get(digest, 0)
        self._times[digest] = before + 1
        self._all += 1
        if len(self._times) > self._size:
            _, times = self._times.popitem(last=False)
            self._all -= times
        return not before

    @property
    def share(self) -> float:
        """Of the texts that the window has seen, those that were there already; 0 to 1."""
        return 1 - len(self._times) / self._all if self._all else 0.0
