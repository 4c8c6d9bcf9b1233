"""Which texts the search looks at, and which only measure what it found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..inputs.data.fingerprints import fingerprint
from ..inputs.text import Text

MEASURING_SHARE = 1 / 3
"""Of the different texts. Who was chosen among hundreds looks better on the texts that chose than
it is, so others must say how good it is."""
FIRST_SHARE = 0.25
"""Of the texts that are looked at: what every student is asked, before half of them are asked more
(successive halving)."""
LEAST_TEXTS, MOST_TEXTS = 120, 20_000
"""Fewer different ones would tell nothing apart; more, with repeats, would not tell better."""


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


def check_enough(prints: Iterable[int]) -> None:
    """prints: fingerprints of texts. Raises DataError for too few different ones."""
    different = len(set(prints))
    if different < LEAST_TEXTS:
        raise DataError(
            f"{different:,} different texts are too few to search with: it takes {LEAST_TEXTS:,}"
        )


def divide(texts: Sequence[Text], most: int, data_sha256: str) -> Division:
    """Draw at most `most` of the texts, but enough, by the data's hash: the same file is divided
    alike.

    Texts that repeat stay together: who was chosen by a text is not measured by its copy. Raises
    DataError for too few different texts among the first `MOST_TEXTS` that are drawn.
    """
    rng = np.random.default_rng(int(data_sha256[:12], 16))
    rows = rng.permutation(len(texts))[:MOST_TEXTS]
    prints = np.array([fingerprint(texts[row]) for row in rows], dtype=np.uint64)
    check_enough(prints.tolist())
    first_met = np.sort(np.unique(prints, return_index=True)[1])
    drawn = max(int(first_met[LEAST_TEXTS - 1]) + 1, most)
    different, text = np.unique(prints[:drawn], return_inverse=True)
    # The lot falls on texts and not on rows: how often one repeats does not choose its side.
    lot = rng.permutation(len(different)) < round(MEASURING_SHARE * len(different))
    measures, rows = lot[text], rows[:drawn]
    looking = rows[~measures]
    return Division(looking, rows[measures], round(FIRST_SHARE * len(looking)))
