"""Which texts two data sets share, told by a small sample of one that a file can keep."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from ..text import Text, parts

KEPT = 4096
"""Fingerprints of a sample."""


def fingerprint(text: Text) -> int:
    """64 bits. Case and the width of blanks make no difference."""
    same = "\0".join(" ".join(each.split()).casefold() for each in parts(text))
    return int.from_bytes(blake2b(same.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Shared:
    """compared: texts that the sample can tell of. found: how many of them it has."""

    compared: int
    found: int

    @property
    def share(self) -> float:
        """Estimate of the share of texts that are in both."""
        return self.found / self.compared if self.compared else 0.0


@dataclass(frozen=True)
class TextSample:
    """The smallest fingerprints of a data set's texts, at most `KEPT`.

    A fingerprint is as good as a number drawn by lot, so the texts below the largest kept one are
    a random sample, and of other texts below it the sample knows whether they are in the set.
    distinct: how many different texts the set has.
    """

    distinct: int
    kept: frozenset[int]

    @classmethod
    def of(cls, texts: Iterable[Text]) -> TextSample:
        found = sorted({fingerprint(text) for text in texts})
        return cls(len(found), frozenset(found[:KEPT]))

    @cached_property
    def _largest(self) -> int:
        return max(self.kept)

    @property
    def whole(self) -> bool:
        """Whether every text is in the sample."""
        return self.distinct == len(self.kept)

    def shared_with(self, texts: Sequence[Text]) -> Shared:
        """How many of other texts, repeats included, are in the set."""
        prints = [fingerprint(text) for text in texts]
        if not self.whole:
            prints = [each for each in prints if each <= self._largest]
        return Shared(len(prints), sum(each in self.kept for each in prints))

    def lacks(self, text: Text) -> bool:
        """Whether a text is certainly not in the set; the sample knows of each or of some only."""
        found = fingerprint(text)
        return found not in self.kept and (self.whole or found <= self._largest)

    def joined(self, texts: Iterable[Text]) -> TextSample:
        """A sample of the set and these texts together; of a set that is not kept whole, `distinct`
        is estimated.
        """
        prints = {fingerprint(text) for text in texts}
        kept = self.kept | prints
        if self.whole:
            distinct = len(kept)
        else:
            told = [each for each in prints if each <= self._largest]
            fresh = sum(each not in self.kept for each in told)
            distinct = self.distinct + round(len(prints) * fresh / max(1, len(told)))
        return TextSample(distinct, frozenset(sorted(kept)[:KEPT]))

    def to_json(self) -> dict[str, Any]:
        numbers = np.array(sorted(self.kept), dtype="<u8")
        return {
            "distinct": self.distinct,
            "fingerprints": base64.b64encode(numbers.tobytes()).decode(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TextSample:
        """Raises ValueError or KeyError for what `to_json` has not made."""
        numbers = np.frombuffer(base64.b64decode(data["fingerprints"], validate=True), "<u8")
        return cls(data["distinct"], frozenset(numbers.tolist()))
