"""Which texts the search looks at, and which only measure what it found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

MEASURING_SHARE = 1 / 3
"""Of the texts. Who was chosen among hundreds looks better on the texts that chose than it is, so
others must say how good it is."""
FIRST_SHARE = 0.25
"""Of the texts that are looked at: what every student is asked, before half of them are asked more
(successive halving)."""
LEAST_TEXTS, MOST_TEXTS = 120, 20_000
"""Fewer would tell nothing apart; more would not tell better."""


@dataclass(frozen=True)
class Division:
    """Rows of the data: (texts,) int64 each. first: how many of `looking` are looked at first."""

    looking: NDArray[np.int64]
    measuring: NDArray[np.int64]
    first: int

    @property
    def texts(self) -> int:
        return len(self.looking) + len(self.measuring)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Of all, those that are looked at first."""
        return np.concatenate([self.looking, self.measuring])


def check_enough(texts: int) -> None:
    """Raises DataError for too few texts."""
    if texts < LEAST_TEXTS:
        raise DataError(f"{texts:,} texts are too few to search with: it takes {LEAST_TEXTS:,}")


def divide(texts: int, most: int, data_sha256: str) -> Division:
    """Draw at most `most` of the texts, by the data's hash: the same file is divided alike."""
    rows = np.random.default_rng(int(data_sha256[:12], 16)).permutation(texts)
    rows = rows[: max(LEAST_TEXTS, min(most, MOST_TEXTS))]
    measuring = round(MEASURING_SHARE * len(rows))
    looking = rows[: len(rows) - measuring]
    return Division(looking, rows[len(looking) :], round(FIRST_SHARE * len(looking)))
